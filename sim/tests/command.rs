//! The command line as a script drives it: arguments in, exit code, JSON and errors out.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Three regions; an outage that two of them see and one page tells, one that nobody is told
/// of, and a region that is cut off.
const STORY: &str = r#"
    settle = "11m"
    regions = ["eu-west", "us-east", "ap-south"]

    [[monitors]]
    name = "shop"
    target = "https://shop.example.com/health"
    address = "192.0.2.1"
    interval = "30s"

    [[monitors]]
    name = "account"
    target = "https://shop.example.com/account"
    address = "192.0.2.1"
    interval = "30s"

    [[faults]]
    kind = "refuse"
    at = "4m"
    for = "5m"
    monitors = ["shop", "account"]
    regions = ["eu-west", "us-east"]

    [[faults]]
    kind = "refuse"
    at = "12m"
    for = "3m"
    monitors = ["shop"]
    regions = ["ap-south"]

    [[faults]]
    kind = "partition"
    at = "17m"
    for = "3m"
    agents = ["ap-south-1"]

    [expect]
    opened = 1
    monitor_incidents = 3
    region_incidents = 1
    detected_within = "44s"
"#;

/// A file of its own for each test, gone when it is over.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("hyperverge-sim-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a file written");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of text")
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hyperverge-sim")).args(arguments).output().expect("a run")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn json(arguments: &[&str]) -> Value {
    let output = sim(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_run_is_a_table_in_the_order_of_time() {
    let file = Written::new("table.toml", STORY);
    let output = sim(&["run", file.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let table = text(&output.stdout);
    let lines: Vec<(&str, &str)> = table
        .lines()
        .skip(2)
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim_start().split_once("  ").unwrap())
        .collect();
    assert!(lines.iter().map(|(time, _)| *time).is_sorted(), "{table}");
    for word in ["fault ", "verdict ", "incident ", "PAGE ", "held "] {
        assert!(lines.iter().any(|(_, line)| line.starts_with(word)), "no {word}in {table}");
    }
    assert!(table.contains("as expected: opened 1 (wanted 1)"), "{table}");
}

#[test]
fn one_seed_is_one_run_to_the_byte() {
    let file = Written::new("seeds.toml", STORY);
    let run = |arguments: &[&str]| {
        let output = sim(&[&["run", file.path()], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        output.stdout
    };
    for shape in [&["--json"][..], &[]] {
        let with = |seed| run(&[&["--seed", seed], shape].concat());
        assert_eq!(with("7"), with("7"));
        assert_ne!(with("7"), with("8"));
        assert_eq!(run(shape), with("1"), "a file without a seed has the first");
    }
}

#[test]
fn the_seed_of_the_file_gives_way_to_the_argument() {
    let file = Written::new("own.toml", &format!("seed = 5\n{STORY}"));
    assert_eq!(json(&["run", file.path(), "--json"])["seed"], 5);
    assert_eq!(json(&["run", file.path(), "--json", "--seed", "6"])["seed"], 6);
}

/// Every key of an object with what it may hold: the words of docs/simulation.md.
fn shape(value: &Value, wanted: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let wanted = wanted.split(',').filter_map(|field| field.trim().split_once(' '));
    let wanted: BTreeMap<&str, &str> = wanted.collect();
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(keys, wanted.keys().copied().collect::<Vec<_>>(), "{value}");
    for (key, kinds) in wanted {
        let found = match &object[key] {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_i64() => "integer",
            Value::Number(_) => "fraction",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        };
        assert!(kinds.split('|').any(|kind| kind == found), "{key} is {found}, not {kinds}");
    }
}

/// The list under `key`, each of `wanted` shape.
fn shapes<'a>(report: &'a Value, key: &str, wanted: &str) -> &'a Vec<Value> {
    let list = report[key].as_array().expect("a list");
    assert!(!list.is_empty(), "no {key} to look at");
    list.iter().for_each(|value| shape(value, wanted));
    list
}

fn story(name: &str) -> Value {
    let file = Written::new(name, STORY);
    json(&["run", file.path(), "--json"])
}

#[test]
fn the_report_has_every_key_that_is_documented() {
    let report = story("whole.toml");
    shape(
        &report,
        "scenario text, seed integer, duration_ms integer, ok bool, truth list, verdicts list, \
         incidents list, groups list, pages list, held list, detections list, counts object, \
         bursts_asked integer, bursts_kept object, votes_lost list, judged object, \
         violations list, expectations list",
    );
    let truth = "fault integer, kind text, hurt text|null, from_ms integer, until_ms integer, \
                 monitors list, regions list, agents list";
    assert_eq!(shapes(&report, "truth", truth).len(), 3);
    let expectation = "what text, wanted text, found text, met bool";
    assert_eq!(shapes(&report, "expectations", expectation).len(), 4);
    assert_eq!(report["ok"], true);
}

#[test]
fn verdict_changes_are_as_documented() {
    let report = story("verdicts.toml");
    let verdict = "at_ms integer, monitor text, from text, to text, scope text|null, \
                   since_ms integer, vote text";
    let verdicts = shapes(&report, "verdicts", verdict);
    let down = |it: &&Value| it["monitor"] == "shop" && it["to"] == "down";
    let down: Vec<&Value> = verdicts.iter().filter(down).collect();
    assert_eq!(down.len(), 1, "{verdicts:?}");
    assert_eq!(down[0]["scope"], "regional");
}

#[test]
fn incidents_with_scope_and_members_are_as_documented() {
    let report = story("incidents.toml");
    let incident = "id integer, subject_kind text, subject text, opened_ms integer, \
                    resolved_ms integer|null, started_ms integer, verdict text, scope text, \
                    widest_scope text|null, severity text, cause text|null, \
                    group integer|null, paged bool, events list, regions object";
    let incidents = shapes(&report, "incidents", incident);
    let event = "at_ms integer, kind text, verdict text, scope text, summary text, reasons list";
    incidents.iter().for_each(|it| _ = shapes(it, "events", event));
    let group = "id integer, cause_kind text, cause text, quiet bool, opened_ms integer, \
                 resolved_ms integer|null, members list";
    let groups = shapes(&report, "groups", group);
    let members = groups[0]["members"].as_array().unwrap();
    let is_member = |it: &&Value| members.contains(&it["id"]);
    let of_group: Vec<&Value> = incidents.iter().filter(is_member).collect();
    let subjects: BTreeSet<&str> = of_group.iter().flat_map(|it| it["subject"].as_str()).collect();
    assert_eq!(subjects, ["account", "shop"].into());
    assert!(of_group.iter().all(|it| it["widest_scope"] == "regional" && it["paged"] == true));
    assert!(of_group.iter().all(|it| it["group"] == groups[0]["id"]));
    let region = |it: &&Value| it["subject_kind"] == "region" && it["subject"] == "ap-south";
    assert_eq!(incidents.iter().filter(region).count(), 1);
}

#[test]
fn pages_are_as_documented() {
    let report = story("pages.toml");
    let page = "at_ms integer, kind text, incident integer, group integer|null, subjects list, \
                channels list, summary text, group_wait_ms integer, opening_included bool, \
                quiet bool";
    let pages = shapes(&report, "pages", page);
    let kinds: Vec<&Value> = pages.iter().map(|page| &page["kind"]).collect();
    assert_eq!(kinds, ["opened", "resolved"]);
    assert_eq!(pages[0]["group"], report["groups"][0]["id"]);
    assert_eq!(pages[0]["channels"], serde_json::json!(["default"]));
    shapes(&report, "held", "at_ms integer, incident integer, kind text, reason text");
}

#[test]
fn detection_delays_are_as_documented() {
    let report = story("delays.toml");
    let detection = "fault integer, kind text, hurt text, from_ms integer, until_ms integer, \
                     reach_quorum integer, detected integer, missed list, \
                     verdict_delay_ms list|null, page_delay_ms integer|null, \
                     group_wait_ms integer|null, pages integer";
    let detections = shapes(&report, "detections", detection);
    assert_eq!(detections.len(), 2, "one for each fault of a target");
    let found = &detections[0];
    assert_eq!((&found["reach_quorum"], &found["detected"]), (&2.into(), &2.into()));
    let downs = report["verdicts"].as_array().unwrap().iter().filter(|it| it["to"] == "down");
    let begin = found["from_ms"].as_i64().unwrap();
    let mut after: Vec<i64> =
        downs.flat_map(|it| it["at_ms"].as_i64()).map(|at| at - begin).collect();
    after.sort_unstable();
    assert_eq!(found["verdict_delay_ms"], serde_json::json!([after[0], after[1], after[1]]));
    let (page, waited) = (&found["page_delay_ms"], &found["group_wait_ms"]);
    let told = begin + page.as_i64().unwrap() + waited.as_i64().unwrap();
    assert_eq!(report["pages"][0]["at_ms"], told);
    assert!(detections[1]["verdict_delay_ms"].is_null(), "one region is no quorum");
}

#[test]
fn an_expectation_that_is_not_met_is_exit_code_1() {
    let file = Written::new("unmet.toml", &STORY.replace("opened = 1", "opened = 2"));
    let output = sim(&["run", file.path(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["violations"], Value::Array(Vec::new()));
    let unmet = |it: &&Value| it["met"] == false;
    let unmet: Vec<&Value> =
        report["expectations"].as_array().unwrap().iter().filter(unmet).collect();
    assert_eq!(unmet.len(), 1);
    assert_eq!((&unmet[0]["what"], &unmet[0]["wanted"]), (&"opened".into(), &"2".into()));
    let table = sim(&["run", file.path()]);
    assert_eq!(table.status.code(), Some(1));
    assert!(text(&table.stdout).contains("NOT AS EXPECTED: opened 1 (wanted 2)"));
}

#[test]
fn nothing_to_detect_meets_no_expectation() {
    let alone = STORY.replace(r#"regions = ["eu-west", "us-east"]"#, r#"regions = ["eu-west"]"#);
    let file = Written::new("nothing.toml", &alone);
    let output = sim(&["run", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("NOT AS EXPECTED: detected_within nothing"));
}

#[test]
fn a_scenario_that_is_wrong_is_exit_code_2_and_names_the_key_and_the_rule() {
    let wrong = STORY.replacen("at = \"4m\"", "at = \"4m\"\nby = \"3s\"", 1);
    let wrong = wrong.replace("interval = \"30s\"", "intervall = \"30s\"");
    let file = Written::new("wrong.toml", &wrong.replace("intervall", "interval"));
    for command in ["run", "check"] {
        let output = sim(&[command, file.path()]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stdout), "");
        let said = text(&output.stderr);
        assert!(said.contains(file.path()), "{said}");
        assert!(said.contains("faults[0].by is not for `refuse`"), "{said}");
    }
    let misspelt = Written::new("misspelt.toml", &wrong);
    let said = sim(&["run", misspelt.path(), "--json"]);
    assert_eq!((said.status.code(), text(&said.stdout)), (Some(2), ""));
    let rule = "monitors[0].intervall is not a known field; did you mean `interval`?";
    assert!(text(&said.stderr).contains(rule), "{}", text(&said.stderr));
    let syntax = Written::new("syntax.toml", "regions = [");
    assert_eq!(sim(&["run", syntax.path()]).status.code(), Some(2));
}

#[test]
fn arguments_that_are_wrong_are_exit_code_2() {
    let file = Written::new("arguments.toml", STORY);
    for wrong in [
        &["run"][..],
        &["runn", file.path()],
        &["run", file.path(), "--seed", "many"],
        &["run", file.path(), "--yaml"],
        &[],
    ] {
        let output = sim(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_exit_code_3() {
    let output = sim(&["run", "/nowhere/at/all.toml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("/nowhere/at/all.toml"));
}

#[test]
fn check_says_what_it_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let output = sim(&["check", dir.join("global.toml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("good, 1 monitors, 1 faults"));
}

/// What is made up and shown is a file like any other.
#[test]
fn what_seeds_show_can_be_run() {
    for seed in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        let shown = sim(&["seeds", "--from", seed, "--show"]);
        assert_eq!(shown.status.code(), Some(0));
        let file = Written::new(&format!("seed-{seed}.toml"), text(&shown.stdout));
        let output = sim(&["check", file.path()]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}
