//! The probes against real servers, most of which misbehave.

mod answers;
mod serving;
