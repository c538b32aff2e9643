//! What silences and maintenance windows have in common: what they match, when
//! they last, and that the past of one does not change.

use crate::api::page::PageQuery;
use crate::api::{Problem, Timestamp};
use crate::store::silences::Which;
use hyperverge_control_core::notification::Labels;
use hyperverge_control_core::notification::hold::Matchers;
use serde::{Deserialize, Serialize};

/// What is held; both must hold, and one of them must be given.
#[derive(Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Matchers)]
pub(super) struct MatchersBody {
    /// All of these, exactly; the value `*` is any.
    #[schema(example = json!({ "team": "payments" }))]
    labels: Labels,
    /// One of these monitors, by name; `*` is every monitor.
    #[schema(example = json!(["checkout-api"]))]
    monitors: Vec<String>,
}

impl From<MatchersBody> for Matchers {
    fn from(body: MatchersBody) -> Self {
        Self { labels: body.labels, monitors: body.monitors }
    }
}

impl From<Matchers> for MatchersBody {
    fn from(matchers: Matchers) -> Self {
        Self { labels: matchers.labels, monitors: matchers.monitors }
    }
}

/// Parameters of the lists.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HoldsQuery {
    /// Items on a page: 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `true`: only what holds now; `false`: only what does not.
    active: Option<bool>,
}

impl HoldsQuery {
    /// The page asked for, and what of it is shown at `now`.
    pub(super) fn split(self, now: i64) -> (PageQuery, Which) {
        let which = match self.active {
            None => Which::All,
            Some(true) => Which::ActiveAt(now),
            Some(false) => Which::InactiveAt(now),
        };
        (PageQuery { limit: self.limit, cursor: self.cursor }, which)
    }
}

/// The word for how it stands at `now`.
pub(super) fn state(starts_at: i64, ends_at: i64, now: i64) -> &'static str {
    match () {
        () if ends_at <= now => "expired",
        () if starts_at > now => "pending",
        () => "active",
    }
}

/// Refuses to change what is over: who asks what held at a past time must not be
/// told something else than was true then.
pub(super) fn require_not_over(ends_at: i64, now: i64) -> Result<(), Problem> {
    if ends_at > now {
        return Ok(());
    }
    Err(Problem::conflict("it is over and stays as it was; make a new one"))
}

/// When it begins, if that is said, or now. A beginning in the past would hold
/// what was told already.
pub(super) fn begins(asked: Option<Timestamp>, now: i64) -> i64 {
    asked.map_or(now, |at| at.0.max(now))
}
