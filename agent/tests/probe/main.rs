//! The probes against real servers, most of which misbehave.

mod answers;
mod codings;
mod cookies;
mod datagrams;
mod dns;
mod dns_own;
mod dns_secure;
mod frames;
mod hostile;
mod judging;
mod name_server;
mod names;
mod policy;
mod proxies;
mod redirects;
mod refused;
mod requests;
mod routes;
mod secrets;
mod serving;
mod starttls;
mod tcp;
mod timing;
mod tls;
mod tls_options;
mod true_times;
