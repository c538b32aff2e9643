//! What keeps notices back for a time: silences and maintenance windows.
//!
//! Observation goes on while they last, and so does the incident. An opening or
//! widening that would be told is looked at again when the hold ends: what still
//! hurts is told then. What was told before is told as resolved all the same.
//!
//! Both name what they hold in the same [`Matchers`]. To add another kind: a
//! struct beside [`Silence`] with matchers and two times, a [`HoldKind`], and a
//! line in [`held`].

use super::labels::{self, ANY, Labels};
use super::limits::{HOLD_LONGEST_MS, HOLD_MONITORS, HOLD_TEXT_CHARS};
use super::route::{Facts, repeated};
use crate::incident::SubjectKind;
use crate::words::words;
use hyperverge_protocol::monitor::is_slug;
use hyperverge_protocol::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is held; both must hold, and one of them must be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matchers {
    /// All of these, exactly; the value `*` is any.
    pub labels: Labels,
    /// One of these monitors, by name; `*` is every monitor, empty leaves it to the labels.
    pub monitors: Vec<String>,
}

impl Matchers {
    /// Whether an incident with these facts is held. Names are names of monitors,
    /// so an agent's or region's incident is held by none.
    pub fn take(&self, facts: &Facts) -> bool {
        let named = |name: &String| {
            facts.subject == SubjectKind::Monitor && (name == ANY || *name == facts.name)
        };
        if self.labels.is_empty() && self.monitors.is_empty() {
            return false;
        }
        (self.monitors.is_empty() || self.monitors.iter().any(named))
            && labels::mismatches(&self.labels, &facts.labels).next().is_none()
    }

    fn check(&self, problems: &mut Vec<FieldProblem>) {
        problems.extend(labels::check(&self.labels, "matchers.labels"));
        if self.labels.is_empty() && self.monitors.is_empty() {
            let rule = "must name a label or a monitor; the monitor `*` is every monitor";
            problems.push(FieldProblem::new("matchers", rule));
        }
        if self.monitors.len() > HOLD_MONITORS {
            let rule = format!("must be at most {HOLD_MONITORS} monitors");
            problems.push(FieldProblem::new("matchers.monitors", rule));
            return;
        }
        for (index, name) in self.monitors.iter().enumerate() {
            if name != ANY && !is_slug(name) {
                let field = format!("matchers.monitors[{index}]");
                problems.push(FieldProblem::new(field, "must be a monitor's name or `*`"));
            }
        }
        repeated(&self.monitors, "matchers.monitors", problems);
    }
}

/// Holds what somebody knows of already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: Uuid,
    pub matchers: Matchers,
    pub starts_at: i64,
    /// The first ms at which it no longer holds.
    pub ends_at: i64,
    /// Why, in words.
    pub comment: String,
}

/// Holds what work that was announced will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub id: Uuid,
    pub name: String,
    pub matchers: Matchers,
    pub starts_at: i64,
    /// The first ms at which it no longer holds.
    pub ends_at: i64,
}

impl Silence {
    /// What is wrong with it, being made at `now`.
    pub fn check(&self, now: i64) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        self.matchers.check(&mut problems);
        check_times(self.starts_at, self.ends_at, now, &mut problems);
        problems.extend(text_problem("comment", &self.comment));
        problems
    }
}

impl Window {
    /// What is wrong with it, being made at `now`.
    pub fn check(&self, now: i64) -> Vec<FieldProblem> {
        let mut problems: Vec<FieldProblem> =
            text_problem("name", &self.name).into_iter().collect();
        self.matchers.check(&mut problems);
        check_times(self.starts_at, self.ends_at, now, &mut problems);
        problems
    }
}

fn check_times(starts_at: i64, ends_at: i64, now: i64, problems: &mut Vec<FieldProblem>) {
    let rule = if ends_at <= starts_at {
        "must be after starts_at".to_owned()
    } else if ends_at <= now {
        "must be in the future".to_owned()
    } else if ends_at.saturating_sub(starts_at) > HOLD_LONGEST_MS {
        format!("must be within {} days of starts_at", HOLD_LONGEST_MS / 86_400_000)
    } else {
        return;
    };
    problems.push(FieldProblem::new("ends_at", rule));
}

fn text_problem(field: &str, text: &str) -> Option<FieldProblem> {
    let fits = (1..=HOLD_TEXT_CHARS).contains(&text.chars().count())
        && !text.chars().any(char::is_control)
        && !text.trim().is_empty();
    (!fits).then(|| {
        let rule = format!("must be 1 to {HOLD_TEXT_CHARS} characters of one line");
        FieldProblem::new(field, rule)
    })
}

/// Which sort of hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldKind {
    Silence,
    Maintenance,
}
words!(HoldKind, "kind of hold", Silence = "silence", Maintenance = "maintenance");

/// What keeps a notice back, and until when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hold {
    /// When it is looked at again.
    pub until: i64,
    pub kind: HoldKind,
    pub id: Uuid,
    /// A window's name, a silence's comment.
    pub name: String,
}

/// What holds an incident with these facts at `now`: of several, the one that
/// ends last.
pub fn held(silences: &[Silence], windows: &[Window], facts: &Facts, now: i64) -> Option<Hold> {
    let lasts = |starts_at: i64, ends_at: i64| starts_at <= now && now < ends_at;
    let silences = silences
        .iter()
        .filter(|silence| lasts(silence.starts_at, silence.ends_at))
        .filter(|silence| silence.matchers.take(facts))
        .map(|silence| Hold {
            until: silence.ends_at,
            kind: HoldKind::Silence,
            id: silence.id,
            name: silence.comment.clone(),
        });
    let windows = windows
        .iter()
        .filter(|window| lasts(window.starts_at, window.ends_at))
        .filter(|window| window.matchers.take(facts))
        .map(|window| Hold {
            until: window.ends_at,
            kind: HoldKind::Maintenance,
            id: window.id,
            name: window.name.clone(),
        });
    // Ordered by all of it, so that the answer does not hang on the order of rows.
    silences.chain(windows).max()
}
