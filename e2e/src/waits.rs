//! What tests wait for, in their own words.

use crate::bed::{Bed, RECIPIENT};
use anyhow::{Result, ensure};
use chrono::{DateTime, FixedOffset};
use hyperverge_cli::client::{Incident, MonitorRegions};
use hyperverge_cli::wait::{Seen, until, until_answer};
use std::collections::BTreeMap;
use std::time::Duration;

impl Bed {
    /// Waits until what the regions see of `monitor` is as wanted.
    pub async fn until_regions(
        &self,
        monitor: &str,
        what: &str,
        within: Duration,
        wanted: impl Fn(&MonitorRegions) -> bool,
    ) -> Result<MonitorRegions> {
        let ask = async || self.client.monitor_regions(monitor).await;
        until_answer(what, within, ask, |regions| {
            let seen = format!("{regions:?}");
            Ok(if wanted(&regions) { Seen::Yes(regions) } else { Seen::NotYet(seen) })
        })
        .await
    }

    /// Waits until all of `regions` see `monitor` up, and so does the verdict.
    pub async fn until_up(&self, monitor: &str, regions: usize, within: Duration) -> Result<()> {
        self.until_regions(monitor, "every region is up", within, |seen| {
            let up = |item: &hyperverge_cli::client::RegionState| {
                item.state == "up" && item.last_result_at.is_some()
            };
            seen.verdict == "up" && seen.items.len() == regions && seen.items.iter().all(up)
        })
        .await
        .map(drop)
    }

    /// Waits until each of `regions` has gone on reporting for `span`: its newest result
    /// started that much later than the one that was its newest at the first look.
    pub async fn until_reported_for(
        &self,
        monitor: &str,
        regions: &[&str],
        span: Duration,
        within: Duration,
    ) -> Result<()> {
        let mut first: BTreeMap<String, DateTime<FixedOffset>> = BTreeMap::new();
        let what = format!("{regions:?} have gone on reporting for {} s", span.as_secs());
        let ask = async || self.client.monitor_regions(monitor).await;
        until_answer(&what, within, ask, |seen| {
            let mut reported = BTreeMap::new();
            for item in seen.items {
                let Some(newest) = item.last_result_at else { continue };
                let newest = DateTime::parse_from_rfc3339(&newest)?;
                let first = *first.entry(item.region.clone()).or_insert(newest);
                reported.insert(item.region, (newest - first).to_std().unwrap_or_default());
            }
            let enough =
                |region: &&str| reported.get(*region).is_some_and(|so_far| *so_far >= span);
            Ok(if regions.iter().all(enough) {
                Seen::Yes(())
            } else {
                Seen::NotYet(format!("{reported:?}"))
            })
        })
        .await
    }

    /// Every incident of `monitor`, newest first.
    pub async fn incidents_of(&self, monitor: &str) -> Result<Vec<Incident>> {
        let incidents = self.client.incidents().await?;
        Ok(incidents.into_iter().filter(|incident| incident.subject.id == monitor).collect())
    }

    /// Waits until the newest incident of `monitor` is as wanted.
    pub async fn until_incident(
        &self,
        monitor: &str,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Incident) -> bool,
    ) -> Result<Incident> {
        let ask = async || self.client.incidents().await;
        until_answer(what, within, ask, |incidents| {
            let newest = incidents.into_iter().find(|incident| incident.subject.id == monitor);
            Ok(match newest {
                Some(incident) if wanted(&incident) => Seen::Yes(incident),
                other => Seen::NotYet(format!("{other:?}")),
            })
        })
        .await
    }

    /// Waits until webhook and mail have each told exactly `kinds` about
    /// `incident`, in this order and each once. Anything else is an error at once.
    pub async fn until_told(&self, incident: &str, kinds: &[&str], within: Duration) -> Result<()> {
        let what = format!("webhook and mail have told {kinds:?}");
        until(&what, within, async || {
            let told = self.told(incident)?;
            for channel in &told {
                let so_far = channel.iter().zip(kinds).all(|(told, kind)| told == kind);
                ensure!(
                    so_far && channel.len() <= kinds.len(),
                    "expected {kinds:?} on each channel, but was told {told:?}"
                );
            }
            let all = told.iter().all(|channel| channel.len() == kinds.len());
            Ok(if all { Seen::Yes(()) } else { Seen::NotYet(format!("{told:?}")) })
        })
        .await
    }

    /// What was told about `incident`: by webhook, and by mail to [`RECIPIENT`].
    pub fn told(&self, incident: &str) -> Result<[Vec<String>; 2]> {
        let webhooks = self.receiver()?.webhooks()?;
        let webhooks = webhooks.iter().filter(|webhook| webhook.incident() == incident);
        let emails = self.receiver()?.emails()?;
        let emails = emails.iter().filter(|email| {
            email.text.contains(incident) && email.envelope_to.iter().any(|to| to == RECIPIENT)
        });
        Ok([
            webhooks.map(|webhook| webhook.kind().to_owned()).collect(),
            emails.map(|email| email.kind().to_owned()).collect(),
        ])
    }
}
