//! The control plane: API, gateway, scheduler and notifier.
//!
//! A shell around `hyperverge-control-core`, which decides. The modules follow
//! the seven steps of ARCHITECTURE.md.

pub mod api;
pub mod app;
pub mod auth;
pub mod backtest;
pub mod clock;
pub mod ingest;
pub mod keys;
pub mod limits;
pub mod link;
pub mod metrics;
pub mod notify;
mod page;
pub mod roles;
pub mod server;
pub mod settings;
pub mod shared;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod tenants;
pub mod verdicts;
