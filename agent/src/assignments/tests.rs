use super::store::{self, Life};
use super::*;
use ed25519_dalek::SigningKey;
use hyperverge_protocol::identity;

const DAY_MS: u64 = 86_400_000;

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn agent() -> AgentId {
    identity::fingerprint(&SigningKey::from_bytes(&[4; 32]))
}

fn wire_assignment(monitor: u128, spec: &str) -> Assignment {
    Assignment {
        monitor_id: Uuid::from_u128(monitor).into_bytes().to_vec().into(),
        revision: 1,
        spec_json: Bytes::copy_from_slice(spec.as_bytes()),
        anchor_ms: 5,
        interval_ms: 1_000,
        first_slot: 7,
    }
}

fn parts() -> Vec<Bytes> {
    let good = r#"{"name": "a", "target": "https://example.com/"}"#;
    let from_the_future = r#"{"name": "b", "target": "https://example.com/", "quantum": true}"#;
    [wire_assignment(1, good), wire_assignment(2, from_the_future)]
        .map(|one| AssignmentPart { assignments: vec![one] }.encode_to_vec().into())
        .to_vec()
}

fn manifest(version: u64, agent_id: AgentId, key: &SigningKey) -> SetManifest {
    let hash = |part: &Bytes| Bytes::copy_from_slice(Sha256::digest(part).as_slice());
    let set = AssignmentSet {
        agent_id: Bytes::copy_from_slice(agent_id.as_bytes()),
        version,
        issued_ms: 1,
        lifetime_ms: DAY_MS,
        region: "eu".into(),
        part_hashes: parts().iter().map(hash).collect(),
    };
    let payload = set.encode_to_vec().into();
    SetManifest { envelope: Some(envelope::seal(Purpose::AssignmentSet, payload, key)) }
}

fn part(version: u64, index: u32) -> SetPart {
    SetPart { version, index, payload: parts()[index as usize].clone() }
}

fn assembler(held: u64) -> Assembler {
    Assembler::new(signer().verifying_key(), agent(), held)
}

fn complete(version: u64) -> Complete {
    let mut assembler = assembler(0);
    assert!(
        assembler.handle_manifest(manifest(version, agent(), &signer())).expect("good").is_none()
    );
    assert!(assembler.handle_part(part(version, 1)).expect("good").is_none());
    assembler.handle_part(part(version, 0)).expect("good").expect("whole")
}

#[test]
fn a_set_is_whole_with_its_last_part() {
    let set = complete(9).set;
    assert_eq!((set.version, set.lifetime_ms, set.region.as_str()), (9, DAY_MS, "eu"));
    assert_eq!(set.assignments.len(), 2);
    assert!(set.assignments[0].spec().is_ok());
    let rule = set.assignments[1].spec().expect_err("not half of it");
    assert!(rule.contains("quantum"), "{rule}");
}

#[test]
fn what_is_not_ours_or_not_newer_is_refused() {
    let refused = |held, manifest| assembler(held).handle_manifest(manifest).expect_err("refused");
    let forger = SigningKey::from_bytes(&[8; 32]);
    assert_eq!(
        refused(0, manifest(5, agent(), &forger)),
        SetError::Signature(EnvelopeError::WrongKey)
    );
    let other = identity::fingerprint(&forger);
    assert_eq!(refused(0, manifest(5, other, &signer())), SetError::OtherAgent);
    for held in [5, 6] {
        assert_eq!(
            refused(held, manifest(5, agent(), &signer())),
            SetError::Rollback { offered: 5, held }
        );
    }
    let mut tampered = manifest(5, agent(), &signer());
    if let Some(envelope) = tampered.envelope.as_mut() {
        let mut payload = envelope.payload.to_vec();
        payload.push(0);
        envelope.payload = payload.into();
    }
    assert_eq!(refused(0, tampered), SetError::Signature(EnvelopeError::BadSignature));
}

#[test]
fn a_part_must_be_the_one_that_was_signed() {
    let mut assembler = assembler(0);
    assert_eq!(
        assembler.handle_part(part(5, 0)).expect_err("nothing awaited"),
        SetError::StrayPart { version: 5, index: 0 }
    );
    assembler.handle_manifest(manifest(5, agent(), &signer())).expect("good");
    let swapped = SetPart { index: 1, ..part(5, 0) };
    assert_eq!(assembler.handle_part(swapped).expect_err("hash"), SetError::PartHash { index: 1 });
    let beyond = SetPart { index: 2, ..part(5, 0) };
    assert!(matches!(assembler.handle_part(beyond), Err(SetError::StrayPart { .. })));
}

#[test]
fn nonsense_that_cannot_be_scheduled_is_left_out() {
    let good = wire_assignment(1, "{}");
    for bad in [
        Assignment { interval_ms: 0, ..good.clone() },
        Assignment { interval_ms: u64::MAX, ..good.clone() },
        Assignment { anchor_ms: i64::MIN, ..good.clone() },
        Assignment { first_slot: i64::MAX, ..good.clone() },
        Assignment { monitor_id: Bytes::from_static(b"short"), ..good.clone() },
    ] {
        assert_eq!(assignment(bad), None);
    }
    assert!(assignment(good).is_some());
}

#[test]
fn the_cache_is_verified_and_its_life_runs_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let load = |key: &SigningKey, boot: u8, boot_ms| {
        store::load(dir.path(), key.verifying_key(), agent(), [boot; 16], boot_ms)
    };
    assert!(load(&signer(), 1, 0).expect("nothing there").is_none());
    let complete = complete(9);
    store::save(dir.path(), &complete, &Life::begin(9, [1; 16], 1_000)).expect("saved");
    let (set, life) = load(&signer(), 1, 61_000).expect("good").expect("there");
    assert_eq!(set, complete.set);
    assert_eq!(life.consumed_ms, 60_000);
    assert_eq!(life.expires_boot_ms(DAY_MS), 1_000 + DAY_MS as i64);
    store::save_life(dir.path(), &life).expect("saved");
    let (_, life) = load(&signer(), 2, 5_000).expect("good").expect("there");
    assert_eq!(life.consumed_ms, 60_000, "another boot goes on from what was written");
    assert_eq!(life.expires_boot_ms(DAY_MS), 5_000 + DAY_MS as i64 - 60_000);
    assert!(load(&SigningKey::from_bytes(&[8; 32]), 1, 0).is_err(), "not signed by this key");
    let path = dir.path().join("assignments/current.set");
    let bytes = std::fs::read(&path).expect("there");
    std::fs::write(&path, &bytes[..bytes.len() - 3]).expect("written");
    assert!(matches!(load(&signer(), 1, 0), Err(store::StoreError::Damaged)));
}
