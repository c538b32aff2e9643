//! `hyperverge incidents list`.

use crate::print;
use crate::session::{Output, client, in_query, monitor_id};
use anyhow::Result;
use serde_json::Value;

/// Options of the list.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// open, acknowledged, resolved, or unresolved for the first two.
    #[arg(long)]
    state: Option<String>,
    /// Only those of this monitor, by name or id.
    #[arg(long)]
    monitor: Option<String>,
    /// Only those of this group.
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// At most so many: 1 to 200.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let client = client()?;
    let mut path = format!("incidents?limit={}", options.limit);
    if let Some(state) = &options.state {
        path.push_str(&format!("&state={}", in_query(state)));
    }
    if let Some(monitor) = &options.monitor {
        path.push_str(&format!("&monitor={}", monitor_id(&client, monitor).await?));
    }
    if let Some(group) = &options.group {
        path.push_str(&format!("&group={}", in_query(group)));
    }
    let answer: Value = client.get(&path).await?;
    if options.output.json {
        print::json(&answer);
        return Ok(());
    }
    let columns = ["/id", "/state", "/severity", "/scope", "/started_at", "/summary"];
    let cells =
        |item: &Value| columns.iter().map(|column| print::at(item, column).to_owned()).collect();
    let rows: Vec<Vec<String>> = print::list(&answer, "/items").iter().map(cells).collect();
    print::table(&["ID", "STATE", "SEVERITY", "SCOPE", "STARTED", "SUMMARY"], &rows);
    Ok(())
}
