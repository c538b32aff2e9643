//! `meta.json`: what must survive even when every segment is gone.

use crate::{durable, limits};
use hyperverge_agent_core::Lane;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// One lane's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LaneMeta {
    /// The number the next batch gets, at least.
    pub(super) next: u64,
    /// Everything below is acknowledged.
    pub(super) acknowledged_below: u64,
}

/// See the module's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) live: LaneMeta,
    pub(super) backlog: LaneMeta,
    pub(super) complete_through_ms: Option<i64>,
    /// The newest segment there was, 0 for none: when it is missing, numbers
    /// may have been used that nobody here remembers.
    pub(super) last_segment: u64,
}

impl Meta {
    /// Of a key that never sealed anything.
    pub(super) fn fresh() -> Self {
        let lane = LaneMeta { next: 1, acknowledged_below: 1 };
        Self { live: lane, backlog: lane, complete_through_ms: None, last_segment: 0 }
    }

    pub(super) fn lane(&self, lane: Lane) -> LaneMeta {
        match lane {
            Lane::Live => self.live,
            Lane::Backlog => self.backlog,
        }
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join("meta.json")
    }

    /// `None` when it is absent or unreadable: the numbers are then not known.
    pub(super) fn load(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = durable::read(&Self::path(dir), limits::SMALL_FILE_BYTES)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) fn save(&self, dir: &Path) -> io::Result<()> {
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        durable::replace(&Self::path(dir), &json)
    }
}
