//! Who is told, and what keeps it back: routes, silences and maintenance windows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use hyperverge_control_core::correlation::{Scope, Verdict};
use hyperverge_control_core::incident::{Severity, SubjectKind};
use hyperverge_control_core::notification::Labels;
use hyperverge_control_core::notification::hold::{
    Hold, HoldKind, Matchers, Silence, Window, held,
};
use hyperverge_control_core::notification::limits::{
    HOLD_LONGEST_MS, HOLD_MONITORS, MATCH_LABELS, ROUTE_CHANNELS,
};
use hyperverge_control_core::notification::route::{
    Facts, Match, Recipients, Route, matching, recipients,
};
use hyperverge_protocol::problem::FieldProblem;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn down() -> Facts {
    Facts {
        subject: SubjectKind::Monitor,
        name: "checkout".into(),
        labels: labels(&[("team", "payments"), ("env", "prod")]),
        severity: Severity::Critical,
        verdict: Verdict::Down,
        scope: Scope::Global,
    }
}

fn route(json: Value) -> Route {
    serde_json::from_value(json).unwrap()
}

fn takes(matches: &Value, facts: &Facts) -> bool {
    let route = route(json!({ "name": "r", "match": matches, "channels": ["c"] }));
    !matching(&[route], facts).is_empty()
}

fn fields(problems: &[FieldProblem]) -> Vec<&str> {
    problems.iter().map(|problem| problem.field.as_str()).collect()
}

#[test]
fn what_is_only_degraded_goes_to_routes_that_name_its_scope() {
    let slow = Facts { verdict: Verdict::Degraded, severity: Severity::Warning, ..down() };
    assert!(slow.quiet());
    for (matches, expected) in [
        (json!({}), false),
        (json!({"severity": ["warning"]}), false),
        (json!({"scope": ["global"]}), true),
        (json!({"scope": ["local"]}), false),
    ] {
        assert_eq!(takes(&matches, &slow), expected, "{matches}");
    }
    let catch_all = route(json!({ "name": "r", "match": {}, "channels": ["c"] }));
    let told = recipients(&["own".to_owned()], std::slice::from_ref(&catch_all), &slow);
    assert!(matches!(told, Recipients::Nobody { .. }), "{told:?}");
    let why = catch_all.matches.mismatches(&slow)[0].to_string();
    assert!(why.contains("degraded") && why.contains("global"), "{why}");
}

#[test]
fn a_route_takes_what_it_names() {
    let local = Facts { scope: Scope::Local, severity: Severity::Warning, ..down() };
    let agent = Facts {
        subject: SubjectKind::Agent,
        labels: Labels::new(),
        scope: Scope::Local,
        severity: Severity::Warning,
        name: "eu-1".into(),
        verdict: Verdict::Unknown,
    };
    for (matches, facts, expected) in [
        (json!({}), &down(), true),
        (json!({ "labels": { "team": "payments" } }), &down(), true),
        (json!({ "labels": { "team": "*" } }), &down(), true),
        (json!({ "labels": { "team": "pay" } }), &down(), false),
        (json!({ "labels": { "tier": "*" } }), &down(), false),
        (json!({ "labels": { "team": "payments", "env": "dev" } }), &down(), false),
        (json!({ "severity": ["critical", "info"] }), &down(), true),
        (json!({ "severity": ["warning"] }), &down(), false),
        (json!({ "scope": ["regional"] }), &down(), false),
        (json!({ "scope": ["regional", "global"] }), &down(), true),
        (json!({ "subject": ["monitor"] }), &down(), true),
        (json!({ "subject": ["agent"] }), &down(), false),
        (json!({}), &local, false),
        (json!({ "scope": ["local"] }), &local, true),
        (json!({ "scope": ["local"], "severity": ["critical"] }), &local, false),
        (json!({}), &agent, false),
        (json!({ "scope": ["local"] }), &agent, false),
        (json!({ "subject": ["agent", "region"] }), &agent, true),
        (json!({ "subject": ["agent"], "scope": ["global"] }), &agent, false),
    ] {
        assert_eq!(takes(&matches, facts), expected, "{matches} {facts:?}");
    }
}

#[test]
fn a_mismatch_says_everything_that_differs() {
    let wanted: Match = serde_json::from_value(json!({
        "labels": { "team": "web", "tier": "1", "env": "prod" },
        "severity": ["info"], "scope": ["local"], "subject": ["region"],
    }))
    .unwrap();
    let said: Vec<String> = wanted.mismatches(&down()).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "its label team is `payments` and not `web`",
            "it has no label tier",
            "its severity is critical",
            "its scope is global, which the route must name",
            "its subject is a monitor, which the route must name",
        ]
    );
}

