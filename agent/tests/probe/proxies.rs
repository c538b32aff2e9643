//! Through proxies, most of which misbehave.

use crate::serving::{
    Names, Server, answer, check, check_id, context_with, egress, ended, failed, header, loopback,
    monitor, ok, read_request, redirect,
};
use crate::tls::{Authority, serve_tls};
use hyperverge_agent::probe::{self, ProbeContext, ProbeSettings};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpSocket, TcpStream};

type Log = Arc<Mutex<Vec<String>>>;

fn through(scheme: &str, proxy: &Server, more: Value) -> Value {
    let mut http = json!({ "proxy": format!("{scheme}://mo:s%3Acret@{}", proxy.address) });
    for (key, value) in more.as_object().expect("an object") {
        http[key] = value.clone();
    }
    json!({ "http": http })
}

/// A TLS server that says "safe" once.
async fn safe(authority: &Authority) -> Server {
    let acceptor = authority.acceptor(&["good.test", "127.0.0.1"]);
    Server::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = serve_tls(&acceptor, stream).await;
            let mut request = [0; 4_096];
            if stream.read(&mut request).await.is_ok() {
                drop(stream.write_all(&ok("safe")).await);
                drop(stream.shutdown().await);
            }
        }
    })
    .await
}

/// Reads a head and no byte more.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Connects to `behind`, whatever it was asked for, and notes what that was.
async fn tunnel(mut stream: impl AsyncRead + AsyncWrite + Unpin, behind: SocketAddr, log: Log) {
    let head = read_head(&mut stream).await;
    log.lock().expect("the log").push(head);
    let mut target = TcpStream::connect(behind).await.expect("the target");
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.expect("a client");
    drop(copy_bidirectional(&mut stream, &mut target).await);
}

async fn connecting(behind: SocketAddr) -> (Server, Log) {
    let log = Log::default();
    let noted = Arc::clone(&log);
    let server = Server::raw(move |stream| tunnel(stream, behind, Arc::clone(&noted))).await;
    (server, log)
}

/// A SOCKS5 proxy with user and password, and what it was asked for.
async fn socks(behind: SocketAddr) -> (Server, Log) {
    let log = Log::default();
    let noted = Arc::clone(&log);
    let server = Server::raw(move |mut stream| {
        let log = Arc::clone(&noted);
        async move {
            assert_eq!(read::<4>(&mut stream).await, [5, 2, 0, 2]);
            stream.write_all(&[5, 2]).await.expect("a client");
            assert_eq!(&read::<11>(&mut stream).await, b"\x01\x02mo\x06s:cret");
            stream.write_all(&[1, 0]).await.expect("a client");
            let [_, _, _, kind] = read::<4>(&mut stream).await;
            let mut address =
                vec![
                    0;
                    if kind == 3 { stream.read_u8().await.expect("a length").into() } else { 4 }
                ];
            stream.read_exact(&mut address).await.expect("an address");
            let port = stream.read_u16().await.expect("a port");
            let address = String::from_utf8_lossy(&address).into_owned();
            log.lock().expect("the log").push(format!("{kind} {address} {port}"));
            let mut target = TcpStream::connect(behind).await.expect("the target");
            let reply = [&[5, 0, 0, 3, 4][..], b"host", &[0, 80]].concat();
            stream.write_all(&reply).await.expect("a client");
            drop(copy_bidirectional(&mut stream, &mut target).await);
        }
    })
    .await;
    (server, log)
}

async fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.expect("bytes");
    bytes
}

fn trusting(authority: &Authority) -> ProbeContext {
    context_with(ProbeSettings {
        ca_pem: Some(authority.pem()),
        resolver: Some(Names::of(&[])),
        ..loopback()
    })
}

async fn check_in(context: &ProbeContext, target: &str, more: Value) -> Observation {
    probe::run(context, &monitor(target, more), &check_id()).await
}

