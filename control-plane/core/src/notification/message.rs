//! A notice in words: what, since when, where, why, and how long it lasted.
//!
//! For somebody who is woken by it and has never heard of us: short, true, and
//! with a link to the rest. Every channel takes its words from here. Texts that
//! came from outside (a region's message may quote a target's answer) lose
//! their control characters and their length here, once for all channels.

use super::limits::{LATE_AFTER_MS, MESSAGE_TEXT_CHARS};
use super::{Notice, NoticeGroup, NoticeKind, NoticeRegion, in_words};

/// How an incident stands at the moment of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `open`, `acknowledged` or `resolved`.
    pub state: String,
    pub verdict: String,
    pub resolved_at_ms: Option<i64>,
}

/// What an attempt knows beside the notice. Times in ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    /// When the delivery was made.
    pub made_at: i64,
    /// When this attempt is made.
    pub now: i64,
    /// Somebody replayed it from the dead letters.
    pub replayed: bool,
    /// `None` when the incident is no longer stored.
    pub standing: Option<Standing>,
}

impl Circumstances {
    /// How late the message is, ms, if that is worth saying.
    pub fn late_by(&self) -> Option<i64> {
        let late = self.now.saturating_sub(self.made_at).max(0);
        (self.replayed || late >= LATE_AFTER_MS).then_some(late)
    }
}

/// A line of a message: `Since: 2026-01-02 03:04:05 UTC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub label: &'static str,
    pub text: String,
}

/// A notice in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `[DOWN] checkout-api: down in 3 of 3 regions`; a single line.
    pub headline: String,
    /// One sentence.
    pub lead: String,
    /// That it is late, and how the incident stands now.
    pub notes: Vec<String>,
    pub facts: Vec<Fact>,
    /// `eu-west: down, it refused the connection`.
    pub regions: Vec<String>,
    /// Names of what it concerns beside the subject, and how many more.
    pub members: Vec<String>,
    /// Where the incident can be read.
    pub link: String,
}

/// Puts a notice into words.
pub fn compose(notice: &Notice, circumstances: &Circumstances) -> Message {
    Message {
        headline: headline(notice),
        lead: lead(notice),
        notes: notes(notice, circumstances),
        facts: facts(notice),
        regions: notice.regions.iter().map(region_line).collect(),
        members: notice.group.as_ref().map(member_lines).unwrap_or_default(),
        link: clean(&notice.incident_url),
    }
}

fn lead(notice: &Notice) -> String {
    match (&notice.group, notice.kind, lasted(notice)) {
        (None, ..) => clean(&notice.summary),
        (Some(group), NoticeKind::Resolved, Some(lasted)) => {
            format!("{}: all of it is over after {lasted}", clean(&group.title))
        }
        (Some(group), ..) => clean(&group.summary),
    }
}

