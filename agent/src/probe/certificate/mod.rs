//! `kind: tls`: one verified handshake, and what it says of certificate and chain.
//!
//! The folder's name is not the kind's because [`super::tls`] is the TLS of all kinds.

use super::failure::Failure;
use super::tcp::Session;
use super::{CheckId, Ended, Probe, ProbeContext};
use hyperverge_protocol::monitor::MonitorSpec;

/// A monitor of this kind, ready to be checked.
#[derive(Debug)]
pub struct TlsProbe(Session);

impl Probe for TlsProbe {
    fn prepare(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure> {
        let from_the_start = spec.tls.starttls.is_none();
        Session::new(context, spec, from_the_start, &[]).map(Self)
    }

    async fn run(&self, context: &ProbeContext, _check: &CheckId<'_>) -> Ended {
        self.0.run(context).await
    }
}
