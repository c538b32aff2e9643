//! Everything that was told to anybody, in the order of arrival.

use super::screen::note;
use std::sync::{Arc, Mutex, PoisonError};

/// Notices kept; a demo left running for weeks drops the oldest.
const KEPT: usize = 1_000;

/// How a notice came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Webhook,
    Email,
}

impl std::fmt::Display for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        })
    }
}

/// One notice that arrived.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) via: Via,
    /// `opened`, `widened` or `resolved`.
    pub(super) kind: String,
    /// What a person reads first.
    pub(super) headline: String,
}

/// Where notices arrive; clones share.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<Vec<Notice>>>);

impl Inbox {
    /// Keeps a notice and shows it.
    pub(super) fn take(&self, notice: Notice) {
        note(&format!("{:7} {}", notice.via, notice.headline));
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() == KEPT {
            notices.remove(0);
        }
        notices.push(notice);
    }

    /// The kinds of what came by `via`, oldest first.
    pub(super) fn kinds(&self, via: Via) -> Vec<String> {
        let notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notices.iter().filter(|n| n.via == via).map(|n| n.kind.clone()).collect()
    }
}
