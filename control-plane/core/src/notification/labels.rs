//! Labels that are wanted, and labels that are there.
//!
//! Routes, silences and maintenance windows all pick monitors by label, so they
//! must agree on what a match is: every wanted label is there with exactly that
//! value, and [`ANY`] stands for any value of a label that is there.

use super::limits::MATCH_LABELS;
use hyperverge_protocol::limits::NAME_BYTES;
use hyperverge_protocol::problem::FieldProblem;
use std::collections::BTreeMap;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Any value, or any monitor.
pub const ANY: &str = "*";

/// A wanted label that is not there so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelMismatch {
    #[error("it has no label {name}")]
    Absent { name: String },
    #[error("its label {name} is `{is}` and not `{wanted}`")]
    Other { name: String, is: String, wanted: String },
}

/// Which of the labels `wanted` are not among `present`.
pub(super) fn mismatches<'a>(
    wanted: &'a Labels,
    present: &'a Labels,
) -> impl Iterator<Item = LabelMismatch> + 'a {
    wanted.iter().filter_map(|(name, wanted)| match present.get(name) {
        None => Some(LabelMismatch::Absent { name: name.clone() }),
        Some(is) if wanted == ANY || wanted == is => None,
        Some(is) => Some(LabelMismatch::Other {
            name: name.clone(),
            is: is.clone(),
            wanted: wanted.clone(),
        }),
    })
}

/// What is wrong with `wanted`, which stands at `field`: the rules of a monitor's labels.
pub(super) fn check(wanted: &Labels, field: &str) -> Vec<FieldProblem> {
    if wanted.len() > MATCH_LABELS {
        let rule = format!("must be at most {MATCH_LABELS} labels");
        return vec![FieldProblem::new(field, rule)];
    }
    let fits =
        |text: &str| (1..=NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    wanted
        .iter()
        .filter(|(name, value)| !fits(name) || !fits(value))
        .map(|(name, _)| {
            let rule = "must have a name and a value of 1 to 63 bytes without control characters";
            FieldProblem::new(format!("{field}.{name}"), rule)
        })
        .collect()
}
