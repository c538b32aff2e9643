//! Whether what a specification names is there, and stays while it is named.

use crate::api::Problem;
use crate::store::{Tx, channels, monitors, regions};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::problem::FieldProblem;
use uuid::Uuid;

/// Refuses a specification that names a region, channel or monitor the
/// organisation does not have; the channels then stay until the commit. A circle of dependencies is no error: whoever is
/// down first is held by nobody (`paging` looks at what is down, not at the graph).
pub(super) async fn require(
    tx: &mut Tx,
    organisation: Uuid,
    spec: &MonitorSpec,
) -> Result<(), Problem> {
    let mut problems = Vec::new();
    if !spec.every_region() {
        for (index, name) in spec.regions.iter().enumerate() {
            let rule = match regions::by_name(tx, organisation, name).await? {
                Some(region) if region.retired_at.is_none() => continue,
                Some(_) => format!("names a region that was retired: {name}"),
                None => format!("names a region that does not exist: {name}"),
            };
            problems.push(FieldProblem::new(format!("regions[{index}]"), rule));
        }
    }
    for index in channels::lock_names(tx, organisation, &spec.notify).await? {
        let rule = format!("names a channel that does not exist: {}", spec.notify[index]);
        problems.push(FieldProblem::new(format!("notify[{index}]"), rule));
    }
    for (index, name) in spec.depends_on.iter().enumerate() {
        if monitors::by_name(tx, organisation, name).await?.is_none() {
            let rule = format!("names a monitor that does not exist: {name}");
            problems.push(FieldProblem::new(format!("depends_on[{index}]"), rule));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}

/// Why a monitor can be neither renamed nor deleted, if others depend on it: nothing would
/// hold them any more, and nobody would have said so.
pub(super) async fn dependents(
    tx: &mut Tx,
    organisation: Uuid,
    name: &str,
) -> Result<Option<String>, Problem> {
    const SHOWN: usize = 5;
    let names = monitors::depending_on(tx, organisation, name, SHOWN).await?;
    Ok((!names.is_empty()).then(|| {
        format!("is what other monitors name in depends_on, so it stays: {}", names.join(", "))
    }))
}
