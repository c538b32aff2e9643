//! Real servers, each in a folder and a process of its own that the test owns.

mod authority;
mod daemon;
pub(crate) mod echo;

pub(crate) use authority::Authority;
pub(crate) use daemon::{Daemon, free_port};
