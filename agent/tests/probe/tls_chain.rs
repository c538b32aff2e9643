//! How long the certificates are good for that a server's own depends on.

use crate::serving::{Names, Server, context_with, ended, failed, loopback, ok};
use crate::tls::{acceptor, check_named, day, https, offset_us, params};
use hyperverge_agent::probe::{ProbeContext, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn root(name: &str, key: &KeyPair, until: i32) -> Issuer {
    let again = KeyPair::from_pem(&key.serialize_pem()).expect("the same key");
    Issuer::self_signed(authority(name, until), again).expect("a root")
}

/// Shows a certificate for `good.test` by `issuer`, good until 2090, and then `others`.
async fn serve(issuer: &Issuer, others: &[&CertificateDer<'static>]) -> Server {
    let mut leaf = params(&["good.test"]);
    leaf.not_after = date_time_ymd(2090, 1, 1);
    let key = key();
    let leaf = leaf.signed_by(&key, issuer).expect("a certificate");
    let mut chain = vec![leaf.der().clone()];
    chain.extend(others.iter().map(|other| (*other).clone()));
    https(acceptor(chain, &key), ok("")).await
}

fn trusting(pem: String) -> ProbeContext {
    context_with(ProbeSettings {
        ca_pem: Some(pem.into_bytes()),
        resolver: Some(Names::of(&[("good.test", &[&["127.0.0.1"]])])),
        ..loopback()
    })
}

fn days(days: u32, more: Value) -> Value {
    let mut monitor = more;
    monitor["expect"] = json!({ "chain_days": days });
    monitor
}

fn chain_expires_s(seen: &Observation) -> i64 {
    let facts = seen.details.as_ref().and_then(|details| details.tls.as_ref());
    facts.expect("facts").chain_expires_s
}

#[tokio::test]
async fn what_was_sent_beyond_a_trusted_authority_does_not_count() {
    let shared = key();
    let trusted = root("Root X", &shared, 2095);
    let stale = root("Root X", &shared, 2020);
    let old = root("Old Root", &key(), 2095);
    let crossed = authority("Root X", 2020).signed_by(&shared, &old).expect("a certificate");
    let context = trusting(trusted.pem());
    let unverified = json!({ "http": { "verify": false } });
    for beyond in [stale.der(), crossed.der()] {
        let server = serve(&trusted, &[beyond]).await;
        let seen = check_named(&context, &server, days(7, json!({}))).await;
        ended(&seen, Outcome::Ok, None);
        assert_eq!(chain_expires_s(&seen), day(2090));
        // Who trusts nobody in particular depends on all that it leads to.
        let seen = check_named(&context, &server, days(7, unverified.clone())).await;
        failed(&seen, Reason::ChainDays);
        assert!(seen.message.contains("depends on that of \"Root X\", which"), "{seen:?}");
        assert_eq!(chain_expires_s(&seen), day(2020));
    }
}

#[tokio::test]
async fn the_same_chain_is_as_good_as_what_each_monitor_trusts_in_it() {
    let shared = key();
    let trusted = root("Root X", &shared, 2095);
    let old = root("Old Root", &key(), 2095);
    let crossed = authority("Root X", 2085).signed_by(&shared, &old).expect("a certificate");
    let server = serve(&trusted, &[crossed.der()]).await;
    let context = trusting(old.pem());
    for _ in 0..2 {
        for (more, until) in [
            (json!({ "tls": { "ca": trusted.pem() } }), 2090),
            (json!({ "tls": { "ca": old.pem() } }), 2085),
            (json!({}), 2085),
            (json!({ "http": { "verify": false } }), 2085),
        ] {
            let seen = check_named(&context, &server, more).await;
            ended(&seen, Outcome::Ok, None);
            assert_eq!(chain_expires_s(&seen), day(until));
        }
    }
}

#[tokio::test]
async fn an_intermediate_that_expires_soon_is_named() {
    let trusted = root("Root X", &key(), 2095);
    let between = Issuer::signed_by(authority("Between", 2089), key(), &trusted);
    let between = between.expect("an intermediate");
    let stray = root("Stray", &key(), 2020);
    let server = serve(&between, &[stray.der(), between.der()]).await;
    let context = trusting(trusted.pem());
    // An hour past midnight, so that days do not end during the test.
    context.set_time(offset_us(2088) + 3_600_000_000);
    ended(&check_named(&context, &server, days(365, json!({}))).await, Outcome::Ok, None);
    let seen = check_named(&context, &server, days(370, json!({}))).await;
    failed(&seen, Reason::ChainDays);
    let says = "the certificate depends on that of \"Between\", which is good for 365 more days, \
                expected at least 370";
    assert!(seen.message.contains(says), "{seen:?}");
}
