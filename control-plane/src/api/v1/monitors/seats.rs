//! What regions see, as clients are told it.

use crate::api::Timestamp;
use crate::store::states::{MonitorRegions, RegionItem};
use hyperverge_protocol::outcome::{Details, Phases};
use hyperverge_protocol::wire;
use prost::Message;
use serde::Serialize;
use std::time::Duration;

/// What every region of a monitor sees.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MonitorRegions)]
pub(in crate::api::v1) struct MonitorRegionsView {
    /// `up`, `degraded`, `down`, or `unknown` while nobody can tell.
    verdict: &'static str,
    /// `local`, `regional` or `global`; null while nothing hurts.
    scope: Option<&'static str>,
    /// Since when the verdict holds.
    since: Timestamp,
    /// One for each region that has a vote, also where nobody looks.
    items: Vec<RegionStateView>,
}

/// What one region sees.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RegionState)]
pub(in crate::api::v1) struct RegionStateView {
    region: String,
    /// `up`, `degraded`, `down`, or `unknown` where nobody looked or what was
    /// seen says nothing about the target.
    state: &'static str,
    /// Null: for longer than is stored.
    since: Option<Timestamp>,
    /// When the newest check began.
    last_result_at: Option<Timestamp>,
    /// Why it is not up: a word such as `connect_refused`, or of our own silence
    /// `unassigned`, `pending`, `silent` or `missed`.
    reason: Option<String>,
    /// The same for people.
    message: Option<String>,
    /// Of the newest check.
    phases: Option<PhasesView>,
    /// Of the newest check, all phases together, milliseconds: what network and
    /// target took, without the time the agent itself needed.
    duration: Option<f64>,
    /// Of the newest check, what else its kind tells: HTTP version, certificate,
    /// DNS answers, packet loss.
    details: Option<Details>,
}

/// How long each phase took, milliseconds; null where there was none.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Phases)]
pub(in crate::api::v1) struct PhasesView {
    resolve: Option<f64>,
    connect: Option<f64>,
    tls: Option<f64>,
    /// Request sent to first byte.
    processing: Option<f64>,
    transfer: Option<f64>,
}

impl From<MonitorRegions> for MonitorRegionsView {
    fn from(seen: MonitorRegions) -> Self {
        Self {
            verdict: seen.verdict.as_str(),
            scope: seen.scope.map(|scope| scope.as_str()),
            since: Timestamp(seen.since),
            items: seen.items.into_iter().map(RegionStateView::from).collect(),
        }
    }
}

impl From<RegionItem> for RegionStateView {
    fn from(item: RegionItem) -> Self {
        Self {
            region: item.region,
            state: item.state.as_str(),
            since: item.since.map(Timestamp),
            last_result_at: item.last_result_at.map(Timestamp),
            reason: item.reason,
            message: item.message,
            duration: item.phases.map(|phases| millis(phases.total())),
            phases: item.phases.map(PhasesView::from),
            details: item.details.as_deref().and_then(read_details),
        }
    }
}

impl From<Phases> for PhasesView {
    fn from(phases: Phases) -> Self {
        Self {
            resolve: phases.resolve.map(millis),
            connect: phases.connect.map(millis),
            tls: phases.tls.map(millis),
            processing: phases.processing.map(millis),
            transfer: phases.transfer.map(millis),
        }
    }
}

/// Stored details. What cannot be read any more is left out: it was checked
/// when it was stored.
pub(super) fn read_details(stored: &[u8]) -> Option<Details> {
    wire::Details::decode(stored).ok().map(|details| Details::from_wire(&details))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