#[tokio::test]
async fn a_plain_request_names_the_whole_url() {
    let log = Log::default();
    let noted = Arc::clone(&log);
    let proxy = Server::answering(move |request| {
        noted.lock().expect("the log").push(request.to_owned());
        if request.contains("/moved") { redirect(302, "/next?q=1") } else { ok("from afar") }
    })
    .await;
    // Nobody here knows the name: the proxy does.
    let seen = check("http://far.test:81/moved", through("http", &proxy, json!({}))).await;
    ended(&seen, Outcome::Ok, None);
    assert_eq!((seen.address, seen.redirects), (Some(proxy.address), 1));
    let asked = log.lock().expect("the log").clone();
    assert!(asked[0].starts_with("GET http://far.test:81/moved HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[1].starts_with("GET http://far.test:81/next?q=1 HTTP/1.1\r\n"), "{asked:?}");
    for request in &asked {
        assert_eq!(header(request, "host").as_deref(), Some("far.test:81"));
        let value = header(request, "proxy-authorization");
        assert_eq!(value.as_deref(), Some("Basic bW86czpjcmV0"));
    }
}

#[tokio::test]
async fn a_tunnel_hides_everything_but_the_host() {
    let authority = Authority::new();
    let target = safe(&authority).await;
    let (proxy, log) = connecting(target.address).await;
    let context = trusting(&authority);
    let mut more = through("http", &proxy, json!({ "headers": { "X-Key": "hunter2" } }));
    more["expect"] = json!({ "body": "safe" });
    let seen = check_in(&context, "https://good.test/path?token=1", more.clone()).await;
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.tls.is_some() && seen.certificate_expires_s.is_some(), "{seen:?}");
    let asked = log.lock().expect("the log").pop().expect("a request");
    assert_eq!(
        asked,
        "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\
         Proxy-Authorization: Basic bW86czpjcmV0\r\n\r\n"
    );
    // The certificate is still the target's, and still verified.
    let seen = check_in(&context, "https://other.test/", more).await;
    failed(&seen, Reason::TlsWrongHost);
}

#[tokio::test]
async fn a_proxy_may_speak_tls_itself() {
    let authority = Authority::new();
    let target = safe(&authority).await;
    let log = Log::default();
    let (noted, behind) = (Arc::clone(&log), target.address);
    let acceptor = authority.acceptor(&["127.0.0.1"]);
    let proxy = Server::raw(move |stream| {
        let (acceptor, log) = (acceptor.clone(), Arc::clone(&noted));
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                tunnel(stream, behind, log).await;
            }
        }
    })
    .await;
    let mut more = through("https", &proxy, json!({}));
    more["expect"] = json!({ "body": "safe" });
    let seen = check_in(&trusting(&authority), "https://good.test/", more.clone()).await;
    ended(&seen, Outcome::Ok, None);
    let stranger = Authority::new();
    let seen = check_in(&trusting(&stranger), "https://good.test/", more).await;
    failed(&seen, Reason::Proxy);
    assert!(seen.message.contains("certificate"), "{}", seen.message);
    assert_eq!(seen.certificate_expires_s, None, "the proxy's certificate is not the target's");
}

#[tokio::test]
async fn socks_carries_either() {
    let authority = Authority::new();
    let secure = safe(&authority).await;
    let plain = Server::saying(ok("safe")).await;
    let context = trusting(&authority);
    for (target, behind, asked) in [
        ("http://far.test/", plain.address, "3 far.test 80"),
        ("https://good.test:8443/", secure.address, "3 good.test 8443"),
        ("https://127.0.0.1/", secure.address, "1 \u{7f}\0\0\u{1} 443"),
    ] {
        let (proxy, log) = socks(behind).await;
        let mut more = through("socks5", &proxy, json!({}));
        more["expect"] = json!({ "body": "safe" });
        ended(&check_in(&context, target, more).await, Outcome::Ok, None);
        assert_eq!(log.lock().expect("the log").as_slice(), [asked]);
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let authority = Authority::new();
    let context = trusting(&authority);
    let too_long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(20_000));
    for (text, says) in [
        (answer("407 Authenticate", "", ""), "wants other credentials (407)"),
        (answer("403 Forbidden", "", "no"), "answered 403 when asked to connect"),
        (answer("502 Bad Gateway", "", ""), "answered 502 when asked to connect"),
        (b"HTTP/1.1 200 OK\r\n\r\nand more".to_vec(), "does not speak its protocol"),
        (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), "does not speak its protocol"),
        (b"HTTP/1.1 2".to_vec(), "closed the connection"),
        (Vec::new(), "closed the connection"),
        (too_long.into_bytes(), "does not speak its protocol"),
    ] {
        let proxy = Server::saying(text).await;
        let more = through("http", &proxy, json!({}));
        let seen = check_in(&context, "https://good.test/", more).await;
        failed(&seen, Reason::Proxy);
        assert_eq!(seen.message, format!("the proxy {} {says}", proxy.address));
    }
    // A plain request that the proxy itself answers so.
    let proxy = Server::saying(answer("407 Authenticate", "", "")).await;
    let seen = check("http://far.test/", through("http", &proxy, json!({}))).await;
    failed(&seen, Reason::Proxy);
}

