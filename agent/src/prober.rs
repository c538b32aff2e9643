//! The real prober: `crate::probe` behind the runner's seam.

use crate::config::{Config, ConfigError};
use crate::probe::{CheckId, Prepared, ProbeContext, ProbeSettings, ProbeSetupError};
use crate::runner::Prober;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::Observation;

/// Why probing cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ProberError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Probe(#[from] ProbeSetupError),
}

/// Checks targets as the host's configuration allows.
#[derive(Debug)]
pub struct RealProber {
    context: ProbeContext,
}

impl RealProber {
    /// Builds what all checks share.
    pub fn new(config: &Config) -> Result<Self, ProberError> {
        let settings = ProbeSettings {
            egress: config.egress_policy()?,
            ca_pem: config.ca_pem()?,
            ..ProbeSettings::default()
        };
        Ok(Self { context: ProbeContext::new(settings)? })
    }
}

impl Prober for RealProber {
    type Prepared = Prepared;

    fn prepare(&self, spec: &MonitorSpec) -> Prepared {
        Prepared::new(&self.context, spec)
    }

    fn handle_offset(&self, offset_us: i64) {
        self.context.set_time(offset_us);
    }

    async fn run(&self, prepared: &Prepared, check: CheckId<'_>) -> Observation {
        prepared.run(&self.context, &check).await
    }
}
