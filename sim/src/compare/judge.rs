//! Pages against the truth.
//!
//! A page is worth something only while somebody is hurt, or was a moment ago, and a
//! fault counts as found only if the first such page came in time. Both bounds are
//! the same for every rule, and take away the wait for what belongs to the page, so
//! that no rule is judged by how it groups:
//!
//! | known after | is |
//! |---|---|
//! | the fault's end and [`OVER_MS`] | wrong: nobody is hurt any more |
//! | the fault's begin and [`LATEST_MS`], as the first | right, but the fault was not found |

use super::label::{Due, Label};
use crate::control::note::Note;
use crate::world::World;
use crate::world::cast::MonitorIndex;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeKind;

/// So long after a fault's end a page about it is still about it, ms: as long as the
/// longest interval, since before its next check no place can know that it is over.
pub(super) const OVER_MS: i64 = 60_000;
/// So long after a fault's begin it is still found, ms. The slowest rule that does
/// what it is told to (three intervals of a minute and their timeouts) needs less;
/// whoever learns of an outage later learns it from his customers.
pub(super) const LATEST_MS: i64 = 300_000;

/// People were told of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// ms since the start.
    pub(super) at: i64,
    /// It tells that something began; else that it grew or ended.
    pub(super) opens: bool,
    pub(super) monitors: Vec<MonitorIndex>,
    /// How much of the time was waiting for what belongs to it, ms.
    pub(super) waited: i64,
}

/// What the product told about monitors.
pub(super) fn of_product(world: &World) -> Vec<Page> {
    let incidents = &world.control.db.incidents;
    let told = world.lines.iter().filter_map(|line| match &line.note {
        Note::Told(told) => Some((line.at, told)),
        _ => None,
    });
    let pages = told.map(|(at, told)| {
        let subjects = told.members.iter().filter_map(|id| incidents.get(id));
        let of_monitor = |(kind, index)| (kind == SubjectKind::Monitor).then_some(index);
        Page {
            at,
            opens: told.kind == NoticeKind::Opened || told.opening_included,
            monitors: subjects.filter_map(|row| of_monitor(row.subject)).collect(),
            waited: told.waited,
        }
    });
    pages.filter(|page| !page.monitors.is_empty()).collect()
}

/// What a rule that watched told.
pub(super) fn of_rule(world: &World, rule: usize) -> Vec<Page> {
    let lines = world.rule_lines.iter().filter(|line| line.rule == rule);
    let page = |line: &crate::world::RuleLine| Page {
        at: line.at,
        opens: line.page.kind == NoticeKind::Opened,
        monitors: line.page.monitors.clone(),
        waited: line.page.waited,
    };
    lines.map(page).collect()
}

/// What a contender's pages were worth in one case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Opening pages that name a monitor the fault truly hurts, while it does.
    pub right: u64,
    /// Opening pages that name none, that the fault does not call for, or that come
    /// when it is long over.
    pub wrong: u64,
    /// Notices of every sort.
    pub notices: u64,
    /// From the fault's begin to the first right page, without its wait, ms; `None`
    /// where there is none, or it came too late to be called finding it.
    pub delay: Option<i64>,
    /// How long that page waited, ms.
    pub waited: i64,
}

impl Score {
    /// Whether the fault was found in time.
    pub fn found(&self) -> bool {
        self.delay.is_some()
    }

    /// Whether people heard of it only when that was too late.
    pub fn late(&self) -> bool {
        self.right > 0 && self.delay.is_none()
    }
}

impl Page {
    /// When what it tells was known, ms since the start.
    fn known_at(&self) -> i64 {
        self.at - self.waited
    }

    fn is_about(&self, label: &Label) -> bool {
        let hurt = self.monitors.iter().any(|it| label.hurt.contains(it));
        hurt && self.at >= label.from && self.known_at() <= label.until + OVER_MS
    }
}

/// Judges the pages of one case.
pub(super) fn score(pages: &[Page], label: &Label) -> Score {
    let mut score = Score::default();
    for page in pages {
        score.notices += 1;
        if !page.opens {
            continue;
        }
        if label.due == Due::NoPage || !page.is_about(label) {
            score.wrong += 1;
            continue;
        }
        score.right += 1;
        let delay = (page.known_at() - label.from).max(0);
        if score.right == 1 && delay <= LATEST_MS {
            score.delay = Some(delay);
            score.waited = page.waited;
        }
    }
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(at: i64, monitors: &[MonitorIndex]) -> Page {
        Page { at, opens: true, monitors: monitors.to_vec(), waited: 5_000 }
    }

    fn label(due: Due) -> Label {
        let hurt = if due == Due::NoPage { Vec::new() } else { vec![1, 2] };
        Label { due, hurt, from: 10_000, until: 60_000, wanted: None, at_once: true }
    }

    #[test]
    fn pages_about_whom_it_hurts_are_right_and_all_others_wrong() {
        let pages =
            [page(9_000, &[1]), page(21_000, &[2, 3]), page(22_000, &[3]), page(30_000, &[1])];
        let score = score(&pages, &label(Due::Page));
        assert_eq!((score.right, score.wrong, score.notices), (2, 2, 4));
        assert_eq!((score.delay, score.waited), (Some(6_000), 5_000));
    }

    #[test]
    fn every_page_is_wrong_where_none_is_due() {
        let judged = score(&[page(21_000, &[1])], &label(Due::NoPage));
        assert_eq!((judged.right, judged.wrong), (0, 1));
        let mut resolved = page(21_000, &[1]);
        resolved.opens = false;
        assert_eq!(score(&[resolved], &label(Due::NoPage)).wrong, 0);
    }

    #[test]
    fn a_page_about_what_is_long_over_is_wrong() {
        let in_time = page(60_000 + OVER_MS + 5_000, &[1]);
        let mut over = in_time.clone();
        over.at += 1;
        let judged = |page| score(&[page], &label(Due::Page));
        assert_eq!((judged(in_time.clone()).right, judged(in_time).wrong), (1, 0));
        assert_eq!((judged(over.clone()).right, judged(over.clone()).wrong), (0, 1));
        assert!(!judged(over).found());
    }

    #[test]
    fn a_fault_is_not_found_by_a_page_that_comes_too_late() {
        let long = Label { until: 900_000, ..label(Due::Page) };
        let last = page(10_000 + LATEST_MS + 5_000, &[1]);
        let mut late = last.clone();
        late.at += 1;
        assert_eq!(score(std::slice::from_ref(&last), &long).delay, Some(LATEST_MS));
        let judged = score(&[late.clone(), page(500_000, &[2])], &long);
        assert_eq!((judged.right, judged.wrong, judged.delay), (2, 0, None));
        assert!(judged.late() && !judged.found());
        let early = score(&[page(21_000, &[1]), late], &long);
        assert_eq!((early.right, early.delay), (2, Some(6_000)), "told again, but found");
    }
}
