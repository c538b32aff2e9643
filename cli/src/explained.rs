//! What both explanations print: votes, checks, notices.

use crate::print;
use serde_json::Value;

/// Each seat of a vote, if there was one.
pub(crate) fn vote(vote: &Value, indent: &str) {
    for seat in print::list(vote, "/votes") {
        let (region, state) = (print::at(seat, "/region"), print::at(seat, "/state"));
        print::line(&format!("{indent}{region}: {state}, {}", print::at(seat, "/why")));
    }
}

/// The checks that were used.
pub(crate) fn checks(answer: &Value) {
    let checks = print::list(answer, "/checks");
    if checks.is_empty() {
        return;
    }
    print::line("");
    let cells = |check: &Value| {
        let text = |pointer| print::at(check, pointer).to_owned();
        let burst = check["burst_index"].as_i64().filter(|index| *index > 0);
        let burst = burst.map(|index| format!("burst {index}")).unwrap_or_default();
        vec![text("/started_at"), text("/region"), text("/outcome"), text("/reason"), burst]
    };
    let rows: Vec<Vec<String>> = checks.iter().map(cells).collect();
    print::table(&["CHECK", "REGION", "OUTCOME", "REASON", ""], &rows);
}

/// What was to be told, and who was.
pub(crate) fn notices(answer: &Value) {
    for intent in print::list(answer, "/intents") {
        let kind = print::at(intent, "/kind");
        let outcome = print::at(intent, "/outcome");
        let outcome = if outcome.is_empty() { "waits" } else { outcome };
        print::line(&format!(
            "Notice that it {kind}, due {}: {outcome}",
            print::at(intent, "/due_at")
        ));
    }
    for delivery in print::list(answer, "/deliveries") {
        let error = print::at(delivery, "/last_error");
        let error = if error.is_empty() { String::new() } else { format!(" ({error})") };
        print::line(&format!(
            "  {} {}: {} after {} attempts{error}",
            print::at(delivery, "/channel"),
            print::at(delivery, "/recipient"),
            print::at(delivery, "/state"),
            delivery["attempts"]
        ));
    }
}
