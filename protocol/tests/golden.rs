//! Golden bytes: what version 1 of the link looks like on the wire, for ever.
//!
//! Agents that were never updated keep speaking these bytes. Each file under
//! `golden/v1/` is one message in hexadecimal; it must decode to the value below
//! and that value must encode to it. A file is never changed once a release
//! carries it: what changes in the schema gets a new message here and a new
//! file beside the old ones (the failing test prints its content).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hyperverge_protocol::envelope::{self, Purpose};
use hyperverge_protocol::frame;
use hyperverge_protocol::wire::*;
use prost::Message;
use std::fmt::Debug;
use std::path::Path;

/// A field number that no message has: 1000, once as a varint, once as bytes.
const UNKNOWN_FIELDS: [&[u8]; 2] =
    [&[0xc0, 0x3e, 0x96, 0x01], &[0xc2, 0x3e, 0x03, 0x66, 0x6f, 0x6f]];

fn check<M: Message + Default + PartialEq + Debug>(name: &str, value: &M) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v1/{name}.hex"));
    let ours = value.encode_to_vec();
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex::encode(&ours), golden, "{name}: encoded value and {}", path.display());
    let golden = hex::decode(golden).unwrap();
    assert_eq!(&M::decode(golden.as_slice()).unwrap(), value, "{name}");
    for unknown in UNKNOWN_FIELDS {
        for bytes in [[unknown, &golden].concat(), [&golden, unknown].concat()] {
            assert_eq!(&M::decode(bytes.as_slice()).unwrap(), value, "{name} with unknown field");
        }
    }
}

fn agent(name: &str, body: agent_frame::Body) {
    check(name, &AgentFrame { body: Some(body) });
}

fn control(name: &str, body: control_frame::Body) {
    check(name, &ControlFrame { body: Some(body) });
}

