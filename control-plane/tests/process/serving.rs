//! `serve`, from its start to its end.

use crate::program::Place;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn it_answers_probes_and_stops_cleanly_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new();
        let program = place.serve(&[]);
        for path in ["/health", "/live", "/ready"] {
            assert_eq!(program.get(path).0, 200, "{path}");
        }
        let (status, body) = program.get("/metrics");
        assert_eq!(status, 200);
        assert!(body.contains("hyperverge_build_info{"), "{body}");
        assert!(body.contains("http_requests_total{status=\"200\"} 3"), "{body}");
        let listen = format!("server.listen={}", program.address);
        let probe = place.run(&["healthcheck", "--set", &listen], &[], "");
        assert_eq!(probe.code, Some(0), "{probe:?}");

        let began = monotonic();
        program.signal(signal);
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("\"message\":\"stopped\""), "{log}");
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long a real process takes")]
fn monotonic() -> Instant {
    Instant::now()
}

#[test]
fn a_replica_with_other_keys_does_not_start() {
    let place = Place::new();
    let first = place.serve(&[]);
    let other = place.path().join("others").display().to_string();
    let refused = place.run(&["serve", "--set", &format!("keys.dir={other}")], &[], "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("link.pem: is missing"), "{refused:?}");
    let seed = [("HYPERVERGE_KEYS__LINK", "07".repeat(32))];
    let environment = seed.each_ref().map(|(name, text)| (*name, text.as_str()));
    let refused = place.run(&["serve"], &environment, "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("the link key is not this installation's"), "{refused:?}");
    assert!(refused.stderr.contains("[keys] dir"), "{refused:?}");
    let second = place.serve(&["--roles", "scheduler,notifier"]);
    assert_eq!(second.get("/ready").0, 200);
    assert_eq!(second.get("/api/v1/openapi.json").0, 404, "only the role api has an API");
    assert_eq!(first.get("/api/v1/openapi.json").0, 200);
}

#[test]
fn the_api_alone_works_without_the_assignment_key() {
    let place = Place::new();
    drop(place.serve(&[]));
    std::fs::remove_file(place.path().join("keys/assignment.pem")).unwrap();
    let api = place.serve(&["--roles", "api"]);
    assert_eq!(api.get("/ready").0, 200);
    let scheduler = place.run(&["serve", "--roles", "scheduler"], &[], "");
    assert_eq!(scheduler.code, Some(1), "{scheduler:?}");
    assert!(scheduler.stderr.contains("assignment.pem: is missing"), "{scheduler:?}");
}

#[test]
fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (place.path().join("cert.pem"), place.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let cert_flag = format!("server.tls_cert={}", cert.display());
    let key_flag = format!("server.tls_key={}", key.display());

    let half = place.run(&["serve", "--set", &cert_flag], &[], "");
    assert!(half.stderr.contains("server.tls_key must be set together, or neither"), "{half:?}");
    let swapped = [&cert_flag, &format!("server.tls_key={}", cert.display())];
    let refused = place.run(&["serve", "--set", swapped[0], "--set", swapped[1]], &[], "");
    assert!(refused.stderr.contains("server.tls_key: "), "{refused:?}");

    let program = place.serve(&["--set", &cert_flag, "--set", &key_flag]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(program.address).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut tcp);
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut status = [0; 15];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");

    let mut plain = TcpStream::connect(program.address).unwrap();
    plain.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).ok();
    assert!(!answer.starts_with(b"HTTP"), "answered without TLS");
}

#[test]
fn a_place_that_is_taken_is_named() {
    let place = Place::new();
    let first = place.serve(&[]);
    let listen = format!("server.listen={}", first.address);
    let second = place.run(&["serve", "--set", &listen], &[], "");
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains(&format!("server.listen: {}", first.address)), "{second:?}");
}
