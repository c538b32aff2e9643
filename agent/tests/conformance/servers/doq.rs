//! DNS over QUIC by aioquic, from PyPI: what it does is in `doq.py`.

use super::{Authority, Daemon, free_port};
use std::net::SocketAddr;
use tempfile::TempDir;

/// The name in its certificate.
pub(crate) const DOQ_NAME: &str = "quic.test";

/// A running server.
pub(crate) struct Doq {
    pub(crate) address: SocketAddr,
    _daemon: Daemon,
}

impl Doq {
    pub(crate) fn start(authority: &Authority) -> Self {
        let python = std::env::var("HYPERVERGE_TEST_PYTHON")
            .expect("HYPERVERGE_TEST_PYTHON: run this by scripts/test-environment");
        let dir = TempDir::new().expect("a folder");
        authority.issue_into(dir.path(), &[DOQ_NAME]);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let port = address.port().to_string();
        std::fs::write(dir.path().join("doq.py"), include_str!("doq.py")).expect("doq.py");
        let args = ["doq.py", &port, "cert.pem", "key.pem"];
        let daemon = Daemon::start(&python, &args, dir, &[address]);
        Self { address, _daemon: daemon }
    }
}
