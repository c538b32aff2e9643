//! The HyperVerge agent: probes targets from one region and reports signed results.
//!
//! The shell around `hyperverge_agent_core`, in the order of the seven steps:
//!
//! | step | module |
//! |---|---|
//! | 2 assignment | [`link`], [`assignments`] |
//! | 3 probe | [`engine`], [`runner`], [`probe`] |
//! | 4 result | [`rows`], [`spool`], [`link`] |
//!
//! [`app`] puts them together; [`enroll`] and [`doctor`] are the other commands.

pub mod app;
pub mod assignments;
pub mod clock;
pub mod config;
pub mod control_time;
pub mod doctor;
pub mod durable;
pub mod engine;
pub mod enroll;
pub mod identity;
pub mod limits;
pub mod link;
pub mod logging;
pub mod metrics;
pub mod probe;
pub mod prober;
pub mod rows;
pub mod runner;
pub mod server;
pub mod spool;
pub mod status;

/// This host's name, as people know it; empty when the kernel has none to tell.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.chars().take(hyperverge_protocol::limits::SHORT_TEXT_BYTES / 4).collect()
}
