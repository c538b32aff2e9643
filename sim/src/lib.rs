//! A whole fleet in one thread on virtual time.
//!
//! Agents run the product's schedule, clock, batcher, spool index and session; the
//! control plane runs the product's assignment, liveness, correlation, incidents
//! and notices over tables in memory. Targets, links and processes fail by script
//! ([`scenario`]), and a plain model beside it ([`mod@reference`]) says what must be
//! true all the same. One seed is one run.
//!
//! | module | is |
//! |---|---|
//! | [`scenario`] | what a file says |
//! | [`world`] | targets, links, time |
//! | [`agent`], [`control`] | thin shells around the product's decisions |
//! | [`mod@reference`] | what must be true |
//! | [`rule`], [`rules`] | the seam for other rules over the same world, and other systems' rules |
//! | [`compare`] | the labelled campaign: the product's rule beside theirs |
//! | [`report`] | what is printed |
//! | [`generate`], [`campaign`] | scenarios made up by seeds, many at a time |
//!
//! `docs/simulation.md` is the manual.

pub mod agent;
pub mod campaign;
pub mod command;
pub mod compare;
pub mod control;
pub mod generate;
pub mod limits;
pub mod random;
pub mod reference;
pub mod report;
pub mod rule;
pub mod rules;
pub mod scenario;
pub mod world;

mod queue;
