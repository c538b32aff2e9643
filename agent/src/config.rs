//! `agent.toml`, then the environment, then flags.
//!
//! To add a key: a field with its default here, its rule in [`Config::check`],
//! a line in the packaged `agent.toml`.

use hyperverge_protocol::duration::Span;
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::settings::{Override, SettingsError, layered};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Read when no file is named; it may be absent.
pub const DEFAULT_FILE: &str = "/etc/hyperverge/agent.toml";

/// Why the configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{key} {rule}")]
    Rule { key: &'static str, rule: String },
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Key, enrolment, spool and cached assignments live here.
    pub state_dir: PathBuf,
    pub server: Server,
    pub egress: Egress,
    pub link: Link,
    pub limits: Limits,
    pub tls: Tls,
    pub runtime: Runtime,
    pub log: Log,
}

/// The local listener for `/health`, `/ready`, `/live` and `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: String,
}

/// Where probes may go beside the public internet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// CIDRs.
    pub allow: Vec<String>,
}

/// How the control plane is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub transport: Transport,
}

/// See design section 4; this version speaks QUIC only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    #[default]
    Auto,
    Quic,
}

/// What this host gives to probing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub max_probes_in_flight: u32,
    /// To one host; a quarter of all, so that a host with very many monitors
    /// that hangs leaves room, and is still seen by each of them within minutes.
    pub max_probes_per_target: u32,
    pub spool_bytes: u64,
    pub spool_age: Span,
}

/// Certificates trusted beside the public roots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM; empty for none.
    pub ca_file: String,
}

/// How many threads work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// At most one for each CPU this process may use counts; 1 runs everything but the disk on one thread.
    pub workers: u32,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `trace` to `error`, or an `env_logger`-style filter.
    pub level: String,
    pub format: LogFormat,
}

/// See [`Log::format`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Json,
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/hyperverge-agent"),
            server: Server { listen: "127.0.0.1:4001".to_owned() },
            egress: Egress::default(),
            link: Link { transport: Transport::Auto },
            limits: Limits {
                max_probes_in_flight: 2_000,
                max_probes_per_target: 500,
                spool_bytes: 256 * 1024 * 1024,
                spool_age: Span::from_secs(7 * 24 * 3600),
            },
            tls: Tls::default(),
            runtime: Runtime { workers: 2 },
            log: Log { level: "info".to_owned(), format: LogFormat::Json },
        }
    }
}

impl Config {
    /// Reads `file` (or the default one, if it is there) and lays the
    /// environment over it.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let named = file.is_some();
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        Self::from_sources(text.as_deref(), std::env::vars())
    }

    fn from_sources(
        file: Option<&str>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut overrides = Vec::new();
        let mut port = None;
        for (name, text) in environment {
            match name.as_str() {
                "LOG_LEVEL" => overrides.insert(0, Override::new("log.level", text, name)),
                "PORT" => port = Some(text),
                _ => overrides.extend(Override::from_env(&name, &text)),
            }
        }
        let mut config: Self = layered(file, &overrides)?;
        if let Some(port) = port {
            config.set_port(&port)?;
        }
        config.check()?;
        Ok(config)
    }

    fn set_port(&mut self, text: &str) -> Result<(), ConfigError> {
        let port: u16 = text.trim().parse().map_err(|_| rule("PORT", "must be a port number"))?;
        let mut listen = self.listen()?;
        listen.set_port(port);
        self.server.listen = listen.to_string();
        Ok(())
    }

    /// Where the local listener binds.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        self.server
            .listen
            .parse()
            .map_err(|_| rule("server.listen", "must be an address and a port: 127.0.0.1:4001"))
    }

    /// The host's own policy.
    pub fn egress_policy(&self) -> Result<EgressPolicy, ConfigError> {
        let parsed: Result<Vec<_>, _> = self
            .egress
            .allow
            .iter()
            .map(|text| {
                text.parse().map_err(|error| rule("egress.allow", format!("{text:?}: {error}")))
            })
            .collect();
        Ok(EgressPolicy { allow: parsed? })
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.listen()?;
        self.egress_policy()?;
        if !self.state_dir.is_absolute() {
            return Err(rule("state_dir", "must be an absolute path"));
        }
        if !(1..=100_000).contains(&self.limits.max_probes_in_flight) {
            return Err(rule("limits.max_probes_in_flight", "must be 1 to 100000"));
        }
        if !(1..=100_000).contains(&self.limits.max_probes_per_target) {
            return Err(rule("limits.max_probes_per_target", "must be 1 to 100000"));
        }
        if !(8 * 1024 * 1024..=1 << 40).contains(&self.limits.spool_bytes) {
            return Err(rule(
                "limits.spool_bytes",
                "must be 8388608 (8 MiB) to 1099511627776 (1 TiB)",
            ));
        }
        let age = self.limits.spool_age.as_millis();
        if !(60_000..=366 * 86_400_000).contains(&age) {
            return Err(rule("limits.spool_age", "must be 1m to 366d"));
        }
        if !(1..=256).contains(&self.runtime.workers) {
            return Err(rule("runtime.workers", "must be 1 to 256"));
        }
        if tracing_subscriber::EnvFilter::try_new(&self.log.level).is_err() {
            return Err(rule("log.level", "must be trace, debug, info, warn, error, or a filter"));
        }
        Ok(())
    }

    /// The certificates of `tls.ca_file`.
    pub fn ca_pem(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        if self.tls.ca_file.is_empty() {
            return Ok(None);
        }
        let path = PathBuf::from(&self.tls.ca_file);
        match crate::durable::read(&path, crate::limits::SMALL_FILE_BYTES) {
            Ok(Some(pem)) => Ok(Some(pem)),
            Ok(None) => Err(rule("tls.ca_file", "must name a file that exists")),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }
}

fn rule(key: &'static str, rule: impl Into<String>) -> ConfigError {
    ConfigError::Rule { key, rule: rule.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let pairs = environment.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned()));
        Config::from_sources(Some(file), pairs)
    }

    #[test]
    fn the_layers_override_each_other() {
        let config = load(
            "state_dir = \"/tmp/x\"\n[limits]\nspool_age = \"2h\"",
            &[("PORT", "9"), ("LOG_LEVEL", "debug"), ("HYPERVERGE_LIMITS__SPOOL_BYTES", "9000000")],
        )
        .expect("good");
        assert_eq!(config.server.listen, "127.0.0.1:9");
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.limits.spool_bytes, 9_000_000);
        assert_eq!(config.limits.spool_age, Span::from_secs(7_200));
    }

    #[test]
    fn bad_values_name_their_key() {
        for (file, says) in [
            ("[server]\nlisten = \"here\"", "server.listen"),
            ("state_dir = \"x\"", "state_dir must be an absolute path"),
            ("[limits]\nspool_bytes = 5", "limits.spool_bytes"),
            ("[egress]\nallow = [\"10.0.0.0/33\"]", "egress.allow"),
            ("[link]\ntransprot = \"auto\"", "did you mean `link.transport`"),
            ("[log]\nlevel = \"a=b=c\"", "log.level"),
        ] {
            let error = load(file, &[]).expect_err(file);
            assert!(error.to_string().contains(says), "{file}: {error}");
        }
        let named = Config::load(Some(Path::new("/nonexistent/agent.toml")));
        assert!(matches!(named, Err(ConfigError::Read { .. })));
    }
}
