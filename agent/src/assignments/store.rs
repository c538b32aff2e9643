//! The set on disk, and how much of its life is used up.
//!
//! `current.set` holds the manifest and the parts as frames, exactly as they
//! came; loading verifies them again. `life.json` says how much of the set's
//! life had passed at some moment of a host boot. Within that boot the life
//! runs on by the boot clock; after another host boot it goes on from what was
//! written last, because nobody can know how long the host was off.

use super::{Assembler, Complete, HeldSet, SetError};
use crate::{durable, limits};
use bytes::{Buf, Bytes};
use ed25519_dalek::VerifyingKey;
use hyperverge_protocol::frame;
use hyperverge_protocol::identity::AgentId;
use hyperverge_protocol::wire::{ControlFrame, control_frame};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Why the cached set cannot be stored or used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot read or write {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("the cached set is damaged")]
    Damaged,
    #[error("the cached set is refused: {0}")]
    Refused(#[from] SetError),
}

/// How much of a set's life had passed, and when that was so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    pub version: u64,
    pub consumed_ms: u64,
    pub boot_id: [u8; 16],
    pub boot_ms: i64,
}

impl Life {
    /// Of a set that begins now.
    pub fn begin(version: u64, boot_id: [u8; 16], boot_ms: i64) -> Self {
        Self { version, consumed_ms: 0, boot_id, boot_ms }
    }

    /// The same life, looked at now.
    pub fn at(&self, boot_id: [u8; 16], boot_ms: i64) -> Self {
        let passed = if self.boot_id == boot_id { boot_ms.saturating_sub(self.boot_ms) } else { 0 };
        let passed = u64::try_from(passed).unwrap_or(0);
        let consumed_ms = self.consumed_ms.saturating_add(passed);
        Self { version: self.version, consumed_ms, boot_id, boot_ms }
    }

    /// When a set of this life expires, on the boot clock of `self`.
    pub fn expires_boot_ms(&self, lifetime_ms: u64) -> i64 {
        let left = lifetime_ms.saturating_sub(self.consumed_ms);
        self.boot_ms.saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
    }
}

fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("assignments")
}

fn set_path(state_dir: &Path) -> PathBuf {
    directory(state_dir).join("current.set")
}

fn life_path(state_dir: &Path) -> PathBuf {
    directory(state_dir).join("life.json")
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    |source| StoreError::File { path: path.to_owned(), source }
}

/// Stores a set, then the beginning of its life. After a crash in between the
/// life on disk names an older version; the new set's own had just begun.
pub fn save(state_dir: &Path, complete: &Complete, life: &Life) -> Result<(), StoreError> {
    let dir = directory(state_dir);
    durable::private_dir(&dir).map_err(file_error(&dir))?;
    let mut bytes = Vec::new();
    let manifest = control_frame::Body::SetManifest(complete.manifest.clone());
    let parts = complete.parts.iter().cloned().map(control_frame::Body::SetPart);
    for body in std::iter::once(manifest).chain(parts) {
        let frame =
            frame::encode(&ControlFrame { body: Some(body) }).map_err(|_| StoreError::Damaged)?;
        bytes.extend_from_slice(&frame);
    }
    let path = set_path(state_dir);
    durable::replace(&path, &bytes).map_err(file_error(&path))?;
    save_life(state_dir, life)
}

/// Brings the consumed life on disk up to date.
pub fn save_life(state_dir: &Path, life: &Life) -> Result<(), StoreError> {
    let path = life_path(state_dir);
    let json = serde_json::to_vec(life).map_err(|_| StoreError::Damaged)?;
    durable::replace(&path, &json).map_err(file_error(&path))
}

/// The cached set, verified again, and its life up to now; `None` when there is none.
pub fn load(
    state_dir: &Path,
    key: VerifyingKey,
    agent_id: AgentId,
    boot_id: [u8; 16],
    boot_ms: i64,
) -> Result<Option<(HeldSet, Life)>, StoreError> {
    let path = set_path(state_dir);
    let Some(bytes) = durable::read(&path, limits::SET_FILE_BYTES).map_err(file_error(&path))?
    else {
        return Ok(None);
    };
    let set = decode(bytes.into(), Assembler::new(key, agent_id, 0))?;
    let path = life_path(state_dir);
    let saved = durable::read(&path, limits::SMALL_FILE_BYTES).map_err(file_error(&path))?;
    let saved: Option<Life> = saved.and_then(|json| serde_json::from_slice(&json).ok());
    // A set whose life was never written was stored moments before a crash.
    let life = match saved.filter(|life| life.version == set.version) {
        Some(life) => life.at(boot_id, boot_ms),
        None => Life::begin(set.version, boot_id, boot_ms),
    };
    Ok(Some((set, life)))
}

fn decode(mut bytes: Bytes, mut assembler: Assembler) -> Result<HeldSet, StoreError> {
    while bytes.len() >= frame::PREFIX_BYTES {
        let length = frame::length([bytes[0], bytes[1], bytes[2], bytes[3]])
            .map_err(|_| StoreError::Damaged)?;
        bytes.advance(frame::PREFIX_BYTES);
        if bytes.len() < length {
            return Err(StoreError::Damaged);
        }
        let body = bytes.split_to(length);
        let frame: ControlFrame = frame::decode(body).map_err(|_| StoreError::Damaged)?;
        let complete = match frame.body {
            Some(control_frame::Body::SetManifest(manifest)) => {
                assembler.handle_manifest(manifest)?
            }
            Some(control_frame::Body::SetPart(part)) => assembler.handle_part(part)?,
            _ => return Err(StoreError::Damaged),
        };
        if let Some(complete) = complete {
            return Ok(complete.set);
        }
    }
    Err(StoreError::Damaged)
}
