//! A zoo of certificates, each refused for its own reason.

use crate::serving::{
    Names, Server, answer, check_id, context_with, ended, failed, loopback, monitor, ok, redirect,
};
use hyperverge_agent::probe::tls::TlsSetupError;
use hyperverge_agent::probe::{self, ProbeContext, ProbeSettings, ProbeSetupError};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    SignatureAlgorithm,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const ALGORITHM: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;

/// A certificate authority of a test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("Test Authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(ALGORITHM).expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// Of a server with a good certificate for `names`, inside QUIC.
    pub(crate) fn quic_config(&self, names: &[&str]) -> ServerConfig {
        let (certificate, key) = self.issued(params(names));
        quic_config(certificate, &key)
    }

    /// Serves a good certificate for `names`.
    pub(crate) fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        self.acceptor_of(params(names))
    }

    pub(crate) fn acceptor_of(&self, params: CertificateParams) -> TlsAcceptor {
        let (certificate, key) = self.issue(params);
        acceptor(vec![certificate.der().clone()], &key)
    }

    pub(crate) fn issue(&self, params: CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate_for(ALGORITHM).expect("a key");
        (params.signed_by(&key, &self.0).expect("a certificate"), key)
    }

    pub(crate) fn issued(&self, params: CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let (certificate, key) = self.issue(params);
        (certificate.der().clone(), key)
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }
}

pub(crate) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, "Test Leaf");
    params
}

/// Also the certificate in PEM form.
pub(crate) fn self_signed(mut params: CertificateParams, is_ca: bool) -> (TlsAcceptor, String) {
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate_for(ALGORITHM).expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (acceptor(vec![certificate.der().clone()], &key), certificate.pem())
}

pub(crate) fn self_signed_der(params: CertificateParams) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate_for(ALGORITHM).expect("a key");
    (params.self_signed(&key).expect("a certificate").der().clone(), key)
}

/// Of a server that shows `certificate` inside QUIC.
pub(crate) fn quic_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server")
}

pub(crate) fn acceptor(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a server");
    TlsAcceptor::from(Arc::new(config))
}

/// Shakes hands as a server whose client is expected to agree.
pub(crate) async fn serve_tls(acceptor: &TlsAcceptor, stream: TcpStream) -> TlsStream<TcpStream> {
    acceptor.accept(stream).await.expect("a handshake")
}

/// An HTTPS server that answers everything with `text`.
pub(crate) async fn https(acceptor: TlsAcceptor, text: Vec<u8>) -> Server {
    Server::raw(move |stream| {
        let (acceptor, text) = (acceptor.clone(), text.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                drop(stream.write_all(&text).await);
                drop(stream.shutdown().await);
            }
        }
    })
    .await
}

/// Trusts `authority`; knows the name `good.test`.
pub(crate) fn trusting(authority: &Authority) -> ProbeContext {
    context_with(ProbeSettings {
        ca_pem: Some(authority.pem()),
        resolver: Some(Names::of(&[("good.test", &[&["127.0.0.1"]])])),
        ..loopback()
    })
}

pub(crate) async fn check_named(
    context: &ProbeContext,
    server: &Server,
    more: Value,
) -> Observation {
    let target = format!("https://good.test:{}/", server.address.port());
    probe::run(context, &monitor(&target, more), &check_id()).await
}

/// Unix seconds of a day.
pub(crate) fn day(year: i64) -> i64 {
    // Days from 1970 to the first of January, by counting leap years.
    let leap = |y: i64| y / 4 - y / 100 + y / 400;
    (365 * (year - 1970) + leap(year - 1) - leap(1969)) * 24 * 3600
}

#[tokio::test]
async fn a_good_certificate_is_verified_and_dated() {
    let authority = Authority::new();
    let mut leaf = params(&["good.test", "127.0.0.1"]);
    leaf.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let server = https(authority.acceptor_of(leaf), ok("safe")).await;
    let context = trusting(&authority);
    let seen = check_named(&context, &server, json!({ "expect": { "body": "safe" } })).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!(seen.certificate_expires_s, Some(day(2090)));
    assert!(seen.phases.tls.is_some());
    let facts = seen.details.expect("details").tls.expect("facts");
    assert_eq!((facts.version.as_str(), facts.cipher.as_str()), ("1.3", "TLS_AES_128_GCM_SHA256"));
    assert_eq!((facts.subject.as_str(), facts.issuer.as_str()), ("Test Leaf", "Test Authority"));
    assert_eq!((facts.leaf_expires_s, facts.chain_expires_s), (day(2090), day(2090)));
    assert_eq!(facts.fingerprint.len(), 64);
    let target = format!("https://{}/", server.address);
    let seen = probe::run(&context, &monitor(&target, json!({})), &check_id()).await;
    ended(&seen, Outcome::Ok, None);
}

