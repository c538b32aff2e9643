//! The scenarios beside the crate show what they say, and those that once failed
//! do not fail again.

use hyperverge_sim::command::{load, simulate};
use hyperverge_sim::report::Report;
use hyperverge_sim::scenario::{Scenario, read};
use std::collections::BTreeSet;
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
fn a_quorum_of_regions_is_believed_whatever_the_seed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/regional-many.toml");
    let scenario = load(&path).unwrap();
    for seed in 1..=8 {
        shown(&Scenario { seed, ..scenario.clone() });
    }
}

/// The last column of the table of faults in docs/simulation.md.
#[test]
fn every_kind_of_fault_is_shown_where_the_manual_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = std::fs::read_to_string(root.join("../docs/simulation.md")).unwrap();
    let (_, faults) = manual.split_once("\n## Faults\n").expect("a chapter about faults");
    let (faults, _) = faults.split_once("\n## ").expect("a chapter after it");
    let words = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let (mut named, mut documented) = (BTreeSet::new(), BTreeSet::new());
    for row in faults.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let (kinds, shown) = (words(cells[0]), words(cells[cells.len() - 1]));
        let mut found = BTreeSet::new();
        for file in &shown {
            let scenario = load(&root.join(format!("scenarios/{file}.toml"))).unwrap();
            found.extend(scenario.faults.iter().map(|fault| fault.kind.as_str()));
        }
        assert!(kinds.is_subset(&found), "{kinds:?} are not all in {shown:?}");
        named.extend(shown);
        documented.extend(kinds);
    }
    for path in files("scenarios") {
        let scenario = load(&path).unwrap();
        for fault in &scenario.faults {
            assert!(documented.contains(&fault.kind.as_str()), "{}", scenario.name);
        }
    }
    assert_eq!(documented.len(), 21, "{documented:?}");
}

/// What a fault does to one monitor says nothing about what it does to another.
#[test]
fn one_fault_hurts_each_monitor_as_it_does() {
    let text = r#"
        regions = ["eu-west", "us-east", "ap-south"]

        [[monitors]]
        name = "strict"
        target = "https://strict.example.com/"
        interval = "30s"
        expect = { latency = "1s" }

        [[monitors]]
        name = "patient"
        target = "https://patient.example.net/"
        interval = "30s"
        warn = { latency = "1s" }

        [[monitors]]
        name = "calm"
        target = "https://calm.example.org/"
        interval = "30s"

        [[faults]]
        kind = "slow"
        at = "4m"
        for = "5m"
        monitors = ["*"]
        latency = "2s"
    "#;
    let report = shown(&read(text, "mixed").unwrap());
    let truth: Vec<_> = report.truth.iter().map(|it| (it.hurt, it.monitors.clone())).collect();
    let one = |name: &str| vec![name.to_owned()];
    assert_eq!(truth, [(Some("down"), one("strict")), (Some("degraded"), one("patient"))]);
    let found: Vec<_> = report.detections.iter().map(|it| (it.hurt, it.detected)).collect();
    assert_eq!(found, [("down", 1), ("degraded", 1)]);
    let ends = report.incidents.iter().map(|it| (it.subject.as_str(), it.widest_scope.is_some()));
    assert_eq!(ends.collect::<BTreeSet<_>>(), [("patient", false), ("strict", true)].into());
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
