//! The native body: `{type, timestamp, data}`, under 20 KB.
//!
//! A thick payload: a receiver has everything a page says without asking back.
//! Fields are added, never renamed or removed. Where a great many regions have a
//! lot to say, their words go first and `data.truncated` says so.

use crate::limits::WEBHOOK_BODY_BYTES;
use crate::notify::sender::{Content, Outgoing};
use hyperverge_control_core::notification::{Circumstances, Notice, NoticeKind, in_words};
use serde_json::{Value, json};

/// The bytes to sign and send.
pub(super) fn body(outgoing: &Outgoing) -> Result<Vec<u8>, serde_json::Error> {
    match &outgoing.content {
        Content::Test { at } => serde_json::to_vec(&test(outgoing, *at)),
        Content::Notice(notice, circumstances) => {
            let full = serde_json::to_vec(&told(outgoing, notice, circumstances, true))?;
            if full.len() < WEBHOOK_BODY_BYTES {
                return Ok(full);
            }
            serde_json::to_vec(&told(outgoing, notice, circumstances, false))
        }
    }
}

fn test(outgoing: &Outgoing, at: i64) -> Value {
    json!({
        "type": "channel.test",
        "timestamp": rfc3339(at),
        "data": { "channel": outgoing.channel_name, "message": outgoing.message.lead },
    })
}

fn told(
    outgoing: &Outgoing,
    notice: &Notice,
    circumstances: &Circumstances,
    with_words: bool,
) -> Value {
    let mut data = json!({
        "incident_id": notice.incident_id,
        "event_number": notice.event_number,
        "state": if notice.kind == NoticeKind::Resolved { "resolved" } else { "open" },
        "headline": outgoing.message.headline,
        "summary": outgoing.message.lead,
        "subject": notice.subject,
        "target": notice.target,
        "verdict": notice.verdict,
        "scope": notice.scope,
        "severity": notice.severity,
        "cause": notice.cause,
        "cause_text": notice.cause.as_deref().map(in_words),
        "regions": regions(notice, with_words),
        "started_at": rfc3339(notice.started_at_ms),
        "opened_at": rfc3339(notice.opened_at_ms),
        "resolved_at": notice.resolved_at_ms.map(rfc3339),
        "opening_included": notice.opening_included,
        "incident_url": notice.incident_url,
        "group": notice.group,
        "channel": outgoing.channel_name,
        "replayed": circumstances.replayed,
        "truncated": !with_words,
    });
    if let Some(late) = circumstances.late_by() {
        data["late_by_seconds"] = json!(late / 1_000);
        data["incident_now"] = circumstances.standing.as_ref().map_or(Value::Null, |standing| {
            json!({
                "state": standing.state,
                "verdict": standing.verdict,
                "resolved_at": standing.resolved_at_ms.map(rfc3339),
            })
        });
    }
    json!({
        "type": format!("incident.{}", notice.kind),
        "timestamp": rfc3339(circumstances.made_at),
        "data": data,
    })
}

fn regions(notice: &Notice, with_words: bool) -> Vec<Value> {
    let told = |region: &hyperverge_control_core::notification::NoticeRegion| {
        json!({
            "region": region.region,
            "state": region.state,
            "since": region.since_ms.map(rfc3339),
            "reason": region.reason,
            "message": region.message.as_deref().filter(|_| with_words),
        })
    };
    notice.regions.iter().map(told).collect()
}

/// RFC 3339 in UTC with milliseconds.
fn rfc3339(ms: i64) -> Option<String> {
    let at = chrono::DateTime::from_timestamp_millis(ms)?;
    Some(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}
