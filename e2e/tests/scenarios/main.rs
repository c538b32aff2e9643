//! The end-to-end scenarios, one file each. Every one has a HyperVerge of its
//! own, so they do not disturb each other.

mod account;
mod commands;
mod confirmation;
mod demo;
mod drill;
mod kills;
mod kinds;
mod outage;
mod replicas;
mod silence;
mod twins;
