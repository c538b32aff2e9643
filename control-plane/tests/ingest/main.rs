//! Ingest on real databases: signed batches in, rows, states and incidents out.
//! Every story runs on both back ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../api/app.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest")]
mod app;
#[path = "../store/back_ends.rs"]
mod back_ends;
mod backtest;
mod bursts;
mod correlation;
mod explain;
mod fleet;
mod numbers;
mod trouble;
mod vantage_faults;
