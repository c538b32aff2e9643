//! Phases are the target's times, however busy the agent is.
//!
//! The thread that checks is kept busy four fifths of the time, in bursts far
//! longer than what is asked of the phases. The target is a thread of its own
//! which notes what it did and when, so that a machine with much else to do
//! delays what is measured and what it is compared with alike.

use crate::serving::{Names, check_id, context_with, ended, failed, loopback, monitor};
use crate::tls::Authority;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, MessageType};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record};
use hyperverge_agent::clock::monotonic;
use hyperverge_agent::probe::arrival::{Arrivals, ask_for_stamps};
use hyperverge_agent::probe::datagram::DatagramSocket;
use hyperverge_agent::probe::deadline::{Deadline, Phase};
use hyperverge_agent::probe::resolve::SystemResolver;
use hyperverge_agent::probe::{Prepared, ProbeContext, ProbeSettings};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{ServerConfig, ServerConnection};
use serde_json::json;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const BURST: Duration = Duration::from_millis(20);
const REST: Duration = Duration::from_millis(5);
const CHECKS: usize = 11;
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf";

/// What the target is to do before it answers each part, and then what it did.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    tls: Duration,
    processing: Duration,
    transfer: Duration,
}

#[expect(clippy::disallowed_methods, reason = "delays are what this is about")]
fn delay(time: Duration) {
    std::thread::sleep(time);
}

/// A target on a thread of its own: each connection makes the delays that are
/// asked for, and what they came to is sent to the receiver.
fn target(delays: Times, tls: Option<Arc<ServerConfig>>) -> (SocketAddr, mpsc::Receiver<Times>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    ask_for_stamps(&listener);
    let address = listener.local_addr().expect("bound");
    let (sender, made) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nodelay(true).expect("a socket option");
            let times = match &tls {
                None => plain(stream, delays),
                Some(config) => secured(stream, delays, Arc::clone(config)),
            };
            if sender.send(times).is_err() {
                return;
            }
        }
    });
    (address, made)
}

/// Sends the answer in two parts; when the first byte went and how long the rest took.
fn answer(delays: Times, mut send: impl FnMut(&[u8])) -> (Instant, Duration) {
    delay(delays.processing);
    send(HEAD);
    let first = monotonic();
    delay(delays.transfer);
    send(b"half");
    (first, first.elapsed())
}

fn plain(mut stream: TcpStream, delays: Times) -> Times {
    let mut request = [0; 4096];
    let asked = Arrivals::new().receive(&stream, &mut request).expect("a request").at;
    let (first, transfer) = answer(delays, |bytes| stream.write_all(bytes).expect("sent"));
    Times { tls: Duration::ZERO, processing: first - asked, transfer }
}

fn secured(mut stream: TcpStream, delays: Times, config: Arc<ServerConfig>) -> Times {
    let arrivals = Arrivals::new();
    let mut session = ServerConnection::new(config).expect("a session");
    let mut bytes = [0; 16 * 1024];
    let mut feed = |session: &mut ServerConnection, stream: &TcpStream| {
        let arrival = arrivals.receive(stream, &mut bytes).expect("bytes");
        let mut rest = &bytes[..arrival.bytes];
        while !rest.is_empty() {
            session.read_tls(&mut rest).expect("room");
            session.process_new_packets().expect("TLS");
        }
        arrival.at
    };
    let greeted = feed(&mut session, &stream);
    delay(delays.tls);
    let flush = |session: &mut ServerConnection, stream: &mut TcpStream| {
        let mut flight = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut flight).expect("memory");
        }
        stream.write_all(&flight).expect("sent");
    };
    flush(&mut session, &mut stream);
    let tls = greeted.elapsed();
    let asked = loop {
        let at = feed(&mut session, &stream);
        if session.process_new_packets().expect("TLS").plaintext_bytes_to_read() > 0 {
            break at;
        }
        flush(&mut session, &mut stream);
    };
    let (first, transfer) = answer(delays, |bytes| {
        session.writer().write_all(bytes).expect("memory");
        flush(&mut session, &mut stream);
    });
    Times { tls, processing: first - asked, transfer }
}

/// Keeps the runtime's only thread busy.
async fn be_busy() {
    loop {
        let began = monotonic();
        while began.elapsed() < BURST {
            std::hint::spin_loop();
        }
        tokio::time::sleep(REST).await;
    }
}

