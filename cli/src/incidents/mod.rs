//! `hyperverge incidents`: one file for each command.

mod ack;
mod comment;
mod explain;
mod list;
mod post_mortem;
mod show;
mod timeline;

use crate::session::Output;
use anyhow::Result;
use clap::Subcommand;

/// What can be done with incidents.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The newest incidents.
    List(list::Options),
    /// One incident.
    Show(One),
    /// Every decision about one, in order.
    Timeline(One),
    /// Say that you take care of it.
    Ack(One),
    /// Write something into its timeline.
    Comment(comment::Options),
    /// Why it was opened, told, held and resolved.
    Explain(One),
    /// A post-mortem to fill in, as Markdown.
    PostMortem(One),
}

/// One incident.
#[derive(Debug, clap::Args)]
pub struct One {
    /// The incident's id.
    id: String,
    #[command(flatten)]
    output: Output,
}

/// Runs the command that was typed.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::List(options) => list::run(options).await,
        Command::Show(one) => show::run(one).await,
        Command::Timeline(one) => timeline::run(one).await,
        Command::Ack(one) => ack::run(one).await,
        Command::Comment(options) => comment::run(options).await,
        Command::Explain(one) => explain::run(one).await,
        Command::PostMortem(one) => post_mortem::run(one).await,
    }
}
