//! What is wanted of the product in every case.

use super::case::Case;
use super::judge::Score;
use super::label::{Due, Label};
use serde::Serialize;

/// A case in which the product missed a goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The case's number.
    pub number: u64,
    pub kind: &'static str,
    pub what: String,
}

/// What the product, first of `scores`, missed in a case. The delay is no goal of a
/// single case but of all together.
pub(super) fn misses(
    number: u64,
    case: &Case,
    label: &Label,
    scores: &[(String, Score, u64)],
) -> Vec<Miss> {
    let Some((_, score, _)) = scores.first() else { return Vec::new() };
    let rules = [
        (label.due == Due::Page && score.right == 0, "no page came".to_owned()),
        (score.right > 1, format!("{} pages came", score.right)),
        (score.wrong > 0, format!("{} wrong pages came", score.wrong)),
    ];
    let kind = case.kind.name();
    let missed = rules.into_iter().filter(|(missed, _)| *missed);
    missed.map(|(_, what)| Miss { number, kind, what }).collect()
}
