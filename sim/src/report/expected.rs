//! What the scenario expects, beside what came out.

use super::{Expectation, Report};
use crate::scenario::{Expect, ms};

/// Compares every count that the scenario names.
pub(super) fn compare(expect: &Expect, report: &Report) -> Vec<Expectation> {
    let told = |kind: &str| report.pages.iter().filter(|page| page.kind == kind).count();
    let about = |kind: &str| report.incidents.iter().filter(|it| it.subject_kind == kind).count();
    let counted = |what: &str| match what {
        "monitor_incidents" => about("monitor"),
        "agent_incidents" => about("agent"),
        "region_incidents" => about("region"),
        "groups" => report.groups.iter().filter(|group| !group.quiet).count(),
        kind => told(kind),
    };
    let mut found: Vec<Expectation> = expect
        .bounds()
        .into_iter()
        .filter_map(|(what, bound)| {
            let (bound, count) = (bound?, counted(what));
            Some(Expectation {
                what: what.to_owned(),
                wanted: bound.to_string(),
                found: count.to_string(),
                met: bound.allows(count),
            })
        })
        .collect();
    if let Some(within) = expect.detected_within {
        found.push(detected(ms(within), report));
    }
    found
}

/// Where no fault reaches a quorum there is nothing to detect, and nothing was shown.
fn detected(within: i64, report: &Report) -> Expectation {
    let reaching = report.detections.iter().filter(|it| it.reach_quorum > 0);
    let missed: usize = reaching.clone().map(|it| it.reach_quorum - it.detected).sum();
    let latest = reaching.filter_map(|it| it.verdict_delay_ms).map(|[_, _, most]| most).max();
    let met = missed == 0 && latest.is_some_and(|latest| latest <= within);
    let latest = latest.map_or("nothing".to_owned(), |latest| format!("{latest} ms at the latest"));
    Expectation {
        what: "detected_within".to_owned(),
        wanted: format!("{within} ms"),
        found: if missed == 0 { latest } else { format!("{latest}, {missed} never") },
        met,
    }
}
