//! What a monitor may say about how its target is asked: one file per section.
//!
//! `network` and `tls` are sections of their own because several kinds share
//! them; the others belong to the kind of their name, and are refused for any
//! other. A field at its default is left out when a specification is written.

mod dns;
mod http;
mod icmp;
mod network;
mod tcp;
mod tls;

pub use dns::{DnsOptions, DnsTransport, RecordType};
pub use http::{Auth, Basic, HttpOptions, HttpVersion, Method};
pub use icmp::IcmpOptions;
pub use network::{Family, NetworkOptions};
pub use tcp::{Step, TcpOptions};
pub use tls::{StartTls, TlsOptions, TlsVersion};

/// For `skip_serializing_if`.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
