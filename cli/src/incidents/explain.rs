//! `hyperverge incidents explain`.

use super::One;
use crate::explained::{checks, confirmation, group, notices, vote};
use crate::print;
use crate::session::{client, in_path};
use anyhow::Result;
use serde_json::Value;

pub(super) async fn run(one: One) -> Result<()> {
    let answer: Value = client()?.get(&format!("incidents/{}/explain", in_path(&one.id)?)).await?;
    if one.output.json {
        print::json(&answer);
        return Ok(());
    }
    print::line(print::at(&answer, "/summary"));
    print::line("");
    print::line("Decisions");
    for decision in print::list(&answer, "/decisions") {
        decided(decision);
    }
    confirmation(&answer);
    checks(&answer);
    group(&answer);
    notices(&answer);
    for said in print::list(&answer, "/left_out") {
        print::line(&format!("Not shown: {}", said.as_str().unwrap_or("")));
    }
    Ok(())
}

fn decided(decision: &Value) {
    let text = |pointer| print::at(decision, pointer);
    let (number, at, kind) = (&decision["number"], text("/at"), text("/kind"));
    print::line(&format!("  {number}  {at}  {kind}  {}", text("/summary")));
    for reason in print::list(decision, "/reasons") {
        print::line(&format!("       because {}", reason.as_str().unwrap_or("")));
    }
    vote(&decision["vote"], "       ");
    print::line(&format!("       decided again: {}", text("/replay/result")));
    for with in print::list(decision, "/replay/with") {
        print::line(&format!("         {}", with.as_str().unwrap_or("")));
    }
}
