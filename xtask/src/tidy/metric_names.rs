//! Alerts and dashboards read only metrics that the catalogue `docs/metrics.md` names.
//!
//! The catalogue is what stands in backticks in the first column of its tables. A
//! histogram is catalogued by its own name and read as `_bucket`, `_sum` or `_count`;
//! what a rule file records may be read by the others.

use std::collections::BTreeSet;

use super::promql::metrics_in;
use super::{Finding, Tree};

const CATALOGUE: &str = "docs/metrics.md";
const READERS: [&str; 2] = ["deploy/prometheus", "deploy/grafana"];
/// Made by Prometheus itself about every target.
const BUILT_IN: [&str; 3] = ["up", "scrape_duration_seconds", "ALERTS"];
const HISTOGRAM_SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let readers: Vec<(&str, &str)> = READERS.iter().flat_map(|folder| tree.below(folder)).collect();
    let mut known: BTreeSet<&str> = tree.text(CATALOGUE).map(catalogued).unwrap_or_default();
    known.extend(
        readers
            .iter()
            .flat_map(|(_, text)| text.lines().filter_map(|line| value_of(line, "record:"))),
    );
    readers
        .iter()
        .flat_map(|(path, text)| {
            expressions(text).into_iter().map(move |(number, text)| (*path, number, text))
        })
        .flat_map(|(path, number, expression)| {
            let unknown: Vec<Finding> = metrics_in(&expression)
                .into_iter()
                .filter(|name| !is_known(name, &known))
                .map(|name| Finding::at(path, number, format!("`{name}` is not in {CATALOGUE}")))
                .collect();
            unknown
        })
        .collect()
}

fn is_known(name: &str, known: &BTreeSet<&str>) -> bool {
    let bases = HISTOGRAM_SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
    BUILT_IN.contains(&name) || std::iter::once(name).chain(bases).any(|name| known.contains(name))
}

fn catalogued(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter_map(|line| line.trim_start().strip_prefix('|')?.split('|').next())
        .filter_map(|cell| cell.split('`').nth(1))
        .map(|name| name.split('{').next().unwrap_or(name))
        .collect()
}

/// The expressions of a rule file (`expr: …`, also over several lines) or of a
/// dashboard (`"expr": "…"`), with the line where each starts.
fn expressions(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(value) = value_of(line, "\"expr\":") {
            let value = value.trim_end_matches(',').trim_matches('"').replace("\\\"", "\"");
            found.push((index + 1, value));
        } else if let Some(value) = value_of(line, "expr:") {
            let depth = indent(line);
            let block = lines[index + 1..]
                .iter()
                .take_while(|next| next.trim().is_empty() || indent(next) > depth);
            let folded = value.starts_with(['|', '>']);
            let whole = if folded {
                block.copied().collect::<Vec<_>>().join("\n")
            } else {
                value.to_owned()
            };
            found.push((index + 1, whole));
        }
    }
    found
}

fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.trim_start().trim_start_matches("- ").strip_prefix(key).map(str::trim)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "| name | is |\n|---|---|\n| `probe_success{region}` | x |\n| `ingest_seconds` | x |\n";

    fn unknown_in(path: &str, text: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[(CATALOGUE, PAGE), (path, text)]);
        check(&tree).into_iter().map(|found| (found.line, found.message)).collect()
    }

    #[test]
    fn an_alert_on_a_metric_that_nobody_exports_is_found() {
        let rules = "groups:\n- rules:\n  - alert: A\n    expr: |\n      probe_success == 0 and\n      gone > 1\n    for: 1m\n";
        assert_eq!(
            unknown_in("deploy/prometheus/alerts.yaml", rules),
            [(4, "`gone` is not in docs/metrics.md".to_owned())]
        );
    }

    #[test]
    fn histograms_and_recorded_series_are_known() {
        let rules =
            "- record: a:b\n  expr: rate(ingest_seconds_bucket[5m])\n- alert: A\n  expr: a:b > 0\n";
        assert_eq!(unknown_in("deploy/prometheus/rules.yaml", rules), []);
    }

    #[test]
    fn a_dashboard_is_read_too() {
        let panel = "{\n  \"expr\": \"sum(probe_gone{region=\\\"x\\\"})\",\n}\n";
        assert_eq!(unknown_in("deploy/grafana/a.json", panel).len(), 1);
    }
}
