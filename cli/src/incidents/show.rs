//! `hyperverge incidents show`.

use super::One;
use crate::print;
use crate::session::{client, in_path};
use anyhow::Result;
use serde_json::Value;

pub(super) async fn run(one: One) -> Result<()> {
    let answer: Value = client()?.get(&format!("incidents/{}", in_path(&one.id)?)).await?;
    if one.output.json {
        print::json(&answer);
    } else {
        show(&answer);
    }
    Ok(())
}

/// An incident, a line for each fact.
pub(super) fn show(incident: &Value) {
    print::line(print::at(incident, "/summary"));
    for (name, pointer) in [
        ("id", "/id"),
        ("state", "/state"),
        ("verdict", "/verdict"),
        ("scope", "/scope"),
        ("severity", "/severity"),
        ("began", "/started_at"),
        ("known", "/opened_at"),
        ("resolved", "/resolved_at"),
        ("acknowledged", "/acknowledged_at"),
        ("group", "/group/summary"),
    ] {
        let value = print::at(incident, pointer);
        if !value.is_empty() {
            print::line(&format!("  {name:<13}{value}"));
        }
    }
    for region in print::list(incident, "/regions") {
        let (name, state) = (print::at(region, "/region"), print::at(region, "/state"));
        print::line(&format!("  {name:<13}{state} {}", print::at(region, "/reason")));
    }
}
