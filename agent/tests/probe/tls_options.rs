//! Section `tls` on an https check: authorities, pins, names and client certificates.

use crate::serving::{
    Names, Server, check_id, context_with, ended, failed, loopback, monitor, ok, redirect,
};
use crate::tls::{Authority, check_named, https, params, self_signed, trusting};
use hyperverge_agent::probe::{self, ProbeContext, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rcgen::{CertificateParams, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Knows `good.test`, and trusts nobody but the public roots.
fn trusting_nobody() -> ProbeContext {
    context_with(ProbeSettings {
        resolver: Some(Names::of(&[("good.test", &[&["127.0.0.1"]])])),
        ..loopback()
    })
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).expect("text")
}

fn fingerprint(seen: &Observation) -> String {
    let facts = seen.details.as_ref().and_then(|details| details.tls.as_ref());
    facts.expect("facts").fingerprint.clone()
}

#[tokio::test]
async fn a_monitors_own_authority_stands_in_place_of_all_others() {
    let (own, agents) = (Authority::new(), Authority::new());
    let context = trusting(&agents);
    let ca = json!({ "tls": { "ca": text(own.pem()) } });
    let server = https(own.acceptor(&["good.test"]), ok("")).await;
    ended(&check_named(&context, &server, ca.clone()).await, Outcome::Ok, None);
    failed(&check_named(&context, &server, json!({})).await, Reason::TlsUnknownIssuer);
    let server = https(agents.acceptor(&["good.test"]), ok("")).await;
    ended(&check_named(&context, &server, json!({})).await, Outcome::Ok, None);
    failed(&check_named(&context, &server, ca).await, Reason::TlsUnknownIssuer);
}

#[tokio::test]
async fn a_self_signed_certificate_is_good_where_the_monitor_names_it() {
    let context = trusting_nobody();
    for is_ca in [false, true] {
        let (acceptor, pem) = self_signed(params(&["good.test"]), is_ca);
        let server = https(acceptor, ok("")).await;
        let named = json!({ "tls": { "ca": pem } });
        ended(&check_named(&context, &server, named.clone()).await, Outcome::Ok, None);
        failed(&check_named(&context, &server, json!({})).await, Reason::TlsSelfSigned);
        // For its own name and in its own time only.
        let target = format!("https://{}/", server.address);
        let seen = probe::run(&context, &monitor(&target, named), &check_id()).await;
        failed(&seen, Reason::TlsWrongHost);
        assert!(seen.message.ends_with("is for another host: good.test"), "{}", seen.message);
        let mut expired = params(&["good.test"]);
        expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let (acceptor, pem) = self_signed(expired, is_ca);
        let server = https(acceptor, ok("")).await;
        let named = json!({ "tls": { "ca": pem } });
        failed(&check_named(&context, &server, named).await, Reason::TlsExpired);
    }
}

#[tokio::test]
async fn a_pin_must_be_met_verified_or_not() {
    let authority = Authority::new();
    let server = https(authority.acceptor(&["good.test"]), ok("")).await;
    let context = trusting(&authority);
    let shown = fingerprint(&check_named(&context, &server, json!({})).await);
    let other = "0".repeat(64);
    for verify in [true, false] {
        let pinned =
            |pins: &[&str]| json!({ "tls": { "pins": pins }, "http": { "verify": verify } });
        let good = pinned(&[&other, &shown.to_uppercase()]);
        ended(&check_named(&context, &server, good).await, Outcome::Ok, None);
        let seen = check_named(&context, &server, pinned(&[&other])).await;
        failed(&seen, Reason::TlsPin);
        assert_eq!(fingerprint(&seen), shown);
    }
    // A certificate that does not verify is that first of all.
    let pinned = json!({ "tls": { "pins": [other] } });
    failed(&check_named(&trusting_nobody(), &server, pinned).await, Reason::TlsIncompleteChain);
}

#[tokio::test]
async fn another_name_can_be_asked_for() {
    let authority = Authority::new();
    let server = https(authority.acceptor(&["other.test"]), ok("")).await;
    let context = trusting(&authority);
    failed(&check_named(&context, &server, json!({})).await, Reason::TlsWrongHost);
    let named = json!({ "tls": { "server_name": "other.test" } });
    ended(&check_named(&context, &server, named).await, Outcome::Ok, None);
}

/// A server that takes only clients whom `authority` vouches for.
fn picky(authority: &Authority, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).expect("a root");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("a verifier");
    let (certificate, key) = authority.issue(params(&["good.test"]));
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a server");
    TlsAcceptor::from(Arc::new(config))
}

