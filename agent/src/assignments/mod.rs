//! Step 2: what this agent may do.
//!
//! A set is a signed manifest and its parts. It is taken only when the
//! assignment key of the enrolment signed it for this agent, its version is
//! higher than the one held, and every part is there with the hash the manifest
//! names. Then it is stored ([`store`]), put in force, and accepted.

mod order;
pub mod store;
#[cfg(test)]
mod tests;

use crate::limits::TIME_MS;
use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use hyperverge_agent_core::schedule::Burst;
use hyperverge_protocol::envelope::{self, EnvelopeError, Purpose};
use hyperverge_protocol::identity::AgentId;
use hyperverge_protocol::limits::{INTERVAL_MAX, INTERVAL_MIN, SET_PART_BYTES, SET_PARTS};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::wire::{
    Assignment, AssignmentPart, AssignmentSet, Envelope, SetManifest, SetPart,
};
use prost::Message;
use sha2::{Digest, Sha256};
use std::time::Duration;
use uuid::Uuid;

pub use order::OrderError;

/// Why a set is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    #[error("the set's manifest carries no envelope")]
    NoEnvelope,
    #[error("the set's signature is not believed: {0}")]
    Signature(#[from] EnvelopeError),
    #[error("the set's manifest or a part does not decode")]
    Malformed,
    #[error("the set is for another agent")]
    OtherAgent,
    #[error("set version {offered} is not higher than {held}, which is held")]
    Rollback { offered: u64, held: u64 },
    #[error("the set has {parts} parts, more than the limit of {SET_PARTS}")]
    TooManyParts { parts: usize },
    #[error("part {index} is larger than {SET_PART_BYTES} bytes")]
    PartTooLarge { index: u32 },
    #[error("part {index} does not have the hash its manifest names")]
    PartHash { index: u32 },
    #[error("part {index} of version {version} belongs to no manifest that is awaited")]
    StrayPart { version: u64, index: u32 },
}

/// One monitor of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldAssignment {
    pub monitor: Uuid,
    pub revision: u64,
    pub anchor_ms: i64,
    pub interval_ms: i64,
    pub first_slot: i64,
    /// As it was signed. Read when the check is prepared, and not kept after: ten
    /// thousand of them would double the agent's memory.
    pub spec_json: Bytes,
}

impl HeldAssignment {
    /// The specification, or why this version of the agent cannot read it.
    pub fn spec(&self) -> Result<MonitorSpec, String> {
        MonitorSpec::from_json(&self.spec_json).map_err(|problems| {
            problems.first().map_or_else(|| "not readable".to_owned(), ToString::to_string)
        })
    }
}

/// A set that verified.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldSet {
    pub version: u64,
    /// When it was made, control-plane time.
    pub issued_ms: i64,
    pub lifetime_ms: u64,
    pub region: String,
    pub assignments: Vec<HeldAssignment>,
}

/// A verified set with its bytes as they were signed, for the disk.
#[derive(Debug)]
pub struct Complete {
    pub set: HeldSet,
    pub manifest: SetManifest,
    pub parts: Vec<SetPart>,
}

/// Collects a manifest and its parts.
#[derive(Debug)]
pub struct Assembler {
    key: VerifyingKey,
    agent_id: AgentId,
    /// The version in force; only higher ones are taken.
    held: u64,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    manifest: SetManifest,
    set: AssignmentSet,
    parts: Vec<Option<Bytes>>,
}

impl Assembler {
    /// For sets signed by `key` for `agent_id`, newer than `held`.
    pub fn new(key: VerifyingKey, agent_id: AgentId, held: u64) -> Self {
        Self { key, agent_id, held, pending: None }
    }

    /// The version in force, 0 for none.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// `version` is in force now.
    pub fn handle_held(&mut self, version: u64) {
        self.held = self.held.max(version);
    }

    /// A manifest came. `Ok(None)`: its parts are still awaited.
    pub fn handle_manifest(&mut self, manifest: SetManifest) -> Result<Option<Complete>, SetError> {
        let envelope = manifest.envelope.as_ref().ok_or(SetError::NoEnvelope)?;
        let set = self.verify(envelope)?;
        let parts = vec![None; set.part_hashes.len()];
        self.pending = Some(Pending { manifest, set, parts });
        self.complete()
    }