#[tokio::test]
async fn each_bad_certificate_has_its_own_reason() {
    let authority = Authority::new();
    let (stranger, namesake) = (Authority::named("Stranger"), Authority::new());
    let mut expired = params(&["good.test"]);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let mut early = params(&["good.test"]);
    early.not_before = rcgen::date_time_ymd(2095, 1, 1);
    let zoo = [
        (authority.acceptor_of(expired), Reason::TlsExpired, Some(day(2020))),
        (authority.acceptor_of(early), Reason::TlsNotYetValid, None),
        (authority.acceptor(&["other.test"]), Reason::TlsWrongHost, None),
        (authority.acceptor(&["*.good.test"]), Reason::TlsWrongHost, None),
        (stranger.acceptor(&["good.test"]), Reason::TlsIncompleteChain, None),
        (namesake.acceptor(&["good.test"]), Reason::TlsUnknownIssuer, None),
        (self_signed(params(&["good.test"]), false).0, Reason::TlsSelfSigned, None),
        (self_signed(params(&["good.test"]), true).0, Reason::TlsSelfSigned, None),
    ];
    let context = trusting(&authority);
    for (acceptor, reason, expires) in zoo {
        let server = https(acceptor, ok("")).await;
        let seen = check_named(&context, &server, json!({})).await;
        failed(&seen, reason);
        assert!(seen.message.starts_with("the certificate of good.test:"), "{}", seen.message);
        assert!(seen.certificate_expires_s.is_some(), "{seen:?}");
        let facts = seen.details.as_ref().and_then(|details| details.tls.as_ref()).expect("facts");
        assert_eq!(
            (facts.subject.as_str(), facts.version.as_str()),
            ("Test Leaf", ""),
            "{facts:?}"
        );
        assert!(expires.is_none() || seen.certificate_expires_s == expires, "{seen:?}");
        assert!(seen.phases.tls.is_some() && seen.phases.processing.is_none());
        assert_eq!(seen.address, Some(server.address));
        // Without verification it is reached, and its expiry is still recorded.
        let seen = check_named(&context, &server, json!({ "http": { "verify": false } })).await;
        ended(&seen, Outcome::Ok, None);
        assert!(seen.certificate_expires_s.is_some());
    }
}

#[tokio::test]
async fn days_left_fail_or_degrade() {
    let authority = Authority::new();
    let mut leaf = params(&["good.test"]);
    leaf.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let server = https(authority.acceptor_of(leaf), ok("")).await;
    let context = trusting(&authority);
    let unverified = json!({ "verify": false });
    let soon = json!({ "http": unverified, "expect": { "certificate_days": 7 } });
    failed(&check_named(&context, &server, soon).await, Reason::CertificateDays);
    let soon = json!({ "http": unverified, "warn": { "certificate_days": 30 } });
    let seen = check_named(&context, &server, soon).await;
    ended(&seen, Outcome::Degraded, Some(Reason::CertificateDays));
    let mut leaf = params(&["good.test"]);
    leaf.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let server = https(authority.acceptor_of(leaf), ok("")).await;
    let far = json!({ "expect": { "certificate_days": 7 }, "warn": { "certificate_days": 30 } });
    ended(&check_named(&context, &server, far).await, Outcome::Ok, None);
}

/// The offset that makes it the first of January.
pub(crate) fn offset_us(year: i64) -> i64 {
    day(year) * 1_000_000 - hyperverge_agent::clock::boot_us()
}

#[tokio::test]
async fn certificates_are_dated_by_the_control_plane() {
    let authority = Authority::new();
    let mut leaf = params(&["good.test"]);
    leaf.not_before = rcgen::date_time_ymd(2080, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let server = https(authority.acceptor_of(leaf), ok("")).await;
    let context = trusting(&authority);
    // What was prepared before the time is known is judged by it all the same.
    let target = format!("https://good.test:{}/", server.address.port());
    let days = json!({ "expect": { "certificate_days": 400 } });
    let prepared = probe::Prepared::new(&context, &monitor(&target, days));
    failed(&prepared.run(&context, &check_id()).await, Reason::TlsNotYetValid);
    context.set_time(offset_us(2085));
    ended(&prepared.run(&context, &check_id()).await, Outcome::Ok, None);
    context.set_time(offset_us(2089));
    failed(&prepared.run(&context, &check_id()).await, Reason::CertificateDays);
    context.set_time(offset_us(2091));
    failed(&prepared.run(&context, &check_id()).await, Reason::TlsExpired);
}

#[tokio::test]
async fn what_is_not_tls_says_so() {
    let authority = Authority::new();
    let context = trusting(&authority);
    let alert = |code: u8| vec![0x15, 3, 3, 0, 2, 2, code];
    for (bytes, reason) in [
        (answer("400 Bad Request", "", ""), Reason::TlsHandshake),
        (Vec::new(), Reason::TlsReset),
        (vec![0; 64], Reason::TlsHandshake),
        (alert(10), Reason::TlsHandshake),
        (alert(40), Reason::TlsWeak),
        (alert(70), Reason::TlsWeak),
        (alert(71), Reason::TlsWeak),
        (alert(112), Reason::TlsWrongHost),
        (alert(116), Reason::TlsClientCertificate),
        (alert(120), Reason::HttpVersion),
    ] {
        let server = Server::raw(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                let mut hello = [0; 4096];
                if stream.read(&mut hello).await.is_ok() {
                    drop(stream.write_all(&bytes).await);
                    drop(stream.shutdown().await);
                    // Until the client hangs up: unread bytes would turn the close into a reset.
                    while stream.read(&mut hello).await.is_ok_and(|n| n > 0) {}
                }
            }
        })
        .await;
        failed(&check_named(&context, &server, json!({})).await, reason);
    }
}

