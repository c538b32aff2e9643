//! Debian's prometheus-blackbox-exporter, asked by wrk from the target's core.

use crate::measure::{self, Window};
use crate::nginx::Nginx;
use crate::process::{PROBER_CORE, Program, TARGET_CORE, on};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LISTEN: &str = "127.0.0.1:9115";
/// Asks for probes of the sixteen addresses in turn, each with a path of its own.
const SCRIPT: &str = "local n = 0
function request()
  n = n + 1
  return wrk.format('GET', string.format(os.getenv('QUERY'), 2 + n % 16, n))
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

    /// Keeps `concurrency` probes under way; what a window of that costs, and
    /// what it says meanwhile about single probes of `sample`.
    pub(crate) async fn measure(
        &self,
        nginx: &Nginx,
        probe: Probe,
        concurrency: u32,
        seconds: u64,
    ) -> anyhow::Result<(Window, Vec<f64>)> {
        let query = format!("/probe?module={}&target={}", probe.module, probe.target);
        let mut wrk = on(TARGET_CORE, "wrk");
        wrk.args(["-t1", "-c"]).arg(concurrency.to_string());
        wrk.arg("-d").arg(format!("{}s", seconds + 2)).arg("-s").arg(self.dir.join("blackbox.lua"));
        wrk.arg(format!("http://{LISTEN}")).env("QUERY", query).stdout(Stdio::piped());
        let wrk = Program::start(&mut wrk)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (length, mut said) = (Duration::from_secs(seconds), Vec::new());
        let sampling = async {
            for number in 0..u32::MAX {
                let target = probe.target.replacen("%d", "9", 1);
                let target = target.replace("%d", &format!("said{number}"));
                if let Ok(seconds) = self.duration(probe.module, &target).await {
                    said.push(seconds);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let window = tokio::select! {
            window = measure::window(self.program.pid, nginx, length) => window?,
            () = sampling => anyhow::bail!("sampling does not end"),
        };
        let wrote = wrk.output().await?;
        anyhow::ensure!(!wrote.contains("Non-2xx"), "the exporter refuses: {wrote}");
        Ok((window, said))
    }

    /// One probe of `target`; the duration that the exporter reports, seconds.
    pub(crate) async fn duration(&self, module: &str, target: &str) -> anyhow::Result<f64> {
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
        of("probe_duration_seconds ").ok_or_else(|| anyhow::anyhow!("no duration"))
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.program.terminate().await
    }
}
