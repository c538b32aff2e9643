//! Backtests: stored results through another policy (`backtest` of the core).
//!
//! Answered while the caller waits, so everything it reads has a limit, and only
//! a few run at once.

use crate::limits::{BACKTEST_INCIDENTS, BACKTEST_MISSED, BACKTEST_RESULTS, BACKTESTS};
use crate::store::history::{self, Depth, Span};
use crate::store::{StoreError, Tx};
use hyperverge_control_core::backtest::{Outage, Question, Report, report};
use tokio::sync::Semaphore;
use uuid::Uuid;

static PLACES: Semaphore = Semaphore::const_new(BACKTESTS);

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
    let depth = Depth { results: BACKTEST_RESULTS, ranges: BACKTEST_MISSED, messages: false };
    let (history, read) = history::read(&mut tx, span, depth).await?;
    let asked = Span { from: question.from, ..span };
    let sent: Vec<Outage> = history::outages(&mut tx, asked, BACKTEST_INCIDENTS).await?;
    drop(tx);
    let answer = tokio::task::spawn_blocking(move || report(&question, &history, sent, read));
    Ok(answer.await?)
}

/// What streaks and freshness need to be known of before the time asked for.
fn run_up(question: &Question) -> i64 {
    history::run_up(&question.proposed).max(history::run_up(&question.present))
}
