//! Real servers, each in a folder and a process of its own that the test owns.

mod authority;
mod caddy;
mod daemon;
pub(crate) mod echo;
mod nginx;
mod openssl;

pub(crate) use authority::Authority;
pub(crate) use caddy::caddy;
pub(crate) use daemon::{Daemon, free_port};
pub(crate) use nginx::nginx;
pub(crate) use openssl::{openssl, s_server};
