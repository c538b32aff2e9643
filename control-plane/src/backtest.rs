//! Backtests: stored results through another policy (`backtest` of the core).
//!
//! Answered while the caller waits, so everything it reads has a limit, and only
//! a few run at once.

use crate::limits::{BACKTEST_INCIDENTS, BACKTEST_MISSED, BACKTEST_RESULTS, BACKTESTS};
use crate::store::history::{self, Span};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::backtest::{Outage, Question, Read, Report, report};
use hyperverge_control_core::correlation::{Sight, Step, Thresholds};
use hyperverge_control_core::history::History;
use hyperverge_protocol::monitor::MonitorSpec;
use tokio::sync::Semaphore;
use uuid::Uuid;

static PLACES: Semaphore = Semaphore::const_new(BACKTESTS);

/// What streaks and freshness need to be known at the beginning, besides a few
/// intervals: as old as an observation may be and still change a state, ms.
const RUN_UP_MS: i64 = 600_000;
/// But never more than this, ms.
const RUN_UP_MAX_MS: i64 = 2 * 86_400_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    #[error("too many backtests are under way")]
    Busy,
    #[error("more than {BACKTEST_RESULTS} results lie in this time")]
    TooMany,
    #[error("the backtest ended before its answer")]
    Ended(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers `question` about a monitor of the organisation.
pub async fn backtest(
    mut tx: Tx,
    organisation_id: Uuid,
    monitor_id: Uuid,
    question: Question,
) -> Result<Report, BacktestError> {
    let _place = PLACES.try_acquire().map_err(|_| BacktestError::Busy)?;
    let from = question.from.saturating_sub(run_up(&question));
    let span = Span { organisation_id, monitor_id, from, until: question.until };
    let most = i64::try_from(BACKTEST_RESULTS).unwrap_or(i64::MAX);
    if history::count(&mut tx, span, most + 1).await? > most {
        return Err(BacktestError::TooMany);
    }
    let (history, read) = read(&mut tx, span).await?;
    let asked = Span { from: question.from, ..span };
    let sent: Vec<Outage> = history::outages(&mut tx, asked, BACKTEST_INCIDENTS).await?;
    drop(tx);
    let answer = tokio::task::spawn_blocking(move || report(&question, &history, sent, read));
    Ok(answer.await?)
}

fn run_up(question: &Question) -> i64 {
    let of = |spec: &MonitorSpec| {
        let thresholds = Thresholds::of(spec);
        let interval = i64::try_from(spec.interval.as_millis()).unwrap_or(i64::MAX);
        let streaks = i64::from(thresholds.fail_after) + i64::from(thresholds.recover_after);
        thresholds.stale_after_ms.saturating_add(interval.saturating_mul(streaks))
    };
    of(&question.proposed).max(of(&question.present)).saturating_add(RUN_UP_MS).min(RUN_UP_MAX_MS)
}

/// What is stored of `span`.
async fn read(tx: &mut Tx, span: Span) -> Result<(History, Read), StoreError> {
    let Span { organisation_id, monitor_id, from, until } = span;
    let mut arrivals = history::arrivals(tx, span, BACKTEST_RESULTS).await?;
    let bursts = arrivals.iter().filter(|arrival| is_of_burst(&arrival.step)).count();
    let mut read = Read {
        results: arrivals.len() as u64,
        bursts: bursts as u64,
        missed_ranges: 0,
        undated: history::undated(tx, span).await?.unsigned_abs(),
        first_at: arrivals.first().map(|arrival| arrival.received_at),
    };
    let missed = history::missed(tx, span, BACKTEST_MISSED).await?;
    read.missed_ranges = missed.len() as u64;
    arrivals.extend(missed);
    arrivals.sort_by_key(|arrival| arrival.received_at);
    let history = History {
        revisions: history::revisions(tx, organisation_id, monitor_id, until).await?,
        regions: history::places(tx, organisation_id).await?,
        tenures: history::tenures(tx, organisation_id, monitor_id, from, until).await?,
        arrivals,
        marks: Vec::new(),
        discredits: history::discredits(tx, organisation_id, from, until).await?,
    };
    Ok((history, read))
}

fn is_of_burst(step: &Step) -> bool {
    matches!(step, Step::Sight(Sight { burst: Some(_), .. }))
}
