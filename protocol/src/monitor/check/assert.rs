//! Assertions.

use super::Problems;
use crate::monitor::MonitorSpec;

pub(super) fn check(_spec: &MonitorSpec, _found: &mut Problems) {}
