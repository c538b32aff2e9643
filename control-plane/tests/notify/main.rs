//! Delivery against real receivers: an HTTP server that misbehaves as told, a
//! real SMTP server (aiosmtpd) and the published Standard Webhooks verifier.
//!
//! `HYPERVERGE_TEST_PYTHON` names a Python that has both; `make test` sets it.
//! To add a story: a test in the module of its channel, or in `dispatch.rs`
//! when it is about every channel.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../store/back_ends.rs"]
mod back_ends;
mod dispatch;
mod email;
mod python;
mod receiver;
mod stage;
mod webhook;
