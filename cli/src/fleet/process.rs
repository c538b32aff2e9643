//! One program running: its log in a file, signals by its own process id.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a program may take to end after SIGTERM before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Variables that would configure our programs from the outside.
const OWN_VARIABLES: [&str; 4] = ["DATABASE_URL", "JWT_SECRET", "PORT", "LOG_LEVEL"];
/// Lines of a log that an error quotes.
const QUOTED_LINES: usize = 15;

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `program` with both its outputs appended to `log`. It sees this
    /// process's environment without what would configure it, and `env`.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[&str],
        env: &[(String, String)],
        log: &Path,
    ) -> Result<Self> {
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("making {}", folder.display()))?;
        }
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if text.starts_with("HYPERVERGE_") || OWN_VARIABLES.contains(&text.as_ref()) {
                command.env_remove(&variable);
            }
        }
        let child = command
            .args(arguments)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// Its process id; none once it has ended and was waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its log so far.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        match id {
            Some(id) => kill_process(id, signal)
                .with_context(|| format!("sending {signal:?} to {}", self.name)),
            None => Ok(()),
        }
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.with_context(|| format!("waiting for {}", self.name))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("asking after {}", self.name))
    }

    /// Ends it as an operator would: SIGTERM, and time to finish. Whether that was enough.
    pub async fn terminate(mut self) -> Result<bool> {
        self.signal(Signal::TERM)?;
        match tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(_) => Ok(true),
            Err(_) => self.kill().await.map(|()| false),
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("killing {}", self.name))
    }

    /// The last lines of its log, for an error message.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let tail = lines.len().saturating_sub(QUOTED_LINES);
        format!("the end of {}:\n{}", self.log.display(), lines[tail..].join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let log = folder.join("logs/shell.log");
        Process::start("shell", Path::new("/bin/sh"), &["-c", script], &[], &log).expect("started")
    }

    #[tokio::test]
    async fn its_words_are_in_its_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = shell("echo one; echo two >&2; exit 3", folder.path());
        assert_eq!(process.wait().await.expect("ended").code(), Some(3));
        assert!(process.last_words().ends_with("one\ntwo"), "{}", process.last_words());
    }

    #[tokio::test]
    async fn it_can_be_told_to_stop_and_can_be_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(shell("exec tail -f /dev/null", folder.path()).terminate().await.expect("ended"));
        let process = shell("exec tail -f /dev/null", folder.path());
        let id = process.id().expect("runs");
        process.kill().await.expect("killed");
        assert!(!Path::new(&format!("/proc/{id}")).exists(), "gone and waited for");
    }
}
