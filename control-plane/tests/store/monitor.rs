//! A monitor with an assignment in each region of a small fleet.

use crate::fleet::SmallFleet;
use hyperverge_control_plane::clock;
use hyperverge_control_plane::store::assignments::{self, Assignment};
use hyperverge_control_plane::store::{Tx, agents, monitors};
use hyperverge_protocol::monitor::MonitorSpec;
use uuid::Uuid;

/// Slot k is due at k seconds.
pub(crate) const INTERVAL_MS: i64 = 1_000;

/// Stores a monitor of every region, assigned from `first_slot` on.
pub(crate) async fn assigned_monitor(tx: &mut Tx, fleet: &SmallFleet, first_slot: i64) -> Uuid {
    let id = clock::new_id();
    let name = format!("m-{}", &id.simple().to_string()[20..]);
    let json = format!(
        r#"{{"name": "{name}", "target": "https://example.com/", "interval": "1s", "timeout": "1s"}}"#
    );
    let spec = MonitorSpec::from_json(json.as_bytes()).unwrap();
    monitors::insert(tx, fleet.organisation_id, id, &spec, 1).await.unwrap();
    for (region_id, agent_id) in fleet.regions.iter().zip(&fleet.agents) {
        let assignment = Assignment {
            monitor_id: id,
            region_id: *region_id,
            agent_id: agent_id.clone(),
            revision: 1,
            first_slot,
            anchor_ms: 0,
            interval_ms: INTERVAL_MS,
            assigned_at: 1,
            ended_at: None,
            last_slot: None,
            predecessor_through: None,
        };
        assignments::assign(tx, fleet.organisation_id, &assignment).await.unwrap();
    }
    id
}

/// Every agent has reported up to `through`.
pub(crate) async fn reported(tx: &mut Tx, fleet: &SmallFleet, through: i64) {
    for agent in &fleet.agents {
        let (organisation, latest) = (fleet.organisation_id, i64::MAX);
        agents::raise_complete_through(tx, organisation, agent, through, latest).await.unwrap();
    }
}
