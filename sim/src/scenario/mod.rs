//! What a scenario file says: docs/simulation.md is written from this.
//!
//! The shapes are what people write; [`read()`](read::read) turns a file into a [`Scenario`]
//! or into every problem at once, each naming its field and its rule. What somebody wrote
//! is read with [`read_written()`](read::read_written), which refuses whatever would have
//! no effect as well: it was meant to have one.
//!
//! To add a kind of fault: a variant of [`FaultKind`], its words in `faults.rs`,
//! what it does in `world/truth.rs` (targets) or `world/trouble.rs` (ours), and a file under
//! `sim/scenarios` that shows it.

mod check;
mod expect;
mod fault;
mod faults;
mod problems;
mod read;
mod rest;
mod simulated;
mod vain;

use hyperverge_control_core::notification::hold::Matchers;
use hyperverge_control_core::notification::route::Route;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::{Kind, MonitorSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::net::IpAddr;

pub use expect::{Bound, Expect};
pub use fault::{Fault, FaultKind, Side};
pub use read::{Unreadable, read, read_written};

/// A scenario file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// For people; the file's name without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default = "one")]
    pub seed: u64,
    /// How long it runs; absent: `settle` longer than the last fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// How long after the last fault everything must be at rest; absent: 15 minutes, or
    /// what the policies need where that is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Span>,
    /// Names, or tables with a name and more.
    pub regions: Vec<RegionEntry>,
    /// As `POST /monitors` takes them, with a few words more.
    pub monitors: Vec<Map<String, Value>>,
    /// Channels that monitors and routes may name; the first is the organisation's default.
    #[serde(default = "channels")]
    pub channels: Vec<String>,
    #[serde(default)]
    pub control: Control,
    /// As `POST /routes` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<HoldEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance_windows: Vec<HoldEntry>,
    #[serde(default)]
    pub faults: Vec<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
}

/// A silence or a maintenance window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldEntry {
    /// Why.
    #[serde(default = "unnamed")]
    pub name: String,
    pub matchers: Matchers,
    pub at: Span,
    #[serde(rename = "for")]
    pub lasts: Span,
}

/// A region, as a name or in full.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a name, or a table with a name")]
pub enum RegionEntry {
    Name(String),
    Full(Map<String, Value>),
}

/// A region with its agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    pub name: String,
    /// They are called after the region, with a number: `eu-west-1`.
    #[serde(default = "one_agent")]
    pub agents: u32,
    /// Whose network it is in; faults can name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// One way between its agents and the control plane.
    #[serde(default = "delay")]
    pub delay: Span,
    /// The share of packets that are lost on that way, 0 to below 1.
    #[serde(default)]
    pub loss: f64,
}

/// The control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Processes that share one database, 1 to 5.
    pub replicas: u32,
    /// How long an opening waits for what belongs to it.
    pub group_wait: Span,
    /// Longest time of a transaction; each takes from 1 ms to this.
    pub transaction: Span,
}

impl Default for Control {
    fn default() -> Self {
        Self { replicas: 1, group_wait: Span::from_secs(5), transaction: Span::from_millis(10) }
    }
}

/// A monitor with what the world knows of its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    pub spec: MonitorSpec,
    /// The host in its target.
    pub host: String,
    /// What the host's name resolves to.
    pub address: String,
    /// What it identifies itself with: monitors may share one.
    pub certificate: String,
    /// The place of its entry in the file, from 0.
    pub entry: usize,
}

impl Monitor {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Where the file says it.
    fn place(&self) -> String {
        format!("monitors[{}]", self.entry)
    }

    /// Whether a check of it shakes hands by TLS.
    pub fn speaks_tls(&self) -> bool {
        self.spec.kind == Kind::Tls || self.spec.target.starts_with("https://")
    }

    /// Whether its host is a name that must be looked up.
    pub fn has_name(&self) -> bool {
        self.host.parse::<IpAddr>().is_err()
    }
}

/// A scenario that can be run.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: String,
    pub description: String,
    pub seed: u64,
    /// ms.
    pub duration: i64,
    /// ms.
    pub settle: i64,
    pub regions: Vec<Region>,
    pub monitors: Vec<Monitor>,
    pub channels: Vec<String>,
    pub control: Control,
    pub routes: Vec<Route>,
    pub silences: Vec<HoldEntry>,
    pub maintenance_windows: Vec<HoldEntry>,
    pub faults: Vec<Fault>,
    pub expect: Option<Expect>,
    /// What it was read from.
    pub file: File,
}

impl Scenario {
    /// The text of a file that can be read as what somebody wrote: what was made up and has
    /// no effect is left out.
    pub fn text(&self) -> String {
        toml::to_string(&vain::without(self)).unwrap_or_default()
    }

    /// Silences and maintenance windows, each with its place in the file.
    fn holds(&self) -> impl Iterator<Item = (String, &HoldEntry)> {
        let silences = self.silences.iter().enumerate();
        let windows = self.maintenance_windows.iter().enumerate();
        let silences = silences.map(|(index, it)| (format!("silences[{index}]"), it));
        silences.chain(windows.map(|(index, it)| (format!("maintenance_windows[{index}]"), it)))
    }

    /// When the last fault is over, ms.
    pub fn faults_end(&self) -> i64 {
        self.faults.iter().map(Fault::until).max().unwrap_or(0)
    }
}

/// Whole milliseconds.
pub fn ms(span: Span) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn unnamed() -> String {
    "unnamed".to_owned()
}

fn one() -> u64 {
    1
}

fn one_agent() -> u32 {
    1
}

fn delay() -> Span {
    Span::from_millis(20)
}

fn channels() -> Vec<String> {
    vec!["default".to_owned()]
}
