//! Real servers, each in a folder and a process of its own that the test owns.

mod authority;
mod bind;
mod caddy;
mod daemon;
mod dnsdist;
mod doq;
pub(crate) mod echo;
mod nginx;
mod openssl;
mod unbound;

pub(crate) use authority::Authority;
pub(crate) use bind::{BIG_TEXTS, BIND_NAME, Bind};
pub(crate) use caddy::caddy;
pub(crate) use daemon::{Daemon, free_port};
pub(crate) use dnsdist::{DNSDIST_NAME, Dnsdist};
pub(crate) use doq::{DOQ_NAME, Doq};
pub(crate) use nginx::nginx;
pub(crate) use openssl::{openssl, s_server};
pub(crate) use unbound::{UNBOUND_NAME, Unbound};
