//! Every limit of the simulator.

/// Monitors of one scenario.
pub const MONITORS: usize = 20_000;
/// Regions of one scenario.
pub const REGIONS: usize = 64;
/// Agents of one region.
pub const AGENTS: u32 = 20;
/// Replicas of the control plane.
pub const REPLICAS: u32 = 5;
/// Faults of one scenario.
pub const FAULTS: usize = 1_000;
/// The longest run, ms: a week.
pub const DURATION_MS: i64 = 7 * 24 * 3_600_000;
/// Channels of one scenario.
pub const CHANNELS: usize = 100;
/// Violations that are described one by one.
pub const VIOLATIONS: usize = 50;
/// Scenario files are no larger, bytes.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;
