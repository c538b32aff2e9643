//! The receivers (`python/receiver.py`) and what arrived at them.

use crate::environment;
use anyhow::{Context, Result, bail};
use hyperverge_cli::fleet::Process;
use hyperverge_cli::wait::{Seen, until};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/receiver.py");
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

/// The running receivers.
#[derive(Debug)]
pub struct Receiver {
    folder: PathBuf,
    ports: Ports,
    process: Process,
}

#[derive(Debug, Deserialize)]
struct Ports {
    smtp: u16,
    webhook: u16,
}

/// Something that arrived.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case")]
pub enum Arrival {
    Webhook(Webhook),
    Email(Email),
}

/// A webhook request.
#[derive(Debug, Clone, Deserialize)]
pub struct Webhook {
    pub channel: String,
    /// Whether the published library found the signature good.
    pub verified: bool,
    pub error: Option<String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

/// A mail message.
#[derive(Debug, Clone, Deserialize)]
pub struct Email {
    pub envelope_from: String,
    pub envelope_to: Vec<String>,
    /// Names in lower case, values decoded.
    pub headers: BTreeMap<String, String>,
    pub text: String,
    /// What Python's parser finds wrong with it.
    pub defects: Vec<String>,
}

impl Webhook {
    /// `opened`, `widened` or `resolved`.
    pub fn kind(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.strip_prefix("incident.").unwrap_or(kind)
    }

    /// The incident it tells of.
    pub fn incident(&self) -> &str {
        self.body["data"]["incident_id"].as_str().unwrap_or_default()
    }
}

impl Email {
    /// Its subject.
    pub fn subject(&self) -> &str {
        self.headers.get("subject").map_or("", String::as_str)
    }

    /// `opened` or `resolved`, by the word its subject begins with.
    pub fn kind(&self) -> &str {
        if self.subject().starts_with("[RESOLVED]") { "resolved" } else { "opened" }
    }
}

impl Receiver {
    /// Starts the receivers; they write into `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let python = environment::python()?;
        let folder_text = folder.display().to_string();
        let log = folder.join("receiver.log");
        let mut process = Process::start("receiver", &python, &[SCRIPT, &folder_text], &[], &log)?;
        let file = folder.join("ports.json");
        let ports = until("the receivers listen", LISTENS_WITHIN, async || {
            if let Some(status) = process.ended()? {
                bail!("the receivers ended ({status}); {}", process.last_words());
            }
            Ok(match std::fs::read(&file) {
                Ok(ports) => Seen::Yes(serde_json::from_slice(&ports)?),
                Err(_) => Seen::NotYet("no ports yet".to_owned()),
            })
        })
        .await?;
        Ok(Self { folder: folder.to_owned(), ports, process })
    }

    /// `host:port` of the mail server.
    pub fn smtp(&self) -> String {
        format!("127.0.0.1:{}", self.ports.smtp)
    }

    /// Where the channel `name` posts.
    pub fn webhook_url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/hook/{name}", self.ports.webhook)
    }

    /// Tells the receiver what the channel `name` signs with.
    pub fn set_secret(&self, name: &str, secret: &str) -> Result<()> {
        std::fs::write(self.folder.join(format!("{name}.secret")), secret)
            .with_context(|| format!("writing the secret of {name}"))
    }

    /// Has answers come this long after what they answer was taken.
    pub fn set_delay(&self, delay: Duration) -> Result<()> {
        std::fs::write(self.folder.join("delay"), delay.as_secs_f64().to_string())
            .context("writing the receivers' delay")
    }

    /// Everything that arrived so far.
    pub fn arrivals(&self) -> Result<Vec<Arrival>> {
        let text = std::fs::read_to_string(self.folder.join("arrived.jsonl")).unwrap_or_default();
        // A line without its end is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The webhooks that arrived so far. One that does not verify is an error.
    pub fn webhooks(&self) -> Result<Vec<Webhook>> {
        let mut webhooks = Vec::new();
        for arrival in self.arrivals()? {
            let Arrival::Webhook(webhook) = arrival else { continue };
            if !webhook.verified {
                bail!("a webhook does not verify: {:?}, {webhook:?}", webhook.error);
            }
            webhooks.push(webhook);
        }
        Ok(webhooks)
    }

    /// The mail that arrived so far.
    pub fn emails(&self) -> Result<Vec<Email>> {
        let email = |arrival| match arrival {
            Arrival::Email(email) => Some(email),
            Arrival::Webhook(_) => None,
        };
        Ok(self.arrivals()?.into_iter().filter_map(email).collect())
    }

    /// Ends the receivers.
    pub async fn stop(self) -> Result<()> {
        self.process.terminate().await.map(drop)
    }
}
