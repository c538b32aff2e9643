//! A whole HyperVerge on one machine, out of the programs people install.
//!
//! Nothing here is a stand-in: the control plane and the agents are the real
//! binaries with real configuration files, enrolled by real tokens and talking
//! QUIC over loopback. The demo and the end-to-end tests both use it, the tests
//! also to kill and to stop what they started.

mod agent;
mod binaries;
mod control_plane;
mod ports;
mod process;

pub use agent::Agent;
pub use binaries::Binaries;
pub use control_plane::ControlPlane;
pub use ports::ReservedPort;
pub use process::Process;

use std::path::PathBuf;

/// Where a fleet lives and how it differs from the defaults.
#[derive(Debug, Clone)]
pub struct Place {
    pub binaries: Binaries,
    /// Everything is below it: configuration, databases, keys, spools and logs.
    pub dir: PathBuf,
    /// Settings of the control plane, as environment variables.
    pub control_plane_env: Vec<(String, String)>,
    /// Settings of every agent, as environment variables.
    pub agent_env: Vec<(String, String)>,
}

impl Place {
    /// A fleet in `dir` with nothing but the defaults.
    pub fn new(binaries: Binaries, dir: PathBuf) -> Self {
        Self { binaries, dir, control_plane_env: Vec::new(), agent_env: Vec::new() }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }
}

/// `text` as a TOML string.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
