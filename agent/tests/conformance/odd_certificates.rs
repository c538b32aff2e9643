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
