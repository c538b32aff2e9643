//! A zoo of broken certificates and outdated servers, each with its own reason,
//! for `kind: tls` and for https alike.

use crate::servers::{Daemon, caddy, free_port, nginx, openssl, s_server};
use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason, TlsFacts};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tempfile::TempDir;

pub(crate) const NAME: &str = "good.test";

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A root that is trusted, and an authority below it.
struct Keeper {
    root: Issuer,
    intermediate: Issuer,
}

/// What a server shows: its chain and key, in PEM form.
struct Beast {
    chain: String,
    key: String,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn leaf(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, "The Beast");
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

impl Keeper {
    fn new() -> Self {
        let root = Issuer::self_signed(authority("Zoo Root"), key()).expect("a root");
        let mut params = authority("Zoo Intermediate");
        params.not_after = date_time_ymd(2089, 1, 1);
        let intermediate = Issuer::signed_by(params, key(), &root).expect("an intermediate");
        Self { root, intermediate }
    }

    /// A certificate by `issuer`, sent with `rest` of the chain.
    fn beast(params: CertificateParams, issuer: &Issuer, rest: &[&Issuer]) -> Beast {
        let key = key();
        let leaf = params.signed_by(&key, issuer).expect("a certificate");
        let rest: String = rest.iter().map(|issuer| issuer.pem()).collect();
        Beast { chain: leaf.pem() + &rest, key: key.serialize_pem() }
    }

    fn ordinary(&self, params: CertificateParams) -> Beast {
        Self::beast(params, &self.intermediate, &[&self.intermediate])
    }

    /// Checks `at` as `kind` (`tls` or `http`), with `more` in the monitor.
    async fn check(&self, kind: &str, at: SocketAddr, more: Value) -> Observation {
        check(&trusting(self.root.pem()), kind, at, more).await
    }
}

/// Trusts the authorities in `pem` beside the public ones.
pub(crate) fn trusting(pem: String) -> ProbeContext {
    let settings = ProbeSettings {
        egress: EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")] },
        ca_pem: Some(pem.into_bytes()),
        ..ProbeSettings::default()
    };
    ProbeContext::new(settings).expect("a context")
}

pub(crate) async fn check(
    context: &ProbeContext,
    kind: &str,
    at: SocketAddr,
    more: Value,
) -> Observation {
    let target = match kind {
        "http" => format!("https://{NAME}:{}/", at.port()),
        _ => format!("{NAME}:{}", at.port()),
    };
    let mut spec = json!({
        "name": "zoo", "kind": kind, "target": target, "timeout": "20s",
        "network": { "addresses": ["127.0.0.1"] },
    });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    let spec = MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON"));
    let id = CheckId { monitor_name: "zoo", region: "here", slot: 1 };
    probe::run(context, &spec.expect("a good monitor"), &id).await
}

pub(crate) fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// One nginx that shows each of `beasts` at an address of its own.
fn enclose(beasts: &[&Beast]) -> (Daemon, Vec<SocketAddr>) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut servers = String::new();
    let mut addresses = Vec::new();
    for (at, beast) in beasts.iter().enumerate() {
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(format!("{at}.{name}")), text).expect("a file");
        };
        file("pem", &beast.chain);
        file("key", &beast.key);
        // None is taken before nginx starts, so the same one may be handed out twice.
        let free = std::iter::repeat_with(address).find(|free| !addresses.contains(free));
        let address = free.expect("a free port");
        addresses.push(address);
        servers += &format!(
            "server {{ listen {address} ssl; ssl_certificate {at}.pem; ssl_certificate_key {at}.key;
                location / {{ return 200 \"well\\n\"; }} }}\n"
        );
    }
    (nginx(dir, &servers, &addresses), addresses)
}

pub(crate) fn facts(seen: &Observation) -> &TlsFacts {
    seen.details.as_ref().and_then(|details| details.tls.as_ref()).expect("facts")
}

#[track_caller]
pub(crate) fn ended(seen: &Observation, outcome: Outcome, reason: Option<Reason>) {
    assert_eq!((seen.outcome, seen.reason), (outcome, reason), "{seen:?}");
}