#[test]
fn who_is_told() {
    let named = ["phone".to_owned(), "mail".to_owned()];
    let routes = [
        route(json!({ "name": "all", "channels": ["mail", "chat"] })),
        route(json!({ "name": "near", "match": { "scope": ["local"] }, "channels": ["log"] })),
        route(json!({ "name": "fleet", "match": { "subject": ["agent"] }, "channels": ["ops"] })),
    ];
    let channels = |names: &[&str]| {
        Recipients::Channels(names.iter().map(|name| (*name).to_owned()).collect())
    };
    let local = Facts { scope: Scope::Local, ..down() };
    let agent = Facts { subject: SubjectKind::Agent, ..down() };
    assert_eq!(recipients(&named, &routes, &down()), channels(&["phone", "mail", "chat"]));
    assert_eq!(recipients(&[], &routes, &down()), channels(&["mail", "chat"]));
    assert_eq!(recipients(&named, &[], &down()), channels(&["phone", "mail"]));
    assert_eq!(recipients(&[], &[], &down()), Recipients::Defaults);
    assert_eq!(recipients(&named, &routes, &local), channels(&["log"]), "quiet: never to notify");
    assert_eq!(recipients(&named, &routes, &agent), channels(&["ops"]));
    let nobody = Recipients::Nobody { why: "no route names it".into() };
    assert_eq!(recipients(&named, &routes[..1], &local), nobody);
    assert_eq!(recipients(&named, &routes[..1], &agent), nobody, "and never to the defaults");
}

#[test]
fn a_route_that_breaks_a_rule_is_told_where() {
    let many: Vec<String> = (0..=ROUTE_CHANNELS).map(|n| format!("c{n}")).collect();
    let wide: Labels = (0..=MATCH_LABELS).map(|n| (format!("l{n}"), "x".into())).collect();
    for (route, expected) in [
        (json!({ "name": "r", "channels": ["c"] }), vec![]),
        (json!({ "name": "A b", "channels": ["c"] }), vec!["name"]),
        (json!({ "name": "r", "channels": [] }), vec!["channels"]),
        (json!({ "name": "r", "channels": many }), vec!["channels"]),
        (json!({ "name": "r", "channels": ["c", "C!", "c"] }), vec!["channels[1]", "channels[2]"]),
        (
            json!({ "name": "r", "channels": ["c"], "match": { "labels": wide } }),
            vec!["match.labels"],
        ),
        (
            json!({ "name": "r", "channels": ["c"], "match": { "labels": { "a": "" } } }),
            vec!["match.labels.a"],
        ),
        (
            json!({ "name": "r", "channels": ["c"],
            "match": { "scope": ["local", "local"], "severity": ["info", "info"],
                "subject": ["agent", "region", "agent"] } }),
            vec!["match.severity[1]", "match.scope[1]", "match.subject[2]"],
        ),
    ] {
        let route: Route = serde_json::from_value(route).unwrap();
        assert_eq!(fields(&route.check()), expected, "{route:?}");
    }
    for unknown in [
        json!({ "name": "r", "channels": ["c"], "match": { "scope": ["everywhere"] } }),
        json!({ "name": "r", "channels": ["c"], "match": { "region": ["eu"] } }),
        json!({ "name": "r", "channels": ["c"], "matches": {} }),
    ] {
        assert!(serde_json::from_value::<Route>(unknown.clone()).is_err(), "{unknown}");
    }
}

fn matchers(json: Value) -> Matchers {
    serde_json::from_value(json).unwrap()
}

fn silence(id: u128, matchers: Matchers, starts_at: i64, ends_at: i64) -> Silence {
    let comment = format!("silence {id}");
    Silence { id: Uuid::from_u128(id), matchers, starts_at, ends_at, comment }
}

fn window(id: u128, matchers: Matchers, starts_at: i64, ends_at: i64) -> Window {
    let name = format!("window {id}");
    Window { id: Uuid::from_u128(id), name, matchers, starts_at, ends_at }
}

