//! `hyperverge demo` itself: its story comes true, and it leaves nothing behind,
//! neither at its end nor when it is told to stop in the middle.

use anyhow::{Context, Result, ensure};
use hyperverge_cli::fleet::Process;
use hyperverge_cli::wait::{Seen, until};
use hyperverge_e2e::variable;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;

const STORY_WITHIN: Duration = Duration::from_secs(240);
const WITHIN: Duration = Duration::from_secs(60);
const SCRATCH: &str = "on a scratch database below ";

#[tokio::test(flavor = "multi_thread")]
async fn the_story_comes_true_and_leaves_nothing_behind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut demo = start(folder.path())?;
    let status = tokio::time::timeout(STORY_WITHIN, demo.wait()).await??;
    ensure!(status.success(), "{status}; {}", demo.last_words());
    let told = std::fs::read_to_string(demo.log())?;
    for words in ["Console   http://127.0.0.1:", ">> webhook", ">> email", "It all came true"] {
        ensure!(told.contains(words), "it never said `{words}`:\n{told}");
    }
    nothing_is_left(&told)
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_takes_everything_down() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut demo = start(folder.path())?;
    let log = demo.log().to_owned();
    until("its first agent runs", WITHIN, async || {
        ensure!(demo.ended()?.is_none(), "it ended; {}", demo.last_words());
        let told = std::fs::read_to_string(&log)?;
        let running = told.contains("An agent in");
        Ok(if running { Seen::Yes(()) } else { Seen::NotYet(told) })
    })
    .await?;
    demo.signal(Signal::TERM)?;
    let status = tokio::time::timeout(WITHIN, demo.wait()).await??;
    ensure!(status.code() == Some(1), "a story that was cut short is no success: {status}");
    let told = std::fs::read_to_string(&log)?;
    let kept = PathBuf::from(scratch(&told)?);
    ensure!(kept.join("logs").is_dir(), "the logs of a failure are kept: {told}");
    std::fs::remove_dir_all(&kept)?;
    nothing_is_left(&told)
}

fn start(folder: &Path) -> Result<Process> {
    let program = PathBuf::from(variable("HYPERVERGE_TEST_BIN_DIR")?).join("hyperverge");
    Process::start("demo", &program, &["demo", "--script"], &[], &folder.join("demo.log"))
}

fn scratch(told: &str) -> Result<&str> {
    let line = told.lines().find_map(|line| line.split_once(SCRATCH));
    Ok(line.context("it did not say where its scratch folder is")?.1)
}

/// The scratch folder is gone, and so is every program that was started with it.
fn nothing_is_left(told: &str) -> Result<()> {
    let scratch = scratch(told)?;
    ensure!(!Path::new(scratch).exists(), "{scratch} is left");
    for process in std::fs::read_dir("/proc")?.flatten() {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        ensure!(!command.contains(scratch), "still running: {command}");
    }
    Ok(())
}