#[tokio::test]
async fn each_broken_certificate_has_its_own_reason() {
    let keeper = Keeper::new();
    let stranger = Issuer::self_signed(authority("Stranger"), key()).expect("a root");
    let hers =
        Issuer::signed_by(authority("Her Intermediate"), key(), &stranger).expect("an authority");
    let mut params = authority("Old Intermediate");
    params.not_after = date_time_ymd(2020, 1, 1);
    let old = Issuer::signed_by(params, key(), &keeper.root).expect("an intermediate");
    let mut expired = leaf(NAME);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut early = leaf(NAME);
    early.not_before = date_time_ymd(2085, 1, 1);
    let own_key = key();
    let own = leaf(NAME).self_signed(&own_key).expect("a certificate");
    let zoo = [
        (keeper.ordinary(leaf(NAME)), None, ""),
        (keeper.ordinary(expired), Some(Reason::TlsExpired), "has expired"),
        (keeper.ordinary(early), Some(Reason::TlsNotYetValid), "is not valid yet"),
        (keeper.ordinary(leaf("other.test")), Some(Reason::TlsWrongHost), "other.test"),
        (
            Beast { chain: own.pem(), key: own_key.serialize_pem() },
            Some(Reason::TlsSelfSigned),
            "is self-signed",
        ),
        (
            Keeper::beast(leaf(NAME), &stranger, &[&stranger]),
            Some(Reason::TlsUnknownIssuer),
            "\"Stranger\"",
        ),
        (
            Keeper::beast(leaf(NAME), &keeper.intermediate, &[]),
            Some(Reason::TlsIncompleteChain),
            "\"Zoo Intermediate\"",
        ),
        // As servers should: all but the root, which nobody here knows.
        (
            Keeper::beast(leaf(NAME), &hers, &[&hers]),
            Some(Reason::TlsUnknownIssuer),
            "\"Stranger\", an authority that is not trusted",
        ),
        (
            Keeper::beast(leaf(NAME), &hers, &[]),
            Some(Reason::TlsIncompleteChain),
            "\"Her Intermediate\", whom the server did not send",
        ),
        (
            Keeper::beast(leaf(NAME), &old, &[&old]),
            Some(Reason::TlsExpired),
            "\"Old Intermediate\", which has expired",
        ),
    ];
    let beasts: Vec<&Beast> = zoo.iter().map(|(beast, ..)| beast).collect();
    let (_nginx, addresses) = enclose(&beasts);
    for ((_, reason, says), at) in zoo.iter().zip(addresses) {
        for kind in ["tls", "http"] {
            let seen = keeper.check(kind, at, json!({})).await;
            let outcome = if reason.is_some() { Outcome::Fail } else { Outcome::Ok };
            ended(&seen, outcome, *reason);
            assert!(seen.message.contains(says), "{seen:?}");
            assert_eq!(facts(&seen).subject, "The Beast");
            // Who only looks sees the same certificate.
            let section = if kind == "tls" { "tls" } else { "http" };
            let look = keeper.check(kind, at, json!({ section: { "verify": false } })).await;
            ended(&look, Outcome::Ok, None);
            assert_eq!(facts(&look).fingerprint, facts(&seen).fingerprint);
        }
    }
}

#[tokio::test]
async fn facts_pins_and_days_of_a_good_chain() {
    let keeper = Keeper::new();
    let (_nginx, at) = enclose(&[&keeper.ordinary(leaf(NAME))]);
    for kind in ["tls", "http"] {
        let seen = keeper.check(kind, at[0], json!({})).await;
        ended(&seen, Outcome::Ok, None);
        let facts = facts(&seen).clone();
        assert_eq!((facts.version.as_str(), facts.issuer.as_str()), ("1.3", "Zoo Intermediate"));
        assert!(facts.cipher.starts_with("TLS_"), "{facts:?}");
        // 2090 and 2089.
        assert_eq!((facts.leaf_expires_s, facts.chain_expires_s), (3_786_912_000, 3_755_376_000));
        assert_eq!(seen.certificate_expires_s, Some(facts.leaf_expires_s));
        let pinned = |pin: &str| json!({ "tls": { "pins": [pin] } });
        let seen = keeper.check(kind, at[0], pinned(&facts.fingerprint)).await;
        ended(&seen, Outcome::Ok, None);
        let seen = keeper.check(kind, at[0], pinned(&"0".repeat(64))).await;
        ended(&seen, Outcome::Fail, Some(Reason::TlsPin));
    }
    let offering = |protocol: &str| json!({ "tls": { "alpn": [protocol] } });
    ended(&keeper.check("tls", at[0], offering("http/1.1")).await, Outcome::Ok, None);
    let seen = keeper.check("tls", at[0], offering("imap")).await;
    ended(&seen, Outcome::Fail, Some(Reason::TlsHandshake));
    let newest = json!({ "tls": { "min_version": "1.3" } });
    ended(&keeper.check("tls", at[0], newest).await, Outcome::Ok, None);
}

