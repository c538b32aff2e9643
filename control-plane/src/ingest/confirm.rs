//! Immediate confirmation: what answers a burst is recorded, and the first
//! failure of a streak asks for one, if `burst::ask` says so.
//!
//! Only a slot's own check asks: the failures of a burst are answers. The counts
//! that its caps look at are read once for a group of batches and go on from
//! there, so that a thousand first failures in one batch ask for no more than a
//! thousand batches would. Who decides holds the organisation's row until the commit, so
//! that replicas count one after the other and the caps hold over all of them.
//!
//! Why nothing was asked is kept where neither the policy nor the vote tells it.

use crate::clock;
use crate::store::bursts::{self, Addressee, NewBurst, NewKept};
use crate::store::states::{self, Watched};
use crate::store::{StoreError, Tx, organisations};
use crate::verdicts;
use hyperverge_control_core::correlation::burst::{
    Decision, Input, Last, NOBODY_TO_ASK, Recent, WINDOW_MS, ask as decide, is_worth_keeping,
};
use hyperverge_protocol::BURST_CAPABILITY;
use hyperverge_protocol::limits::BURST_LIFE;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Regions with their agents.
type Regions = Vec<(Uuid, String)>;

/// A streak of failures that a slot's own check began, or went on with soon after.
#[derive(Debug, Clone)]
pub(super) struct Began {
    pub(super) monitor_id: Uuid,
    pub(super) region_id: Uuid,
    /// When its first failure started.
    pub(super) at: i64,
    /// That saw it.
    pub(super) agent_id: String,
}

/// What came of it, for metrics and hints after the commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Confirmed {
    pub(super) asked: u64,
    /// How often nothing was asked, by the reason.
    pub(super) kept: BTreeMap<&'static str, u64>,
    /// Bursts that are answered in full.
    pub(super) settled: u64,
}

impl Confirmed {
    pub(super) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.settled += other.settled;
        for (reason, times) in other.kept {
            *self.kept.entry(reason).or_default() += times;
        }
    }

    fn keep(&mut self, reason: &'static str) {
        *self.kept.entry(reason).or_default() += 1;
    }
}

/// What the decisions of one organisation look at; moves on with each burst.
struct Known {
    /// By agent and host.
    recent: Vec<(String, String, u32)>,
    last: BTreeMap<Uuid, (i64, Last)>,
    addressees: Vec<Addressee>,
}

impl Known {
    async fn read(
        tx: &mut Tx,
        organisation_id: Uuid,
        monitor_ids: &[Uuid],
        now: i64,
    ) -> Result<Self, StoreError> {
        let since = now.saturating_sub(WINDOW_MS);
        Ok(Self {
            recent: bursts::recent(tx, organisation_id, since).await?,
            last: bursts::newest(tx, organisation_id, monitor_ids.to_vec(), now).await?,
            addressees: bursts::addressees(tx, organisation_id, monitor_ids.to_vec()).await?,
        })
    }

    fn recent(&self, agent_id: &str, host: &str) -> Recent {
        let count = |counts: &dyn Fn(&str, &str) -> bool| {
            let those = self.recent.iter().filter(|(agent, host, _)| counts(agent, host));
            those.fold(0, |sum: u32, (_, _, times)| sum.saturating_add(*times))
        };
        Recent {
            of_origin: count(&|agent, _| agent == agent_id),
            of_host: count(&|_, against| against == host),
            of_organisation: count(&|_, _| true),
        }
    }

    /// The regions of `monitor` that can be asked.
    fn regions(&self, monitor: &Watched) -> Regions {
        let able = |to: &&Addressee| {
            (to.monitor_id, to.revision) == (monitor.monitor_id, monitor.revision)
                && to.capabilities.iter().any(|word| word == BURST_CAPABILITY)
        };
        let able = self.addressees.iter().filter(able);
        able.map(|to| (to.region_id, to.agent_id.clone())).collect()
    }
}