#[tokio::test]
async fn tls_is_never_left_by_a_redirect() {
    let plain = Server::saying(ok("")).await;
    let authority = Authority::new();
    let away = redirect(302, &plain.url("/"));
    let server = https(authority.acceptor(&["good.test"]), away).await;
    let seen = check_named(&trusting(&authority), &server, json!({})).await;
    failed(&seen, Reason::RedirectDowngrade);
    // The other way is what most sites do.
    let safe = https(authority.acceptor(&["good.test"]), ok("safe")).await;
    let up =
        Server::saying(redirect(301, &format!("https://good.test:{}/", safe.address.port()))).await;
    let target = monitor(&up.url("/"), json!({ "expect": { "body": "safe" } }));
    let seen = probe::run(&trusting(&authority), &target, &check_id()).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.certificate_expires_s.is_some());
}

#[test]
fn a_ca_file_must_hold_certificates() {
    for pem in
        [&b""[..], b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        let settings = ProbeSettings { ca_pem: Some(pem.to_vec()), ..ProbeSettings::default() };
        let error = ProbeContext::new(settings).expect_err("no certificates");
        assert!(
            matches!(error, ProbeSetupError::Tls(TlsSetupError::CaPem(_) | TlsSetupError::CaCount)),
            "{error}"
        );
    }
}

/// The beginning of a ServerHello: its record, its length, and no more than its version.
const BEGUN: &[u8] = &[0x16, 3, 3, 0, 0x7a, 2, 0, 0, 0x76, 3, 3];

#[tokio::test]
async fn a_handshake_that_goes_no_further() {
    let context = trusting(&Authority::new());
    for said in [&b""[..], BEGUN] {
        for (resets, reason) in [(false, Reason::TimeoutTls), (true, Reason::TlsReset)] {
            let server = Server::raw(move |mut stream| async move {
                let mut hello = [0; 4_096];
                drop(stream.read(&mut hello).await);
                drop(stream.write_all(said).await);
                if resets {
                    drop(stream.set_zero_linger());
                } else {
                    std::future::pending::<()>().await;
                }
            })
            .await;
            let brief = || json!({ "timeout": if resets { "10s" } else { "300ms" } });
            failed(&check_named(&context, &server, brief()).await, reason);
            let seen = crate::tcp::check(&context, "tls", &server, brief()).await;
            failed(&seen, reason);
            assert!(seen.phases.tls.is_some() && seen.certificate_expires_s.is_none(), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_chain_may_be_large_but_not_endless() {
    let authority = Authority::new();
    let context = trusting(&authority);
    // A certificate of `count` names comes along.
    let with = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("host-{n:05}.good.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (huge, _) = authority.issued(params(&names));
        let (leaf, key) = authority.issued(params(&["good.test"]));
        acceptor(vec![leaf, huge], &key)
    };
    for (count, reason) in [(2_000, None), (10_000, Some(Reason::TlsHandshake))] {
        let server = https(with(count), ok("")).await;
        for kind in ["http", "tls"] {
            let seen = match kind {
                "http" => check_named(&context, &server, json!({})).await,
                _ => crate::tcp::check(&context, "tls", &server, json!({})).await,
            };
            match reason {
                None => ended(&seen, Outcome::Ok, None),
                Some(reason) => failed(&seen, reason),
            }
        }
    }
}

#[tokio::test]
async fn the_server_is_told_whom_we_want() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["good.test", "xn--bcher-kva.example", "127.0.0.1"]);
    let server = Server::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = serve_tls(&acceptor, stream).await;
            let wanted = stream.get_ref().1.server_name().unwrap_or("nobody").to_owned();
            let mut request = [0; 4_096];
            drop(stream.read(&mut request).await);
            drop(stream.write_all(&ok(&format!("for {wanted}."))).await);
            drop(stream.shutdown().await);
        }
    })
    .await;
    let context = trusting(&authority);
    for (host, options, wanted) in [
        ("good.test", json!({}), "good.test"),
        ("GOOD.test.", json!({}), "good.test"),
        ("good.test", json!({ "server_name": "B\u{fc}cher.example" }), "xn--bcher-kva.example"),
        // RFC 6066, section 3: an address is no name.
        ("127.0.0.1", json!({}), "nobody"),
        ("good.test", json!({ "server_name": "127.0.0.1" }), "nobody"),
    ] {
        let target = format!("https://{host}:{}/", server.address.port());
        let mut more = json!({ "tls": options, "expect": { "body": format!("for {wanted}.") } });
        if !host.starts_with("127") {
            more["network"] = json!({ "addresses": ["127.0.0.1"] });
        }
        let seen = probe::run(&context, &monitor(&target, more), &check_id()).await;
        ended(&seen, Outcome::Ok, None);
    }
}
