//! A whole HyperVerge for one test, and its end.
//!
//! A test ends with [`Bed::finish`], which stops every program in good order and
//! looks for what none of them may have said. A bed dropped before belongs to a
//! test that failed: its folder is kept and the ends of the logs are shown.

use crate::environment::{self, say};
use crate::postgres::ScratchDatabase;
use crate::receiver::Receiver;
use anyhow::{Context, Result, ensure};
use hyperverge_cli::client::{Client, Login};
use hyperverge_cli::demo::target::Target;
use hyperverge_cli::fleet::{Agent, ControlPlane, Place};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const EMAIL: &str = "owner@example.com";
const PASSWORD: &str = "correct horse battery staple";
/// Names of the channels that [`Bed::make_channels`] makes.
pub const WEBHOOK_CHANNEL: &str = "hook";
pub const EMAIL_CHANNEL: &str = "mail";
/// Who gets the mail.
pub const RECIPIENT: &str = "on-call@example.com";
/// Set, the folder of a test that passed is kept too.
const KEEP_VARIABLE: &str = "HYPERVERGE_TEST_KEEP";
/// Lines of each log that a failed test shows.
const SHOWN_LINES: usize = 25;

/// How a bed differs from the defaults.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// One agent each.
    pub regions: Vec<&'static str>,
    /// Settings of the control plane, as environment variables.
    pub control_plane_env: Vec<(&'static str, &'static str)>,
    pub layout: Layout,
}

/// Which processes make up the control plane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// One, on SQLite.
    #[default]
    One,
    /// Two with the roles gateway and scheduler and one with api and notifier, on a
    /// database of their own in PostgreSQL.
    Split,
    /// Two with all roles, on a database of their own in PostgreSQL. Agents join them
    /// in turn.
    Twins,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Bed {
    /// The one that serves the API.
    pub control_plane: ControlPlane,
    /// The others, if there are any; see [`Layout`].
    pub gateways: Vec<ControlPlane>,
    postgres: Option<ScratchDatabase>,
    pub agents: Vec<Agent>,
    pub client: Client,
    pub target: Target,
    pub receiver: Option<Receiver>,
    folder: Option<TempDir>,
}

impl Bed {
    /// Starts everything; an owner is registered, the agents are enrolled and run.
    pub async fn raise(setup: Setup) -> Result<Self> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = tempfile::Builder::new().prefix("hyperverge-e2e-").tempdir()?;
        let receiver = Receiver::start(&folder.path().join("receiver")).await?;
        let mut place = place(&setup, folder.path())?;
        let postgres = match setup.layout {
            Layout::One => None,
            Layout::Split | Layout::Twins => Some(ScratchDatabase::create(&mut place).await?),
        };
        let mut gateways = Vec::new();
        let control_plane = match setup.layout {
            Layout::One => ControlPlane::prepare(&place, &receiver.smtp())?,
            Layout::Split => prepare_split(&mut place, &receiver.smtp(), &mut gateways)?,
            Layout::Twins => prepare_twins(&mut place, &receiver.smtp(), &mut gateways)?,
        };
        let client = client_of(&control_plane)?;
        let target = Target::start().await?;
        let (receiver, folder, agents) = (Some(receiver), Some(folder), Vec::new());
        let mut bed =
            Self { control_plane, gateways, postgres, agents, client, target, receiver, folder };
        for gateway in &mut bed.gateways {
            gateway.start().await?;
        }
        bed.control_plane.start().await?;
        bed.client.register().await.context("registering the owner")?;
        let twin = match setup.layout {
            Layout::Twins => Some(client_of(&bed.gateways[0])?),
            Layout::One | Layout::Split => None,
        };
        for (turn, region) in setup.regions.into_iter().enumerate() {
            // A token names the addresses of the control plane that gave it.
            let joins = twin.as_ref().filter(|_| turn % 2 == 1).unwrap_or(&bed.client);
            let token = joins.enrollment_token(region).await?;
            let mut agent = Agent::enrol(&place, region, &token).await?;
            agent.start()?;
            bed.agents.push(agent);
        }
        Ok(bed)
    }

    /// Makes a webhook and a mail channel and has the receiver verify the webhook's signatures.
    pub async fn make_channels(&self) -> Result<()> {
        let receiver = self.receiver()?;
        let webhook = json!({
            "name": WEBHOOK_CHANNEL,
            "kind": "webhook",
            "config": { "url": receiver.webhook_url(WEBHOOK_CHANNEL) },
        });
        let answer = self.client.create_channel(&webhook).await?;
        let secret = answer["secret"].as_str().context("no secret in the answer")?;
        ensure!(secret.starts_with("whsec_"), "the secret has no standard form");
        receiver.set_secret(WEBHOOK_CHANNEL, secret)?;
        let email = json!({
            "name": EMAIL_CHANNEL, "kind": "email", "config": { "to": [RECIPIENT] },
        });
        self.client.create_channel(&email).await.map(drop)?;
        Ok(())
    }

    /// Makes a monitor of the target that tells both channels, with `more` laid over it.
    pub async fn make_monitor(&self, name: &str, interval: &str, more: Value) -> Result<String> {
        let mut spec = json!({
            "name": name,
            "target": self.target.url(),
            "interval": interval,
            "timeout": "1s",
            "notify": [WEBHOOK_CHANNEL, EMAIL_CHANNEL],
        });
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        self.client.create_monitor(&spec).await.with_context(|| format!("making monitor {name}"))
    }

    /// The receivers.
    pub fn receiver(&self) -> Result<&Receiver> {
        self.receiver.as_ref().context("the receivers were stopped")
    }

    /// The agent of `region`.
    pub fn agent(&mut self, region: &str) -> Result<&mut Agent> {
        let agent = self.agents.iter_mut().find(|agent| agent.region() == region);
        agent.with_context(|| format!("no agent in {region}"))
    }

    /// Stops everything in good order; each program must end by itself, and
    /// none may have logged an error.
    pub async fn finish(mut self) -> Result<()> {
        for agent in &mut self.agents {
            ensure!(agent.terminate().await?, "the agent in {} had to be killed", agent.region());
        }
        for control_plane in self.gateways.iter_mut().chain([&mut self.control_plane]) {
            ensure!(control_plane.terminate().await?, "a control plane had to be killed");
        }
        if let Some(postgres) = self.postgres.take() {
            postgres.drop().await?;
        }
        if let Some(receiver) = self.receiver.take() {
            receiver.stop().await?;
        }
        for log in self.logs() {
            let errors = error_lines(&log);
            ensure!(errors.is_empty(), "{} holds errors:\n{}", log.display(), errors.join("\n"));
        }
        if std::env::var_os(KEEP_VARIABLE).is_none() {
            self.folder.take();
        }
        Ok(())
    }

    fn logs(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let entries = std::fs::read_dir(folder.path().join("logs")).into_iter().flatten();
        let mut logs: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        logs.sort();
        logs
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let logs = self.logs();
        let Some(folder) = self.folder.take() else { return };
        for log in logs {
            let text =
                String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
            let lines: Vec<_> = text.lines().collect();
            let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            say(&format!("---- {}\n{shown}", log.display()));
        }
        say(&format!("everything is kept in {}", folder.keep().display()));
    }
}

