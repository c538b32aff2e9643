//! An observation becomes a row: dated, capped, in the wire's terms.

use bytes::Bytes;
use hyperverge_agent_core::schedule::BurstCheck;
use hyperverge_protocol::limits::{MESSAGE_BYTES, SAMPLE_BYTES};
use hyperverge_protocol::outcome::{Observation, Outcome, Phases, Reason};
use hyperverge_protocol::wire::{self, ResultRow};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;
use uuid::Uuid;

/// Which slot, and when: control-plane time, or boot time while undated.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub monitor: Uuid,
    pub revision: u64,
    pub slot: i64,
    /// The check of a burst is due when it starts.
    pub due_us: i64,
    pub burst: Option<BurstCheck>,
    pub started_us: i64,
    pub ended_us: i64,
}

/// The row of one finished check.
pub fn row(timing: Timing, seen: Observation) -> ResultRow {
    let Timing { monitor, revision, slot, due_us, burst, started_us, ended_us } = timing;
    let burst_id = burst.map(|check| Bytes::copy_from_slice(check.id.as_bytes()));
    let mut sample = seen.sample;
    sample.truncate(SAMPLE_BYTES);
    ResultRow {
        monitor_id: Bytes::copy_from_slice(monitor.as_bytes()),
        revision,
        slot,
        due_us: if burst.is_some() { started_us } else { due_us },
        started_us,
        ended_us,
        outcome: outcome(seen.outcome).into(),
        reason: seen.reason.map(Reason::as_str).unwrap_or_default(),
        phases: Some(phases(&seen.phases)),
        address: seen.address.map(shown).unwrap_or_default(),
        status: seen.status.map_or(0, u32::from),
        certificate_expires_s: seen.certificate_expires_s.unwrap_or(0),
        message: cut(seen.message, MESSAGE_BYTES),
        sample: sample.into(),
        burst_id: burst_id.unwrap_or_default(),
        burst_index: burst.map_or(0, |check| check.index),
        redirects: seen.redirects.into(),
        body_bytes: seen.body_bytes,
        details: seen.details.map(|details| details.to_wire()),
    }
}

fn outcome(outcome: Outcome) -> wire::Outcome {
    match outcome {
        Outcome::Ok => wire::Outcome::Ok,
        Outcome::Degraded => wire::Outcome::Degraded,
        Outcome::Fail => wire::Outcome::Fail,
        Outcome::Policy => wire::Outcome::Policy,
        Outcome::Unsupported => wire::Outcome::Unsupported,
    }
}

fn phases(phases: &Phases) -> wire::Phases {
    wire::Phases {
        resolve_us: phases.resolve.map(micros),
        connect_us: phases.connect.map(micros),
        tls_us: phases.tls.map(micros),
        processing_us: phases.processing.map(micros),
        transfer_us: phases.transfer.map(micros),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn shown(address: SocketAddr) -> String {
    let mut text = String::with_capacity(ADDRESS_BYTES);
    // Writing to memory does not fail.
    let _written = write!(text, "{address}");
    text
}

/// The longest address and port that is common: `[2001:db8:…]:65535`.
const ADDRESS_BYTES: usize = 48;

/// At most `limit` bytes of `text`, whole characters.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let mut seen =
            Observation::bare(Outcome::Fail, Some(Reason::Status), "ä".repeat(MESSAGE_BYTES));
        seen.sample = vec![1; SAMPLE_BYTES + 9];
        seen.phases.tls = Some(Duration::from_micros(7));
        let timing = Timing {
            monitor: Uuid::from_u128(5),
            revision: 2,
            slot: -3,
            due_us: 1_000,
            burst: None,
            started_us: 2_000,
            ended_us: 6_000,
        };
        let row = row(timing, seen);
        assert_eq!(row.message.len(), MESSAGE_BYTES);
        assert_eq!(row.sample.len(), SAMPLE_BYTES);
        assert_eq!((row.ended_us, row.reason.as_str()), (6_000, "status"));
        let phases = row.phases.expect("set");
        assert_eq!((phases.tls_us, phases.connect_us), (Some(7), None));
        assert_eq!(cut("äöü".into(), 3), "ä");
    }

    #[test]
    fn the_check_of_a_burst_is_due_when_it_starts() {
        let burst = Some(BurstCheck { id: Uuid::from_u128(7), index: 2 });
        let timing = Timing {
            monitor: Uuid::from_u128(5),
            revision: 2,
            slot: 9,
            due_us: 1_000,
            burst,
            started_us: 2_500,
            ended_us: 2_600,
        };
        let row = row(timing, Observation::bare(Outcome::Ok, None, ""));
        assert_eq!((row.due_us, row.started_us), (2_500, 2_500));
        assert_eq!((&row.burst_id[..], row.burst_index), (&Uuid::from_u128(7).as_bytes()[..], 2));
    }
}
