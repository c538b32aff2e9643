//! Where a connection may go. One set of rules for probes, webhooks, SMTP and OIDC.
//!
//! A target passes three gates, and nobody writes a fourth of their own:
//!
//! 1. [`parse_url`] reads the text once, by WHATWG rules, and refuses what
//!    parsers disagree about. Only the [`url::Url`] it returns is used afterwards.
//! 2. [`EgressPolicy::judge_url_host`] looks at the host without the network: a
//!    literal address is judged at once, a name comes back to be resolved.
//! 3. [`EgressPolicy::judge`] is asked about *every* address a name resolved to,
//!    before connecting, and again about the peer that was reached.
//!
//! A host name is never trusted for what it says: `localhost.` and `internal`
//! are refused because of the addresses they stand for. The only names refused
//! as names are those of metadata services, which resolve inside a cloud only.
//!
//! To deny another range, add a row to the tables in `address.rs`; to allow one
//! on a host, list it in `[egress] allow` of that host's configuration.

mod address;
mod cidr;
mod endpoint;
mod policy;
mod proxy;
mod url_rule;

pub use cidr::{Cidr, CidrError};
pub use endpoint::{Endpoint, EndpointRule, is_tls_host, parse_endpoint};
pub use policy::{AddressRule, Destination, EgressPolicy};
pub use proxy::{Proxy, ProxyRule, ProxyScheme, parse_proxy};
pub use url_rule::{UrlRule, parse_url};
