//! Configuration of the control plane: `control-plane.toml`, then the
//! environment, then flags.
//!
//! Every key stands in one of the structs below with its default, and nothing
//! reads configuration from anywhere else. To add a key: a field with a
//! default, and if it has a rule a line in `settings/check.rs`. Secrets are
//! [`Secret`]s, so that no log can hold one; each may also come from a file
//! (`HYPERVERGE_DATABASE__URL_FILE`).

mod check;
mod load;
mod secret;

pub use check::SettingProblem;
pub(crate) use load::with_port;
pub use load::{LoadError, Sources, load, process_environment};
pub use secret::Secret;

use hyperverge_protocol::duration::Span;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything an operator can set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: ServerSettings,
    pub link: LinkSettings,
    pub database: DatabaseSettings,
    pub keys: KeysSettings,
    pub mail: MailSettings,
    pub egress: EgressSettings,
    pub log: LogSettings,
    pub retention: RetentionSettings,
    pub correlator: CorrelatorSettings,
    pub liveness: LivenessSettings,
    pub limits: LimitsSettings,
}

/// `[server]`: REST, console, health and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// `address:port`; port 0 takes a free one.
    pub listen: String,
    /// How people reach it; links in notices begin with this.
    pub public_url: String,
    /// PEM files. Empty: plain HTTP, and TLS is a proxy's work.
    pub tls_cert: String,
    pub tls_key: String,
}

/// `[link]`: the agents' QUIC listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSettings {
    pub listen: String,
    /// `host:port`s that enrolment tokens carry. Empty: the host of `server.public_url`.
    pub advertise: Vec<String>,
}

/// `[database]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `sqlite:///path`, or one or several `postgres://` URLs separated by commas.
    pub url: Secret,
}

/// `[keys]`: where this installation's keys are. Those given as text (normally
/// through `…_FILE`) are not looked for in `dir`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysSettings {
    /// Empty: `keys` beside the SQLite file, or /var/lib/hyperverge/keys.
    pub dir: String,
    /// ed25519 private keys, PKCS#8 PEM or 64 hexadecimal digits.
    pub link: Secret,
    pub assignment: Secret,
    pub session: Secret,
    /// 64 hexadecimal digits.
    pub wrapping: Secret,
    /// `JWT_SECRET`: any text of 32 bytes or more, from which the session key is derived.
    pub jwt_secret: Secret,
}

/// `[mail]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    pub smtp_url: Secret,
    pub from: String,
}

/// `[egress]`: networks besides the public internet that webhooks and mail may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressSettings {
    /// CIDRs.
    pub allow: Vec<String>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// error, warn, info, debug or trace; or directives such as `info,quinn=debug`.
    pub level: String,
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Json,
    Text,
}

/// `[retention]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    pub results_days: u32,
}

/// `[correlator]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrelatorSettings {
    /// How long a page waits for company; 0s is allowed.
    pub group_wait: Span,
}

/// `[liveness]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessSettings {
    /// After a start, a pause or a database outage nobody is late for this long.
    pub grace: Span,
}

/// `[limits]`: how much one process takes on. The limits that no operator
/// should have to know are constants in `limits.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsSettings {
    /// Agent sessions of one gateway.
    pub sessions: u32,
    /// Monitors of one organisation.
    pub monitors: u32,
    /// Body of an API request, bytes.
    pub body_bytes: u32,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4000".into(),
            public_url: "http://127.0.0.1:4000".into(),
            tls_cert: String::new(),
            tls_key: String::new(),
        }
    }
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self { listen: "0.0.0.0:4433".into(), advertise: Vec::new() }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: Secret::new("sqlite:///var/lib/hyperverge/control-plane.db") }
    }
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            smtp_url: Secret::new("smtp://127.0.0.1:25"),
            from: "HyperVerge <hyperverge@localhost>".into(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Json }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { results_days: 30 }
    }
}

impl CorrelatorSettings {
    /// The same in ms.
    pub fn group_wait_ms(&self) -> i64 {
        i64::try_from(self.group_wait.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for CorrelatorSettings {
    fn default() -> Self {
        Self { group_wait: Span::from_secs(5) }
    }
}

impl Default for LivenessSettings {
    fn default() -> Self {
        Self { grace: Span::from_secs(60) }
    }
}

impl Default for LimitsSettings {
    fn default() -> Self {
        Self { sessions: 5_000, monitors: 10_000, body_bytes: 1024 * 1024 }
    }
}

impl Settings {
    /// Where keys lie: as set, or beside the SQLite file, or in the system's place.
    pub fn keys_dir(&self) -> PathBuf {
        if !self.keys.dir.is_empty() {
            return PathBuf::from(&self.keys.dir);
        }
        let sqlite = self.database.url.expose().strip_prefix("sqlite:");
        let file = sqlite.map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        match file.map(|path| Path::new(path.split('?').next().unwrap_or(path))) {
            Some(path) => path.parent().unwrap_or(Path::new(".")).join("keys"),
            None => PathBuf::from("/var/lib/hyperverge/keys"),
        }
    }

    /// The link's `host:port`s for enrolment tokens.
    pub fn advertised(&self) -> Vec<String> {
        if !self.link.advertise.is_empty() {
            return self.link.advertise.clone();
        }
        let host = url::Url::parse(&self.server.public_url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| "localhost".into());
        let port = self.link.listen.rsplit(':').next().unwrap_or("4433");
        vec![format!("{host}:{port}")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_beside_the_sqlite_file() {
        let mut settings = Settings::default();
        assert_eq!(settings.keys_dir(), Path::new("/var/lib/hyperverge/keys"));
        settings.database.url = Secret::new("sqlite:///srv/hv/cp.db?mode=rwc");
        assert_eq!(settings.keys_dir(), Path::new("/srv/hv/keys"));
        settings.database.url = Secret::new("postgres://db/hv");
        assert_eq!(settings.keys_dir(), Path::new("/var/lib/hyperverge/keys"));
        settings.keys.dir = "/etc/hv".into();
        assert_eq!(settings.keys_dir(), Path::new("/etc/hv"));
    }

    #[test]
    fn tokens_point_at_the_public_host_unless_told_otherwise() {
        let mut settings = Settings::default();
        settings.server.public_url = "https://[2001:db8::1]/x".into();
        settings.link.listen = "[::]:5000".into();
        assert_eq!(settings.advertised(), ["[2001:db8::1]:5000"]);
        settings.link.advertise = vec!["cp.example.com:4433".into()];
        assert_eq!(settings.advertised(), ["cp.example.com:4433"]);
    }
}
