//! A check as a row of a batch.

use super::super::Check;
use crate::world::cast::Cast;
use crate::world::truth::Answer;
use hyperverge_protocol::outcome::Outcome;
use hyperverge_protocol::wire::{self, ResultRow};

pub(super) fn row_of(cast: &Cast, check: &Check, answer: &Answer) -> ResultRow {
    let outcome = match answer.outcome {
        Outcome::Ok => wire::Outcome::Ok,
        Outcome::Degraded => wire::Outcome::Degraded,
        Outcome::Fail => wire::Outcome::Fail,
        Outcome::Policy => wire::Outcome::Policy,
        Outcome::Unsupported => wire::Outcome::Unsupported,
    };
    let address = &cast.monitors[check.monitor].monitor.address;
    ResultRow {
        monitor_id: cast.monitors[check.monitor].id.as_bytes().to_vec().into(),
        revision: check.revision,
        slot: check.slot,
        due_us: check.due_ms * 1_000,
        started_us: check.started_us,
        ended_us: check.started_us + answer.took * 1_000,
        outcome: outcome.into(),
        reason: answer.reason.to_owned(),
        address: if answer.reached { address.clone() } else { String::new() },
        status: answer.status,
        burst_id: check.burst.map(|burst| burst.id.as_bytes().to_vec()).unwrap_or_default().into(),
        burst_index: check.burst.map_or(0, |burst| burst.index),
        ..ResultRow::default()
    }
}
