//! The cases: what is run, in which order, and the tables that come of it.

mod fleet;
mod hung;
mod icmp;
mod overload;
mod requests;
mod times;
mod truth;

use crate::agent::Agent;
use crate::nginx::Nginx;
use crate::say;
use crate::table::{self, Table};
use anyhow::Context;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The agent to measure.
    #[arg(long)]
    agent: PathBuf,
    /// The file that the tables go to.
    #[arg(long)]
    out: PathBuf,
    /// Which cases, by name.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "http,https,tcp,icmp,truth,times,overload,hung,fleet"
    )]
    cases: Vec<String>,
    /// How often whoever is compared takes turns.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of one window.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// What every case works with.
#[derive(Debug)]
struct Bench {
    agent: Agent,
    nginx: Nginx,
    dir: PathBuf,
    rounds: u32,
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let dir = crate::beside()?.join("peers");
        std::fs::create_dir_all(&dir)?;
        let program = arguments.agent.canonicalize()?;
        let bench = Bench {
            agent: Agent { program, dir: dir.clone() },
            nginx: Nginx::start(&dir.join("nginx")).await?,
            rounds: arguments.rounds,
            seconds: arguments.seconds,
            dir,
        };
        // Whoever interrupts it gets the host back as it was.
        let done = tokio::select! {
            done = bench.cases(arguments) => done,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        };
        bench.nginx.stop().await?;
        done
    })
}

impl Bench {
    /// Runs them all; an error at the end if a goal is not met.
    async fn cases(&self, arguments: &Arguments) -> anyhow::Result<()> {
        let mut text = String::new();
        let mut goals = Vec::new();
        for name in &arguments.cases {
            say(&format!("==> {name}"));
            let mut table = self.case(name).await.with_context(|| format!("case {name}"))?;
            goals.append(&mut table.goals);
            say(&table.text());
            text.push_str(&table.text());
            text.push('\n');
            std::fs::write(&arguments.out, &text)?;
        }
        let table = table::goals(&goals);
        say(&table);
        text.push_str(&table);
        std::fs::write(&arguments.out, &text)?;
        let open = goals.iter().filter(|goal| !goal.met).count();
        anyhow::ensure!(open == 0, "{open} of {} goals are not met", goals.len());
        Ok(())
    }

    async fn case(&self, name: &str) -> anyhow::Result<Table> {
        match name {
            "http" => requests::http(self).await,
            "https" => requests::https(self).await,
            "tcp" => requests::tcp(self).await,
            "icmp" => icmp::run(self).await,
            "times" => times::run(self).await,
            "truth" => truth::run(self).await,
            "overload" => overload::run(self).await,
            "hung" => hung::run(self).await,
            "fleet" => fleet::run(self).await,
            _ => anyhow::bail!("no case is called {name:?}"),
        }
    }
}
