//! A post-mortem holds what is on record, and stays a document whatever that says.

use hyperverge_control_core::correlation::{RegionState, RegionView};
use hyperverge_control_core::post_mortem::{Comment, Event, Group, Member, Record, Told, compose};
use proptest::prelude::*;
use pulldown_cmark::{Event as Markdown, Options, Parser, Tag};

const BEGAN: i64 = 1_769_860_800_000;

fn region(name: &str, state: RegionState, since: i64, message: &str) -> RegionView {
    RegionView {
        region: name.into(),
        region_id: None,
        state,
        since: Some(since),
        reason: (state == RegionState::Down).then(|| "connect_refused".into()),
        message: (state == RegionState::Down).then(|| message.into()),
    }
}

fn event(number: i64, at: i64, kind: &str, scope: &str, regions: Vec<RegionView>) -> Event {
    let summary = format!("it {kind}");
    let verdict = if scope == "local" { "up" } else { "down" };
    Event {
        number,
        at,
        kind: kind.into(),
        verdict: verdict.into(),
        scope: scope.into(),
        summary,
        regions,
    }
}

/// An incident whose every foreign text is `text`.
fn record(text: &str) -> Record {
    use RegionState::{Down, Up};
    let told = |kind: &str, number: i64, state: &str, settled_at: Option<i64>| Told {
        event_number: number,
        kind: kind.into(),
        channel: "on-call".into(),
        recipient: String::new(),
        made_at: BEGAN + 25_000,
        state: state.into(),
        settled_at,
        error: (state == "dead").then(|| text.to_owned()),
    };
    Record {
        id: "01890000-0000-7000-8000-000000000000".into(),
        subject: ("monitor".into(), text.into()),
        target: Some(text.into()),
        state: "resolved".into(),
        verdict: "down".into(),
        scope: "global".into(),
        severity: "critical".into(),
        cause: Some(text.into()),
        summary: text.into(),
        started_at: BEGAN,
        opened_at: BEGAN + 12_000,
        resolved_at: Some(BEGAN + 725_000),
        acknowledged: Some((BEGAN + 90_000, text.into())),
        events: vec![
            event(1, BEGAN + 12_000, "opened", "local", vec![region("eu", Down, BEGAN, text)]),
            event(
                2,
                BEGAN + 20_000,
                "widened",
                "global",
                vec![region("eu", Down, BEGAN, text), region("us", Down, BEGAN + 10_000, text)],
            ),
            Event { summary: text.into(), ..event(3, BEGAN + 25_000, "paged", "global", vec![]) },
            event(
                4,
                BEGAN + 725_000,
                "resolved",
                "global",
                vec![region("eu", Up, BEGAN + 700_000, ""), region("us", Up, BEGAN + 720_000, "")],
            ),
        ],
        told: vec![
            told("opened", 2, "delivered", Some(BEGAN + 27_000)),
            told("resolved", 4, "dead", None),
        ],
        comments: vec![Comment { at: BEGAN + 100_000, author: text.into(), text: text.into() }],
        group: Some(Group {
            summary: text.into(),
            members: vec![Member {
                name: text.into(),
                state: "resolved".into(),
                scope: "global".into(),
                started_at: BEGAN,
                resolved_at: None,
            }],
        }),
        cut: vec!["events"],
    }
}

/// Everything but the one that rewrites quotation marks.
fn options() -> Options {
    Options::all().difference(Options::ENABLE_SMART_PUNCTUATION)
}

/// The document's skeleton: every tag but paragraphs, in order.
fn skeleton(markdown: &str) -> Vec<String> {
    Parser::new_ext(markdown, options())
        .filter_map(|event| match event {
            Markdown::Start(Tag::Paragraph) => None,
            Markdown::Start(tag) => Some(format!("{tag:?}")),
            Markdown::Html(_) | Markdown::InlineHtml(_) | Markdown::Code(_) | Markdown::Rule => {
                Some(format!("{event:?}"))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn it_says_what_happened() {
    let text = compose(&record("checkout"), BEGAN + 9_000_000);
    assert!(
        text.starts_with(
            "# Post-mortem: checkout\n\nThe monitor checkout (checkout) was down in every region"
        ),
        "{text}"
    );
    for said in [
        "for 12m 5s, from 2026-01-31 12:00:00 UTC to 2026-01-31 12:12:05 UTC.",
        "It was known after 12s, and people were first told after 27s.",
        "checkout took care of it after 1m 30s.",
        "| 2026-01-31 12:00:12 UTC | up | local | 8s |",
        "| 2026-01-31 12:00:20 UTC | down | global | 11m 45s |",
        "| us | 2026-01-31 12:00:10 UTC | 2026-01-31 12:12:00 UTC | connection refused | checkout |",
        "| 2026-01-31 12:00:25 UTC | opened | on-call | accepted at 2026-01-31 12:00:27 UTC | 7s |",
        "| 2026-01-31 12:00:25 UTC | resolved | on-call | dead: checkout |  |",
        "## Comments\n\nBy checkout, 2026-01-31 12:01:40 UTC:\n\n> checkout\n",
        "## Shared cause",
        "## Action items",
        "There may be more events than are shown.",
    ] {
        assert!(text.contains(said), "{said}\n\nis not in\n\n{text}");
    }
}

#[test]
fn an_open_incident_that_nobody_was_told_of() {
    let record = Record {
        resolved_at: None,
        told: Vec::new(),
        comments: Vec::new(),
        group: None,
        acknowledged: None,
        cut: Vec::new(),
        ..record("shop")
    };
    let text = compose(&record, BEGAN + 60_000);
    assert!(text.contains("since 2026-01-31 12:00:00 UTC, for 1m so far."), "{text}");
    assert!(text.contains("and nobody was told."), "{text}");
    for absent in ["## Comments", "## Shared cause", "took care", "There may be more"] {
        assert!(!text.contains(absent), "{absent}");
    }
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "1. ",
        " ",
        "\n",
        "\n\n",
        "\r\n",
        "# ",
        "## ",
        "- ",
        "+ ",
        "* ",
        "_",
        "`",
        "```\n",
        "~~~",
        "|",
        "\\",
        "\\|",
        "<",
        "<script>",
        "</td>",
        "<!--",
        "&lt;",
        "[a](b)",
        "![a](b)",
        "[a]: b",
        "---\n",
        "===\n",
        "> ",
        "    x",
        "\t",
        "https://evil.example/",
        "www.a.b",
        "| --- |\n",
        "^",
        "$$",
    ]);
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn hostile_texts_change_nothing_of_the_document(text in hostile()) {
        let plain = skeleton(&compose(&record("plain"), BEGAN));
        let with = compose(&record(&text), BEGAN);
        prop_assert_eq!(skeleton(&with), plain, "{}", with);
    }
}
