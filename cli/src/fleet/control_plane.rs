//! A control plane: all roles in one process on an embedded database, or one
//! replica of several.

use super::{Place, Process, ReservedPort, toml_text};
use crate::client::connections;
use crate::wait::{Seen, until};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// From the start of the process until `/ready` answers 200.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A control plane that can be started, stopped, killed and started again.
#[derive(Debug)]
pub struct ControlPlane {
    place: Place,
    name: String,
    roles: Option<String>,
    config: PathBuf,
    http: ReservedPort,
    link: ReservedPort,
    process: Option<Process>,
}

impl ControlPlane {
    /// Writes the configuration of one with all roles; does not start it. `smtp` is
    /// where mail goes, as `host:port`.
    pub fn prepare(place: &Place, smtp: &str) -> Result<Self> {
        Self::prepare_replica(place, smtp, "control-plane", None)
    }

    /// The same for a replica with `roles` (`api,notifier`), whose files are under `name`.
    pub fn prepare_replica(
        place: &Place,
        smtp: &str,
        name: &str,
        roles: Option<&str>,
    ) -> Result<Self> {
        let (http, link) = (ReservedPort::reserve()?, ReservedPort::reserve()?);
        let dir = place.dir.join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let config = dir.join("control-plane.toml");
        let database = dir.join("control-plane.db");
        let text = format!(
            r#"[server]
listen = "{http}"
public_url = "http://{http}"

[link]
listen = "{link}"
advertise = ["{link}"]

[database]
url = {database}

[keys]
dir = {keys}

[mail]
smtp_url = "smtp://{smtp}"
from = "HyperVerge <hyperverge@localhost>"

# Everything here runs on this machine; outside of a demonstration leave it empty.
[egress]
allow = ["127.0.0.0/8"]
"#,
            http = http.address(),
            link = link.address(),
            database = toml_text(&format!("sqlite://{}", database.display())),
            keys = toml_text(&dir.join("keys").display().to_string()),
        );
        std::fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
        let (place, name, roles) = (place.clone(), name.to_owned(), roles.map(str::to_owned));
        Ok(Self { place, name, roles, config, http, link, process: None })
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        let config = self.config.display().to_string();
        let mut arguments = vec!["serve", "--config", &config];
        if let Some(roles) = &self.roles {
            arguments.extend(["--roles", roles]);
        }
        self.process = Some(Process::start(
            &self.name,
            &self.place.binaries.control_plane,
            &arguments,
            &self.place.control_plane_env,
            &self.place.log(&self.name),
        )?);
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let url = format!("{}/ready", self.url());
        let http = connections(&url, READY_WITHIN)?;
        let process = self.process.as_mut().context("not started")?;
        until("the control plane is ready", READY_WITHIN, async || {
            if let Some(status) = process.ended()? {
                bail!("the control plane ended with {status}; {}", process.last_words());
            }
            Ok(match http.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => Seen::Yes(()),
                Ok(answer) => Seen::NotYet(format!("{url} answers {}", answer.status())),
                Err(_) => Seen::NotYet(format!("nobody listens on {url}")),
            })
        })
        .await
        .with_context(|| process.last_words())
    }

    /// Where its API and its first page are.
    pub fn url(&self) -> String {
        format!("http://{}", self.http.address())
    }

    /// Where agents reach it, as `host:port`.
    pub fn link(&self) -> String {
        self.link.address()
    }

    /// Its SQLite file.
    pub fn database(&self) -> PathBuf {
        self.place.dir.join(&self.name).join("control-plane.db")
    }

    /// Its process, while it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Ends it in good order; whether it ended by itself in time.
    pub async fn terminate(&mut self) -> Result<bool> {
        match self.process.take() {
            Some(process) => process.terminate().await,
            None => Ok(true),
        }
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }
}
