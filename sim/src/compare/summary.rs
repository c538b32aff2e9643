//! What many cases showed together.

use super::judge::Score;
use super::kind::Kind;
use super::label::{Due, Label};
use super::punctual::Punctuality;
use serde::Serialize;
use std::collections::BTreeMap;

/// One contender over all cases.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    pub name: String,
    /// What it was shown of another's observations; `None` where it made its own.
    pub saw: Option<&'static str>,
    /// Requests that were made for it, or whose outcome it used.
    pub probes: u64,
    /// Of all faults but those of agents that make a quorum by themselves.
    pub total: Tally,
    /// The same for each campaign that has all its faults.
    pub campaigns: Vec<Tally>,
    pub kinds: BTreeMap<&'static str, Tally>,
    /// Wrong pages where the fault was an agent's.
    pub agents_pages: u64,
    /// Wrong pages where agents at fault made a quorum, which no count of votes tells from an outage.
    pub quorum_pages: u64,
    /// Wrong pages where the fault was our own.
    pub our_pages: u64,
}

/// What one contender was worth in one case.
#[derive(Debug, Clone)]
pub(super) struct Scored {
    pub(super) name: String,
    pub(super) saw: Option<&'static str>,
    pub(super) score: Score,
    /// As [`Standing::probes`].
    pub(super) probes: u64,
}

/// Counts over some cases.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Faults for which a page is due, those for which one came in time, and those
    /// for which the first came too late.
    pub due: u64,
    pub paged: u64,
    pub late: u64,
    /// Faults for which no page may come.
    pub not_due: u64,
    /// Faults of every sort with a wrong page.
    pub wronged: u64,
    /// Wrong pages.
    pub wrong: u64,
    /// Faults between, and those for which a page came.
    pub between: u64,
    pub between_paged: u64,
    /// Right pages about faults that were due and paged.
    pub right: u64,
    /// Notices of every sort, about all faults.
    pub notices: u64,
    /// From begin to page without the wait, ms, in order.
    #[serde(skip)]
    pub delays: Vec<i64>,
    #[serde(skip)]
    pub waits: Vec<i64>,
    pub punctuality: Punctuality,
    pub delay_median_ms: Option<i64>,
    pub delay_p95_ms: Option<i64>,
    pub wait_median_ms: Option<i64>,
}

impl Standing {
    pub(super) fn new(of: &Scored) -> Self {
        Self {
            name: of.name.clone(),
            saw: of.saw,
            probes: 0,
            total: Tally::default(),
            campaigns: Vec::new(),
            kinds: BTreeMap::new(),
            agents_pages: 0,
            quorum_pages: 0,
            our_pages: 0,
        }
    }

    /// `campaign`: which one it belongs to, from 0, if that has all its faults.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        label: &Label,
        scored: &Scored,
        campaign: Option<usize>,
    ) {
        let score = &scored.score;
        self.probes += scored.probes;
        self.kinds.entry(kind.name()).or_default().add(label, score);
        if kind.is_quorum_of_agents() {
            self.quorum_pages += score.wrong;
            return;
        }
        self.total.add(label, score);
        if let Some(campaign) = campaign {
            let many = self.campaigns.len().max(campaign + 1);
            self.campaigns.resize(many, Tally::default());
            self.campaigns[campaign].add(label, score);
        }
        if kind.is_agents() {
            self.agents_pages += score.wrong;
        }
        if kind == Kind::Ours {
            self.our_pages += score.wrong;
        }
    }

    pub(super) fn finish(&mut self) {
        self.total.finish();
        self.kinds.values_mut().for_each(Tally::finish);
        self.campaigns.iter_mut().for_each(Tally::finish);
    }
}

impl Tally {
    fn add(&mut self, label: &Label, score: &Score) {
        let came = u64::from(score.found());
        match label.due {
            Due::Page => {
                self.due += 1;
                self.paged += came;
                self.late += u64::from(score.late());
                self.time(label, score);
            }
            Due::NoPage => self.not_due += 1,
            Due::Either => {
                self.between += 1;
                self.between_paged += came;
            }
        }
        self.wronged += u64::from(score.wrong > 0);
        self.wrong += score.wrong;
        self.notices += score.notices;
    }

    fn time(&mut self, label: &Label, score: &Score) {
        let Some(delay) = score.delay else { return };
        self.right += score.right;
        self.delays.push(delay);
        self.waits.push(score.waited);
        self.punctuality.add(label, score);
    }

    fn finish(&mut self) {
        self.delays.sort_unstable();
        self.waits.sort_unstable();
        self.punctuality.finish();
        self.delay_median_ms = quantile(&self.delays, 50);
        self.delay_p95_ms = quantile(&self.delays, 95);
        self.wait_median_ms = quantile(&self.waits, 50);
    }

    /// Of the faults with a page, the share in which one was due; `None` without any.
    pub fn precision(&self) -> Option<f64> {
        share(self.paged, self.paged + self.wronged)
    }

    /// Of the faults with a page due, the share for which one came in time.
    pub fn recall(&self) -> Option<f64> {
        share(self.paged, self.due)
    }

    /// Right pages for each fault that was paged.
    pub fn pages_per_fault(&self) -> Option<f64> {
        share(self.right, self.paged)
    }
}

/// The smallest that at least `percent` of `sorted` do not exceed.
pub(super) fn quantile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases")]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[7], 95), Some(7));
        let ten: Vec<i64> = (1..=10).collect();
        assert_eq!((quantile(&ten, 50), quantile(&ten, 95)), (Some(5), Some(10)));
    }
}
