//! `POST /routes/test`.

use crate::api::{Api, Problem, Timestamp, input::JsonBody};
use crate::auth::Viewer;
use crate::store::{Tx, channels, maintenance_windows, monitors, routes, silences};
use axum::Json;
use axum::extract::State;
use hyperverge_control_core::correlation::{Scope, Verdict};
use hyperverge_control_core::incident::{Severity, SubjectKind, severity};
use hyperverge_control_core::notification::Labels;
use hyperverge_control_core::notification::hold::{Hold, held};
use hyperverge_control_core::notification::route::{Facts, Recipients, Route, recipients};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An incident that might be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteTest {
    /// A monitor by name, whose labels and `notify` are taken.
    #[schema(example = "checkout-api")]
    monitor: Option<String>,
    /// Instead of a monitor's.
    #[serde(default)]
    labels: Option<Labels>,
    /// `critical`, `warning` or `info`; what the rest makes of it, if it is left out.
    #[schema(value_type = Option<String>)]
    severity: Option<Severity>,
    /// `down`, which it is if it is left out, or `degraded`.
    #[schema(value_type = Option<String>)]
    verdict: Option<Verdict>,
    /// `local`, `regional` or `global`, which it is if it is left out.
    #[schema(value_type = Option<String>)]
    scope: Option<Scope>,
    /// `monitor`, which it is if it is left out, `agent` or `region`.
    #[schema(value_type = Option<String>)]
    subject: Option<SubjectKind>,
}

/// Who would be told of it, and why.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RouteTested {
    /// Whether it goes only to routes that name its scope or its subject.
    quiet: bool,
    severity: &'static str,
    verdict: &'static str,
    scope: &'static str,
    subject: &'static str,
    /// `channels` that the monitor or routes name, the `defaults`, or `nobody`.
    told: &'static str,
    /// By name.
    channels: Vec<String>,
    /// Why nobody is.
    why: Option<String>,
    /// What would keep it back now.
    hold: Option<HoldView>,
    routes: Vec<JudgedRoute>,
}

/// What keeps a notice back.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Hold)]
pub(super) struct HoldView {
    /// `silence` or `maintenance`.
    kind: &'static str,
    id: Uuid,
    /// A maintenance window's name, a silence's comment.
    name: String,
    until: Timestamp,
}

/// Whether a route takes it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JudgedRoute {
    name: String,
    matches: bool,
    /// All that keeps it from matching.
    reasons: Vec<String>,
    channels: Vec<String>,
}

/// Says who would be told of an incident, without telling anybody.
#[utoipa::path(post, path = "/routes/test", tag = "notification", operation_id = "test_routes",
    request_body = RouteTest, responses((status = 200, body = RouteTested)))]
pub(super) async fn test(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    body: JsonBody,
) -> Result<Json<RouteTested>, Problem> {
    let asked: RouteTest = body.read()?;
    let organisation = caller.organisation;
    let mut tx = api.shared.store.read().await?;
    let (facts, notify) = facts(&mut tx, organisation, asked).await?;
    let now = tx.now().await?;
    let silences = silences::active(&mut tx, organisation, now).await?;
    let windows = maintenance_windows::active(&mut tx, organisation, now).await?;
    let routes = routes::all(&mut tx, organisation).await?;
    let (told, channels, why) = match recipients(&notify, &routes, &facts) {
        Recipients::Channels(names) => ("channels", names, None),
        Recipients::Nobody { why } => ("nobody", Vec::new(), Some(why)),
        Recipients::Defaults => {
            let defaults = channels::defaults(&mut tx, organisation).await?;
            let names: Vec<String> = defaults.into_iter().map(|channel| channel.name).collect();
            let why = names.is_empty().then(|| "there is no default channel".to_owned());
            ("defaults", names, why)
        }
    };
    Ok(Json(RouteTested {
        quiet: facts.quiet(),
        severity: facts.severity.as_str(),
        verdict: facts.verdict.as_str(),
        scope: facts.scope.as_str(),
        subject: facts.subject.as_str(),
        told,
        channels,
        why,
        hold: held(&silences, &windows, &facts, now).map(HoldView::from),
        routes: routes.into_iter().map(|route| judge(route, &facts)).collect(),
    }))
}

async fn facts(
    tx: &mut Tx,
    organisation: Uuid,
    asked: RouteTest,
) -> Result<(Facts, Vec<String>), Problem> {
    let named = match &asked.monitor {
        None => None,
        Some(name) => Some(
            monitors::by_name(tx, organisation, name)
                .await?
                .ok_or_else(|| Problem::field("monitor", "names a monitor that does not exist"))?,
        ),
    };
    let subject = asked.subject.unwrap_or(SubjectKind::Monitor);
    if asked.monitor.is_some() && subject != SubjectKind::Monitor {
        return Err(Problem::field("subject", "must be monitor where a monitor is named"));
    }
    let verdict = asked.verdict.unwrap_or(Verdict::Down);
    if !matches!(verdict, Verdict::Down | Verdict::Degraded) {
        return Err(Problem::field("verdict", "must be down or degraded"));
    }
    let scope = asked.scope.unwrap_or(Scope::Global);
    let (own, notify) = named.map(|m| (m.spec.labels, m.spec.notify)).unwrap_or_default();
    let labels = asked.labels.unwrap_or(own);
    let severity = asked.severity.unwrap_or_else(|| severity(verdict, scope, &labels));
    let name = asked.monitor.unwrap_or_default();
    Ok((Facts { subject, name, labels, severity, verdict, scope }, notify))
}

fn judge(route: Route, facts: &Facts) -> JudgedRoute {
    let reasons: Vec<String> =
        route.matches.mismatches(facts).iter().map(ToString::to_string).collect();
    JudgedRoute { matches: reasons.is_empty(), name: route.name, reasons, channels: route.channels }
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        Self {
            kind: hold.kind.as_str(),
            id: hold.id,
            name: hold.name,
            until: Timestamp(hold.until),
        }
    }
}
