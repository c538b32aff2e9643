//! The API as a client sees it: the real router over a real store.
//!
//! Each test has a database of its own ([`app::App`]); requests go through every
//! layer. To add a story: a module here. A new route also wants its row in
//! `tenancy.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod auth;
#[path = "../store/back_ends.rs"]
mod back_ends;
mod backtests;
mod bad_input;
mod channels;
mod document;
mod fleet;
mod groups;
mod holds;
mod incident_life;
mod incidents;
mod monitors;
mod page;
mod replicas;
mod results;
mod routes;
mod skeleton;
mod tenancy;
