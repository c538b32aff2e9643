//! The control plane's decisions, step by step as in ARCHITECTURE.md.
//!
//! Pure: no I/O, no clock, no entropy; time and randomness are parameters.

pub mod notification;
