//! What a check costs this host in CPU time, beside what it cannot cost less than.
//!
//! Three ways to do the same thing to the same server on loopback, a new
//! connection each: `bare` writes a request to a socket and reads to the end;
//! `hyper` does it with hyper and nothing around it; `check` is the probe, with
//! egress rules, deadline, phases and judgement. The server runs on a thread of
//! its own and is not measured: the figures are the CPU time, kernel included,
//! of the one thread that asks.
//!
//! After criterion's figures come the two ratios, taken in turns so that
//! whatever the machine does meanwhile hits all three alike. The goal is at
//! most 2.0 for `check` over `hyper`.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput};
use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use hyperverge_agent::probe::{CheckId, Prepared, ProbeContext, ProbeSettings};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::Outcome;
use rustix::time::{ClockId, clock_gettime};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Checks under way at once, as in an agent with work to do.
const IN_FLIGHT: u64 = 32;
/// Loopback addresses asked in turn, so that no port range runs dry.
const ADDRESSES: u8 = 16;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\
    Content-Length: 12\r\nConnection: close\r\n\r\nall is well\n";

/// CPU time of the calling thread.
struct ThreadTime(WallTime);

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (secs, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(secs.unwrap_or_default(), nanos.unwrap_or_default())
}

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        thread_time()
    }

    fn end(&self, began: Duration) -> Duration {
        thread_time().saturating_sub(began)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

/// Answers every connection on a thread of its own, until the process ends.
fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket option");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        runtime().block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    if stream.read(&mut request).await.is_ok() {
                        drop(stream.write_all(ANSWER).await);
                    }
                });
            }
        });
    });
    address
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Bare,
    Hyper,
    Check,
}

/// The thread that asks, and what it needs for each way.
struct Asker {
    runtime: Runtime,
    context: ProbeContext,
    targets: Vec<(SocketAddr, Prepared)>,
}

impl Asker {
    fn new(port: u16) -> Self {
        let mut settings = ProbeSettings::default();
        settings.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
        let context = ProbeContext::new(settings).expect("a context");
        let targets = (1..=ADDRESSES).map(|last| {
            let address = SocketAddr::from(([127, 0, 0, last], port));
            let spec = format!(r#"{{"name": "bench", "target": "http://{address}/health"}}"#);
            let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a good monitor");
            (address, Prepared::new(&context, &spec))
        });
        Self { runtime: runtime(), targets: targets.collect(), context }
    }

    /// CPU time of asking `count` times.
    fn ask(&self, way: Way, count: u64) -> Duration {
        let began = thread_time();
        self.runtime.block_on(join_all((0..IN_FLIGHT.min(count)).map(|lane| {
            let share = count / IN_FLIGHT + u64::from(lane < count % IN_FLIGHT);
            self.lane(way, lane, share)
        })));
        thread_time().saturating_sub(began)
    }

    async fn lane(&self, way: Way, lane: u64, count: u64) {
        let check = CheckId { monitor_name: "bench", region: "here", slot: 1 };
        for turn in lane..lane + count {
            let index = usize::try_from(turn % u64::from(ADDRESSES)).unwrap_or_default();
            let (address, prepared) = &self.targets[index];
            match way {
                Way::Bare => bare(*address).await,
                Way::Hyper => with_hyper(*address).await,
                Way::Check => {
                    let seen = prepared.run(&self.context, &check).await;
                    assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
                }
            }
        }
    }
}

async fn bare(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("a socket option");
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let (mut answer, mut length) = ([0; 4096], 0);
    loop {
        match stream.read(&mut answer[length..]).await.expect("an answer") {
            0 => break,
            read => length += read,
        }
    }
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
}

async fn with_hyper(address: SocketAddr) {
    let stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("a socket option");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    let request = http::Request::get("/health")
        .header("host", "localhost")
        .header("connection", "close")
        .body(Empty::<bytes::Bytes>::new())
        .expect("a request");
    let asking = async {
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("a body").to_bytes()
    };
    let (body, connection) = tokio::join!(asking, connection);
    connection.expect("closed in order");
    assert_eq!(body.len(), 12);
}

fn main() {
    let asker = Asker::new(serve().port());
    let mut criterion =
        Criterion::default().with_measurement(ThreadTime(WallTime)).configure_from_args();
    let mut group = criterion.benchmark_group("one HTTP check on loopback, CPU time of the asker");
    group.throughput(Throughput::Elements(1));
    for (name, way) in [("bare", Way::Bare), ("hyper", Way::Hyper), ("check", Way::Check)] {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|count| asker.ask(way, count));
        });
    }
    group.finish();
    // `cargo test --benches` asks only whether everything runs.
    if !std::env::args().any(|argument| argument == "--test") {
        report_ratios(&asker);
    }
    criterion.final_summary();
}

/// Prints the median, over rounds that take turns, of each ratio.
#[expect(clippy::print_stdout, reason = "a benchmark's figures are its output")]
fn report_ratios(asker: &Asker) {
    const ROUNDS: usize = 15;
    const CHECKS: u64 = 2_000;
    let mut over_hyper = Vec::new();
    let mut over_bare = Vec::new();
    for _ in 0..ROUNDS {
        let [bare, hyper, check] =
            [Way::Bare, Way::Hyper, Way::Check].map(|way| asker.ask(way, CHECKS).as_secs_f64());
        over_hyper.push(check / hyper);
        over_bare.push(check / bare);
    }
    for (name, mut ratios) in [("hyper", over_hyper), ("bare", over_bare)] {
        ratios.sort_by(f64::total_cmp);
        let (low, median, high) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
        println!("check / {name}: {median:.2} (lowest {low:.2}, highest {high:.2})");
    }
}