#[tokio::test]
async fn a_socks_proxy_that_refuses_is_named() {
    for (script, says) in [
        (vec![vec![5, 0xff]], "wants other credentials"),
        (vec![vec![4, 0]], "does not speak its protocol"),
        (vec![b"HTTP".to_vec()], "does not speak its protocol"),
        (vec![vec![5, 2], vec![1, 1]], "refused user and password"),
        (vec![vec![5, 0], vec![5, 5, 0, 1]], "did not connect: the connection was refused"),
        (vec![vec![5, 0], vec![5, 4, 0, 1]], "did not connect: the host is unreachable"),
        (vec![vec![5, 0], vec![5, 99, 0, 1]], "did not connect: a general failure"),
        (vec![vec![5, 0], vec![5, 0, 0, 9]], "does not speak its protocol"),
        (vec![vec![5, 0], vec![5, 0, 0, 1, 0]], "closed the connection"),
        (vec![], "closed the connection"),
    ] {
        let steps = Arc::new(script);
        let proxy = Server::raw(move |mut stream| {
            let steps = Arc::clone(&steps);
            async move {
                let mut request = [0; 512];
                for step in steps.iter() {
                    if stream.read(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                    drop(stream.write_all(step).await);
                }
                drop(stream.shutdown().await);
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
            }
        })
        .await;
        let seen = check("http://far.test/", through("socks5", &proxy, json!({}))).await;
        failed(&seen, Reason::Proxy);
        assert_eq!(seen.message, format!("the proxy {} {says}", proxy.address));
    }
}

#[tokio::test]
async fn a_proxy_that_hangs_runs_into_the_timeout() {
    let authority = Authority::new();
    for scheme in ["http", "socks5"] {
        let proxy = Server::raw(|mut stream| async move {
            read_request(&mut stream).await;
            std::future::pending::<()>().await;
        })
        .await;
        let mut more = through(scheme, &proxy, json!({}));
        more["timeout"] = json!("300ms");
        let seen = check_in(&trusting(&authority), "https://good.test/", more.clone()).await;
        failed(&seen, Reason::TimeoutConnect);
        // Nor does that show that the target cannot be reached.
        more["invert"] = json!(true);
        let seen = check_in(&trusting(&authority), "https://good.test/", more).await;
        failed(&seen, Reason::TimeoutConnect);
    }
    // A proxy that would speak TLS, and does not.
    let proxy = Server::raw(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut more = through("https", &proxy, json!({}));
    (more["timeout"], more["invert"]) = (json!("300ms"), json!(true));
    let seen = check_in(&trusting(&authority), "https://good.test/", more).await;
    failed(&seen, Reason::TimeoutTls);
    // Bound and never listening, so that the port is ours and refuses.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = socket.local_addr().expect("its address");
    let mut more = json!({ "http": { "proxy": format!("http://{address}") } });
    let seen = check("http://far.test/", more.clone()).await;
    failed(&seen, Reason::Proxy);
    more["invert"] = json!(true);
    failed(&check("http://far.test/", more).await, Reason::Proxy);
    assert_eq!(
        seen.message,
        format!("the proxy was not reached: {address} refused the connection")
    );
}

#[tokio::test]
async fn neither_proxy_nor_target_may_be_a_refused_address() {
    let log = Log::default();
    let noted = Arc::clone(&log);
    let proxy = Server::answering(move |request| {
        noted.lock().expect("the log").push(request.to_owned());
        redirect(302, "http://10.0.0.1/")
    })
    .await;
    let refused = |seen: &Observation| ended(seen, Outcome::Policy, Some(Reason::PolicyAddress));
    for target in ["http://10.0.0.1/", "http://[fd00::1]/", "https://192.168.1.1:8443/"] {
        for scheme in ["http", "socks5"] {
            refused(&check(target, through(scheme, &proxy, json!({}))).await);
        }
    }
    assert!(log.lock().expect("the log").is_empty());
    // Where a redirect leads is judged too.
    refused(&check("http://far.test/", through("http", &proxy, json!({}))).await);
    assert_eq!(log.lock().expect("the log").len(), 1);
    let strict = context_with(ProbeSettings { egress: egress(&[]), ..loopback() });
    refused(&check_in(&strict, "http://far.test/", through("http", &proxy, json!({}))).await);
    let named = json!({ "http": { "proxy": "http://inside.test:3128" } });
    let resolver = Names::of(&[("inside.test", &[&["127.0.0.1", "10.0.0.1"]])]);
    let context = context_with(ProbeSettings { resolver: Some(resolver), ..loopback() });
    refused(&check_in(&context, "http://far.test/", named).await);
    assert_eq!(log.lock().expect("the log").len(), 1);
}
