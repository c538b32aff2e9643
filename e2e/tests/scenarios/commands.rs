//! The command line against a real control plane: signing in, incidents,
//! explanations and backtests, and the exit codes that scripts rely on.

use anyhow::{Context, Result, ensure};
use hyperverge_cli::client::{Client, Login};
use hyperverge_cli::demo::target::{Switch, Target};
use hyperverge_cli::fleet::{Agent, Binaries, ControlPlane, Place};
use hyperverge_cli::wait::{Seen, until_answer};
use hyperverge_e2e::variable;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const EMAIL: &str = "owner@example.com";
const PASSWORD: &str = "correct horse battery staple";
const REGION: &str = "eu-west";
const WITHIN: Duration = Duration::from_secs(60);

/// `hyperverge` with a configuration folder of its own.
struct Shell {
    program: PathBuf,
    config: PathBuf,
}

/// What a command left behind.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Shell {
    async fn run(&self, words: &[&str]) -> Result<Ran> {
        let output = Command::new(&self.program)
            .args(words)
            .env("XDG_CONFIG_HOME", &self.config)
            .env_remove("HYPERVERGE_PASSWORD")
            .stdin(std::process::Stdio::null())
            .output()
            .await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
    }

    /// Runs a command that must succeed.
    async fn tell(&self, words: &[&str]) -> Result<String> {
        let ran = self.run(words).await?;
        ensure!(ran.code == Some(0), "{words:?}: {ran:?}");
        Ok(ran.out)
    }

    async fn json(&self, words: &[&str]) -> Result<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        Ok(serde_json::from_str(&self.tell(&words).await?)?)
    }

    /// Runs a command that must fail with `code` and say `words`.
    async fn fails(&self, typed: &[&str], code: i32, words: &[&str]) -> Result<()> {
        let ran = self.run(typed).await?;
        ensure!(ran.code == Some(code), "{typed:?}: {ran:?}");
        for words in words {
            ensure!(ran.err.contains(words), "`{words}` is not in {ran:?}");
        }
        Ok(())
    }

    fn tokens(&self) -> PathBuf {
        self.config.join("hyperverge").join("session.json")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_explained_at_the_command_line() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir()?;
    let programs = PathBuf::from(variable("HYPERVERGE_TEST_BIN_DIR")?);
    let place = Place::new(Binaries::in_folder(&programs)?, folder.path().to_owned());
    // Nobody is told anything here, so nothing has to listen for mail.
    let mut control_plane = ControlPlane::prepare(&place, "127.0.0.1:1")?;
    control_plane.start().await?;
    let login = Login { email: EMAIL.to_owned(), password: PASSWORD.to_owned() };
    let client = Client::new(&control_plane.url(), login)?;
    client.register().await?;
    let token = client.enrollment_token(REGION).await?;
    let mut agent = Agent::enrol(&place, REGION, &token).await?;
    agent.start()?;

    let shell =
        Shell { program: programs.join("hyperverge"), config: folder.path().join("config") };
    sign_in(&shell, &control_plane.url(), folder.path()).await?;
    incident(&shell, &client).await?;

    ensure!(agent.terminate().await?, "the agent had to be killed");
    ensure!(control_plane.terminate().await?, "the control plane had to be killed");
    shell.fails(&["monitors", "list"], 6, &["not reachable"]).await
}

async fn sign_in(shell: &Shell, url: &str, folder: &Path) -> Result<()> {
    shell.fails(&["incidents", "list"], 3, &["hyperverge login"]).await?;
    let file = folder.join("password");
    let path = file.to_str().context("a path of text")?;
    let words = ["login", "--url", url, "--email", EMAIL, "--password-file", path];
    std::fs::write(&file, format!("{PASSWORD}\n"))?;
    shell.tell(&words).await?;
    let mode = std::fs::metadata(shell.tokens())?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "others may read the tokens: {mode:o}");

    // An access token that is not good any more is refreshed, and the new one kept.
    let mut kept: Value = serde_json::from_slice(&std::fs::read(shell.tokens())?)?;
    kept["access_token"] = json!("spent");
    std::fs::write(shell.tokens(), kept.to_string())?;
    shell.tell(&["monitors", "list"]).await?;
    let fresh: Value = serde_json::from_slice(&std::fs::read(shell.tokens())?)?;
    ensure!(fresh["access_token"] != "spent" && fresh["refresh_token"] != kept["refresh_token"]);

    // A sign-in that fails leaves the one there is.
    std::fs::write(&file, "not the password\n")?;
    shell.fails(&words, 3, &["You are not signed in"]).await?;
    shell.tell(&["monitors", "list"]).await.map(drop)
}