async fn as_client(context: &ProbeContext, server: &Server, authority: &Authority) -> Observation {
    let (certificate, key) = authority.issue(CertificateParams::new([]).expect("parameters"));
    let tls = json!({ "certificate": certificate.pem(), "key": key.serialize_pem() });
    check_named(context, server, json!({ "tls": tls })).await
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_judged_by_the_server() {
    let (authority, stranger) = (Authority::new(), Authority::named("Stranger"));
    let context = trusting(&authority);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = https(picky(&authority, version), ok("welcome")).await;
        ended(&as_client(&context, &server, &authority).await, Outcome::Ok, None);
        for refused in [
            as_client(&context, &server, &stranger).await,
            check_named(&context, &server, json!({})).await,
        ] {
            failed(&refused, Reason::TlsClientCertificate);
            assert!(refused.details.is_some_and(|details| details.tls.is_some()));
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_no_other_port_of_the_host() {
    let authority = Authority::new();
    let context = trusting(&authority);
    let other = https(picky(&authority, &rustls::version::TLS13), ok("welcome")).await;
    let there = format!("https://good.test:{}/", other.address.port());
    let server = https(authority.acceptor(&["good.test"]), redirect(302, &there)).await;
    let seen = as_client(&context, &server, &authority).await;
    failed(&seen, Reason::TlsClientCertificate);
    assert_eq!(seen.redirects, 1);
}

#[tokio::test]
async fn older_versions_can_be_refused() {
    let authority = Authority::new();
    let context = trusting(&authority);
    let only_12 = picky(&authority, &rustls::version::TLS12);
    let server = https(only_12, ok("")).await;
    let at_least_13 = json!({ "tls": { "min_version": "1.3" } });
    failed(&check_named(&context, &server, at_least_13).await, Reason::TlsWeak);
}

#[tokio::test]
async fn a_key_of_another_certificate_makes_no_check() {
    let authority = Authority::new();
    let server = https(authority.acceptor(&["good.test"]), ok("")).await;
    let (certificate, _) = authority.issue(CertificateParams::new([]).expect("parameters"));
    let other: Value = KeyPair::generate().expect("a key").serialize_pem().into();
    let tls = json!({ "certificate": certificate.pem(), "key": other });
    let seen = check_named(&trusting(&authority), &server, json!({ "tls": tls })).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::UnsupportedSpec));
    assert_eq!(seen.message, "tls.key must be the key of tls.certificate");
}

#[tokio::test]
async fn a_refusal_after_the_handshake_is_waited_for() {
    let (authority, stranger) = (Authority::new(), Authority::named("Stranger"));
    let context = trusting(&authority);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = https(picky(&authority, version), ok("")).await;
        for (kind, tcp) in [("tls", json!({})), ("tcp", json!({ "tls": true }))] {
            for (client, refused) in
                [(Some(&authority), false), (Some(&stranger), true), (None, true)]
            {
                let mut more = json!({ "tls": {} });
                if let Some(client) = client {
                    let params = CertificateParams::new([]).expect("parameters");
                    let (certificate, key) = client.issue(params);
                    more["tls"] =
                        json!({ "certificate": certificate.pem(), "key": key.serialize_pem() });
                }
                more["tcp"] = tcp.clone();
                let seen = crate::tcp::check(&context, kind, &server, more).await;
                match refused {
                    true => failed(&seen, Reason::TlsClientCertificate),
                    false => ended(&seen, Outcome::Ok, None),
                }
            }
        }
    }
}
