//! Domain names, record data and response codes, as people write them.
//!
//! A check compares what a monitor expects with what a name server said. Both
//! sides go through these types, so that `10 Mail.Example.COM` in a monitor and
//! `10 mail.example.com.` in an answer are the same:
//!
//! - names are lower case, absolute, and end with a dot; a name written without
//!   its last dot is taken as absolute, never as relative to anything;
//! - addresses are in their shortest form (RFC 5952);
//! - texts are in double quotes, with RFC 1035's escapes.
//!
//! To add a record type: a variant of `monitor::RecordType`, one of
//! [`RecordData`], and its arms in `data.rs`; the agent's probe reads it from a
//! message in `probe/dns/answer.rs`.

mod data;
mod name;
mod rcode;

pub use data::{DataRule, RecordData, authority_type};
pub use name::{DomainName, NameRule};
pub use rcode::{is_rcode, rcode_name};
