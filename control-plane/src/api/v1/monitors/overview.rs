//! `GET /overview`: monitors by regions, a page at a time.

use super::seats::MonitorRegionsView;
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, input::Params};
use crate::auth::Viewer;
use crate::store::monitors::{self, Monitor};
use crate::store::states;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A monitor and what every region of it sees.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MonitorOverview)]
pub(super) struct MonitorOverviewView {
    id: Uuid,
    name: String,
    target: String,
    enabled: bool,
    #[serde(flatten)]
    seen: MonitorRegionsView,
}

/// What `monitors/{id}/regions` says, for a page of monitors by name at once:
/// what a wall or a console shows.
#[utoipa::path(get, path = "/overview", tag = "monitors", operation_id = "overview",
    params(PageQuery), responses((status = 200, body = Page<MonitorOverviewView>)))]
pub(super) async fn overview(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Params(query): Params<PageQuery>,
) -> Result<Page<MonitorOverviewView>, Problem> {
    let after = query.after()?.unwrap_or_default();
    let mut tx = api.shared.store.read().await?;
    let now = tx.now().await?;
    let rows = monitors::page(&mut tx, caller.organisation, &after, query.rows()?).await?;
    let Page { items, next_cursor } = Page::new(rows, &query, |monitor| monitor.spec.name.clone())?;
    let ids: Vec<Uuid> = items.iter().map(|monitor| monitor.id).collect();
    let seen = states::overview(&mut tx, caller.organisation, &ids, now).await?;
    let mut seen: BTreeMap<Uuid, MonitorRegionsView> =
        seen.into_iter().map(|seen| (seen.monitor_id, seen.into())).collect();
    let items = items.into_iter().filter_map(|monitor| {
        let seen = seen.remove(&monitor.id)?;
        Some(view(monitor, seen))
    });
    Ok(Page { items: items.collect(), next_cursor })
}

fn view(monitor: Monitor, seen: MonitorRegionsView) -> MonitorOverviewView {
    let Monitor { id, spec, .. } = monitor;
    MonitorOverviewView { id, name: spec.name, target: spec.target, enabled: spec.enabled, seen }
}
