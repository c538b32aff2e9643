//! Pages against the truth.

use super::label::{Due, Label};
use crate::control::note::Note;
use crate::world::World;
use crate::world::cast::MonitorIndex;
use hyperverge_control_core::incident::SubjectKind;
use hyperverge_control_core::notification::NoticeKind;

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
    /// Opening pages that name a monitor the fault truly hurts.
    pub right: u64,
    /// Opening pages that name none, or that the fault does not call for.
    pub wrong: u64,
    /// Notices of every sort.
    pub notices: u64,
    /// From the fault's begin to the first right page, without its wait, ms.
    pub delay: Option<i64>,
    /// How long that page waited, ms.
    pub waited: i64,
}

/// Judges the pages of one case.
pub(super) fn score(pages: &[Page], label: &Label) -> Score {
    let mut score = Score::default();
    for page in pages {
        score.notices += 1;
        if !page.opens {
            continue;
        }
        let about = page.at >= label.from && page.monitors.iter().any(|it| label.hurt.contains(it));
        if !about || label.due == Due::NoPage {
            score.wrong += 1;
            continue;
        }
        score.right += 1;
        if score.delay.is_none() {
            score.delay = Some((page.at - page.waited - label.from).max(0));
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
        Label { due, hurt, from: 10_000, until: 60_000, wanted_within: None, at_once: true }
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
}
