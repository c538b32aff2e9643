//! The gateway as an agent sees it: real QUIC on a loopback port, a real store,
//! and an agent of the test's own ([`fake_agent`]) that can also misbehave.
//!
//! To add a story: a module here that starts a [`site::Site`]. What must hold on
//! both back ends runs in [`back_ends::on_both`].

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod abuse;
#[path = "../store/back_ends.rs"]
mod back_ends;
mod bursts;
mod enrolment;
mod fake_agent;
mod results;
mod sessions;
mod sets;
mod site;
