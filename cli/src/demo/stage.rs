//! Raises the demo: programs, owner, regions, agents, channels and a monitor,
//! in the order in which somebody would set up the real thing.

use super::inbox::Inbox;
use super::scene::Scene;
use super::screen::{heading, say};
use super::target::Target;
use super::{mail, webhook};
use crate::client::{Client, Login};
use crate::clock;
use crate::fleet::{Agent, Binaries, ControlPlane, Place};
use anyhow::{Context, Result};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// The regions, each with one agent.
pub(super) const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const EMAIL: &str = "owner@demo.example";
const MONITOR: &str = "checkout";
/// How often the programs are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The programs that run.
#[derive(Debug, Default)]
pub(super) struct Cast {
    control_plane: Option<ControlPlane>,
    agents: Vec<Agent>,
}

impl Cast {
    /// Ends, with words, when one of the programs has ended by itself.
    pub(super) async fn missing(&mut self) -> String {
        loop {
            let agents = self.agents.iter_mut().filter_map(Agent::process);
            let control_plane = self.control_plane.iter_mut().filter_map(ControlPlane::process);
            for process in agents.chain(control_plane) {
                if let Ok(Some(status)) = process.ended() {
                    return format!("a program ended ({status}); {}", process.last_words());
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends them all: the agents first, so that they can hand in what they have.
    pub(super) async fn leave(&mut self) {
        for agent in &mut self.agents {
            if let Err(error) = agent.terminate().await {
                say(&format!("{error:#}"));
            }
        }
        if let Some(control_plane) = &mut self.control_plane
            && let Err(error) = control_plane.terminate().await
        {
            say(&format!("{error:#}"));
        }
    }
}

/// What the demo is raised from.
#[derive(Debug)]
pub(super) struct Stage {
    place: Place,
}

impl Stage {
    /// A stage in `dir`.
    pub(super) fn new(binaries: Binaries, dir: PathBuf) -> Self {
        Self { place: Place::new(binaries, dir) }
    }

    /// Starts everything; what runs is put into `cast` as it starts.
    pub(super) async fn raise(self, cast: &mut Cast) -> Result<Scene> {
        heading("Setting up");
        let inbox = Inbox::default();
        let target = Target::start().await?;
        let webhook_url = webhook::start(inbox.clone()).await?;
        let mail_folder = self.place.dir.join("mail");
        let smtp = mail::start(inbox.clone(), &mail_folder).await?;

        let control_plane = cast.control_plane.insert(ControlPlane::prepare(&self.place, &smtp)?);
        control_plane.start().await?;
        let url = control_plane.url();
        say(&format!(
            "A control plane runs on a scratch database below {}",
            self.place.dir.display()
        ));

        let login = Login { email: EMAIL.to_owned(), password: clock::password() };
        let client = Client::new(&url, login.clone())?;
        client.register().await.context("registering the owner")?;
        for region in REGIONS {
            self.add_agent(&client, region, cast).await?;
        }
        make_channels(&client, &webhook_url).await?;
        let monitor = make_monitor(&client, &target).await?;
        say(&format!(
            "A monitor, `{MONITOR}`, watches {} every 2 s from each region",
            target.url()
        ));
        say("");
        say(&format!("  Console   {url}/"));
        say(&format!("  Login     {EMAIL}"));
        say(&format!("  Password  {}", login.password));
        say(&format!("  Target    {}   (curl -X POST {}switch/all)", target.url(), target.url()));
        say(&format!("  Mail      {}", mail_folder.display()));
        Ok(Scene { client, target, inbox, monitor })
    }

    async fn add_agent(&self, client: &Client, region: &str, cast: &mut Cast) -> Result<()> {
        let token = client.enrollment_token(region).await.context("making an enrolment token")?;
        let mut agent = Agent::enrol(&self.place, region, &token).await?;
        agent.start()?;
        cast.agents.push(agent);
        say(&format!("An agent in {region} has enrolled with a token and connects over QUIC"));
        Ok(())
    }
}

async fn make_channels(client: &Client, webhook_url: &str) -> Result<()> {
    let webhook = json!({
        "name": "on-call-webhook", "kind": "webhook", "config": { "url": webhook_url },
    });
    client.create_channel(&webhook).await.context("making the webhook channel")?;
    let email = json!({
        "name": "on-call-mail", "kind": "email", "config": { "to": ["on-call@demo.example"] },
    });
    client.create_channel(&email).await.context("making the mail channel")?;
    say("Two channels, a webhook and an e-mail address, will be told");
    Ok(())
}

async fn make_monitor(client: &Client, target: &Target) -> Result<String> {
    let monitor = json!({
        "name": MONITOR,
        "target": target.url(),
        "interval": "2s",
        "timeout": "1s",
        "regions": REGIONS,
        "notify": ["on-call-webhook", "on-call-mail"],
    });
    client.create_monitor(&monitor).await.context("making the monitor")
}