fn member_lines(group: &NoticeGroup) -> Vec<String> {
    let mut lines: Vec<String> = group.members.iter().map(|name| clean(name)).collect();
    match group.unnamed() {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    lines
}

fn headline(notice: &Notice) -> String {
    let name = match &notice.group {
        Some(group) => clean(&group.title),
        None => clean(&notice.subject.name),
    };
    let verdict = clean(&notice.verdict);
    let tag = match notice.kind {
        NoticeKind::Resolved => "RESOLVED".to_owned(),
        NoticeKind::Opened | NoticeKind::Widened => verdict.to_uppercase(),
    };
    if let Some(news) = newcomers(notice) {
        return format!("[{tag}] {name}: {news}");
    }
    let news = match (notice.kind, extent(notice)) {
        (NoticeKind::Resolved, _) => match lasted(notice) {
            Some(lasted) => format!("over after {lasted}"),
            None => "over".to_owned(),
        },
        // How far it reaches differs from member to member.
        (NoticeKind::Opened, _) if notice.group.is_some() => return format!("[{tag}] {name}"),
        (NoticeKind::Widened, Some(extent)) if notice.group.is_some() => {
            format!("{} is now {verdict} in {extent}", clean(&notice.subject.name))
        }
        (NoticeKind::Widened, Some(extent)) => format!("now {verdict} in {extent}"),
        (NoticeKind::Opened, Some(extent)) => format!("{verdict} in {extent}"),
        (_, None) => clean(&notice.summary),
    };
    format!("[{tag}] {name}: {news}")
}

/// `checkout is down too`, where the others were told before.
fn newcomers(notice: &Notice) -> Option<String> {
    let group = notice.group.as_ref().filter(|_| notice.kind == NoticeKind::Widened)?;
    let verdict = clean(&notice.verdict);
    let first = clean(group.news.first()?);
    Some(match group.news_count {
        0 | 1 => format!("{first} is {verdict} too"),
        more => format!("{first} and {} more are {verdict} too", more - 1),
    })
}

/// `2 of 3 regions`, where the notice says how regions see it.
fn extent(notice: &Notice) -> Option<String> {
    let hurt = notice.regions.iter().filter(|region| hurts(&notice.verdict, &region.state)).count();
    let all = notice.regions.len();
    let noun = if all == 1 { "region" } else { "regions" };
    (notice.subject.kind == "monitor" && hurt > 0).then(|| format!("{hurt} of {all} {noun}"))
}

fn hurts(verdict: &str, state: &str) -> bool {
    state == "down" || (verdict == "degraded" && state == "degraded")
}

fn facts(notice: &Notice) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |label, text: Option<String>| {
        facts.extend(text.map(|text| Fact { label, text }));
    };
    add("What", Some(what(notice)));
    add("Shared", notice.group.as_ref().map(|group| clean(&group.cause)));
    let (since, until) = span(notice);
    add("Since", Some(utc(since)));
    add("Until", until.map(utc));
    add("Lasted", lasted(notice));
    if notice.kind != NoticeKind::Resolved {
        add(
            "Where",
            extent(notice).map(|extent| format!("{} in {extent}", clean(&notice.verdict))),
        );
    }
    add("Why", notice.cause.as_deref().map(|cause| clean(in_words(cause))));
    add("Severity", Some(clean(&notice.severity)));
    facts
}

fn what(notice: &Notice) -> String {
    if let Some(group) = &notice.group {
        return clean(&group.title);
    }
    let name = clean(&notice.subject.name);
    match &notice.target {
        Some(target) => format!("{name}, {}", clean(target)),
        None => format!("{} {name}", clean(&notice.subject.kind)),
    }
}

fn lasted(notice: &Notice) -> Option<String> {
    let (since, until) = span(notice);
    Some(elapsed(until?.saturating_sub(since)))
}

/// From when until when: of a group from its first member to hurt until its last. Only a
/// notice that it is over tells an end.
fn span(notice: &Notice) -> (i64, Option<i64>) {
    let group = notice.group.as_ref();
    let since = group.and_then(|group| group.started_at_ms).unwrap_or(notice.started_at_ms);
    let until = group.and_then(|group| group.resolved_at_ms).or(notice.resolved_at_ms);
    (since, until.filter(|_| notice.kind == NoticeKind::Resolved))
}

fn notes(notice: &Notice, circumstances: &Circumstances) -> Vec<String> {
    let mut notes = Vec::new();
    if notice.kind == NoticeKind::Resolved && notice.opening_included {
        notes.push(
            "No message about its beginning reached you before; this one tells all of it."
                .to_owned(),
        );
    }
    if let Some(late) = circumstances.late_by() {
        let replayed = if circumstances.replayed { " and was sent again by hand" } else { "" };
        notes.push(format!(
            "This message was made at {}; it is {} late{replayed}.",
            utc(circumstances.made_at),
            elapsed(late)
        ));
        notes.extend(circumstances.standing.as_ref().map(standing_line));
    }
    notes
}

fn standing_line(standing: &Standing) -> String {
    match standing.resolved_at_ms {
        Some(at) => format!("The incident has been over since {}.", utc(at)),
        None => {
            let state = clean(&standing.state);
            format!(
                "The incident is still {state}; the verdict now is {}.",
                clean(&standing.verdict)
            )
        }
    }
}

fn region_line(region: &NoticeRegion) -> String {
    let mut line = format!("{}: {}", clean(&region.region), clean(&region.state));
    if let Some(reason) = &region.reason {
        line.push_str(&format!(", {}", clean(in_words(reason))));
    }
    if let Some(message) = region.message.as_deref().map(clean).filter(|text| !text.is_empty()) {
        line.push_str(&format!(" ({message})"));
    }
    line
}

/// A text from outside: one line, no control characters, not too long.
pub(crate) fn clean(text: &str) -> String {
    let printable = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    let cut: String = text.chars().take(MESSAGE_TEXT_CHARS).map(printable).collect();
    let mut line = cut.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().nth(MESSAGE_TEXT_CHARS).is_some() {
        line.push('…');
    }
    line
}

