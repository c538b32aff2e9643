//! How delays lie to what is wanted, apart for faults that fail at once and for
//! those whose checks take time to fail.

use super::judge::Score;
use super::label::Label;
use super::summary::quantile;
use serde::Serialize;

/// How punctual some pages were.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Punctual {
    /// Pages for which it can be said what is wanted.
    pub pages: usize,
    /// Of them, those within what is wanted.
    pub within: usize,
    /// The same if every region could have seen the fault.
    pub within_all: usize,
    /// Delay less what is wanted, ms.
    pub median_ms: Option<i64>,
    pub p95_ms: Option<i64>,
    #[serde(skip)]
    over: Vec<i64>,
}

impl Punctual {
    fn add(&mut self, delay: i64, label: &Label) {
        let Some(wanted) = label.wanted else { return };
        self.pages += 1;
        self.within += usize::from(delay <= wanted.hurting);
        self.within_all += usize::from(delay <= wanted.all);
        self.over.push(delay - wanted.hurting);
    }

    pub(super) fn finish(&mut self) {
        self.over.sort_unstable();
        self.median_ms = quantile(&self.over, 50);
        self.p95_ms = quantile(&self.over, 95);
    }
}

/// Both sorts.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Punctuality {
    /// A check takes no time to fail.
    pub at_once: Punctual,
    /// A check fails after its timeout, or after a slow answer.
    pub hanging: Punctual,
}

impl Punctuality {
    pub(super) fn add(&mut self, label: &Label, score: &Score) {
        let Some(delay) = score.delay else { return };
        if label.at_once { &mut self.at_once } else { &mut self.hanging }.add(delay, label);
    }

    pub(super) fn finish(&mut self) {
        self.at_once.finish();
        self.hanging.finish();
    }
}
