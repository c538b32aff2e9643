//! What both explanations print: votes, what was asked at once, checks, the group, notices.

use crate::print;
use serde_json::Value;

/// Each seat of a vote, if there was one.
pub(crate) fn vote(vote: &Value, indent: &str) {
    for seat in print::list(vote, "/votes") {
        let (region, state) = (print::at(seat, "/region"), print::at(seat, "/state"));
        print::line(&format!("{indent}{region}: {state}, {}", print::at(seat, "/why")));
    }
}

/// What was asked at once of every region to confirm a failure, and what was not.
pub(crate) fn confirmation(answer: &Value) {
    for burst in print::list(answer, "/bursts") {
        print::line("");
        let (asked, region) = (print::at(burst, "/asked_at"), print::at(burst, "/region"));
        print::line(&format!("Confirmation asked at {asked} after a failure in {region}"));
        for order in print::list(burst, "/orders") {
            print::line(&format!("  {}: {}", print::at(order, "/region"), answered(order)));
        }
    }
    let kept = print::list(answer, "/not_asked");
    if !kept.is_empty() {
        print::line("");
    }
    for one in kept {
        let (at, region) = (print::at(one, "/at"), print::at(one, "/region"));
        let why = print::at(one, "/why");
        print::line(&format!("No confirmation asked at {at} after a failure in {region}: {why}"));
    }
}

/// What one region answered.
fn answered(order: &Value) -> String {
    let count = |field: &str| order[field].as_u64().unwrap_or(0);
    let seen = match (count("successes"), count("failures")) {
        (0, 0) => "no answer".to_owned(),
        (0, 1) => "1 failure".to_owned(),
        (0, failures) => format!("{failures} failures"),
        (_, 0) => "it is well".to_owned(),
        (_, 1) => "1 failure, then a success".to_owned(),
        (_, failures) => format!("{failures} failures, then a success"),
    };
    let text = |pointer| print::at(order, pointer);
    match (text("/sent_at"), text("/answered_at")) {
        ("", "") => "it was not reached".to_owned(),
        (_, "") => format!("{seen}, and not all that was asked"),
        (_, at) => format!("{seen}, at {at}"),
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

/// What it shares with others, and which of them people were told of.
pub(crate) fn group(answer: &Value) {
    let group = &answer["group"];
    if group.is_null() {
        return;
    }
    let text = |pointer| print::at(group, pointer);
    print::line("");
    print::line(&format!("One of a group: {}", text("/summary")));
    print::line(&format!("  in common     {} {}", text("/cause/kind"), text("/cause/value")));
    let (lead, id) = (text("/lead/name"), text("/lead/id"));
    print::line(&format!("  told through  {lead}, incident {id}"));
    print::line(&format!("  this one      {}", text("/told")));
    let over = text("/resolved_at");
    let until = if over.is_empty() { "not over".to_owned() } else { format!("over at {over}") };
    let (all, open) = (&group["member_count"], &group["unresolved_count"]);
    print::line(&format!(
        "  members       {all}, of which {open} still hurt; since {}, {until}",
        text("/opened_at")
    ));
    let members = print::list(group, "/members");
    let cells = |member: &Value| {
        let columns = ["/subject/name", "/verdict", "/scope", "/state", "/started_at", "/id"];
        let mut cells: Vec<String> =
            columns.iter().map(|column| print::at(member, column).to_owned()).collect();
        cells[0].insert_str(0, "  ");
        cells
    };
    let rows: Vec<Vec<String>> = members.iter().map(cells).collect();
    print::table(&["  MEMBER", "VERDICT", "SCOPE", "STATE", "BEGAN", "INCIDENT"], &rows);
    let more = all.as_u64().unwrap_or(0).saturating_sub(members.len() as u64);
    if more > 0 {
        print::line(&format!(
            "  and {more} more: hyperverge incidents list --group {}",
            text("/id")
        ));
    }
}

/// What was to be told, and who was.
pub(crate) fn notices(answer: &Value) {
    for intent in print::list(answer, "/intents") {
        let kind = print::at(intent, "/kind");
        let outcome = print::at(intent, "/outcome");
        let held = print::at(intent, "/held");
        let outcome = match (outcome, held) {
            ("", "") => "it waits".to_owned(),
            ("", held) => format!("it waits: {held}"),
            (outcome, _) => outcome.to_owned(),
        };
        let notice = if intent["quiet"] == true { "Notice to routes" } else { "Page" };
        let happened = happened(kind);
        let due = print::at(intent, "/due_at");
        print::line(&format!("{notice} that it {happened}, due {due}: {outcome}"));
    }
    for delivery in print::list(answer, "/deliveries") {
        let error = print::at(delivery, "/last_error");
        let error = if error.is_empty() { String::new() } else { format!(" ({error})") };
        let through = match delivery["through"].is_null() {
            true => String::new(),
            false => format!(" (through {})", print::at(answer, "/group/lead/name")),
        };
        let recipient = print::at(delivery, "/recipient");
        let to = if recipient.is_empty() { String::new() } else { format!(" {recipient}") };
        let attempts = match delivery["attempts"].as_u64() {
            Some(1) => "1 attempt".to_owned(),
            count => format!("{} attempts", count.unwrap_or(0)),
        };
        print::line(&format!(
            "  {}{to}, that it {}{through}: {} after {attempts}{error}",
            print::at(delivery, "/channel"),
            happened(print::at(delivery, "/kind")),
            print::at(delivery, "/state"),
        ));
    }
}

/// A kind of notice after "that it".
fn happened(kind: &str) -> &str {
    match kind {
        "opened" => "began",
        "resolved" => "is over",
        other => other,
    }
}