#[test]
fn matchers_hold_what_they_name() {
    let region = Facts { subject: SubjectKind::Region, ..down() };
    for (json, expected) in [
        (json!({}), false),
        (json!({ "monitors": ["checkout"] }), true),
        (json!({ "monitors": ["search", "checkout"] }), true),
        (json!({ "monitors": ["search"] }), false),
        (json!({ "monitors": ["*"] }), true),
        (json!({ "labels": { "team": "payments" } }), true),
        (json!({ "labels": { "team": "*" } }), true),
        (json!({ "labels": { "team": "web" } }), false),
        (json!({ "labels": { "team": "web" }, "monitors": ["checkout"] }), false),
        (json!({ "labels": { "team": "payments" }, "monitors": ["search"] }), false),
    ] {
        assert_eq!(matchers(json.clone()).take(&down()), expected, "{json}");
    }
    assert!(!matchers(json!({ "monitors": ["*"] })).take(&region), "it is no monitor");
}

#[test]
fn of_several_holds_the_one_that_ends_last() {
    let every = || matchers(json!({ "monitors": ["*"] }));
    let silences = [silence(1, every(), 0, 50), silence(2, every(), 20, 30)];
    let windows = [window(3, every(), 10, 40), window(4, every(), 60, 70)];
    let at = |now| held(&silences, &windows, &down(), now);
    let hold = |until, kind, id, name: &str| {
        Some(Hold { until, kind, id: Uuid::from_u128(id), name: name.to_owned() })
    };
    assert_eq!(at(-1), None);
    assert_eq!(at(0), hold(50, HoldKind::Silence, 1, "silence 1"));
    assert_eq!(at(49), hold(50, HoldKind::Silence, 1, "silence 1"));
    assert_eq!(at(50), None, "the end is the first moment without it");
    assert_eq!(at(60), hold(70, HoldKind::Maintenance, 4, "window 4"));
    assert_eq!(held(&silences[1..], &windows, &down(), 25).unwrap().until, 40);
}

#[test]
fn a_hold_that_breaks_a_rule_is_told_where() {
    let now = 1_000;
    let good = matchers(json!({ "monitors": ["a"] }));
    let many: Vec<String> = (0..=HOLD_MONITORS).map(|n| format!("m{n}")).collect();
    for (matchers, starts_at, ends_at, expected) in [
        (good.clone(), 0, 2_000, vec![]),
        (matchers(json!({})), 0, 2_000, vec!["matchers"]),
        (matchers(json!({ "monitors": ["A"] })), 0, 2_000, vec!["matchers.monitors[0]"]),
        (matchers(json!({ "monitors": ["a", "a"] })), 0, 2_000, vec!["matchers.monitors[1]"]),
        (matchers(json!({ "monitors": many })), 0, 2_000, vec!["matchers.monitors"]),
        (matchers(json!({ "labels": { "": "x" } })), 0, 2_000, vec!["matchers.labels."]),
        (good.clone(), 2_000, 2_000, vec!["ends_at"]),
        (good.clone(), 0, 1_000, vec!["ends_at"]),
        (good.clone(), 0, HOLD_LONGEST_MS + 1, vec!["ends_at"]),
    ] {
        let silence = silence(1, matchers.clone(), starts_at, ends_at);
        assert_eq!(fields(&silence.check(now)), expected, "{silence:?}");
        let window = window(1, matchers, starts_at, ends_at);
        assert_eq!(fields(&window.check(now)), expected, "{window:?}");
    }
    for text in ["", " ", "a\nb", &"x".repeat(501)] {
        let silence = Silence { comment: text.into(), ..silence(1, good.clone(), 0, 2_000) };
        assert_eq!(fields(&silence.check(now)), ["comment"], "{text:?}");
        let window = Window { name: text.into(), ..window(1, good.clone(), 0, 2_000) };
        assert_eq!(fields(&window.check(now)), ["name"], "{text:?}");
    }
}

fn a_label_set() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map("[ab]", "[xy*]", 0..3)
}

fn some_of<T: Clone + std::fmt::Debug + 'static>(
    all: &'static [T],
) -> impl Strategy<Value = Vec<T>> {
    prop::sample::subsequence(all, 0..=all.len())
}

const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];
const SCOPES: [Scope; 3] = [Scope::Local, Scope::Regional, Scope::Global];
const SUBJECTS: [SubjectKind; 3] = [SubjectKind::Monitor, SubjectKind::Agent, SubjectKind::Region];

