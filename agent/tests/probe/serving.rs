//! Servers that do exactly what a test says, and monitors of them.

use futures_util::future::BoxFuture;
use hyperverge_agent::probe::failure::Failure;
use hyperverge_agent::probe::resolve::Resolve;
use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::{Family, MonitorSpec};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server that lives as long as the test holds it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Hands every connection to `serve`.
    pub(crate) async fn raw<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Self { address, task }
    }

    /// Answers every request with what `answer` makes of its text, then closes.
    pub(crate) async fn answering<F>(answer: F) -> Self
    where
        F: Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    {
        let answer = Arc::new(answer);
        Self::raw(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                let request = read_request(&mut stream).await;
                // The client may be gone already; that is its business.
                drop(stream.write_all(&answer(&request)).await);
            }
        })
        .await
    }

    /// Answers every request with `text`.
    pub(crate) async fn saying(text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        Self::answering(move |_| text.clone()).await
    }

    /// Its address as a URL with `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reads one request: its head, and the body that the head announces.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        text.extend_from_slice(&buffer[..read]);
        let so_far = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
            let announced = header(head, "content-length").map_or(0, |n| n.parse().unwrap_or(0));
            if body.len() >= announced {
                return so_far;
            }
        }
        if read == 0 {
            return so_far;
        }
    }
}

/// A header of a request's text.
pub(crate) fn header(request: &str, name: &str) -> Option<String> {
    request.lines().skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// An answer with a length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// A plain success.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", "", body)
}

/// A redirect to `location`.
pub(crate) fn redirect(status: u16, location: &str) -> Vec<u8> {
    answer(&format!("{status} Moved"), &format!("Location: {location}\r\n"), "")
}

/// Answers from a table; each name's answers in turn, the last for ever.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    pub(crate) fn of(entries: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parse = |lists: &[&[&str]]| {
            lists.iter().map(|l| l.iter().map(|a| a.parse().expect("address")).collect()).collect()
        };
        let table = entries.iter().map(|(name, lists)| ((*name).to_owned(), parse(lists)));
        Arc::new(Self(Mutex::new(table.collect())))
    }
}

impl Resolve for Names {
    fn resolve<'a>(
        &'a self,
        name: &'a str,
        _: Family,
    ) -> BoxFuture<'a, Result<Vec<IpAddr>, Failure>> {
        let mut table = self.0.lock().expect("the table");
        let found = match table.get_mut(name) {
            None => Err(Failure::target(Reason::DnsNxdomain, format!("{name} does not exist"))),
            Some(lists) if lists.len() > 1 => Ok(lists.remove(0)),
            Some(lists) => Ok(lists[0].clone()),
        };
        Box::pin(std::future::ready(found))
    }
}

pub(crate) fn egress(allow: &[&str]) -> EgressPolicy {
    EgressPolicy { allow: allow.iter().map(|text| text.parse().expect("a network")).collect() }
}

/// May reach loopback; knows no names.
pub(crate) fn context() -> ProbeContext {
    context_with(ProbeSettings { resolver: Some(Names::of(&[])), ..loopback() })
}

pub(crate) fn loopback() -> ProbeSettings {
    ProbeSettings {
        egress: egress(&["127.0.0.0/8", "::1"]),
        version: "1.2.3".to_owned(),
        ..ProbeSettings::default()
    }
}

pub(crate) fn context_with(settings: ProbeSettings) -> ProbeContext {
    ProbeContext::new(settings).expect("a context")
}

pub(crate) fn check_id() -> CheckId<'static> {
    CheckId { monitor_name: "shop", region: "eu-west", slot: 42 }
}

/// A monitor of `target` with `more` laid over it.
pub(crate) fn monitor(target: &str, more: Value) -> MonitorSpec {
    let mut spec = json!({ "name": "shop", "target": target, "timeout": "5s" });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    let bytes = serde_json::to_vec(&spec).expect("JSON");
    MonitorSpec::from_json(&bytes).expect("a good monitor")
}

/// Checks `target` once, with loopback allowed.
pub(crate) async fn check(target: &str, more: Value) -> Observation {
    probe::run(&context(), &monitor(target, more), &check_id()).await
}

/// Asserts how a check ended, showing all of it when it did not.
#[track_caller]
pub(crate) fn ended(seen: &Observation, outcome: Outcome, reason: Option<Reason>) {
    assert_eq!((seen.outcome, seen.reason), (outcome, reason), "{seen:?}");
    assert!(seen.message.len() <= 512, "{seen:?}");
    assert_eq!(seen.message.is_empty(), outcome == Outcome::Ok, "{seen:?}");
}

#[track_caller]
pub(crate) fn failed(seen: &Observation, reason: Reason) {
    ended(seen, Outcome::Fail, Some(reason));
}