/// A folder with `cert.pem` and `key.pem` that OpenSSL made, by the keeper's root.
fn issued(keeper: &Keeper, key: &str, digest: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("a file");
    };
    write("ca.pem", &keeper.root.pem());
    write("ca.key", &keeper.root.key().serialize_pem());
    write("names", &format!("subjectAltName=DNS:{NAME}\n"));
    let request = format!("req -new {key} -nodes -subj /CN=Beast -keyout key.pem -out request");
    openssl(dir.path(), &request);
    let sign = format!(
        "x509 -req -in request -CA ca.pem -CAkey ca.key -set_serial 7 -days 30 {digest} \
         -extfile names -out cert.pem"
    );
    openssl(dir.path(), &sign);
    dir
}

#[tokio::test]
async fn weak_servers_are_weak() {
    let keeper = Keeper::new();
    const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
    const RSA: &str = "-newkey rsa:2048";
    let any = ["-cipher", "ALL:@SECLEVEL=0"];
    let versions = "offers only versions of TLS that are not accepted";
    let zoo: [(&str, &str, &[&str], &str); 7] = [
        (EC, "-sha256", &any, ""),
        (RSA, "-sha256", &["-tls1_2"], ""),
        (EC, "-sha1", &any, "is signed with SHA-1"),
        ("-newkey rsa:1024", "-sha256", &any, "of only 1024 bits"),
        (EC, "-sha256", &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], versions),
        (EC, "-sha256", &["-tls1", "-cipher", "ALL:@SECLEVEL=0"], versions),
        // Without forward secrecy.
        (RSA, "-sha256", &["-tls1_2", "-cipher", "AES128-SHA"], "no cipher"),
    ];
    for (key, digest, options, says) in zoo {
        let at = address();
        let _server = s_server(issued(&keeper, key, digest), at, options);
        for kind in ["tls", "http"] {
            let seen = keeper.check(kind, at, json!({})).await;
            match says {
                "" => ended(&seen, Outcome::Ok, None),
                _ => ended(&seen, Outcome::Fail, Some(Reason::TlsWeak)),
            }
            assert!(seen.message.contains(says), "{options:?} {seen:?}");
        }
    }
}

const P521: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-521";

