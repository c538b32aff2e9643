//! Caddy: HTTP/1.1, 2 and 3, and 2 without TLS.

use super::daemon::Daemon;
use std::net::SocketAddr;
use tempfile::TempDir;

/// Caddy with the sites of a test, as in a Caddyfile. Certificates that
/// `Authority` wrote into `dir` can be named by their files' names.
pub(crate) fn caddy(dir: TempDir, sites: &str, ready: &[SocketAddr]) -> Daemon {
    let config = format!(
        "{{
            admin off
            auto_https off
            servers {{
                protocols h1 h2 h2c h3
            }}
        }}
        {sites}
        "
    );
    std::fs::write(dir.path().join("Caddyfile"), config).expect("Caddyfile");
    Daemon::start("caddy", &["run", "--config", "Caddyfile", "--adapter", "caddyfile"], dir, ready)
}
