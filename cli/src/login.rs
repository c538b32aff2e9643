//! `hyperverge login`: signs in and keeps the tokens for the other commands.

use crate::client::{Client, Login, TokenFile};
use crate::print;
use anyhow::{Context, Result, bail};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Options of `hyperverge login`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where the control plane is, such as `https://hyperverge.example.com`.
    #[arg(long)]
    url: String,
    #[arg(long)]
    email: String,
    /// A file whose first line is the password; otherwise HYPERVERGE_PASSWORD, otherwise a prompt.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Signs in.
pub async fn run(options: Options) -> Result<()> {
    let url = options.url.trim_end_matches('/').to_owned();
    if !url.starts_with("http://") && !url.starts_with("https://") {
        bail!("--url must begin with http:// or https://");
    }
    let password = password(options.password_file)?;
    let login = Login { email: options.email, password };
    let file = TokenFile::of_user().context("finding a place for the tokens")?;
    Client::new(&url, login.clone())?.sign_in(&login, &file).await?;
    print::line(&format!(
        "Signed in to {url} as {}; kept in {}",
        login.email,
        file.path().display()
    ));
    Ok(())
}

fn password(file: Option<PathBuf>) -> Result<String> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if let Ok(password) = std::env::var("HYPERVERGE_PASSWORD") {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "there is no terminal to ask for the password; use --password-file or HYPERVERGE_PASSWORD"
        );
    }
    ask()
}

/// Asks at the terminal, without showing what is typed.
fn ask() -> Result<String> {
    let mut out = std::io::stderr();
    write!(out, "Password: ").ok();
    out.flush().ok();
    let stdin = std::io::stdin();
    let shown = tcgetattr(&stdin).context("asking for the password")?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).context("hiding the password")?;
    let mut typed = String::new();
    let read = stdin.lock().read_line(&mut typed);
    tcsetattr(&stdin, OptionalActions::Flush, &shown).context("showing what is typed again")?;
    writeln!(out).ok();
    read.context("reading the password")?;
    Ok(typed.trim_end_matches(['\r', '\n']).to_owned())
}
