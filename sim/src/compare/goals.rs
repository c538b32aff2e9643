//! What is wanted of the product in every case.

use super::case::Case;
use super::label::{Due, Label};
use super::summary::Scored;
use serde::Serialize;

/// A case in which the product missed a goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The case's number.
    pub number: u64,
    pub kind: &'static str,
    pub what: &'static str,
    /// Pages that made it one; 0 where they are missing.
    pub pages: u64,
}

/// What the product, first of `scores`, missed in a case. The delay is no goal of a
/// single case but of all together.
pub(super) fn misses(number: u64, case: &Case, label: &Label, scores: &[Scored]) -> Vec<Miss> {
    let Some(Scored { score, .. }) = scores.first() else { return Vec::new() };
    let due = label.due == Due::Page;
    let rules = [
        (due && score.right == 0, "no page came", 0),
        (due && score.late(), "the first page came too late", score.right),
        (score.right > 1, "told more than once", score.right),
        (score.wrong > 0, "wrongly told", score.wrong),
    ];
    let kind = case.kind.name();
    let missed = rules.into_iter().filter(|(missed, _, _)| *missed);
    missed.map(|(_, what, pages)| Miss { number, kind, what, pages }).collect()
}