async fn incident(shell: &Shell, client: &Client) -> Result<()> {
    let target = Target::start().await?;
    let spec = json!({
        "name": "checkout", "target": target.url(), "interval": "1s", "timeout": "1s",
    });
    let monitor = client.create_monitor(&spec).await?;
    let regions = async || client.monitor_regions(&monitor).await;
    until_answer("it is up", WITHIN, regions, |seen| {
        let up = seen.verdict == "up" && seen.items.iter().all(|item| item.state == "up");
        Ok(if up { Seen::Yes(()) } else { Seen::NotYet(format!("{seen:?}")) })
    })
    .await?;
    let well = shell.tell(&["monitors", "explain", "checkout"]).await?;
    ensure!(well.contains("No page: all 1 regions saw checkout well"), "{well}");

    target.set(Switch::BrokenForAll);
    let found = until_answer(
        "an incident",
        WITHIN,
        async || client.incidents().await,
        |found| {
            let down = found.into_iter().find(|incident| incident.verdict == "down");
            Ok(down.map_or_else(|| Seen::NotYet("none".into()), Seen::Yes))
        },
    )
    .await?;
    let id = found.id.as_str();
    let list = shell.json(&["incidents", "list", "--monitor", "checkout"]).await?;
    ensure!(list["items"][0]["id"] == id, "{list}");
    ensure!(shell.tell(&["incidents", "list"]).await?.contains("checkout is down in 1 of 1"));
    shell.tell(&["incidents", "ack", id]).await?;
    shell.tell(&["incidents", "comment", id, "the disk is full"]).await?;
    let show = shell.json(&["incidents", "show", id]).await?;
    ensure!(show["state"] == "acknowledged", "{show}");
    ensure!(shell.tell(&["incidents", "timeline", id]).await?.contains("opened"));
    let why = shell.tell(&["incidents", "explain", id]).await?;
    for words in ["1 of 1 regions down", "decided again: same", "eu-west: down"] {
        ensure!(why.contains(words), "{words} is not in {why}");
    }
    let written = shell.tell(&["incidents", "post-mortem", id]).await?;
    ensure!(written.contains("the disk is full"), "{written}");
    let then = shell.json(&["monitors", "explain", "checkout"]).await?;
    ensure!(then["source"] == "stored" && then["vote"]["down"] == 1, "{then}");

    let words = ["backtest", "checkout", "--fail-after", "50", "--recover-after", "3"];
    let tested = shell.json(&words).await?;
    ensure!(tested["proposed"]["policy"]["fail_after"] == 50, "{tested}");
    ensure!(tested["proposed"]["policy"]["quorum"] == "majority", "{tested}");
    ensure!(tested["present"]["outages"][0]["verdict"] == "down", "{tested}");
    ensure!(tested["sent"]["outages"][0]["acknowledged"] == true, "{tested}");
    ensure!(shell.tell(&words).await?.contains("Not known:"));

    let refused = ["backtest", "checkout", "--fail-after", "0"];
    shell.fails(&refused, 5, &["policy.fail_after must be 1 to 100"]).await?;
    let nobody = ["incidents", "show", "018f0000-0000-7000-8000-000000000000"];
    shell.fails(&nobody, 4, &["Not found"]).await?;
    shell.fails(&["incidents", "show", "../monitors"], 4, &["Not found"]).await?;
    shell.fails(&["incidents", "shwo"], 2, &["shwo"]).await
}
