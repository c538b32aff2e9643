//! `hyperverge incidents ack`.

use super::{One, show};
use crate::print;
use crate::session::{client, in_path};
use anyhow::Result;
use serde_json::{Value, json};

pub(super) async fn run(one: One) -> Result<()> {
    let path = format!("incidents/{}/acknowledge", in_path(&one.id)?);
    let answer: Value = client()?.post(&path, &json!({})).await?;
    if one.output.json {
        print::json(&answer);
    } else {
        show::show(&answer);
    }
    Ok(())
}
