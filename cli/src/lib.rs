//! `hyperverge`, the command line.
//!
//! [`client`] speaks the REST API, [`fleet`] runs a whole HyperVerge on one
//! machine out of the real programs, and [`demo`] tells a story with both. The
//! end-to-end tests stand on the same `client` and `fleet`, so what the demo
//! shows is what they check.
//!
//! To add a command (`hyperverge <noun> <verb>`): a variant in [`command`] and
//! a module of the noun's name beside `demo`, one file for each verb. [`client`] has
//! whoever `hyperverge login` signed in; [`mod@print`] writes and chooses the exit code.

pub mod backtest;
pub mod client;
pub mod clock;
pub mod command;
pub mod demo;
mod explained;
pub mod fleet;
pub mod incidents;
pub mod login;
pub mod monitors;
pub mod print;
mod session;
pub mod wait;
