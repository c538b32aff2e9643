//! Agents lost and found; one incident for each silent region.

use super::guarded;
use crate::limits::EVIDENCE_AGENTS;
use crate::shared::Shared;
use crate::store::agents::{self, AgentState};
use crate::store::assignments::{self, Fleet};
use crate::store::incidents::{self, Subject};
use crate::store::leases::Lease;
use crate::store::{StoreError, Tx};
use hyperverge_control_core::incident::{SILENT, SubjectKind, fall_silent, hear_again};
use hyperverge_control_core::liveness::{Agent, Input, Plan, Settings, SilentRegion, plan};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One round over an organisation.
pub(super) async fn round(
    shared: &Shared,
    lease: &Lease,
    organisation_id: Uuid,
    settings: Settings,
    listening_since: i64,
) -> Result<(), StoreError> {
    let mut tx = shared.store.read().await?;
    let known = Known::read(&mut tx, organisation_id, listening_since).await?;
    let now = tx.now().await?;
    drop(tx);
    if known.plan(settings, now).is_empty() {
        return Ok(());
    }
    // Something changes: decide again where it can be written.
    let Some(mut tx) = guarded(shared, lease).await? else { return Ok(()) };
    let known = Known::read(&mut tx, organisation_id, listening_since).await?;
    let fleet = assignments::fleet(&mut tx, organisation_id).await?;
    let now = tx.now().await?;
    let plan = known.plan(settings, now);
    let wait = shared.settings.correlator.group_wait_ms();
    let input = known.input;
    let decided = Decided { organisation_id, input, settings, fleet, now };
    let opened = write(&mut tx, &decided, &plan, wait).await?;
    tx.commit().await?;
    for region in opened {
        tracing::warn!(region = %region.region_id, agents = region.agents, "a region is silent");
        shared.metrics.incidents_created_total.with_label_values(&["regional"]).inc();
    }
    if !plan.lost.is_empty() || !plan.found.is_empty() {
        tracing::info!(lost = ?plan.lost, found = ?plan.found, "agents changed");
        shared.wake.planner.notify_one();
    }
    Ok(())
}

/// What is known of the fleet.
struct Known {
    input: Input,
    /// Regions with an open incident of another cause: a subject has one at a time.
    otherwise: BTreeSet<Uuid>,
}

impl Known {
    async fn read(
        tx: &mut Tx,
        organisation_id: Uuid,
        listening_since: i64,
    ) -> Result<Self, StoreError> {
        let mut agents = Vec::new();
        for (state, barred) in [(AgentState::Enrolled, false), (AgentState::Quarantined, true)] {
            let some = agents::heartbeats(tx, organisation_id, state).await?;
            agents.extend(some.into_iter().map(|agent| Agent {
                id: agent.id,
                region_id: agent.region_id,
                last_heartbeat_at: agent.last_heartbeat_at,
                lost_at: agent.lost_at,
                barred,
            }));
        }
        let (mut silent, mut otherwise) = (BTreeSet::new(), BTreeSet::new());
        for (kind, id, cause) in incidents::open_about_us(tx, organisation_id).await? {
            let Ok(id) = id.parse() else { continue };
            match (kind, cause.as_deref()) {
                (SubjectKind::Region, Some(SILENT)) => silent.insert(id),
                (SubjectKind::Region, _) => otherwise.insert(id),
                _ => false,
            };
        }
        Ok(Self { input: Input { agents, silent, listening_since }, otherwise })
    }

    fn plan(&self, settings: Settings, now: i64) -> Plan {
        let mut plan = plan(&self.input, settings, now);
        plan.silent.retain(|region| !self.otherwise.contains(&region.region_id));
        plan
    }
}

/// What a round decides on.
struct Decided {
    organisation_id: Uuid,
    input: Input,
    settings: Settings,
    fleet: Fleet,
    now: i64,
}

/// Carries the plan out; the regions whose incident was opened.
async fn write<'p>(
    tx: &mut Tx,
    decided: &Decided,
    plan: &'p Plan,
    group_wait_ms: i64,
) -> Result<Vec<&'p SilentRegion>, StoreError> {
    let Decided { organisation_id, now, .. } = *decided;
    for (agent, _) in &plan.lost {
        agents::mark_lost(tx, organisation_id, agent, now).await?;
    }
    for agent in &plan.found {
        agents::mark_found(tx, organisation_id, agent).await?;
    }
    let mut opened = Vec::new();
    for region in &plan.silent {
        if decided.open(tx, region, group_wait_ms).await? {
            opened.push(region);
        }
    }
    for region_id in &plan.heard {
        decided.resolve(tx, *region_id).await?;
    }
    Ok(opened)
}

impl Decided {
    fn subject(&self, region_id: Uuid) -> Subject {
        let region = self.fleet.regions.iter().find(|region| region.id == region_id);
        let name = region.map_or_else(|| region_id.to_string(), |region| region.name.clone());
        Subject { kind: SubjectKind::Region, id: region_id.to_string(), name }
    }

    /// What the planner was asked, as far as it concerns the region, and its answer.
    fn evidence(&self, region_id: Uuid, word: &str, then: &Value) -> Value {
        let (input, left_out) = self.input.about(region_id, EVIDENCE_AGENTS);
        let settings = self.settings;
        json!({ "liveness": input, "settings": settings, "left_out": left_out, word: then })
    }

    /// Opens the region's incident; false where one was opened meanwhile.
    async fn open(
        &self,
        tx: &mut Tx,
        region: &SilentRegion,
        group_wait_ms: i64,
    ) -> Result<bool, StoreError> {
        let subject = self.subject(region.region_id);
        let (organisation_id, now) = (self.organisation_id, self.now);
        if incidents::open_of(tx, organisation_id, subject.kind, &subject.id).await?.is_some() {
            return Ok(false);
        }
        let change = fall_silent(&subject.name, region, group_wait_ms, now);
        let evidence = self.evidence(region.region_id, "silent", &json!(region));
        incidents::record(tx, organisation_id, &subject, None, &change, &evidence, now).await?;
        Ok(true)
    }

    async fn resolve(&self, tx: &mut Tx, region_id: Uuid) -> Result<(), StoreError> {
        let subject = self.subject(region_id);
        let (organisation_id, now) = (self.organisation_id, self.now);
        let found = incidents::open_of(tx, organisation_id, subject.kind, &subject.id).await?;
        let Some((incident, open)) = found else { return Ok(()) };
        let (anybody, told) = (self.input.counts_on(region_id), open.told_quietly);
        let change = hear_again(&subject.name, anybody, open.started_at, told, now);
        let evidence = self.evidence(region_id, "heard", &json!(region_id));
        let known = Some(&incident);
        incidents::record(tx, organisation_id, &subject, known, &change, &evidence, now).await?;
        Ok(())
    }
}
