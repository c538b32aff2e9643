//! The program itself: command line, start, signals, exit codes.
//!
//! Each test starts real processes in a directory of its own and ends them. To
//! add a story: a module here that begins with [`program::Program`].

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod program;
mod serving;