/// `length` bytes that count up from `first`.
fn bytes(first: u8, length: u8) -> Bytes {
    (first..first + length).collect::<Vec<_>>().into()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

fn result_batch() -> ResultBatch {
    let phases = Phases {
        resolve_us: Some(1_200),
        connect_us: Some(15_000),
        tls_us: None,
        processing_us: Some(0),
        transfer_us: Some(350),
    };
    let row = ResultRow {
        monitor_id: bytes(16, 16),
        revision: 3,
        slot: 29_000_001,
        due_us: 1_764_000_000_000_000,
        started_us: 1_764_000_000_000_150,
        ended_us: 1_764_000_000_250_000,
        outcome: Outcome::Fail.into(),
        reason: "status".into(),
        phases: Some(phases),
        address: "192.0.2.7:443".into(),
        status: 503,
        certificate_expires_s: 1_780_000_000,
        message: "status 503 is not one of 200-299".into(),
        sample: Bytes::from_static(b"<h1>unavailable</h1>"),
        burst_id: bytes(64, 16),
        burst_index: 1,
        redirects: 2,
        body_bytes: 20,
        details: None,
    };
    ResultBatch {
        agent_id: bytes(0, 32),
        boot_id: bytes(32, 16),
        lane: Lane::Live.into(),
        number: 300,
        set_version: 1_764_000_000_123,
        complete_through_ms: Some(1_764_000_000_000),
        rows: vec![row],
        missed: vec![MissedSlots {
            monitor_id: bytes(16, 16),
            revision: 3,
            first_slot: 28_999_990,
            last_slot: 29_000_000,
            reason: MissedReason::Overload.into(),
        }],
        undated: true,
    }
}

fn assignment_set() -> AssignmentSet {
    AssignmentSet {
        agent_id: bytes(0, 32),
        version: 1_764_000_000_123,
        issued_ms: 1_764_000_000_000,
        lifetime_ms: 86_400_000,
        region: "eu-west".into(),
        part_hashes: vec![bytes(0, 32), bytes(32, 32)],
    }
}

fn burst_order() -> BurstOrder {
    BurstOrder {
        agent_id: bytes(0, 32),
        burst_id: bytes(64, 16),
        monitor_id: bytes(16, 16),
        revision: 3,
        failures: 2,
        asked_ms: 1_764_000_000_000,
        expires_ms: 1_764_000_037_000,
    }
}

#[test]
fn what_agents_say() {
    agent(
        "agent_enroll",
        agent_frame::Body::Enroll(EnrollRequest {
            token_secret: bytes(0, 32),
            host_name: "probe-1".into(),
            version: "0.1.0".into(),
        }),
    );
    agent(
        "agent_hello",
        agent_frame::Body::Hello(Hello {
            version: "0.1.0".into(),
            capabilities: vec!["probe:http".into(), "probe:tcp".into()],
            boot_id: bytes(0, 16),
            process_id: bytes(16, 16),
            set_version: 1_764_000_000_123,
            lanes: vec![
                LaneState { lane: Lane::Live.into(), next_number: 300, waiting_batches: 2 },
                LaneState { lane: Lane::Backlog.into(), next_number: 1, waiting_batches: 0 },
            ],
            boot_time_ms: 86_400_000,
            wall_time_ms: -1,
            host_name: "probe-1".into(),
        }),
    );
    agent(
        "agent_heartbeat",
        agent_frame::Body::Heartbeat(Heartbeat {
            boot_time_ms: 86_410_000,
            wall_time_ms: 1_764_000_000_000,
            probes_in_flight: 12,
            spool_bytes: 268_435_456,
        }),
    );
    agent(
        "agent_set_accepted",
        agent_frame::Body::SetAccepted(SetAccepted { version: 1_764_000_000_123 }),
    );
    agent("agent_goodbye", agent_frame::Body::Goodbye(Goodbye { reason: "stopped".into() }));
}

#[test]
fn what_the_control_plane_says() {
    control(
        "control_enrolled",
        control_frame::Body::Enrolled(Enrolled {
            agent_id: bytes(0, 32),
            region: "eu-west".into(),
        }),
    );
    control(
        "control_welcome",
        control_frame::Body::Welcome(Welcome {
            control_time_ms: 1_764_000_000_000,
            boot_time_ms: 86_400_000,
            lanes: vec![LaneState {
                lane: Lane::Backlog.into(),
                next_number: 7,
                waiting_batches: 0,
            }],
            region: "eu-west".into(),
            control_version: "0.1.0".into(),
            heartbeat_interval_ms: 10_000,
        }),
    );
    control(
        "control_heartbeat",
        control_frame::Body::Heartbeat(HeartbeatReply {
            boot_time_ms: 86_410_000,
            control_time_ms: 1_764_000_000_000,
            backlog_credit: 4,
        }),
    );
    control(
        "control_acknowledged",
        control_frame::Body::Acknowledged(BatchAcknowledged {
            lane: Lane::Live.into(),
            number: 300,
            stored: 120,
            duplicates: 3,
            refused: 1,
        }),
    );
    control(
        "control_refusal",
        control_frame::Body::Refusal(Refusal {
            code: RefusalCode::WrongNumber.into(),
            message: "number must be 299".into(),
            lane: Lane::Live.into(),
            number: 300,
            expected_number: 299,
            fatal: true,
            retry_after_ms: 500,
        }),
    );
    control(
        "control_set_part",
        control_frame::Body::SetPart(SetPart {
            version: 1_764_000_000_123,
            index: 1,
            payload: bytes(0, 16),
        }),
    );
}

#[test]
fn what_is_signed() {
    check("result_batch", &result_batch());
    check("assignment_set", &assignment_set());
    let assignment = Assignment {
        monitor_id: bytes(16, 16),
        revision: 3,
        spec_json: Bytes::from_static(br#"{"name":"checkout"}"#),
        anchor_ms: 1_764_000_000_000,
        interval_ms: 30_000,
        first_slot: 29_000_001,
    };
    check("assignment_part", &AssignmentPart { assignments: vec![assignment] });
    // ed25519 is deterministic, so the signature is as fixed as the rest.
    let batch = result_batch().encode_to_vec().into();
    let batch = envelope::seal(Purpose::ResultBatch, batch, &key());
    agent("agent_result_batch", agent_frame::Body::ResultBatch(batch));
    let set = assignment_set().encode_to_vec().into();
    let set = envelope::seal(Purpose::AssignmentSet, set, &key());
    let manifest = SetManifest { envelope: Some(set) };
    control("control_set_manifest", control_frame::Body::SetManifest(manifest));
    check("burst_order", &burst_order());
    let burst = burst_order().encode_to_vec().into();
    let burst = envelope::seal(Purpose::BurstOrder, burst, &key());
    control("control_burst", control_frame::Body::Burst(burst));
}

#[test]
fn a_frame_has_four_bytes_of_length_in_front() {
    let goodbye = agent_frame::Body::Goodbye(Goodbye { reason: "stopped".into() });
    let framed = frame::encode(&AgentFrame { body: Some(goodbye) }).unwrap();
    assert_eq!(hex::encode(framed), "0000000b32090a0773746f70706564");
}

#[test]
fn every_file_is_replayed() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let this = include_str!("golden.rs");
    for file in std::fs::read_dir(dir).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let quoted = format!("\"{}\"", name.trim_end_matches(".hex"));
        assert!(this.contains(&quoted), "{name} is replayed by no test");
    }
}

#[test]
fn numbers_of_enums_stay() {
    let codes: Vec<_> = (0..=12).map(|n| RefusalCode::try_from(n).unwrap().as_str_name()).collect();
    assert_eq!(codes[7], "REFUSAL_CODE_BUSY");
    assert_eq!(codes[12], "REFUSAL_CODE_INTERNAL");
    let outcomes: Vec<_> = (0..=5).map(|n| Outcome::try_from(n).unwrap().as_str_name()).collect();
    assert_eq!(outcomes[4], "OUTCOME_POLICY");
    assert_eq!(MissedReason::try_from(4), Ok(MissedReason::SpoolFull));
}