fn place(setup: &Setup, folder: &Path) -> Result<Place> {
    let mut place = Place::new(environment::binaries()?, folder.to_owned());
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let logging =
        [("HYPERVERGE_LOG__LEVEL", "debug,sqlx=info"), ("HYPERVERGE_LOG__FORMAT", "json")];
    place.agent_env = logging.iter().map(own).collect();
    place.control_plane_env = logging.iter().chain(&setup.control_plane_env).map(own).collect();
    Ok(place)
}

fn client_of(control_plane: &ControlPlane) -> Result<Client> {
    let login = Login { email: EMAIL.to_owned(), password: PASSWORD.to_owned() };
    Ok(Client::new(&control_plane.url(), login)?)
}

/// One machine, one set of keys; elsewhere they come as `…_FILE` from a secret store.
fn share_keys(place: &mut Place) {
    let keys = place.dir.join("keys").display().to_string();
    place.control_plane_env.push(("HYPERVERGE_KEYS__DIR".to_owned(), keys));
}

/// Two that do everything.
fn prepare_twins(
    place: &mut Place,
    smtp: &str,
    gateways: &mut Vec<ControlPlane>,
) -> Result<ControlPlane> {
    share_keys(place);
    gateways.push(ControlPlane::prepare_replica(place, smtp, "twin-2", None)?);
    ControlPlane::prepare_replica(place, smtp, "twin-1", None)
}

/// Two gateways with schedulers, and an API whose tokens name both.
fn prepare_split(
    place: &mut Place,
    smtp: &str,
    gateways: &mut Vec<ControlPlane>,
) -> Result<ControlPlane> {
    share_keys(place);
    for name in ["gateway-1", "gateway-2"] {
        let roles = Some("gateway,scheduler");
        gateways.push(ControlPlane::prepare_replica(place, smtp, name, roles)?);
    }
    let addresses: Vec<_> = gateways.iter().map(ControlPlane::link).collect();
    let mut api = place.clone();
    api.control_plane_env.push(("HYPERVERGE_LINK__ADVERTISE".to_owned(), addresses.join(",")));
    ControlPlane::prepare_replica(&api, smtp, "api", Some("api,notifier"))
}

/// Lines of level ERROR, and panics, which are no JSON.
fn error_lines(log: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let bad = |line: &&str| line.contains("\"level\":\"ERROR\"") || line.contains("panicked at");
    text.lines().filter(bad).map(str::to_owned).collect()
}
