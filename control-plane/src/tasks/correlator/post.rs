//! Who is told, and the deliveries.

use super::load::Loaded;
use crate::clock;
use crate::store::channels::{self, Channel};
use crate::store::deliveries::{self, NewDelivery};
use crate::store::notices::Heard;
use crate::store::{StoreError, Tx, notices, routes};
use hyperverge_control_core::notification::Notice;
use hyperverge_control_core::notification::route::{
    NO_ROUTE, Recipients, Route, matching, recipients,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Why nobody hears of what people would be paged for.
pub(super) const NO_CHANNEL: &str = "there is no channel to tell";

/// The organisation's channels and routes, and who was told of what.
#[derive(Debug)]
pub(super) struct Post {
    channels: BTreeMap<Uuid, Channel>,
    by_name: BTreeMap<String, Uuid>,
    routes: Vec<Route>,
    /// Channels told, by incident.
    told: BTreeMap<Uuid, Heard>,
}

impl Post {
    pub(super) async fn read(
        tx: &mut Tx,
        organisation_id: Uuid,
        incidents: Vec<Uuid>,
    ) -> Result<Self, StoreError> {
        let all = channels::all(tx, organisation_id).await?;
        Ok(Self {
            by_name: all.iter().map(|one| (one.name.clone(), one.id)).collect(),
            channels: all.into_iter().map(|one| (one.id, one)).collect(),
            routes: routes::all(tx, organisation_id).await?,
            told: notices::told_channels(tx, organisation_id, incidents).await?,
        })
    }

    /// Who was told through the incident before, or, if that is asked, who was told of
    /// its beginning below the quorum; a channel that is gone is left out.
    pub(super) fn told_of(&self, incident_id: Uuid, quietly: bool) -> BTreeSet<Uuid> {
        let heard = self.told.get(&incident_id);
        let told = heard.map(|heard| if quietly { &heard.quietly } else { &heard.all });
        let told = told.into_iter().flatten();
        told.filter(|id| self.channels.contains_key(id)).copied().collect()
    }

    /// Who was told of the incident before: through itself, or as one of a quiet group,
    /// through the lead of that.
    pub(super) fn heard(&self, loaded: &Loaded, incident_id: Uuid) -> BTreeSet<Uuid> {
        let mut found = self.told_of(incident_id, false);
        let group = loaded.incidents.get(&incident_id).and_then(|one| one.group_id);
        let group = group.and_then(|id| loaded.groups.get(&id));
        if let Some(group) = group.filter(|group| group.quiet) {
            found.extend(self.told_of(group.lead_incident_id, true));
        }
        found
    }

    /// Who hears of the incident, and who was told of it before.
    pub(super) fn concerned(
        &self,
        loaded: &Loaded,
        incident_id: Uuid,
        quiet: bool,
    ) -> BTreeSet<Uuid> {
        let mut found = self.heard(loaded, incident_id);
        let Some(incident) = loaded.incidents.get(&incident_id) else { return found };
        let facts = loaded.facts(incident);
        let named = |names: &[String]| -> Vec<Uuid> {
            names.iter().filter_map(|name| self.by_name.get(name)).copied().collect()
        };
        if quiet {
            for route in matching(&self.routes, &facts) {
                found.extend(named(&route.channels));
            }
            return found;
        }
        let spec = loaded.specs.get(&incident_id);
        let notify = spec.map(|spec| spec.notify.as_slice()).unwrap_or_default();
        match recipients(notify, &self.routes, &facts) {
            Recipients::Channels(names) => found.extend(named(&names)),
            Recipients::Defaults => {
                let defaults = self.channels.values().filter(|channel| channel.is_default);
                found.extend(defaults.map(|channel| channel.id));
            }
            Recipients::Nobody { .. } => {}
        }
        found
    }

    /// Why there is nobody.
    pub(super) fn nobody(quiet: bool) -> &'static str {
        if quiet { NO_ROUTE } else { NO_CHANNEL }
    }

    /// Names of channels, in their order.
    pub(super) fn names(&self, channels: &BTreeSet<Uuid>) -> Vec<&str> {
        let known = channels.iter().filter_map(|id| self.channels.get(id));
        let mut names: Vec<&str> = known.map(|channel| channel.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Puts a notice in the outbox for each channel's recipients; how many were new.
    /// `quiet`: it tells of a beginning below the quorum, or of the end of one.
    pub(super) async fn deliver(
        &mut self,
        tx: &mut Tx,
        organisation_id: Uuid,
        (channels, quiet): (&BTreeSet<Uuid>, bool),
        notice: &Notice,
        now: i64,
    ) -> Result<usize, StoreError> {
        let mut sent = 0;
        for channel in channels.iter().filter_map(|id| self.channels.get(id)) {
            for recipient in channel.config.recipients() {
                let delivery = NewDelivery {
                    organisation_id,
                    id: clock::new_id(),
                    channel_id: channel.id,
                    recipient: &recipient,
                    notice,
                    now,
                };
                sent += usize::from(deliveries::insert(tx, &delivery).await?);
            }
        }
        let heard = self.told.entry(notice.incident_id).or_default();
        heard.all.extend(channels);
        if quiet {
            heard.quietly.extend(channels);
        }
        Ok(sent)
    }
}
