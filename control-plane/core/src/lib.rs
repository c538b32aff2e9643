//! The control plane's decisions, step by step as in ARCHITECTURE.md.
//!
//! Pure: no I/O, no clock, no entropy; time and randomness are parameters.
//! Times are ms in control-plane time, which is the database's clock.
//!
//! | step | module |
//! |---|---|
//! | 2 assignment | [`assignment`], [`liveness`] |
//! | 5 correlation | [`correlation`], [`vantage`] |
//! | 6 incident | [`incident`] |
//! | 7 notification | [`paging`], [`notification`] |
//! | afterwards | [`post_mortem`] |
//!
//! Besides the path: [`history`] lets what is stored happen again, [`explain`] says why
//! it was decided so, and [`backtest`] asks
//! what another policy would have made of it.
//!
//! Each planner takes an input that can be written down as JSON and answers
//! with a plan that says why, so that a report of a wrong decision is a test.

pub mod assignment;
pub mod backtest;
pub mod correlation;
pub mod explain;
pub mod history;
pub mod incident;
pub mod liveness;
pub mod notification;
pub mod paging;
pub mod post_mortem;
pub mod vantage;
mod words;
