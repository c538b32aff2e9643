//! Generated monitors: what an agent is told to check, and a set signed for it.
//!
//! Anchors are the control plane's own (`Slots::spread`): spread by a hash, so
//! arrivals are as uneven as they are in a real region.

use crate::clock;
use bytes::Bytes;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hyperverge_control_core::assignment::Slots;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::frame;
use hyperverge_protocol::identity::Fingerprint;
use hyperverge_protocol::limits::SET_PART_BYTES;
use hyperverge_protocol::wire::{
    Assignment, AssignmentPart, AssignmentSet, ControlFrame, SetManifest, SetPart, control_frame,
};
use prost::Message;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Monitors of one kind of work.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// One specification for each monitor; name and interval are filled in here.
    pub(crate) specs: Vec<Value>,
    pub(crate) interval_ms: u64,
    /// The host's name server is the one of `known`.
    pub(crate) known_names: bool,
}

impl Workload {
    /// `count` monitors, each `spec(index)`, every `interval_ms`.
    pub(crate) fn new(count: u32, interval_ms: u64, spec: impl Fn(u32) -> Value) -> Self {
        Self { specs: (0..count).map(spec).collect(), interval_ms, known_names: false }
    }

    /// With names that the target with known delays tells.
    pub(crate) fn with_known_names(self) -> Self {
        Self { known_names: true, ..self }
    }

    /// Checks a second.
    pub(crate) fn rate(&self) -> f64 {
        self.specs.len() as f64 * 1_000.0 / self.interval_ms as f64
    }

    /// The frames of a set with these monitors for the agent that holds `agent`'s
    /// key; no slot is due before `starts_ms`.
    pub(crate) fn frames(
        &self,
        key: &SigningKey,
        agent: &VerifyingKey,
        starts_ms: i64,
    ) -> anyhow::Result<Vec<Bytes>> {
        let version = clock::wall_ms().unsigned_abs();
        let payloads = self.parts(starts_ms);
        let set = AssignmentSet {
            agent_id: Bytes::copy_from_slice(Fingerprint::of(agent).as_bytes()),
            version,
            issued_ms: clock::wall_ms(),
            lifetime_ms: 86_400_000,
            region: crate::plane::REGION.to_owned(),
            part_hashes: payloads.iter().map(|p| Sha256::digest(p).to_vec().into()).collect(),
        };
        let sealed = envelope::seal(Purpose::AssignmentSet, set.encode_to_vec().into(), key);
        let mut bodies =
            vec![control_frame::Body::SetManifest(SetManifest { envelope: Some(sealed) })];
        for (index, payload) in (0u32..).zip(payloads) {
            bodies.push(control_frame::Body::SetPart(SetPart { version, index, payload }));
        }
        let encoded =
            bodies.into_iter().map(|body| frame::encode(&ControlFrame { body: Some(body) }));
        Ok(encoded.collect::<Result<_, _>>()?)
    }

    /// Encoded parts, each as large as a part may be.
    fn parts(&self, starts_ms: i64) -> Vec<Bytes> {
        let mut parts = Vec::new();
        let mut part = AssignmentPart::default();
        let mut bytes = 0;
        for (index, spec) in (0u32..).zip(&self.specs) {
            let assignment = self.assignment(index, spec, starts_ms);
            let length = assignment.encoded_len() + 8;
            if bytes + length > SET_PART_BYTES {
                parts.push(part.encode_to_vec().into());
                part.assignments.clear();
                bytes = 0;
            }
            bytes += length;
            part.assignments.push(assignment);
        }
        parts.push(part.encode_to_vec().into());
        parts
    }

    fn assignment(&self, index: u32, spec: &Value, starts_ms: i64) -> Assignment {
        let slots = slots(index, self.interval_ms);
        let mut spec = spec.clone();
        spec["name"] = name(index).into();
        spec["interval"] = format!("{}s", self.interval_ms / 1_000).into();
        Assignment {
            monitor_id: Bytes::copy_from_slice(id(index).as_bytes()),
            revision: 1,
            spec_json: spec.to_string().into(),
            anchor_ms: slots.anchor_ms,
            interval_ms: self.interval_ms,
            first_slot: slots.first_after(starts_ms),
        }
    }
}

/// When the slots of monitor `index` are due.
pub(crate) fn slots(index: u32, interval_ms: u64) -> Slots {
    Slots::spread(id(index), i64::try_from(interval_ms).unwrap_or(i64::MAX), 0, 1)
}

/// How late something of monitor `index` came at `at_ms`, as the slot nearest to it
/// is due by the wall clock.
pub(crate) fn late_ms(index: u32, interval_ms: u64, at_ms: f64) -> f64 {
    let interval = interval_ms as f64;
    let since = (at_ms - slots(index, interval_ms).anchor_ms as f64).rem_euclid(interval);
    if since > interval / 2.0 { since - interval } else { since }
}

fn id(index: u32) -> Uuid {
    Uuid::from_u128(u128::from(index))
}

/// The name of monitor `index`.
pub(crate) fn name(index: u32) -> String {
    format!("m{index}")
}

/// The loopback address that monitor `index` asks, one of sixteen, so that no
/// range of local ports runs dry.
pub(crate) fn address(index: u32) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::new(127, 0, 0, 2 + (index % 16) as u8)
}