    /// An order of a burst came.
    pub fn open_burst(&self, envelope: &Envelope) -> Result<Burst, OrderError> {
        order::open(envelope, &self.key, &self.agent_id)
    }

    /// A part came.
    pub fn handle_part(&mut self, part: SetPart) -> Result<Option<Complete>, SetError> {
        let SetPart { version, index, payload } = part;
        if payload.len() > SET_PART_BYTES {
            return Err(SetError::PartTooLarge { index });
        }
        let stray = SetError::StrayPart { version, index };
        let pending = self.pending.as_mut().filter(|p| p.set.version == version);
        let pending = pending.ok_or(stray.clone())?;
        let hash = pending.set.part_hashes.get(index as usize).ok_or(stray)?;
        if Sha256::digest(&payload).as_slice() != hash.as_ref() {
            return Err(SetError::PartHash { index });
        }
        pending.parts[index as usize] = Some(payload);
        self.complete()
    }

    fn verify(&self, envelope: &Envelope) -> Result<AssignmentSet, SetError> {
        let payload = envelope::open(Purpose::AssignmentSet, envelope, &self.key)?;
        let set = AssignmentSet::decode(payload.clone()).map_err(|_| SetError::Malformed)?;
        if set.agent_id != self.agent_id.as_bytes().as_slice() {
            return Err(SetError::OtherAgent);
        }
        if set.version <= self.held {
            return Err(SetError::Rollback { offered: set.version, held: self.held });
        }
        if set.part_hashes.len() > SET_PARTS {
            return Err(SetError::TooManyParts { parts: set.part_hashes.len() });
        }
        Ok(set)
    }

    fn complete(&mut self) -> Result<Option<Complete>, SetError> {
        if !self.pending.as_ref().is_some_and(|p| p.parts.iter().all(Option::is_some)) {
            return Ok(None);
        }
        let Some(Pending { manifest, set, parts }) = self.pending.take() else { return Ok(None) };
        let mut assignments = Vec::new();
        let mut kept = Vec::new();
        for (index, payload) in parts.into_iter().flatten().enumerate() {
            let part = AssignmentPart::decode(payload.clone()).map_err(|_| SetError::Malformed)?;
            assignments.extend(part.assignments.into_iter().filter_map(assignment));
            kept.push(SetPart { version: set.version, index: index as u32, payload });
        }
        let held = HeldSet {
            version: set.version,
            issued_ms: set.issued_ms.clamp(-TIME_MS, TIME_MS),
            lifetime_ms: set.lifetime_ms.min(crate::limits::SET_LIFETIME_MS),
            region: set.region,
            assignments,
        };
        Ok(Some(Complete { set: held, manifest, parts: kept }))
    }
}

/// Reads one assignment. One that cannot even be scheduled is left out, so that
/// the others go on; one that cannot be probed says so in every slot.
fn assignment(wire: Assignment) -> Option<HeldAssignment> {
    let monitor = Uuid::from_slice(&wire.monitor_id).ok();
    let interval = Duration::from_millis(wire.interval_ms);
    let sane = (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval)
        && (-TIME_MS..=TIME_MS).contains(&wire.anchor_ms)
        && (-TIME_MS..=TIME_MS).contains(&wire.first_slot);
    let Some(monitor) = monitor.filter(|_| sane) else {
        tracing::error!(
            monitor = hex::encode(&wire.monitor_id),
            interval_ms = wire.interval_ms,
            anchor_ms = wire.anchor_ms,
            first_slot = wire.first_slot,
            "an assignment cannot be scheduled and is left out"
        );
        return None;
    };
    Some(HeldAssignment {
        monitor,
        revision: wire.revision,
        anchor_ms: wire.anchor_ms,
        interval_ms: i64::try_from(wire.interval_ms).ok()?,
        first_slot: wire.first_slot,
        spec_json: wire.spec_json,
    })
}
