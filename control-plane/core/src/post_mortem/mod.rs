//! What is to be remembered of an incident, as Markdown.
//!
//! Everything that is on record is filled in: what hurt, where and for how long,
//! every decision, who was told what and how late, what people wrote. What only
//! people know, why it happened and what is done about it, is left open.
//!
//! [`compose`] is pure; texts from outside go through `markdown.rs`.

mod impact;
mod markdown;

use crate::correlation::RegionView;
use crate::notification::{elapsed, utc};
use markdown::{head, inline, quote, row};

/// An incident with all that is on record about it. Times are ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    /// `monitor`, `agent` or `region`, and its name.
    pub subject: (String, String),
    pub target: Option<String>,
    pub state: String,
    /// Of a resolved incident the worst it had.
    pub verdict: String,
    pub scope: String,
    pub severity: String,
    /// The reason most regions gave, in words.
    pub cause: Option<String>,
    pub summary: String,
    pub started_at: i64,
    pub opened_at: i64,
    pub resolved_at: Option<i64>,
    /// When, and who.
    pub acknowledged: Option<(i64, String)>,
    pub events: Vec<Event>,
    pub told: Vec<Told>,
    pub comments: Vec<Comment>,
    pub group: Option<Group>,
    /// Parts of it that are not all here, because there was too much.
    pub cut: Vec<&'static str>,
}

/// A decision of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub number: i64,
    pub at: i64,
    pub kind: String,
    pub verdict: String,
    pub scope: String,
    pub summary: String,
    /// What each region told when it was made, where that is on record.
    pub regions: Vec<RegionView>,
}

/// Something that somebody was told, or was to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of the event that it tells.
    pub event_number: i64,
    /// `opened`, `widened` or `resolved`.
    pub kind: String,
    pub channel: String,
    /// Empty where the channel has just one end.
    pub recipient: String,
    /// When the notice was made.
    pub made_at: i64,
    /// A word of `DeliveryState`.
    pub state: String,
    pub settled_at: Option<i64>,
    pub error: Option<String>,
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub at: i64,
    pub author: String,
    pub text: String,
}

/// The incidents of one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub summary: String,
    pub members: Vec<Member>,
}

/// An incident of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub state: String,
    pub scope: String,
    pub started_at: i64,
    pub resolved_at: Option<i64>,
}

/// The post-mortem of `record` as it stands at `now`.
pub fn compose(record: &Record, now: i64) -> String {
    let mut text = format!("# Post-mortem: {}\n\n", inline(&record.subject.1));
    text += &format!("{}\n\n", paragraph(record, now));
    text += &impact::section(record, now);
    text += &timeline(record);
    text += &told(record);
    text += &comments(record);
    text += &group(record);
    text += "## Root cause\n\nTo be written.\n\n";
    text += "## Action items\n\n";
    text += &head(["Action", "Owner", "Due"]);
    text += &row(["", "", ""]);
    text += &format!("\nIncident {}, as on record at {}.", inline(&record.id), utc(now));
    for part in &record.cut {
        text += &format!(" There may be more {part} than are shown.");
    }
    text.push('\n');
    text
}

fn paragraph(record: &Record, now: i64) -> String {
    let (kind, name) = &record.subject;
    // A line never begins with a text from outside.
    let subject = format!("The {} {}", inline(kind), inline(name));
    let target = record.target.as_ref().map(|t| format!(" ({})", inline(t))).unwrap_or_default();
    let what = impact::worst(&record.verdict, &record.scope);
    let lasted = elapsed(record.resolved_at.unwrap_or(now) - record.started_at);
    let mut text = match record.resolved_at {
        Some(at) => format!(
            "{subject}{target} was {what} for {lasted}, from {} to {}.",
            utc(record.started_at),
            utc(at)
        ),
        None => format!(
            "{subject}{target} has been {what} since {}, for {lasted} so far.",
            utc(record.started_at)
        ),
    };
    if let Some(cause) = &record.cause {
        text += &format!(" Most regions saw: {}.", inline(cause));
    }
    text += &match record.started_at - record.opened_at {
        before if before > 0 => format!(
            " That it failed in fewer regions than a quorum was known {} before",
            elapsed(before)
        ),
        _ => format!(" It was known after {}", elapsed(record.opened_at - record.started_at)),
    };
    let delivered = |told: &&Told| told.state == "delivered";
    let first = record.told.iter().filter(delivered).filter_map(|told| told.settled_at).min();
    match first {
        Some(at) => {
            text +=
                &format!(", and people were first told after {}.", elapsed(at - record.started_at));
        }
        None if record.told.is_empty() => text += ", and nobody was told.",
        None => text += ", and no notice of it has been accepted.",
    }
    if let Some((at, who)) = &record.acknowledged {
        let after = elapsed(at - record.started_at);
        text += &format!(" {} took care of it after {after}.", inline(who));
    }
    text
}

fn timeline(record: &Record) -> String {
    let mut text =
        "## Timeline\n\n".to_owned() + &head(["Time", "Event", "Verdict", "What happened"]);
    for event in &record.events {
        let verdict = format!("{}, {}", inline(&event.verdict), inline(&event.scope));
        text += &row([&utc(event.at), &inline(&event.kind), &verdict, &inline(&event.summary)]);
    }
    text + "\n"
}

fn told(record: &Record) -> String {
    let mut text = "## Who was told\n\n".to_owned();
    if record.told.is_empty() {
        return text + "Nobody was told.\n\n";
    }
    text += &head(["Made", "Notice", "To", "Outcome", "After the event"]);
    for told in &record.told {
        let to = match told.recipient.as_str() {
            "" => inline(&told.channel),
            recipient => format!("{}: {}", inline(&told.channel), inline(recipient)),
        };
        let event = record.events.iter().find(|event| event.number == told.event_number);
        let since = event.map_or(told.made_at, |event| event.at);
        let (outcome, late) = match (told.state.as_str(), told.settled_at) {
            ("delivered", Some(at)) => (format!("accepted at {}", utc(at)), elapsed(at - since)),
            (state, _) => match &told.error {
                Some(error) => (format!("{}: {}", inline(state), inline(error)), String::new()),
                None => (inline(state), String::new()),
            },
        };
        text += &row([&utc(told.made_at), &inline(&told.kind), &to, &outcome, &late]);
    }
    text + "\n"
}

fn comments(record: &Record) -> String {
    if record.comments.is_empty() {
        return String::new();
    }
    let mut text = "## Comments\n\n".to_owned();
    for comment in &record.comments {
        text += &format!("By {}, {}:\n\n", inline(&comment.author), utc(comment.at));
        text += &quote(&comment.text);
        text.push('\n');
    }
    text
}

fn group(record: &Record) -> String {
    let Some(group) = &record.group else { return String::new() };
    let mut text = format!("## Shared cause\n\nShared with others: {}\n\n", inline(&group.summary));
    text += &head(["Incident", "State", "Scope", "Began", "Ended"]);
    for member in &group.members {
        let ended = member.resolved_at.map(utc).unwrap_or_default();
        let (name, state, scope) = (&member.name, &member.state, &member.scope);
        let (name, state, scope) = (inline(name), inline(state), inline(scope));
        text += &row([&name, &state, &scope, &utc(member.started_at), &ended]);
    }
    text + "\n"
}
