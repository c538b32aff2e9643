//! `hyperverge-control-plane`: the command line.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use hyperverge_control_plane::roles::{Role, Roles};
use hyperverge_control_plane::settings::{self, Settings, Sources};
use hyperverge_control_plane::store::Store;
use hyperverge_control_plane::{api, app, clock, limits, server, telemetry, tenants};
use hyperverge_protocol::settings::Override;
use rand::RngExt;
use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// After a second signal, as shells count a death by SIGINT.
const KILLED: i32 = 130;

/// The control plane of HyperVerge.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until a signal: a first one stops cleanly, a second one at once.
    Serve {
        #[command(flatten)]
        source: SettingsArgs,
        /// Which services this process is; without it, all of them.
        #[arg(long, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Say whether the configuration is good, without starting.
    CheckConfig {
        #[command(flatten)]
        source: SettingsArgs,
    },
    /// The OpenAPI document of this version's API.
    Openapi,
    /// The table of metrics in docs/metrics.md.
    Metrics,
    /// The tenants of this installation.
    Organisation {
        #[command(subcommand)]
        command: OrganisationCommand,
    },
    /// Say whether the process on this machine is ready, by exit code.
    Healthcheck {
        #[command(flatten)]
        source: SettingsArgs,
    },
}

#[derive(Debug, Subcommand)]
enum OrganisationCommand {
    /// Make an organisation and its owner. The password is read from standard
    /// input if that is no terminal, else made and printed, once.
    Create {
        #[command(flatten)]
        source: SettingsArgs,
        #[arg(long)]
        name: String,
        #[arg(long)]
        owner_email: String,
    },
}

/// Where settings come from. The environment lies between the file and `--set`.
#[derive(Debug, Args)]
struct SettingsArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "HYPERVERGE_CONFIG")]
    config: Option<PathBuf>,
    /// One key, over everything else.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl SettingsArgs {
    fn load(&self) -> anyhow::Result<(Settings, Sources)> {
        let mut flags = Vec::new();
        for pair in &self.set {
            let (key, text) = pair.split_once('=').context("--set wants SECTION.KEY=VALUE")?;
            flags.push(Override::new(key.trim(), text, "--set"));
        }
        let environment = settings::process_environment();
        Ok(settings::load(self.config.as_deref(), &environment, &flags)?)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

#[expect(clippy::print_stderr, reason = "a command line speaks to its terminal")]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("hyperverge-control-plane: {error:#}");
    ExitCode::FAILURE
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { source, roles } => serve(&source, &roles).await,
        Command::CheckConfig { source } => check_config(&source),
        Command::Openapi => openapi(),
        Command::Metrics => metrics(),
        Command::Organisation { command } => organisation(command).await,
        Command::Healthcheck { source } => healthcheck(&source).await,
    }
}

async fn serve(source: &SettingsArgs, roles: &[Role]) -> anyhow::Result<()> {
    let (settings, sources) = source.load()?;
    telemetry::install(&settings.log)?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS provider is installed already");
    }
    let stop = CancellationToken::new();
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(on_signals(terminate, interrupt, stop.clone()));
    app::serve(settings, &sources, Roles::new(roles), stop).await
}

async fn on_signals(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    let mut next = async || {
        tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" }
    };
    let signal = next().await;
    tracing::info!(signal, "stopping; another signal stops at once");
    stop.cancel();
    let signal = next().await;
    tracing::warn!(signal, "stopping at once");
    std::process::exit(KILLED);
}

#[expect(clippy::print_stdout, reason = "a command line speaks to its terminal")]
fn check_config(source: &SettingsArgs) -> anyhow::Result<()> {
    let (settings, _) = source.load()?;
    println!("configuration is good; keys are in {}", settings.keys_dir().display());
    Ok(())
}

async fn healthcheck(source: &SettingsArgs) -> anyhow::Result<()> {
    let (settings, _) = source.load()?;
    let listen = settings.server.listen.parse().context("server.listen")?;
    Ok(server::probe(listen).await?)
}

#[expect(clippy::print_stdout, reason = "a command line speaks to its terminal")]
fn openapi() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(&api::openapi())?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command line speaks to its terminal")]
fn metrics() -> anyhow::Result<()> {
    print!("{}", hyperverge_control_plane::metrics::documentation());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command line speaks to its terminal")]
async fn organisation(command: OrganisationCommand) -> anyhow::Result<()> {
    let OrganisationCommand::Create { source, name, owner_email } = command;
    let (settings, _) = source.load()?;
    let (password, made) = password()?;
    let store = Store::open(settings.database.url.expose()).await.context("database.url")?;
    let id = tenants::create(&store, &name, &owner_email, password.clone()).await?;
    store.close().await;
    println!("organisation {id}");
    if made {
        println!("password of {owner_email}, shown only now: {password}");
    }
    Ok(())
}

/// A password from standard input, or a new one; whether it was made here.
fn password() -> anyhow::Result<(String, bool)> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok((hex::encode(clock::rng().random::<[u8; 12]>()), true));
    }
    let mut line = String::new();
    input.lock().take(limits::PASSWORD_MAX_BYTES as u64 + 2).read_line(&mut line)?;
    Ok((line.trim_end_matches(['\r', '\n']).to_owned(), false))
}
