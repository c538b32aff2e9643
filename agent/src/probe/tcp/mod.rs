//! `kind: tcp`: a connection, and a dialogue on it where the monitor has one.
//!
//! `session.rs` goes from the target to the end of the dialogue, and serves
//! `kind: tls` too, whose dialogue ends with the handshake; `steps.rs` is the
//! monitor's own part of it.

mod session;
mod steps;

use super::{CheckId, Ended, Probe, ProbeContext};
use crate::probe::failure::Failure;
use hyperverge_protocol::monitor::MonitorSpec;
pub use session::Session;
use steps::Steps;

/// A monitor of this kind, ready to be checked.
#[derive(Debug)]
pub struct TcpProbe(Session);

impl Probe for TcpProbe {
    fn prepare(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure> {
        Session::new(context, spec, spec.tcp.tls, &spec.tcp.steps).map(Self)
    }

    async fn run(&self, context: &ProbeContext, _check: &CheckId<'_>) -> Ended {
        self.0.run(context).await
    }
}
