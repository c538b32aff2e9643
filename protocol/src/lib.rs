//! What crosses between HyperVerge's programs.
//!
//! Pure: no I/O, no clock, no entropy of its own. The modules follow the seven
//! steps of ARCHITECTURE.md:
//!
//! | step | module |
//! |---|---|
//! | 1 monitor | [`monitor`], [`egress`], [`dns`] |
//! | 2 assignment | [`wire`] (`AssignmentSet`), [`envelope`] |
//! | 4 result | [`wire`] (`ResultBatch`), [`outcome`] |
//! | 7 notification | [`backoff`] |
//!
//! [`identity`], [`token`] and [`frame`] carry the link itself, [`settings`]
//! reads configuration the same way for every program.

pub mod backoff;
pub mod dns;
pub mod duration;
pub mod egress;
pub mod envelope;
pub mod expression;
pub mod frame;
pub mod identity;
pub mod limits;
pub mod monitor;
pub mod outcome;
pub mod pattern;
pub mod problem;
pub mod settings;
pub mod token;

/// The protobuf messages of the link, generated from `proto/link.proto`.
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/hyperverge.v1.rs"));
}

/// The application protocol that both ends of the link name in their handshake.
pub const ALPN: &[u8] = b"hyperverge/1";

/// The capability of an agent that runs confirmation bursts ([`wire::BurstOrder`]).
pub const BURST_CAPABILITY: &str = "burst:1";