/// How far each phase was from what the target did, over all checks, and how
/// late the agent was to end the whole check.
#[derive(Debug, Default)]
struct Errors {
    connect: Vec<f64>,
    tls: Vec<f64>,
    processing: Vec<f64>,
    transfer: Vec<f64>,
    late: Vec<f64>,
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn median(errors: &[f64]) -> f64 {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn most(errors: &[f64]) -> f64 {
    errors.iter().copied().fold(0.0, f64::max)
}

fn within(errors: &[f64], made: Duration) -> bool {
    median(errors).abs() <= (ms(made) * 0.02).max(1.0)
}

async fn measure(context: &ProbeContext, url: &str, made: &mpsc::Receiver<Times>) -> Errors {
    let check = Prepared::new(context, &monitor(url, json!({})));
    let mut errors = Errors::default();
    for _ in 0..CHECKS {
        let began = monotonic();
        let seen = check.run(context, &check_id()).await;
        let whole = began.elapsed();
        ended(&seen, Outcome::Ok, None);
        let truth = made.recv().expect("the target is there");
        let error = |phase: Option<Duration>, truth| ms(phase.unwrap_or_default()) - ms(truth);
        errors.connect.push(error(seen.phases.connect, Duration::ZERO));
        errors.tls.push(error(seen.phases.tls, truth.tls));
        errors.processing.push(error(seen.phases.processing, truth.processing));
        errors.transfer.push(error(seen.phases.transfer, truth.transfer));
        errors.late.push(ms(whole) - ms(truth.tls + truth.processing + truth.transfer));
    }
    errors
}

const DELAYS: Times = Times {
    tls: Duration::from_millis(61),
    processing: Duration::from_millis(37),
    transfer: Duration::from_millis(83),
};

#[tokio::test]
async fn a_busy_agent_times_http_truly() {
    let (address, made) = target(DELAYS, None);
    let context = context_with(loopback());
    let busy = tokio::spawn(be_busy());
    let errors = measure(&context, &format!("http://{address}/"), &made).await;
    busy.abort();
    assert!(most(&errors.late) > 5.0, "the agent was not busy: {errors:?}");
    assert!(within(&errors.connect, Duration::ZERO), "connect: {errors:?}");
    assert!(within(&errors.processing, DELAYS.processing), "processing: {errors:?}");
    assert!(within(&errors.transfer, DELAYS.transfer), "transfer: {errors:?}");
}

#[tokio::test]
async fn a_busy_agent_times_https_truly() {
    let authority = Authority::new();
    let config = Arc::clone(authority.acceptor(&["slow.test"]).config());
    let (address, made) = target(DELAYS, Some(config));
    let context = context_with(ProbeSettings {
        ca_pem: Some(authority.pem()),
        resolver: Some(Names::of(&[("slow.test", &[&["127.0.0.1"]])])),
        ..loopback()
    });
    let busy = tokio::spawn(be_busy());
    let errors = measure(&context, &format!("https://slow.test:{}/", address.port()), &made).await;
    busy.abort();
    assert!(most(&errors.late) > 5.0, "the agent was not busy: {errors:?}");
    assert!(within(&errors.connect, Duration::ZERO), "connect: {errors:?}");
    assert!(within(&errors.tls, DELAYS.tls), "tls: {errors:?}");
    assert!(within(&errors.processing, DELAYS.processing), "processing: {errors:?}");
    assert!(within(&errors.transfer, DELAYS.transfer), "transfer: {errors:?}");
}

/// A name server on a thread of its own, that answers each question after `after`.
/// How long each took is sent to the receiver.
fn late_name_server(after: Duration) -> (SocketAddr, mpsc::Receiver<Duration>) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    ask_for_stamps(&socket);
    let address = socket.local_addr().expect("bound");
    let (sender, took) = mpsc::channel();
    std::thread::spawn(move || {
        let (arrivals, mut question) = (Arrivals::new(), [0; 512]);
        while let Ok(asked) = arrivals.receive(&socket, &mut question) {
            let mut answer = Message::from_vec(&question[..asked.bytes]).expect("a question");
            answer.metadata.message_type = MessageType::Response;
            let name = answer.queries[0].name().clone();
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(127, 0, 0, 1))));
            let bytes = answer.to_vec().expect("an answer");
            delay(after);
            let answered = monotonic();
            socket.send_to(&bytes, asked.from.expect("a sender")).expect("sent");
            if sender.send(answered - asked.at).is_err() {
                return;
            }
        }
    });
    (address, took)
}

