//! The scenarios beside the crate show what they say, and those that once failed
//! do not fail again.

use hyperverge_sim::command::{load, simulate};
use hyperverge_sim::report::Report;
use hyperverge_sim::scenario::{Scenario, read};
use std::path::{Path, PathBuf};

fn files(dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let entries = std::fs::read_dir(dir).expect("a folder");
    let entries = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    files
}

fn shown(scenario: &Scenario) -> Report {
    let report = simulate(scenario, scenario.seed);
    assert_eq!(report.violations, [""; 0], "{}", scenario.name);
    let missed: Vec<_> = report.expectations.iter().filter(|it| !it.met).collect();
    assert!(missed.is_empty(), "{}: {missed:?}", scenario.name);
    report
}

const LARGE: &str = "shared-upstream";

#[test]
fn every_example_shows_what_it_says() {
    let files = files("scenarios");
    assert!(files.len() >= 24);
    for path in files {
        let scenario = load(&path).unwrap();
        assert!(scenario.expect.is_some(), "{} expects nothing", scenario.name);
        if scenario.name != LARGE {
            shown(&scenario);
        }
    }
}

#[test]
fn replicas_race() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/replicas.toml");
    let report = shown(&load(&path).unwrap());
    assert!(report.counts.conflicts > 0, "no transaction met another");
}

/// 2,800 monitors behind one upstream, looked at for ten minutes.
#[test]
fn a_shared_upstream_is_one_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/shared-upstream.toml");
    let report = shown(&load(&path).unwrap());
    let opened: Vec<_> = report.pages.iter().filter(|page| page.kind == "opened").collect();
    assert_eq!(opened.len(), 1);
    assert!(opened[0].group.is_some());
}

#[test]
fn what_failed_once_does_not_fail_again() {
    for path in files("scenarios/regressions") {
        shown(&load(&path).unwrap());
    }
}

#[test]
fn one_seed_is_one_run_and_another_is_another() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/partial.toml");
    let scenario = load(&path).unwrap();
    let run = |seed| serde_json::to_string(&simulate(&scenario, seed)).unwrap();
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_minimal_scenario_runs() {
    let text = r#"
        regions = ["eu-west"]
        [[monitors]]
        name = "shop"
        target = "https://shop.example.com"
    "#;
    let report = shown(&read(text, "minimal").unwrap());
    assert_eq!((report.pages.len(), report.incidents.len()), (0, 0));
    assert!(report.counts.checks > 0);
}

/// Each line: what is wrong, and what the problem must name.
#[test]
fn what_is_wrong_is_named_with_its_field_and_rule() {
    let with = |head: &str, monitor: &str, fault: &str| {
        format!(
            "{head}\nregions = [\"eu-west\", \"us-east\"]\n[[monitors]]\nname = \"shop\"\n\
             target = \"https://shop.example.com\"\n{monitor}\n[[faults]]\nmonitors = [\"shop\"]\n{fault}"
        )
    };
    let good = "kind = \"refuse\"\nat = \"5m\"\nfor = \"1m\"";
    assert!(read(&with("", "", good), "good").is_ok());
    for (text, wanted) in [
        (with("seeed = 3", "", good), "seeed is not a known field; did you mean `seed`?"),
        (
            with("", "adress = \"192.0.2.1\"", good),
            "monitors[0].adress is not a known field; did you mean `address`?",
        ),
        (
            with("", "intervall = \"30s\"", good),
            "monitors[0].intervall is not a known field; did you mean `interval`?",
        ),
        (with("", "interval = 30", good), "monitors[0].interval must be"),
        (
            with("", "regions = [\"eu-west\"]\npolicy = { quorum = { count = 9 } }", good),
            "monitors[0].policy.quorum",
        ),
        (with("", "notify = [\"defualt\"]", good), "did you mean `default`?"),
        (
            with("", "", "kind = \"refuse\"\nat = \"5m\""),
            "faults[0].for must say how long it lasts",
        ),
        (with("", "", "kind = \"refused\"\nat = \"5m\"\nfor = \"1m\""), "faults[0].kind"),
        (
            with("", "", "kind = \"slow\"\nat = \"5m\"\nfor = \"1m\""),
            "faults[0].latency must be given for `slow`",
        ),
        (with("", "", &format!("{good}\nregions = [\"eu-wset\"]")), "did you mean `eu-west`?"),
        (with("", "", &format!("{good}\nby = \"3s\"")), "faults[0].by is not for `refuse`"),
        (with("duration = \"2m\"", "", good), "faults[0] must end before the run does"),
        (
            with("", "", "kind = \"partition\"\nat = \"5m\"\nfor = \"1m\""),
            "faults[0].monitors is not for `partition`",
        ),
    ] {
        let error = read(&text, "bad").unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    assert!(read("regions = [", "bad").unwrap_err().to_string().contains("not valid TOML"));
}
