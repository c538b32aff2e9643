//! The probes against servers that others wrote, from Debian's packages.
//!
//! `scripts/set-up servers` installs them; a test that does not find its server
//! fails. To add a server: a file under `servers/` that writes its
//! configuration and starts it, and a file here with what it must show.

mod dns;
mod http;
mod http_site;
mod icmp;
mod icmp_answers;
mod network;
mod odd_certificates;
mod servers;
mod side_by_side;
mod tcp;
mod zoo;