/// Line and paragraph separators, and what turns the direction of a text around.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `2026-01-02 03:04:05 UTC`.
pub fn utc(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| format!("{ms} ms"), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// `45s`, `12m 5s`, `3h 20m`, `2d 4h`: the two largest units.
pub fn elapsed(ms: i64) -> String {
    let seconds = (ms / 1_000).max(0);
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let largest = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let words: Vec<String> = parts[largest..]
        .iter()
        .take(2)
        .filter(|(count, unit)| *count > 0 || largest == 3 && *unit == "s")
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::NoticeSubject;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn region(name: &str, state: &str, reason: Option<&str>) -> NoticeRegion {
        NoticeRegion {
            region: name.into(),
            state: state.into(),
            since_ms: Some(0),
            reason: reason.map(str::to_owned),
            message: None,
        }
    }

    fn notice(kind: NoticeKind) -> Notice {
        Notice {
            kind,
            incident_id: Uuid::nil(),
            event_number: 1,
            subject: NoticeSubject {
                kind: "monitor".into(),
                id: Uuid::nil().to_string(),
                name: "checkout-api".into(),
            },
            target: Some("https://api.example.com/health".into()),
            verdict: "down".into(),
            scope: "regional".into(),
            severity: "critical".into(),
            summary: "checkout-api is down in 2 of 3 regions".into(),
            cause: Some("connect_refused".into()),
            regions: vec![
                region("eu-west", "down", Some("connect_refused")),
                region("us-east", "up", None),
                region("ap-south", "down", Some("tls_expired")),
            ],
            started_at_ms: 1_767_323_045_000,
            opened_at_ms: 1_767_323_050_000,
            resolved_at_ms: (kind == NoticeKind::Resolved).then_some(1_767_323_770_000),
            opening_included: false,
            incident_url: "https://hv.example.com/incidents/1".into(),
            group: None,
        }
    }

    #[test]
    fn a_group_is_told_as_one_thing() {
        let group = NoticeGroup {
            id: Uuid::nil(),
            cause: "host edge.example.com".into(),
            title: "42 monitors on the host edge.example.com".into(),
            summary: "42 monitors on the host edge.example.com are down".into(),
            members: vec!["checkout-api".into(), "search".into()],
            count: 42,
            news: Vec::new(),
            news_count: 0,
            started_at_ms: None,
            resolved_at_ms: None,
        };
        let told = |kind| {
            let notice = Notice { group: Some(group.clone()), ..notice(kind) };
            compose(&notice, &in_time(&notice))
        };
        let opened = told(NoticeKind::Opened);
        assert_eq!(opened.headline, "[DOWN] 42 monitors on the host edge.example.com");
        assert_eq!(opened.lead, group.summary);
        assert_eq!(opened.members, ["checkout-api", "search", "and 40 more"]);
        let widened = "[DOWN] 42 monitors on the host edge.example.com: \
                       checkout-api is now down in 2 of 3 regions";
        assert_eq!(told(NoticeKind::Widened).headline, widened);
        let resolved = told(NoticeKind::Resolved);
        let headline = "[RESOLVED] 42 monitors on the host edge.example.com: over after 12m 5s";
        assert_eq!(resolved.headline, headline);
    }

    #[test]
    fn a_group_lasts_from_its_first_member_to_its_last_and_names_who_is_new() {
        let began = 1_767_323_045_000;
        let group = NoticeGroup {
            id: Uuid::nil(),
            cause: "host edge.example.com".into(),
            title: "2 monitors on the host edge.example.com".into(),
            summary: "2 monitors on the host edge.example.com are down".into(),
            members: vec!["checkout-api".into(), "search".into()],
            count: 2,
            news: vec!["search".into()],
            news_count: 1,
            started_at_ms: Some(began - 60_000),
            resolved_at_ms: Some(began + 900_000),
        };
        let told = |kind, lead_is_over| {
            let own = notice(kind);
            let resolved_at_ms = if lead_is_over { Some(began + 120_000) } else { None };
            let notice = Notice { group: Some(group.clone()), resolved_at_ms, ..own };
            compose(&notice, &in_time(&notice))
        };
        let resolved = told(NoticeKind::Resolved, true);
        let lead = "2 monitors on the host edge.example.com: all of it is over after 16m";
        assert_eq!(resolved.lead, lead);
        assert!(resolved.headline.ends_with(": over after 16m"), "{}", resolved.headline);
        let fact = |message: &Message, label| {
            let mut facts = message.facts.iter();
            facts.find(|fact| fact.label == label).map(|fact| fact.text.clone())
        };
        let span = ["Since", "Until", "Lasted"].map(|label| fact(&resolved, label));
        let wanted = ["2026-01-02 03:03:05 UTC", "2026-01-02 03:19:05 UTC", "16m"];
        assert_eq!(span, wanted.map(|text| Some(text.to_owned())));
        let widened = told(NoticeKind::Widened, true);
        assert!(widened.headline.ends_with(": search is down too"), "{}", widened.headline);
        let end = (fact(&widened, "Until"), fact(&widened, "Lasted"));
        assert_eq!(end, (None, None), "it is not over");
    }

    fn in_time(notice: &Notice) -> Circumstances {
        let now = notice.opened_at_ms;
        Circumstances { made_at: now, now, replayed: false, standing: None }
    }

    #[test]
    fn the_headline_says_what_and_where() {
        let headline = |kind| compose(&notice(kind), &in_time(&notice(kind))).headline;
        assert_eq!(headline(NoticeKind::Opened), "[DOWN] checkout-api: down in 2 of 3 regions");
        assert_eq!(
            headline(NoticeKind::Widened),
            "[DOWN] checkout-api: now down in 2 of 3 regions"
        );
        assert_eq!(headline(NoticeKind::Resolved), "[RESOLVED] checkout-api: over after 12m 5s");
    }

    #[test]
    fn the_facts_answer_what_since_where_why() {
        let opened = notice(NoticeKind::Opened);
        let message = compose(&opened, &in_time(&opened));
        let fact = |label| {
            message.facts.iter().find(|fact| fact.label == label).map(|fact| fact.text.as_str())
        };
        assert_eq!(fact("What"), Some("checkout-api, https://api.example.com/health"));
        assert_eq!(fact("Since"), Some("2026-01-02 03:04:05 UTC"));
        assert_eq!(fact("Where"), Some("down in 2 of 3 regions"));
        assert_eq!(fact("Why"), Some("it refused the connection"));
        assert_eq!(fact("Lasted"), None);
        assert_eq!(message.regions[2], "ap-south: down, its certificate has expired");
        assert!(message.notes.is_empty());
    }

    #[test]
    fn a_late_message_says_so_and_how_the_incident_stands_now() {
        let opened = notice(NoticeKind::Opened);
        let late = Circumstances {
            now: opened.opened_at_ms + 3_600_000,
            standing: Some(Standing {
                state: "resolved".into(),
                verdict: "up".into(),
                resolved_at_ms: Some(1_767_323_770_000),
            }),
            ..in_time(&opened)
        };
        assert_eq!(
            compose(&opened, &late).notes,
            [
                "This message was made at 2026-01-02 03:04:10 UTC; it is 1h late.",
                "The incident has been over since 2026-01-02 03:16:10 UTC.",
            ]
        );
        let replayed = Circumstances { replayed: true, ..in_time(&opened) };
        assert_eq!(replayed.late_by(), Some(0), "a replay always says so");
    }

    #[test]
    fn spans_in_two_units() {
        for (ms, text) in [
            (0, "0s"),
            (999, "0s"),
            (45_000, "45s"),
            (725_000, "12m 5s"),
            (3_600_000, "1h"),
            (3_605_000, "1h"),
            (12_000_000, "3h 20m"),
            (187_200_000, "2d 4h"),
            (-5, "0s"),
        ] {
            assert_eq!(elapsed(ms), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_from_outside_breaks_a_line(text in "\\PC*|(?s).{0,600}") {
            let mut hostile = notice(NoticeKind::Opened);
            hostile.subject.name = text.clone();
            hostile.summary = text.clone();
            hostile.target = Some(text.clone());
            hostile.regions[0].message = Some(text);
            let message = compose(&hostile, &in_time(&hostile));
            let lines = [message.headline, message.lead].into_iter()
                .chain(message.facts.into_iter().map(|fact| fact.text))
                .chain(message.regions);
            for line in lines {
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
                prop_assert!(line.chars().count() < 1_000);
            }
        }
    }
}
