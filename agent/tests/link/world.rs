//! Monitors for tests.

use crate::plane::now_ms;
use bytes::Bytes;
use hyperverge_protocol::wire::Assignment;

/// A monitor with this name and target, checked every second from now on.
pub(crate) fn monitor(id: u128, name: &str, target: &str) -> Assignment {
    let spec = format!(r#"{{"name": "{name}", "target": "{target}", "interval": "1s"}}"#);
    let anchor_ms = now_ms() - 10_000 + (id as i64 * 137) % 1_000;
    Assignment {
        monitor_id: Bytes::copy_from_slice(&id.to_be_bytes()),
        revision: 1,
        spec_json: Bytes::from(spec),
        anchor_ms,
        interval_ms: 1_000,
        first_slot: (now_ms() - anchor_ms) / 1_000 + 1,
    }
}

/// A monitor that always succeeds.
pub(crate) fn good(id: u128) -> Assignment {
    monitor(id, "good", "https://example.com/")
}

/// A monitor whose target refuses at once: for the real binary, whose probes are real.
pub(crate) fn refused(id: u128) -> Assignment {
    monitor(id, "refused", "http://127.0.0.1:1/")
}
