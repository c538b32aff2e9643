//! `hyperverge monitors explain`.

use crate::explained::{checks, confirmation, group, notices, vote};
use crate::print;
use crate::session::{Output, client, in_query, monitor_id};
use anyhow::Result;
use serde_json::Value;

/// Which monitor, and when.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The monitor's name or id.
    monitor: String,
    /// RFC 3339, such as 2026-01-31T03:00:00Z; now when absent.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let client = client()?;
    let id = monitor_id(&client, &options.monitor).await?;
    let at = options.at.as_deref().map(|at| format!("?at={}", in_query(at)));
    let path = format!("monitors/{id}/explain{}", at.unwrap_or_default());
    let answer: Value = client.get(&path).await?;
    if options.output.json {
        print::json(&answer);
        return Ok(());
    }
    print::line(print::at(&answer, "/summary"));
    print::line("");
    let at = print::at(&answer, "/at");
    match print::at(&answer, "/source") {
        "stored" => {
            let decided = print::at(&answer, "/decided_at");
            print::line(&format!("At {at}, as it was decided at {decided}"));
        }
        "rebuilt" => print::line(&format!("At {at}, rebuilt from")),
        _ => print::line(&format!("At {at}, of which no result is stored any more")),
    }
    for said in print::list(&answer, "/rebuilt_from") {
        print::line(&format!("  {}", said.as_str().unwrap_or("")));
    }
    if !answer["vote"].is_null() {
        print::line(print::at(&answer, "/vote/arithmetic"));
        vote(&answer["vote"], "  ");
    }
    if let Some(hold) = answer["hold"].as_object() {
        let text = |field: &str| hold.get(field).and_then(Value::as_str).unwrap_or("");
        print::line(&format!(
            "Notices were held by the {} {} until {}",
            text("kind"),
            text("name"),
            text("until")
        ));
    }
    confirmation(&answer);
    checks(&answer);
    group(&answer);
    notices(&answer);
    for said in print::list(&answer, "/unknown") {
        print::line(&format!("Not known: {}", said.as_str().unwrap_or("")));
    }
    Ok(())
}
