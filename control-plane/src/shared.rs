//! What every part of the control plane gets, in an `Arc`.
//!
//! Nothing here is a cache of the database: replicas share only the database,
//! so a part that needs to know something asks the store.

use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store::Store;
use tokio::sync::Notify;

/// The process-wide services.
#[derive(Debug)]
pub struct Shared {
    pub store: Store,
    pub keys: Keys,
    pub metrics: Metrics,
    pub settings: Settings,
    pub wake: Wake,
}

impl Shared {
    /// Puts the parts together, with fresh metrics and nobody woken.
    pub fn new(store: Store, keys: Keys, settings: Settings) -> Self {
        Self { store, keys, metrics: Metrics::new(), settings, wake: Wake::default() }
    }
}

/// Hints that there may be work, for the reconcilers of this process. Each also
/// has a timer, since the change may have happened in another replica; so a hint
/// may be lost and nothing depends on it. Call `notify_one` *after* the commit.
#[derive(Debug, Default)]
pub struct Wake {
    /// Monitors, regions or agents changed.
    pub planner: Notify,
    /// Results were stored, a page intent came due.
    pub correlator: Notify,
    /// Bursts were asked for.
    pub bursts: Notify,
    /// There are outbox rows.
    pub delivery: Notify,
    /// There are new assignment sets, orders of bursts or revocations.
    pub gateway: Notify,
}
