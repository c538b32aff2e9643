//! What an agent says was acknowledged: its event `batch acknowledged`.
//!
//! This is the agent's side of the promise. A line that `kill -9` cut off is no
//! line; it was not acknowledged as far as anybody knows.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use uuid::Uuid;

const EVENT: &str = "batch acknowledged";

/// A batch that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// `live` or `backlog`.
    pub lane: String,
    pub number: i64,
    pub stored: i64,
    pub duplicates: i64,
    pub refused: i64,
    pub slots: Vec<Slot>,
}

/// One slot's own check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    pub monitor: Uuid,
    pub revision: i64,
    pub slot: i64,
}

/// Every acknowledgement in the log at `path`, in order; one batch may be in it twice.
pub fn acknowledged(path: &Path) -> Result<Vec<Acknowledged>> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|line| line.contains(EVENT));
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.map(|event| read(&event).with_context(|| format!("reading {event}"))).collect()
}

fn read(event: &Value) -> Result<Acknowledged> {
    let number = |name: &str| event[name].as_i64().with_context(|| format!("no number `{name}`"));
    let slots: Vec<(Uuid, i64, i64)> =
        serde_json::from_str(event["slots"].as_str().context("no `slots`")?)?;
    Ok(Acknowledged {
        lane: event["lane"].as_str().context("no `lane`")?.to_owned(),
        number: number("number")?,
        stored: number("stored")?,
        duplicates: number("duplicates")?,
        refused: number("refused")?,
        slots: slots
            .into_iter()
            .map(|(monitor, revision, slot)| Slot { monitor, revision, slot })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_read_and_a_torn_line_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.log");
        let monitor = Uuid::from_u128(7);
        let line = format!(
            r#"{{"level":"DEBUG","message":"batch acknowledged","lane":"live","number":4,"stored":1,"duplicates":0,"refused":0,"slots":"[[\"{monitor}\",1,9]]"}}"#
        );
        let torn = &line[..line.len() - 20];
        std::fs::write(&path, format!("{{\"level\":\"INFO\"}}\n{line}\n{torn}")).expect("written");
        let batches = acknowledged(&path).expect("read");
        assert_eq!(batches.len(), 1);
        assert_eq!((batches[0].number, batches[0].stored), (4, 1));
        assert_eq!(batches[0].slots, [Slot { monitor, revision: 1, slot: 9 }]);
    }
}
