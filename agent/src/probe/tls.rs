//! TLS for every kind of check: whom to trust, what to offer, and what the
//! handshake said.
//!
//! A monitor's section `tls` becomes a [`TlsClient`] when the monitor is
//! prepared; monitors alike share one configuration (`clients.rs`, `options.rs`).
//! Each handshake goes through a [`Handshake`] of its own: a thin copy of
//! that configuration with a [`Witness`], which remembers what the verifier saw
//! and whether the server asked for our certificate. That is how a check whose
//! handshake fails, over TCP or inside QUIC, still has the certificate's facts.
//!
//! Sessions are never resumed: a check that resumed would neither see the
//! certificate nor measure the handshake.
//!
//! To tell another mistake apart: `refusal.rs` for what is wrong with a
//! certificate, `alert.rs` for what is wrong with the protocol.

mod alert;
mod algorithms;
mod certificate;
mod clients;
mod facts;
mod groups;
mod handshake;
mod options;
mod path;
mod raw_key;
mod recent;
mod refusal;
mod verifier;
mod witness;

pub use alert::{judge_close, judge_read, quic_alert};
pub use clients::{TlsClient, TlsClients, TlsSetupError};
pub use facts::note;
pub use handshake::{Handshake, Secured};
pub use options::{TlsOptionsError, elsewhere};
pub use witness::Witness;

/// Protocols to offer in ALPN, in the order of preference.
pub mod alpn {
    /// HTTP/1.1 alone.
    pub const HTTP_1: &[&str] = &["http/1.1"];
    /// HTTP/2 alone (RFC 9113).
    pub const HTTP_2: &[&str] = &["h2"];
    /// HTTP/2, else HTTP/1.1.
    pub const HTTP_2_OR_1: &[&str] = &["h2", "http/1.1"];
    /// HTTP/3 (RFC 9114).
    pub const HTTP_3: &[&str] = &["h3"];
    /// DNS over TLS (RFC 7858).
    pub const DNS_TLS: &[&str] = &["dot"];
    /// DNS over QUIC (RFC 9250).
    pub const DNS_QUIC: &[&str] = &["doq"];
    /// No ALPN at all.
    pub const NONE: &[&str] = &[];
}
