//! The agent against a control plane that the test plays: a QUIC server of its
//! own that verifies signatures with its own code, and misbehaves on demand.

mod agent;
mod assignment;
mod bursts;
mod enrolment;
mod plane;
mod restart;
mod session;
mod time;
mod world;
