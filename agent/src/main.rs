//! `hyperverge-agent`: see the library for what it does.

use anyhow::Context;
use clap::{Parser, Subcommand};
use hyperverge_agent::config::Config;
use hyperverge_agent::prober::RealProber;
use hyperverge_agent::{app, doctor, enroll, limits, logging, server};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Probes targets from one region and reports signed results.
#[derive(Debug, Parser)]
#[command(name = "hyperverge-agent", version)]
struct Arguments {
    /// Configuration file; /etc/hyperverge/agent.toml when absent.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Probe and report until stopped.
    Run,
    /// Join a control plane with a token; `-` reads the token from standard input.
    Enroll { token: String },
    /// Look at every layer between this host and its work, and name the one that fails.
    Doctor,
    /// Read the configuration, and say whether it can be used.
    CheckConfig,
    /// Ask the agent running on this host whether it is alive.
    Healthcheck,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Fails only when somebody installed one before, which is just as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match execute(arguments) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(arguments.config.as_deref())?;
    match arguments.command {
        Command::Run => run(&config),
        Command::Enroll { token } => {
            logging::start(&config.log)?;
            let token = if token == "-" { read_token()? } else { token };
            let outcome = runtime(&config)?.block_on(enroll::enroll(&config, &token))?;
            say(&format!("enrolled agent {} in region {}", outcome.agent_id, outcome.region));
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor => {
            let findings = runtime(&config)?.block_on(doctor::examine(&config));
            for finding in &findings {
                let mark = if finding.good { "ok  " } else { "FAIL" };
                say(&format!("{mark} {:<9} {}", finding.layer, finding.says));
            }
            let all_good = findings.iter().all(|finding| finding.good);
            Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::CheckConfig => {
            RealProber::new(&config)?;
            say("the configuration is good");
            Ok(ExitCode::SUCCESS)
        }
        Command::Healthcheck => healthcheck(&config),
    }
}

fn run(config: &Config) -> anyhow::Result<ExitCode> {
    logging::start(&config.log)?;
    let prober = Arc::new(RealProber::new(config)?);
    runtime(config)?.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let asked = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked.cancel();
        });
        app::run(config, prober, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// No more workers than CPUs this process may use: on one CPU, threads that hand
/// each other work and wake each other up cost more than the checks' own code.
fn runtime(config: &Config) -> anyhow::Result<Runtime> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cpus.min(config.runtime.workers as usize);
    let mut builder =
        if workers == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().context("cannot start the runtime")
}

fn healthcheck(config: &Config) -> anyhow::Result<ExitCode> {
    let mut address = config.listen()?;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let live = runtime(config)?.block_on(async {
        tokio::time::timeout(limits::HEALTHCHECK_TIMEOUT, server::is_live(address)).await
    });
    match live {
        Ok(Ok(true)) => Ok(ExitCode::SUCCESS),
        Ok(Ok(false)) => anyhow::bail!("{address} answers, but is not alive"),
        Ok(Err(error)) => Err(error).with_context(|| format!("no agent answers on {address}")),
        Err(_) => anyhow::bail!("{address} does not answer in time"),
    }
}

fn read_token() -> anyhow::Result<String> {
    let mut token = String::new();
    std::io::stdin().read_line(&mut token).context("cannot read the token")?;
    Ok(token)
}

/// Prints a line for people; a closed standard output is no reason to fail.
fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}
