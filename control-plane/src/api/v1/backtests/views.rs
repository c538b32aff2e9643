//! The answer of a backtest.

use crate::api::Timestamp;
use hyperverge_control_core::backtest::{
    Compared, Difference, Outage, Page, Question, Report, count,
};
use hyperverge_protocol::monitor::{MonitorSpec, Policy};
use serde::Serialize;
use uuid::Uuid;

/// What a policy would have made of what is stored.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Backtest)]
pub(super) struct BacktestView {
    monitor: BacktestMonitorView,
    from: Timestamp,
    to: Timestamp,
    /// One sentence.
    summary: String,
    /// By the proposed policy.
    proposed: BacktestLineView,
    /// By the present policy, from the same rows.
    present: BacktestLineView,
    /// What there was, and what people were really told.
    sent: SentLineView,
    /// Proposed beside what was sent.
    against_sent: ComparisonView,
    /// Proposed beside what the present policy makes of the same rows.
    against_present: ComparisonView,
    read: ReadView,
    /// What this cannot know, in sentences.
    unknown: Vec<String>,
}

/// Which monitor.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BacktestMonitor)]
struct BacktestMonitorView {
    id: Uuid,
    name: String,
}

/// What a rule makes of the rows.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BacktestLine)]
struct BacktestLineView {
    policy: Policy,
    regions: Vec<String>,
    /// Outages of which people would be told.
    paged: usize,
    outages: Vec<OutageView>,
}

/// What there was.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SentLine)]
struct SentLineView {
    /// Outages of which people were told.
    paged: usize,
    outages: Vec<OutageView>,
}

/// An incident as a rule saw it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Outage)]
struct OutageView {
    opened_at: Timestamp,
    /// Null while it lasts.
    resolved_at: Option<Timestamp>,
    /// Start of the first failed check of the regions that hurt.
    first_failed_at: Timestamp,
    /// Its worst.
    verdict: &'static str,
    scope: &'static str,
    cause: Option<String>,
    /// The regions that hurt at any time.
    regions: Vec<String>,
    summary: String,
    pages: Vec<PageView>,
    acknowledged: bool,
}

/// A notice.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BacktestPage)]
struct PageView {
    at: Timestamp,
    /// `opened`, `widened` or `resolved`.
    kind: &'static str,
    /// It was over before it was told: one notice tells both.
    opening_included: bool,
    scope: &'static str,
    /// The regions that hurt then.
    regions: Vec<String>,
}

/// Two lines of outages beside each other.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BacktestComparison)]
struct ComparisonView {
    /// People are told either way.
    same: usize,
    /// Told then, not now, and nobody would miss it.
    saved: usize,
    /// Told now, not then.
    new: usize,
    /// Told then, not now, of what every region saw or somebody took care of.
    missed: usize,
    items: Vec<ComparedView>,
}

/// One page of either line, or of both.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BacktestDifference)]
struct ComparedView {
    /// `same`, `saved`, `new` or `missed`.
    difference: &'static str,
    /// Which of the proposed outages, from 0.
    proposed: Option<usize>,
    /// Which of the other outages, from 0.
    other: Option<usize>,
    /// Start of the first failed check.
    first_failed_at: Timestamp,
    /// From there until people would be told, ms.
    proposed_delay_ms: Option<i64>,
    /// From there until people were told, ms.
    other_delay_ms: Option<i64>,
    why: String,
}

/// What was read to answer.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = BacktestRead)]
struct ReadView {
    results: u64,
    /// Of these, checks of bursts.
    bursts: u64,
    missed_ranges: u64,
    /// Results left out because nobody can say when they were made.
    undated: u64,
}

impl BacktestView {
    pub(super) fn new(id: Uuid, question: &Question, report: Report) -> Self {
        let Report { summary, proposed, present, sent, read, unknown, .. } = report;
        Self {
            monitor: BacktestMonitorView { id, name: question.present.name.clone() },
            from: Timestamp(question.from),
            to: Timestamp(question.until),
            summary,
            proposed: line(&question.proposed, proposed),
            present: line(&question.present, present),
            sent: SentLineView {
                paged: paged(&sent),
                outages: sent.into_iter().map(OutageView::from).collect(),
            },
            against_sent: comparison(report.against_sent),
            against_present: comparison(report.against_present),
            read: ReadView {
                results: read.results,
                bursts: read.bursts,
                missed_ranges: read.missed_ranges,
                undated: read.undated,
            },
            unknown,
        }
    }
}

fn line(spec: &MonitorSpec, outages: Vec<Outage>) -> BacktestLineView {
    BacktestLineView {
        policy: spec.policy.clone(),
        regions: spec.regions.clone(),
        paged: paged(&outages),
        outages: outages.into_iter().map(OutageView::from).collect(),
    }
}

fn paged(outages: &[Outage]) -> usize {
    outages.iter().filter(|outage| outage.paged_at().is_some()).count()
}

fn comparison(items: Vec<Compared>) -> ComparisonView {
    ComparisonView {
        same: count(&items, Difference::Same),
        saved: count(&items, Difference::Saved),
        new: count(&items, Difference::New),
        missed: count(&items, Difference::Missed),
        items: items.into_iter().map(ComparedView::from).collect(),
    }
}

impl From<Outage> for OutageView {
    fn from(outage: Outage) -> Self {
        Self {
            opened_at: Timestamp(outage.opened_at),
            resolved_at: outage.resolved_at.map(Timestamp),
            first_failed_at: Timestamp(outage.first_failed_at),
            verdict: outage.verdict.as_str(),
            scope: outage.scope.as_str(),
            cause: outage.cause,
            regions: outage.regions,
            summary: outage.summary,
            pages: outage.pages.into_iter().map(PageView::from).collect(),
            acknowledged: outage.acknowledged,
        }
    }
}

impl From<Page> for PageView {
    fn from(page: Page) -> Self {
        Self {
            at: Timestamp(page.at),
            kind: page.kind.as_str(),
            opening_included: page.opening_included,
            scope: page.scope.as_str(),
            regions: page.regions,
        }
    }
}

impl From<Compared> for ComparedView {
    fn from(line: Compared) -> Self {
        Self {
            difference: line.difference.as_str(),
            proposed: line.proposed,
            other: line.other,
            first_failed_at: Timestamp(line.first_failed_at),
            proposed_delay_ms: line.proposed_delay_ms,
            other_delay_ms: line.other_delay_ms,
            why: line.why,
        }
    }
}
