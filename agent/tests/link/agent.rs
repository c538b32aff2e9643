//! The agent under test: in this process with a probe of the test's, or the
//! real binary, which can be killed.

use crate::plane::Plane;
use ed25519_dalek::SigningKey;
use hyperverge_agent::config::Config;
use hyperverge_agent::probe::CheckId;
use hyperverge_agent::runner::Prober;
use hyperverge_agent::{app, enroll, identity};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A state directory with an enrolled agent in it.
pub(crate) struct Host {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) config: Config,
}

/// A probe whose outcome the monitor's name decides.
pub(crate) struct FakeProber;

impl Prober for FakeProber {
    type Prepared = String;

    fn prepare(&self, spec: &MonitorSpec) -> String {
        spec.name.clone()
    }

    async fn run(&self, name: &String, check: CheckId<'_>) -> Observation {
        assert_eq!((check.monitor_name, check.region), (name.as_str(), "eu-test"));
        match name.as_str() {
            "hung" => std::future::pending().await,
            "crash" => panic!("a probe that crashes"),
            "down" => Observation::bare(Outcome::Fail, Some(Reason::ConnectRefused), ""),
            _ => Observation::bare(Outcome::Ok, None, ""),
        }
    }
}

/// An agent in this process.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = Config { state_dir: dir.path().join("state"), ..Config::default() };
        config.server.listen = "127.0.0.1:0".into();
        Self { dir, config }
    }

    /// A host that `plane` has enrolled.
    pub(crate) async fn enrolled(plane: &Plane) -> Self {
        let host = Self::new();
        enroll::enroll(&host.config, &plane.token(&plane.link_key)).await.expect("enrolled");
        host
    }

    pub(crate) fn key(&self) -> SigningKey {
        identity::load_key(&self.config.state_dir).expect("readable").expect("there")
    }

    pub(crate) fn run(&self) -> Running {
        self.run_with(Arc::new(FakeProber))
    }

    pub(crate) fn run_with<P: Prober>(&self, prober: Arc<P>) -> Running {
        let stop = CancellationToken::new();
        let (config, asked) = (self.config.clone(), stop.clone());
        let task = tokio::spawn(async move { app::run(&config, prober, asked).await });
        Running { stop, task }
    }

    /// Starts the real binary; its log is `agent.log` in the host's directory.
    pub(crate) fn spawn(&self) -> Child {
        let file = self.dir.path().join("agent.toml");
        std::fs::write(&file, toml_of(&self.config)).expect("written");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("agent.log"))
            .expect("a log");
        Command::new(env!("CARGO_BIN_EXE_hyperverge-agent"))
            .args(["run", "--config"])
            .arg(&file)
            .stderr(log)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("starts")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default()
    }

    /// Where the binary that was started last listens.
    pub(crate) async fn listens(&self, starts: usize) -> SocketAddr {
        let address = |log: String| {
            let line =
                log.lines().filter(|l| l.contains("agent starts")).nth(starts - 1)?.to_owned();
            let event: serde_json::Value = serde_json::from_str(&line).ok()?;
            event["listen"].as_str()?.parse().ok()
        };
        until("the agent listens", async || address(self.log())).await
    }

    /// One answer of the binary's local listener.
    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(address).await else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        if stream.write_all(request.as_bytes()).await.is_ok() {
            let _cut = stream.read_to_string(&mut text).await;
        }
        text
    }
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"))
}

impl Running {
    /// Stops it cleanly, within a bound.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(15), self.task).await;
        ended.expect("stops in time").expect("does not panic").expect("ends well");
    }
}

fn toml_of(config: &Config) -> String {
    format!(
        "state_dir = {:?}\n[server]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"debug\"\n[egress]\nallow = [\"127.0.0.0/8\"]\n",
        config.state_dir
    )
}
