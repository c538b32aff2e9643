//! HyperVerge end to end, with real processes.
//!
//! [`Bed`] raises what a test needs: control plane, enrolled agents, a target
//! with a switch and the receivers ([`receiver`]: a mail server and a webhook
//! verifier that are not ours). It stands on `hyperverge_cli`'s fleet, the same
//! that `hyperverge demo` runs. [`database`] reads what was stored past the
//! API, [`agent_log`] what agents say was acknowledged; tests compare the two.
//!
//! The programs are found by `HYPERVERGE_TEST_BIN_DIR`, Python with the
//! receivers' libraries by `HYPERVERGE_TEST_PYTHON`; `make test` sets both.
//! `HYPERVERGE_TEST_KEEP=1` keeps the folder of a test that passed, logs and all.
//!
//! To add a scenario: a file under `tests/scenarios/` with one story in it.

pub mod agent_log;
mod bed;
pub mod database;
mod environment;
mod postgres;
pub mod receiver;
mod waits;

pub use bed::{Bed, EMAIL_CHANNEL, Layout, RECIPIENT, Setup, WEBHOOK_CHANNEL};
pub use environment::{say, variable};
