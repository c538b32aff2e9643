//! Debian's prometheus-blackbox-exporter, asked by wrk from the target's core.

use crate::measure::{self, Window};
use crate::nginx::Nginx;
use crate::process::{PROBER_CORE, Program, TARGET_CORE, on};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LISTEN: &str = "127.0.0.1:9115";
/// Asks for probes of the sixteen addresses in turn, each with a path of its own,
/// and counts those that failed: a failed probe too is answered with 200.
const SCRIPT: &str = "local n, threads = 0, {}
made, failed = 0, 0
function setup(thread) threads[#threads + 1] = thread end
function request()
  n = n + 1
  return wrk.format('GET', string.format(os.getenv('QUERY'), 2 + n % 16, n))
end
function response(status, headers, body)
  made = made + 1
  if status ~= 200 or not body:find('\\nprobe_success 1', 1, true) then failed = failed + 1 end
end
function done()
  for _, thread in ipairs(threads) do
    io.write(string.format('probes %d %d\\n', thread:get('made'), thread:get('failed')))
  end
end
";

/// What it probes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    module: &'static str,
    /// With `%d` for the last byte of the address, and for a number.
    target: &'static str,
}

pub(crate) const HTTP: Probe = Probe { module: "http", target: "http://127.0.0.%d:8081/b%d" };
pub(crate) const HTTPS: Probe = Probe { module: "https", target: "https://127.0.0.%d:8443/b%d" };
/// The number is part of the query only to make it unique.
pub(crate) const TCP: Probe = Probe { module: "tcp", target: "127.0.0.%d:8081&n=%d" };

/// What one probe of kind http took, as the exporter reports it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported {
    pub(crate) whole_ms: f64,
    pub(crate) processing_ms: f64,
}

/// A window, and what became of the probes in it and shortly around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) window: Window,
    pub(crate) probes: u64,
    pub(crate) failed: u64,
}

impl Measured {
    /// So few failed that the window's cost is that of probing.
    pub(crate) fn is_sound(&self) -> bool {
        self.failed * 100 <= self.probes && self.probes > 0
    }
}

/// A running exporter.
#[derive(Debug)]
pub(crate) struct Blackbox {
    program: Program,
    dir: PathBuf,
}

impl Blackbox {
    pub(crate) async fn start(dir: &Path, nginx: &Nginx) -> anyhow::Result<Self> {
        let config = dir.join("blackbox.yml");
        let ca_file = nginx.ca_file();
        std::fs::write(
            &config,
            format!(
                "modules:
  http: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4}}}}
  https: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: {ca_file:?}}}}}}}
  tcp: {{prober: tcp, timeout: 5s}}
"
            ),
        )?;
        std::fs::write(dir.join("blackbox.lua"), SCRIPT)?;
        let mut command = on(PROBER_CORE, "prometheus-blackbox-exporter");
        command.arg("--config.file").arg(&config).args(["--log.level", "error"]);
        command.args(["--web.listen-address", LISTEN]).stderr(Stdio::inherit());
        let blackbox = Self { program: Program::start(&mut command)?, dir: dir.to_owned() };
        for _ in 0..100 {
            if TcpStream::connect(LISTEN).await.is_ok() {
                return Ok(blackbox);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("prometheus-blackbox-exporter does not answer on {LISTEN}")
    }

    /// Keeps `concurrency` probes under way; what a window of that costs.
    pub(crate) async fn measure(
        &self,
        nginx: &Nginx,
        probe: Probe,
        concurrency: u32,
        seconds: u64,
    ) -> anyhow::Result<Measured> {
        let query = format!("/probe?module={}&target={}", probe.module, probe.target);
        let mut wrk = on(TARGET_CORE, "wrk");
        wrk.args(["-t1", "-c"]).arg(concurrency.to_string());
        wrk.arg("-d").arg(format!("{}s", seconds + 2)).arg("-s").arg(self.dir.join("blackbox.lua"));
        wrk.arg(format!("http://{LISTEN}")).env("QUERY", query).stdout(Stdio::piped());
        let wrk = Program::start(&mut wrk)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let length = Duration::from_secs(seconds);
        let window = measure::window(self.program.pid, nginx, length).await?;
        let wrote = wrk.output().await?;
        let counts = wrote.lines().find_map(|line| line.strip_prefix("probes "));
        let counts = counts.and_then(|counts| counts.split_once(' '));
        let (probes, failed) = counts.with_context(|| format!("wrk counts nothing: {wrote}"))?;
        Ok(Measured { window, probes: probes.parse()?, failed: failed.parse()? })
    }

    /// One probe of `target`; what the exporter reports of it.
    pub(crate) async fn probe(&self, module: &str, target: &str) -> anyhow::Result<Reported> {
        let mut stream = TcpStream::connect(LISTEN).await?;
        let request = format!("GET /probe?module={module}&target={target} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<f64>().ok()
        };
        anyhow::ensure!(of("probe_success ") == Some(1.0), "a probe failed");
        let ms = |name| Some(of(name)? * 1_000.0);
        let whole = ms("probe_duration_seconds ").context("no duration")?;
        let processing = ms("probe_http_duration_seconds{phase=\"processing\"} ");
        Ok(Reported { whole_ms: whole, processing_ms: processing.context("no phases")? })
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.program.terminate().await
    }
}
