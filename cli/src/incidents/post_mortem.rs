//! `hyperverge incidents post-mortem`.

use super::One;
use crate::print;
use crate::session::{client, in_path};
use anyhow::Result;
use serde_json::json;

pub(super) async fn run(one: One) -> Result<()> {
    let path = format!("incidents/{}/post-mortem", in_path(&one.id)?);
    let markdown = client()?.get_text(&path).await?;
    if one.output.json {
        print::json(&json!({ "markdown": markdown }));
    } else {
        print::text(&markdown);
    }
    Ok(())
}
