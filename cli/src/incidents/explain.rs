//! `hyperverge incidents explain`.

use super::One;
use crate::explained::{checks, group, notices, vote};
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
    for burst in print::list(&answer, "/bursts") {
        burst_of(burst);
    }
    checks(&answer);
    group(&answer);
    notices(&answer);
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

fn burst_of(burst: &Value) {
    print::line("");
    let (asked, region) = (print::at(burst, "/asked_at"), print::at(burst, "/region"));
    print::line(&format!("Confirmation asked at {asked} after a failure in {region}"));
    for order in print::list(burst, "/orders") {
        let answered = print::at(order, "/answered_at");
        let answered = if answered.is_empty() { "not in full" } else { answered };
        print::line(&format!(
            "  {}: {} failures, {} successes; answered {answered}",
            print::at(order, "/region"),
            order["failures"],
            order["successes"]
        ));
    }
}
