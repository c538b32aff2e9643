//! `hyperverge incidents timeline`.

use super::One;
use crate::print;
use crate::session::{client, in_path};
use anyhow::Result;
use serde_json::Value;

pub(super) async fn run(one: One) -> Result<()> {
    let path = format!("incidents/{}/timeline?limit=200", in_path(&one.id)?);
    let answer: Value = client()?.get(&path).await?;
    if one.output.json {
        print::json(&answer);
        return Ok(());
    }
    let cells = |event: &Value| {
        let text = |pointer| print::at(event, pointer).to_owned();
        vec![event["number"].to_string(), text("/at"), text("/kind"), text("/summary")]
    };
    let rows: Vec<Vec<String>> = print::list(&answer, "/items").iter().map(cells).collect();
    print::table(&["NO", "AT", "KIND", "SUMMARY"], &rows);
    Ok(())
}
