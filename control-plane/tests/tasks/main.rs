//! The reconcilers, on real databases: what they read, what they write, and that
//! a second round finds nothing left to do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../api/app.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest")]
mod app;
#[path = "../store/back_ends.rs"]
mod back_ends;
mod bursts;
mod causes;
mod correlator;
mod fixture;
mod liveness;
mod planner;
mod quiet;
mod replay;
mod retention;
mod scene;
mod told;
mod vantage;
