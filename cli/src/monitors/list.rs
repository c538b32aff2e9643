//! `hyperverge monitors list`.

use crate::print;
use crate::session::{Output, client};
use anyhow::Result;
use serde_json::{Value, json};

/// Pages that are read at most.
const PAGES: usize = 500;

/// Options of the list.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let client = client()?;
    let mut items = Vec::new();
    let mut path = "monitors?limit=200".to_owned();
    for _ in 0..PAGES {
        let page: Value = client.get(&path).await?;
        items.extend(print::list(&page, "/items").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("monitors?limit=200&cursor={cursor}"),
            None => break,
        }
    }
    if options.output.json {
        print::json(&json!({ "items": items, "next_cursor": null }));
        return Ok(());
    }
    let columns = ["/name", "/state/verdict", "/state/scope", "/kind", "/target"];
    let cells =
        |item: &Value| columns.iter().map(|column| print::at(item, column).to_owned()).collect();
    let rows: Vec<Vec<String>> = items.iter().map(cells).collect();
    print::table(&["NAME", "VERDICT", "SCOPE", "KIND", "TARGET"], &rows);
    Ok(())
}
