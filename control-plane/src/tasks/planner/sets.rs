//! An agent's set: parts cut to size, and a signed manifest with their hashes.

use crate::keys::Keys;
use crate::store::agents::AgentState;
use crate::store::assignments::{self, Assignment, Fleet, FleetAgent, StoredSet};
use crate::store::{StoreError, Tx};
use bytes::Bytes;
use hyperverge_control_core::assignment::Plan;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::identity::{Fingerprint, IdentityError};
use hyperverge_protocol::limits;
use hyperverge_protocol::wire;
use prost::Message;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How long an agent may work from a set.
const LIFETIME_MS: u64 = 24 * 3_600_000;
/// An unchanged set is signed again when it is this old.
const RENEW_AFTER_MS: i64 = 3_600_000;

/// Why a set cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    #[error("the database did not do it")]
    Store(#[from] StoreError),
    #[error("this process holds no assignment key")]
    NoKey,
    #[error("agent {agent} has a name that is no fingerprint")]
    AgentId {
        agent: String,
        #[source]
        source: IdentityError,
    },
    #[error("agent {agent} has more assignments than a set can hold")]
    TooLarge { agent: String },
}

/// Signs the sets that the plan touches and those that are due; says how many.
pub(super) async fn renew(
    tx: &mut Tx,
    keys: &Keys,
    organisation_id: Uuid,
    fleet: &Fleet,
    plan: &Plan,
    now: i64,
) -> Result<usize, SetError> {
    let due = assignments::due_for_renewal(tx, organisation_id, now - RENEW_AFTER_MS, now).await?;
    let mut wanted: BTreeSet<&str> = due.iter().map(String::as_str).collect();
    wanted.extend(plan.agents());
    let takes_part = |agent: &&FleetAgent| {
        agent.state == AgentState::Enrolled && wanted.contains(agent.id.as_str())
    };
    let mut signed = 0;
    for agent in fleet.agents.iter().filter(takes_part) {
        let rows = assignments::current_by(tx, organisation_id, &agent.id).await?;
        let last = assignments::newest_set(tx, organisation_id, &agent.id, 0).await?;
        let parts = parts(fleet, &rows);
        let set = sign(keys, fleet, agent, parts, last.map_or(0, |set| set.version), now)?;
        if assignments::put_set(tx, organisation_id, &agent.id, &set).await? {
            signed += 1;
        }
    }
    Ok(signed)
}

/// Encodes the assignments into parts of at most [`limits::SET_PART_BYTES`].
fn parts(fleet: &Fleet, rows: &[Assignment]) -> Vec<Vec<u8>> {
    let specs: BTreeMap<Uuid, &str> =
        fleet.monitors.iter().map(|monitor| (monitor.id, monitor.spec_json.as_str())).collect();
    let mut parts = Vec::new();
    let mut part = wire::AssignmentPart::default();
    let mut size = 0;
    for row in rows {
        let Some(spec) = specs.get(&row.monitor_id) else { continue };
        let assignment = wire::Assignment {
            monitor_id: Bytes::copy_from_slice(row.monitor_id.as_bytes()),
            revision: row.revision.unsigned_abs(),
            spec_json: Bytes::copy_from_slice(spec.as_bytes()),
            anchor_ms: row.anchor_ms,
            interval_ms: row.interval_ms.unsigned_abs(),
            first_slot: row.first_slot,
        };
        // The field's tag and length take up to six bytes more.
        let adds = assignment.encoded_len() + 6;
        if size + adds > limits::SET_PART_BYTES && !part.assignments.is_empty() {
            parts.push(std::mem::take(&mut part).encode_to_vec());
            size = 0;
        }
        size += adds;
        part.assignments.push(assignment);
    }
    if !part.assignments.is_empty() {
        parts.push(part.encode_to_vec());
    }
    parts
}

fn sign(
    keys: &Keys,
    fleet: &Fleet,
    agent: &FleetAgent,
    parts: Vec<Vec<u8>>,
    last_version: i64,
    now: i64,
) -> Result<StoredSet, SetError> {
    if parts.len() > limits::SET_PARTS {
        return Err(SetError::TooLarge { agent: agent.id.clone() });
    }
    let id: Fingerprint =
        agent.id.parse().map_err(|source| SetError::AgentId { agent: agent.id.clone(), source })?;
    let hashes: Vec<[u8; 32]> = parts.iter().map(|part| Sha256::digest(part).into()).collect();
    let region = fleet.regions.iter().find(|region| region.id == agent.region_id);
    // Rises even when a backup was restored and the last version forgotten.
    let version = now.max(last_version + 1);
    let set = wire::AssignmentSet {
        agent_id: Bytes::copy_from_slice(id.as_bytes()),
        version: version.unsigned_abs(),
        issued_ms: now,
        lifetime_ms: LIFETIME_MS,
        region: region.map(|region| region.name.clone()).unwrap_or_default(),
        part_hashes: hashes.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
    };
    let key = keys.assignment().ok_or(SetError::NoKey)?;
    let envelope = envelope::seal(Purpose::AssignmentSet, set.encode_to_vec().into(), key);
    Ok(StoredSet {
        version,
        content_hash: Sha256::digest(hashes.concat()).to_vec(),
        envelope: envelope.encode_to_vec(),
        parts,
        issued_at: now,
    })
}
