//! The store's contract: every story runs on both back ends.
//!
//! `HYPERVERGE_TEST_POSTGRES_URL` names a PostgreSQL where databases may be
//! created (`scripts/with-postgres` makes a private one). Without it the suite
//! fails: a back end that was not tested is not a pass. To add a story: a module
//! beside `back_ends.rs` whose test calls [`back_ends::on_both`].

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agents;
mod assignments;
mod back_ends;
mod deliveries;
mod fleet;
mod groups;
mod idempotency;
mod incidents;
mod intents;
mod keys;
mod leases;
mod login_sessions;
mod monitor;
mod monitors;
mod organisations;
mod regions;
mod results;
mod schema;
mod states;
