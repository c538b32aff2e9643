//! What menu and story have in hand: the API, the target's switch, the inbox.

use super::inbox::Inbox;
use super::screen::say;
use super::target::Target;
use crate::client::{Client, ClientError, Incident, MonitorRegions};

/// The raised demo.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) client: Client,
    pub(super) target: Target,
    pub(super) inbox: Inbox,
    /// The monitor's id.
    pub(super) monitor: String,
}

impl Scene {
    /// What the regions see of the monitor.
    pub(super) async fn regions(&self) -> Result<MonitorRegions, ClientError> {
        self.client.monitor_regions(&self.monitor).await
    }

    /// Every incident of the monitor, newest first.
    pub(super) async fn incidents(&self) -> Result<Vec<Incident>, ClientError> {
        let incidents = self.client.incidents().await?;
        Ok(incidents.into_iter().filter(|incident| incident.subject.id == self.monitor).collect())
    }

    /// Prints what the API says now.
    pub(super) async fn show(&self) -> Result<(), ClientError> {
        let regions = self.regions().await?;
        let scope = regions.scope.as_deref().map(|scope| format!(", scope {scope}"));
        say(&format!("   verdict {}{}", regions.verdict, scope.unwrap_or_default()));
        for region in &regions.items {
            let reason = region.reason.as_deref().unwrap_or_default();
            say(&format!("     {:10} {:9}{reason}", region.region, region.state));
        }
        match self.incidents().await?.first() {
            Some(incident) => say(&describe(incident)),
            None => say("   no incident"),
        }
        Ok(())
    }
}

fn describe(incident: &Incident) -> String {
    format!(
        "   incident {}: {}, verdict {}, scope {}, severity {}",
        incident.id, incident.state, incident.verdict, incident.scope, incident.severity
    )
}