/// Decides for each monitor, whose lock the caller holds, and writes what is asked.
pub(super) async fn ask(
    tx: &mut Tx,
    organisation_id: Uuid,
    began: &[Began],
    now: i64,
) -> Result<Confirmed, StoreError> {
    let mut confirmed = Confirmed::default();
    // One burst asks every region, so the first of a monitor's regions that may ask speaks
    // for all: its agent may be at fault, or have asked for too much already.
    let mut by_monitor: BTreeMap<Uuid, Vec<&Began>> = BTreeMap::new();
    for began in began {
        by_monitor.entry(began.monitor_id).or_default().push(began);
    }
    if by_monitor.is_empty() {
        return Ok(confirmed);
    }
    let ids: Vec<Uuid> = by_monitor.keys().copied().collect();
    organisations::lock(tx, organisation_id).await?;
    let mut kept = Vec::new();
    let mut known = Known::read(tx, organisation_id, &ids, now).await?;
    for monitor in states::watched(tx, organisation_id, &ids).await? {
        let began = by_monitor.get(&monitor.monitor_id).filter(|_| monitor.spec.enabled);
        let judged =
            began.into_iter().flatten().map(|one| (one, judge(&known, &monitor, one, now)));
        let mut refused = None;
        let asks = judged
            .map(|(one, judged)| judged.map_err(|why| refused = refused.or(Some((one, why)))))
            .find_map(Result::ok);
        match (asks, refused) {
            (None, None) => {}
            (None, Some((began, reason))) => {
                confirmed.keep(reason);
                if is_worth_keeping(reason) {
                    let (monitor_id, region_id) = (began.monitor_id, began.region_id);
                    kept.push(NewKept { monitor_id, region_id, reason });
                }
            }
            (Some((new, regions)), _) => {
                bursts::ask(tx, organisation_id, &new, &regions).await?;
                known.recent.push((new.agent_id, new.host, 1));
                confirmed.asked += 1;
            }
        }
    }
    bursts::keep_back(tx, organisation_id, &kept, now).await?;
    Ok(confirmed)
}

/// The burst to ask for and of whom, or why none.
fn judge(
    known: &Known,
    monitor: &Watched,
    began: &Began,
    now: i64,
) -> Result<(NewBurst, Regions), &'static str> {
    let spec = &monitor.spec;
    let host = spec.asked_host();
    let seat = monitor.seats.iter().find(|seat| seat.region_id == Some(began.region_id));
    let last = known.last.get(&monitor.monitor_id).map(|(revision, last)| {
        // A burst about another revision confirms nothing of this one.
        Last { active: last.active && *revision == monitor.revision, ..*last }
    });
    let input = Input {
        confirm: spec.policy.confirm,
        fail_after: spec.policy.fail_after.max(1),
        timeout_ms: i64::try_from(spec.timeout().0.as_millis()).unwrap_or(i64::MAX),
        evaluation: verdicts::count(monitor, now),
        discredited: seat.and_then(|seat| seat.held.as_ref()).is_some_and(|held| held.discredited),
        last,
        streak_began: began.at,
        recent: known.recent(&began.agent_id, &host),
    };
    let (failures, expires_at) = match decide(&input, now) {
        Decision::Keep(kept) => return Err(kept.as_str()),
        Decision::Ask { failures, expires_at } => (failures, expires_at),
    };
    let regions = known.regions(monitor);
    if regions.is_empty() {
        return Err(NOBODY_TO_ASK);
    }
    let life = i64::try_from(BURST_LIFE.as_millis()).unwrap_or(i64::MAX);
    let new = NewBurst {
        id: clock::new_id(),
        monitor_id: monitor.monitor_id,
        revision: monitor.revision,
        region_id: began.region_id,
        agent_id: began.agent_id.clone(),
        host,
        failures,
        asked_at: now,
        expires_at: expires_at.min(now.saturating_add(life)),
    };
    Ok((new, regions))
}
