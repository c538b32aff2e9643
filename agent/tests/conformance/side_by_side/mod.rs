//! Our verdicts beside those of Debian's prometheus-blackbox-exporter, on the
//! same targets at the same time: good ones, and bad ones in every way that both
//! can be asked about. How long phases take is compared against servers with known
//! delays; strictly by the campaign `side-by-side` only, since a loaded machine
//! would fail a test of that.
//!
//! Everything runs in a network of its own, with name servers of its own.
//! To add a target: a row in `verdicts.rs`, and in `world.rs` what answers it.

mod blackbox;
mod known;
mod phases;
mod verdicts;
mod world;
