//! `hyperverge demo`: the main job on one machine.
//!
//! A control plane, three agents in three regions and a target with a switch,
//! all real programs over loopback ([`crate::fleet`]). At a terminal a menu
//! works the switch; with `--script`, or without a terminal, a [`story`] plays
//! by itself and fails if anything it tells did not come true.
//!
//! - [`stage`] raises everything and takes it down again.
//! - [`target`] is what is watched, [`inbox`] is who is told ([`webhook`], [`mail`]).
//! - [`menu`] and [`story`] are the two ways to play, both through [`scene`].

mod inbox;
mod mail;
mod menu;
mod scene;
mod screen;
mod stage;
mod story;
pub mod target;
mod webhook;

use crate::fleet::Binaries;
use anyhow::{Context, Result, bail};
use screen::say;
use stage::{Cast, Stage};
use std::io::IsTerminal;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Options of `hyperverge demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Play the whole story by itself and exit 0 only if all of it came true; implied without a terminal.
    #[arg(long, alias = "auto")]
    script: bool,
    /// Keep the scratch folder (configuration, database, logs, mail) afterwards.
    #[arg(long)]
    keep: bool,
    /// Where the programs are; the folder of this one by default.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// Runs the demo to its end, and ends every program it started, however it ends.
pub async fn run(options: Options) -> Result<()> {
    let binaries = match &options.programs {
        Some(folder) => Binaries::in_folder(folder)?,
        None => Binaries::beside_this_program()?,
    };
    let scripted = options.script || !std::io::stdin().is_terminal();
    let scratch = tempfile::Builder::new()
        .prefix("hyperverge-demo-")
        .tempdir()
        .context("making a scratch folder")?;
    let mut cast = Cast::default();
    let outcome = tokio::select! {
        biased;
        () = interrupted()? => {
            say("");
            say("Interrupted.");
            if scripted { Err(anyhow::anyhow!("interrupted before the end of the story")) } else { Ok(()) }
        }
        outcome = perform(&mut cast, binaries, scratch.path().to_owned(), scripted) => outcome,
    };
    say("Stopping the agents and the control plane.");
    cast.leave().await;
    if options.keep || outcome.is_err() {
        say(&format!("Everything that was written is in {}", scratch.keep().display()));
    }
    outcome
}

async fn perform(cast: &mut Cast, binaries: Binaries, dir: PathBuf, scripted: bool) -> Result<()> {
    let scene = Stage::new(binaries, dir).raise(cast).await?;
    tokio::select! {
        outcome = play(&scene, scripted) => outcome,
        lost = cast.missing() => bail!(lost),
    }
}

async fn play(scene: &scene::Scene, scripted: bool) -> Result<()> {
    if scripted { story::play(scene).await } else { menu::play(scene).await }
}

/// Ends with the first SIGINT, SIGTERM or SIGHUP from now on.
fn interrupted() -> Result<impl Future<Output = ()>> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
