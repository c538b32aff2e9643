//! Certificates as nobody should write them any more and some houses do: what is their
//! failure, and what other clients get along with.

use crate::servers::{openssl, s_server};
use crate::zoo::{NAME, address, check, ended, facts, trusting};
use hyperverge_agent::probe::ProbeContext;
use hyperverge_protocol::outcome::{Outcome, Reason};
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

const P256: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
const RSA: &str = "-newkey rsa:2048";

/// A folder with `ca.pem`, an authority that OpenSSL made, and its key.
fn house() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let made = format!("req -x509 {P256} -nodes -subj /CN=House -keyout ca.key -out ca.pem");
    openssl(dir.path(), &made);
    dir
}

/// Makes `key.pem`, and by the authority in `dir` its certificate `cert.pem` with the
/// `extensions`, of which none make it one of X.509 version 1.
fn issue(dir: &Path, key: &str, extensions: &str) {
    openssl(dir, &format!("req -new {key} -nodes -subj /CN=Beast -keyout key.pem -out request"));
    let mut sign = "x509 -req -in request -CA ca.pem -CAkey ca.key -set_serial 7 -days 30 \
                    -out cert.pem"
        .to_owned();
    if !extensions.is_empty() {
        std::fs::write(dir.join("extensions"), extensions).expect("a file");
        sign += " -extfile extensions";
    }
    openssl(dir, &sign);
}

fn read(dir: &TempDir, name: &str) -> String {
    std::fs::read_to_string(dir.path().join(name)).expect("a file")
}

fn names() -> String {
    format!("subjectAltName=DNS:{NAME}\n")
}

/// Trusts an authority that issued nothing.
fn stranger() -> ProbeContext {
    trusting(read(&house(), "ca.pem"))
}

const UNKNOWN: &str = "1.2.3.4.5=critical,ASN1:NULL\n";

#[tokio::test]
async fn whoever_does_not_verify_takes_any_certificate_whose_key_signed() {
    let context = stranger();
    let unknown = names() + UNKNOWN;
    for (key, extensions) in [(P256, ""), (RSA, ""), (P256, unknown.as_str())] {
        for version in ["-tls1_2", "-tls1_3"] {
            let (dir, at) = (house(), address());
            issue(dir.path(), key, extensions);
            let _server = s_server(dir, at, &[version]);
            for kind in ["tls", "http"] {
                let seen = check(&context, kind, at, json!({ kind: { "verify": false } })).await;
                ended(&seen, Outcome::Ok, None);
                assert_eq!(facts(&seen).subject, "Beast");
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_version_1_that_the_monitor_names_can_name_no_host() {
    let (dir, at) = (house(), address());
    let made = format!("req -new {P256} -nodes -subj /CN={NAME} -keyout key.pem -out request");
    openssl(dir.path(), &made);
    openssl(dir.path(), "x509 -req -in request -signkey key.pem -days 30 -out cert.pem");
    let named = json!({ "tls": { "ca": read(&dir, "cert.pem") } });
    let _server = s_server(dir, at, &[]);
    for kind in ["tls", "http"] {
        let seen = check(&stranger(), kind, at, named.clone()).await;
        ended(&seen, Outcome::Fail, Some(Reason::TlsWrongHost));
        assert!(seen.message.ends_with("names no host"), "{seen:?}");
        // Not named, it is nothing but what it says of itself.
        let seen = check(&stranger(), kind, at, json!({})).await;
        ended(&seen, Outcome::Fail, Some(Reason::TlsSelfSigned));
    }
}

#[tokio::test]
async fn what_no_client_takes_is_said_in_plain_words() {
    let purpose = |purpose: &str| names() + &format!("extendedKeyUsage={purpose}\n");
    let is_for_no_server = "is not for servers, by its own extended key usage";
    for (extensions, reason, says) in [
        (
            names() + UNKNOWN,
            Reason::TlsHandshake,
            "has a critical extension that this agent does not know",
        ),
        (String::new(), Reason::TlsWrongHost, "is of X.509 version 1 or 2, which can name no host"),
        (purpose("clientAuth"), Reason::TlsHandshake, is_for_no_server),
        (purpose("anyExtendedKeyUsage"), Reason::TlsHandshake, is_for_no_server),
    ] {
        let (dir, at) = (house(), address());
        issue(dir.path(), P256, &extensions);
        let (authority, leaf) = (read(&dir, "ca.pem"), read(&dir, "cert.pem"));
        let _server = s_server(dir, at, &[]);
        for kind in ["tls", "http"] {
            let seen = check(&trusting(authority.clone()), kind, at, json!({})).await;
            ended(&seen, Outcome::Fail, Some(reason));
            assert_eq!(seen.message, format!("the certificate of {NAME}:{} {says}", at.port()));
        }
        if extensions.contains("critical") {
            // Nor does its being named make the extension a known one.
            let named = json!({ "tls": { "ca": leaf } });
            let seen = check(&stranger(), "tls", at, named).await;
            ended(&seen, Outcome::Fail, Some(reason));
            assert!(seen.message.ends_with(says), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_server_may_show_what_could_be_an_authority() {
    let authority = |more: &str| names() + "basicConstraints=critical,CA:TRUE\n" + more;
    for (key, extensions, wrong) in [
        (P256, authority(""), None),
        (RSA, names() + "basicConstraints=CA:TRUE,pathlen:0\n", None),
        // By every other rule as ever.
        (P256, authority("extendedKeyUsage=clientAuth\n"), Some(Reason::TlsHandshake)),
        (
            P256,
            "subjectAltName=DNS:other.test\nbasicConstraints=CA:TRUE\n".to_owned(),
            Some(Reason::TlsWrongHost),
        ),
    ] {
        let (dir, at) = (house(), address());
        issue(dir.path(), key, &extensions);
        let house_pem = read(&dir, "ca.pem");
        let _server = s_server(dir, at, &[]);
        for kind in ["tls", "http"] {
            let outcome = if wrong.is_some() { Outcome::Fail } else { Outcome::Ok };
            let seen = check(&trusting(house_pem.clone()), kind, at, json!({})).await;
            ended(&seen, outcome, wrong);
            let own = json!({ "tls": { "ca": house_pem } });
            ended(&check(&stranger(), kind, at, own).await, outcome, wrong);
            // An authority of the same name that did not sign it.
            if wrong.is_none() {
                let seen = check(&stranger(), kind, at, json!({})).await;
                ended(&seen, Outcome::Fail, Some(Reason::TlsUnknownIssuer));
            }
        }
    }
}