fn some_facts() -> impl Strategy<Value = Facts> {
    let parts = (
        prop::sample::select(&SUBJECTS[..]),
        "[mn]",
        a_label_set(),
        prop::sample::select(&SEVERITIES[..]),
        prop::sample::select(&[Verdict::Down, Verdict::Degraded][..]),
        prop::sample::select(&SCOPES[..]),
    );
    parts.prop_map(|(subject, name, labels, severity, verdict, scope)| Facts {
        subject,
        name,
        labels,
        severity,
        verdict,
        scope,
    })
}

fn some_route() -> impl Strategy<Value = Route> {
    let parts = (
        a_label_set(),
        some_of(&SEVERITIES),
        some_of(&SCOPES),
        some_of(&SUBJECTS),
        prop::collection::vec("[cde]", 1..3),
    );
    parts.prop_map(|(labels, severity, scope, subject, channels)| Route {
        name: "r".into(),
        matches: Match { labels, severity, scope, subject },
        channels,
    })
}

fn some_matchers() -> impl Strategy<Value = Matchers> {
    (a_label_set(), prop::collection::vec("[mn*]", 0..3))
        .prop_map(|(labels, monitors)| Matchers { labels, monitors })
}

proptest! {
    #[test]
    fn nobody_is_told_twice_and_only_whom_somebody_named(
        notify in prop::collection::vec("[cf]", 0..3),
        routes in prop::collection::vec(some_route(), 0..4),
        facts in some_facts(),
    ) {
        match recipients(&notify, &routes, &facts) {
            Recipients::Channels(names) => {
                let mut unique = names.clone();
                unique.sort();
                unique.dedup();
                prop_assert_eq!(unique.len(), names.len());
                for name in &names {
                    let routed = matching(&routes, &facts)
                        .iter()
                        .any(|route| route.channels.contains(name));
                    prop_assert!(routed || (!facts.quiet() && notify.contains(name)));
                }
            }
            Recipients::Defaults => prop_assert!(!facts.quiet() && notify.is_empty()),
            Recipients::Nobody { .. } => prop_assert!(facts.quiet()),
        }
    }

    #[test]
    fn a_quiet_incident_goes_only_where_its_scope_or_subject_is_named(
        routes in prop::collection::vec(some_route(), 0..6),
        facts in some_facts(),
    ) {
        for route in matching(&routes, &facts) {
            let named = route.matches.scope.contains(&facts.scope)
                || route.matches.subject.contains(&facts.subject);
            prop_assert!(!facts.quiet() || named, "{route:?}");
        }
    }

    #[test]
    fn another_route_only_ever_adds(
        notify in prop::collection::vec("[cf]", 0..3),
        routes in prop::collection::vec(some_route(), 0..4),
        more in some_route(),
        facts in some_facts(),
    ) {
        let before = recipients(&notify, &routes, &facts);
        let mut all = routes;
        all.push(more);
        let after = recipients(&notify, &all, &facts);
        if let Recipients::Channels(before) = before {
            let Recipients::Channels(after) = after else { panic!("{after:?}") };
            prop_assert!(after.starts_with(&before));
        }
    }

    #[test]
    fn a_hold_is_one_that_lasts_and_none_lasts_longer(
        silences in prop::collection::vec((some_matchers(), 0i64..20, 0i64..20), 0..4),
        windows in prop::collection::vec((some_matchers(), 0i64..20, 0i64..20), 0..4),
        facts in some_facts(),
        now in 0i64..20,
    ) {
        let silences: Vec<Silence> = (1u128..)
            .zip(silences)
            .map(|(id, (matchers, from, to))| silence(id, matchers, from, to))
            .collect();
        let windows: Vec<Window> = (101u128..)
            .zip(windows)
            .map(|(id, (matchers, from, to))| window(id, matchers, from, to))
            .collect();
        let hold = held(&silences, &windows, &facts, now);
        let ends = silences.iter().map(|s| (s.starts_at, s.ends_at, &s.matchers))
            .chain(windows.iter().map(|w| (w.starts_at, w.ends_at, &w.matchers)))
            .filter(|(from, to, matchers)| *from <= now && now < *to && matchers.take(&facts))
            .map(|(_, to, _)| to);
        prop_assert_eq!(hold.as_ref().map(|hold| hold.until), ends.max());
        let mut reversed = silences.clone();
        reversed.reverse();
        prop_assert_eq!(&hold, &held(&reversed, &windows, &facts, now), "order of rows");
        if let Some(hold) = hold {
            let stored: Hold = serde_json::from_value(json!(hold)).unwrap();
            prop_assert_eq!(stored, hold);
        }
    }
}