#[tokio::test]
async fn a_server_with_a_key_of_p_521_is_verified() {
    let keeper = Keeper::new();
    // In TLS 1.2 it looks for the curve among our groups too.
    for options in [&[][..], &["-tls1_3"], &["-tls1_2"]] {
        let at = address();
        let _server = s_server(issued(&keeper, P521, "-sha256"), at, options);
        for kind in ["tls", "http"] {
            let seen = keeper.check(kind, at, json!({})).await;
            ended(&seen, Outcome::Ok, None);
            assert_eq!(facts(&seen).subject, "Beast");
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_no_group_but_secp521r1_is_spoken_to() {
    let keeper = Keeper::new();
    for key in ["-newkey ec -pkeyopt ec_paramgen_curve:P-256", "-newkey rsa:2048"] {
        for version in ["-tls1_2", "-tls1_3"] {
            let at = address();
            let options = [version, "-groups", "P-521"];
            let _server = s_server(issued(&keeper, key, "-sha256"), at, &options);
            for kind in ["tls", "http"] {
                let seen = keeper.check(kind, at, json!({})).await;
                ended(&seen, Outcome::Ok, None);
                assert!(options[0].ends_with(&facts(&seen).version.replace('.', "_")), "{seen:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_kind_of_key_that_this_agent_lacks_is_not_called_old() {
    let keeper = Keeper::new();
    let key = "-newkey rsa-pss -pkeyopt rsa_keygen_bits:2048";
    for version in ["-tls1_2", "-tls1_3"] {
        let at = address();
        let _server = s_server(issued(&keeper, key, "-sha256"), at, &[version]);
        let seen = keeper.check("tls", at, json!({})).await;
        ended(&seen, Outcome::Fail, Some(Reason::TlsWeak));
        assert!(seen.message.contains("this agent does not have it (keys of RSA-PSS"), "{seen:?}");
    }
}

/// A folder with a certificate by an authority of its own, both made by OpenSSL;
/// the authority's has the key `key`. Also the authority's certificate.
fn issued_by(key: &str, digest: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path();
    std::fs::write(path.join("names"), format!("subjectAltName=DNS:{NAME}\n")).expect("a file");
    openssl(
        path,
        &format!(
            "req -x509 {key} -nodes -subj /CN=House -days 30 {digest} -keyout ca.key -out ca.pem"
        ),
    );
    let leaf = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
    openssl(path, &format!("req -new {leaf} -nodes -subj /CN=Beast -keyout key.pem -out request"));
    openssl(
        path,
        &format!(
            "x509 -req -in request -CA ca.pem -CAkey ca.key -set_serial 7 -days 30 {digest} \
             -extfile names -out cert.pem"
        ),
    );
    let authority = std::fs::read_to_string(path.join("ca.pem")).expect("a certificate");
    (dir, authority)
}

#[tokio::test]
async fn an_authority_of_the_house_may_sign_with_p_521() {
    for digest in ["-sha256", "-sha384", "-sha512"] {
        let (dir, house) = issued_by(P521, digest);
        let at = address();
        let _server = s_server(dir, at, &[]);
        ended(&check(&trusting(house.clone()), "http", at, json!({})).await, Outcome::Ok, None);
        // As the monitor's own.
        let own = json!({ "tls": { "ca": house } });
        ended(&check(&trusting(Keeper::new().root.pem()), "tls", at, own).await, Outcome::Ok, None);
        // Another authority by the same name.
        let (_, namesake) = issued_by(P521, digest);
        let seen = check(&trusting(namesake), "tls", at, json!({})).await;
        ended(&seen, Outcome::Fail, Some(Reason::TlsUnknownIssuer));
    }
}

#[tokio::test]
async fn what_an_authority_of_the_house_signs_with_is_its_own_affair() {
    let (dir, house) =
        issued_by("-newkey ec -pkeyopt ec_paramgen_curve:brainpoolP256r1", "-sha256");
    let at = address();
    let _server = s_server(dir, at, &[]);
    // This agent cannot tell; that says nothing of the server.
    let seen = check(&trusting(house), "tls", at, json!({})).await;
    ended(&seen, Outcome::Unsupported, Some(Reason::UnsupportedKind));
    // Nobody here knows the house, nor can it be verified.
    let seen = check(&trusting(Keeper::new().root.pem()), "tls", at, json!({})).await;
    assert_eq!(seen.outcome, Outcome::Fail, "{seen:?}");
}

#[tokio::test]
async fn a_server_may_want_to_know_who_asks() {
    let keeper = Keeper::new();
    let stranger = Issuer::self_signed(authority("Stranger"), key()).expect("a root");
    for version in ["-tls1_2", "-tls1_3"] {
        let at = address();
        let dir = issued(&keeper, "-newkey ec -pkeyopt ec_paramgen_curve:P-256", "-sha256");
        let options = [version, "-Verify", "2", "-CAfile", "ca.pem", "-verify_return_error"];
        let _server = s_server(dir, at, &options);
        for (issuer, good) in [(Some(&keeper.root), true), (Some(&stranger), false), (None, false)]
        {
            for kind in ["tls", "http"] {
                let mut more = json!({});
                if let Some(issuer) = issuer {
                    let beast = Keeper::beast(leaf("client.test"), issuer, &[]);
                    more["tls"] = json!({ "certificate": beast.chain, "key": beast.key });
                }
                let seen = keeper.check(kind, at, more).await;
                let reason = Reason::TlsClientCertificate;
                match good {
                    true => ended(&seen, Outcome::Ok, None),
                    false => ended(&seen, Outcome::Fail, Some(reason)),
                }
            }
        }
    }
}

#[tokio::test]
async fn whoever_asks_is_judged_alike_in_every_version_of_http() {
    let keeper = Keeper::new();
    let stranger = Issuer::self_signed(authority("Stranger"), key()).expect("a root");
    let dir = issued(&keeper, "-newkey ec -pkeyopt ec_paramgen_curve:P-256", "-sha256");
    let at = address();
    let site = format!(
        "https://:{} {{
            bind 127.0.0.1
            tls cert.pem key.pem {{
                client_auth {{
                    mode require_and_verify
                    trusted_ca_cert_file ca.pem
                }}
            }}
            respond \"welcome\" 200
        }}",
        at.port()
    );
    let _caddy = caddy(dir, &site, &[at]);
    for version in ["1.1", "2", "3"] {
        for (issuer, good) in [(Some(&keeper.root), true), (Some(&stranger), false), (None, false)]
        {
            // With client certificates Caddy 2.6 takes a QUIC connection's name for another
            // host than the request's, and says 421; but then it has let us in.
            let expect = json!({ "status": ["200", "421"] });
            let mut more = json!({ "http": { "version": version }, "expect": expect });
            if let Some(issuer) = issuer {
                let mut params = leaf("client.test");
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                let beast = Keeper::beast(params, issuer, &[]);
                more["tls"] = json!({ "certificate": beast.chain, "key": beast.key });
            }
            let seen = keeper.check("http", at, more).await;
            match good {
                true => ended(&seen, Outcome::Ok, None),
                false => ended(&seen, Outcome::Fail, Some(Reason::TlsClientCertificate)),
            }
            assert_eq!(facts(&seen).subject, "Beast", "{version}");
        }
    }
}
