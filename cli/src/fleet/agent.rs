//! One agent: its own key, spool and configuration in a folder of its own.

use super::{Place, Process, toml_text};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// An agent that can be started, stopped, killed and started again.
#[derive(Debug)]
pub struct Agent {
    place: Place,
    name: String,
    region: String,
    config: PathBuf,
    process: Option<Process>,
}

impl Agent {
    /// Writes its configuration and enrols it with `token`; does not start it.
    pub async fn enrol(place: &Place, region: &str, token: &str) -> Result<Self> {
        let name = format!("agent-{region}");
        let dir = place.dir.join(&name);
        std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let config = dir.join("agent.toml");
        let text = format!(
            r#"state_dir = {state}

[server]
listen = "127.0.0.1:0"

# The target of this demonstration is on this machine.
[egress]
allow = ["127.0.0.0/8"]
"#,
            state = toml_text(&dir.join("state").display().to_string()),
        );
        std::fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
        let agent =
            Self { place: place.clone(), name, region: region.to_owned(), config, process: None };
        let mut enrolling = agent.spawn(&["enroll", token])?;
        let status = enrolling.wait().await?;
        if !status.success() {
            bail!("{} could not enrol ({status}); {}", agent.name, enrolling.last_words());
        }
        Ok(agent)
    }

    /// Starts it.
    pub fn start(&mut self) -> Result<()> {
        self.process = Some(self.spawn(&["run"])?);
        Ok(())
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Process> {
        let config = self.config.display().to_string();
        let arguments: Vec<_> =
            arguments.iter().copied().chain(["--config", config.as_str()]).collect();
        Process::start(
            &self.name,
            &self.place.binaries.agent,
            &arguments,
            &self.place.agent_env,
            &self.log(),
        )
    }

    /// The region it was enrolled in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Everything it has said, over all its runs.
    pub fn log(&self) -> PathBuf {
        self.place.log(&self.name)
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
