//! `doctor`: looks at every layer between this host and its work, from the disk
//! to the handshake, and names the one that fails. Changes nothing.

use crate::config::Config;
use crate::identity::{self, Enrolled};
use crate::link::connect::{self, ConnectError};
use crate::probe::icmp::{self, Right};
use crate::{clock, durable};
use ed25519_dalek::SigningKey;
use std::path::Path;

/// One look at one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub layer: &'static str,
    pub good: bool,
    pub says: String,
}

fn good(layer: &'static str, says: impl Into<String>) -> Finding {
    Finding { layer, good: true, says: says.into() }
}

fn bad(layer: &'static str, says: impl Into<String>) -> Finding {
    Finding { layer, good: false, says: says.into() }
}

/// Looks at everything; stops where the next layer would need what is missing.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![disk(&config.state_dir), ping()];
    let key = match identity::load_key(&config.state_dir) {
        Ok(Some(key)) => key,
        Ok(None) => {
            findings.push(bad("key", "this host has none yet: enrol it with `enroll TOKEN`"));
            return findings;
        }
        Err(error) => {
            findings.push(bad("key", chain(&error)));
            return findings;
        }
    };
    findings
        .push(good("key", format!("agent {}", hyperverge_protocol::identity::fingerprint(&key))));
    let enrolled = match identity::load_enrollment(&config.state_dir, &key) {
        Ok(Some(enrolled)) => enrolled,
        Ok(None) => {
            findings.push(bad("token", "not enrolled: ask for a token and run `enroll TOKEN`"));
            return findings;
        }
        Err(error) => {
            findings.push(bad("token", chain(&error)));
            return findings;
        }
    };
    findings.push(good("token", format!("enrolled in region {}", enrolled.region)));
    for address in &enrolled.addresses {
        network(address, &key, &enrolled, &mut findings).await;
    }
    findings.push(clock_skew(&config.state_dir));
    findings
}

fn disk(state_dir: &Path) -> Finding {
    let probe = state_dir.join("doctor.probe");
    let written = durable::private_dir(state_dir)
        .and_then(|()| durable::replace(&probe, b"ok"))
        .and_then(|()| std::fs::remove_file(&probe));
    match written {
        Ok(()) => good("disk", format!("{} can be written and synced", state_dir.display())),
        Err(error) => bad("disk", format!("{} cannot be written: {error}", state_dir.display())),
    }
}

fn ping() -> Finding {
    match icmp::right_to_ping() {
        Ok(Right::PingSockets) => good("ping", "may ping through ping sockets"),
        Ok(Right::RawSockets) => good("ping", "may ping through raw sockets"),
        Err(failure) => bad("ping", failure.message),
    }
}

async fn network(
    address: &str,
    key: &SigningKey,
    enrolled: &Enrolled,
    findings: &mut Vec<Finding>,
) {
    let peers = match connect::resolve(address).await {
        Ok(peers) => peers,
        Err(error) => return findings.push(bad("dns", chain(&error))),
    };
    findings.push(good("dns", format!("{address} is {peers:?}")));
    for peer in peers {
        match connect::handshake(peer, key, &enrolled.pins).await {
            Ok(link) => {
                let rtt = link.connection.rtt();
                findings.push(good("udp", format!("{peer} answers in {} ms", rtt.as_millis())));
                findings.push(good("pin", format!("{peer} shows a pinned key")));
                link.connection.close(quinn::VarInt::from_u32(0), b"");
                link.endpoint.wait_idle().await;
                return;
            }
            Err(error) => findings.push(bad(layer(&error), chain(&error))),
        }
    }
}

fn layer(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Lookup { .. } | ConnectError::NoAddress { .. } | ConnectError::Nothing => {
            "dns"
        }
        ConnectError::Socket(_) | ConnectError::NoAnswer { .. } => "udp",
        ConnectError::WrongPin { .. } => "pin",
        ConnectError::Handshake { .. } | ConnectError::Tls(_) => "handshake",
    }
}

/// Compares the wall clock with control-plane time as the agent last knew it.
fn clock_skew(state_dir: &Path) -> Finding {
    let Some(saved) = crate::engine::load_offset(state_dir) else {
        return good("clock", "not compared yet: no session in this boot");
    };
    if saved.boot_id != clock::kernel_boot_id() {
        return good("clock", "not compared yet: no session in this boot");
    }
    let control_ms = (clock::boot_us() + saved.offset_us) / 1_000;
    let skew_ms = clock::wall_ms() - control_ms;
    // It dates nothing, but certificates are judged by it and people read logs by it.
    if skew_ms.abs() > SKEW_MS {
        return bad("clock", format!("the wall clock is {skew_ms} ms off control-plane time"));
    }
    good("clock", format!("the wall clock is {skew_ms} ms off control-plane time"))
}

const SKEW_MS: i64 = 30_000;

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