#[tokio::test]
async fn a_busy_agent_times_lookups_truly() {
    const DELAY: Duration = Duration::from_millis(43);
    let (names, took) = late_name_server(DELAY);
    let (address, _made) = target(Times::default(), None);
    let mut by = ConnectionConfig::udp();
    by.port = names.port();
    let server = NameServerConfig::new(names.ip(), true, vec![by]);
    let resolver = SystemResolver::with_config(ResolverConfig::from_name_servers(vec![server]));
    let context = context_with(ProbeSettings { resolver: Some(Arc::new(resolver)), ..loopback() });
    let url = format!("http://late.test:{}/", address.port());
    let check = Prepared::new(&context, &monitor(&url, json!({ "network": { "family": "ipv4" } })));
    let busy = tokio::spawn(be_busy());
    let mut errors = Vec::new();
    for _ in 0..CHECKS {
        let seen = check.run(&context, &check_id()).await;
        ended(&seen, Outcome::Ok, None);
        let truth = took.recv().expect("the name server is there");
        errors.push(ms(seen.phases.resolve.expect("looked up")) - ms(truth));
    }
    busy.abort();
    assert!(within(&errors, DELAY), "{errors:?}");
}

/// Checks with a timeout of a second while the agent is as good as stopped; the
/// target answers so long after the check began. What was seen, and the time
/// from the check's beginning to the answer.
async fn answered_while_stopped(after: Duration) -> (Observation, Duration) {
    let timeout = Duration::from_secs(1);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (asked_tx, asked) = tokio::sync::oneshot::channel();
    let (answer_tx, answer) = mpsc::channel();
    let (answered_tx, answered) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        std::io::Read::read(&mut stream, &mut [0; 4096]).expect("a request");
        asked_tx.send(()).expect("the test waits");
        answer.recv().expect("the test waits");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("sent");
        answered_tx.send(monotonic()).expect("the test waits");
        answer.recv().expect_err("the test has ended");
    });
    let context = context_with(loopback());
    let began = monotonic();
    let spin_until = move |end: Duration| {
        while began.elapsed() < end {
            std::hint::spin_loop();
        }
    };
    let stopping = tokio::spawn(async move {
        asked.await.expect("a request");
        spin_until(after);
        answer_tx.send(()).expect("the target waits");
        let answered = answered.recv().expect("an answer");
        spin_until(timeout * 3 / 2);
        (answered - began, answer_tx)
    });
    let spec = monitor(&format!("http://{address}/"), json!({ "timeout": "1s" }));
    let seen = Prepared::new(&context, &spec).run(&context, &check_id()).await;
    let noticed = began.elapsed();
    let (answered, _keep) = stopping.await.expect("no panic");
    assert!(noticed > timeout, "noticed after {noticed:?}, which is no stop");
    (seen, answered)
}

#[tokio::test]
async fn an_answer_that_came_in_time_is_no_timeout() {
    let (seen, answered) = answered_while_stopped(Duration::ZERO).await;
    assert!(answered < Duration::from_secs(1), "{answered:?}");
    ended(&seen, Outcome::Ok, None);
    assert!(seen.phases.total() <= answered + Duration::from_millis(1), "{seen:?}");
}

#[tokio::test]
async fn one_that_came_too_late_is_a_timeout_whenever_it_is_read() {
    let (seen, _) = answered_while_stopped(Duration::from_millis(1_200)).await;
    failed(&seen, Reason::TimeoutProcessing);
    assert!(seen.phases.processing > Some(Duration::from_secs(1)), "{seen:?}");
}

/// As above with more checks under way than the runtime hears of at once.
#[tokio::test]
async fn nor_is_any_of_thousands_of_answers() {
    const CHECKS: usize = 2_500;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("raised");
    let target = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = target.local_addr().expect("bound");
    let timeout = Span::from_secs(2);
    let end = monotonic() + timeout.0;
    let mut checks = Vec::new();
    let mut sources = Vec::new();
    for _ in 0..CHECKS {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        sources.push(socket.local_addr().expect("bound"));
        let mut socket = DatagramSocket::new(socket).expect("a socket");
        checks.push(tokio::spawn(async move {
            let timer = pin!(tokio::time::sleep_until(tokio::time::Instant::from_std(end)));
            let mut deadline = Deadline::new(end, timeout, timer);
            let mut buffer = [0; 16];
            let received = deadline.within(Phase::Processing, socket.receive(&mut buffer)).await;
            received.map(|arrival| arrival.expect("a datagram"))
        }));
    }
    // Every check waits now; while they are held up, every one is answered.
    tokio::task::yield_now().await;
    for source in sources {
        target.send_to(b"pong", source).expect("sent");
    }
    let answered = monotonic();
    assert!(answered < end, "this machine is too slow for the test to say anything");
    while monotonic() < end + Duration::from_millis(100) {
        std::hint::spin_loop();
    }
    for check in checks {
        let arrival = check.await.expect("no panic").expect("an answer that came in time");
        assert!(arrival.at <= answered && arrival.from == Some(address), "{arrival:?}");
    }
}
