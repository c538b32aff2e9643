//! `hyperverge incidents comment`.

use crate::print;
use crate::session::{Output, client, in_path};
use anyhow::Result;
use serde_json::{Value, json};

/// What is written, and about which incident.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The incident's id.
    id: String,
    /// Plain text, up to 4000 characters.
    text: String,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let path = format!("incidents/{}/comments", in_path(&options.id)?);
    let answer: Value = client()?.post(&path, &json!({ "text": options.text })).await?;
    if options.output.json {
        print::json(&answer);
    } else {
        print::line("Written.");
    }
    Ok(())
}
