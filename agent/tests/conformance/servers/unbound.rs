//! Unbound as a resolver in front of an authority, from `unbound`; by UDP, TCP,
//! TLS and HTTPS.

use super::{Authority, Daemon, free_port};
use std::net::SocketAddr;
use tempfile::TempDir;

/// The name in its certificate.
pub(crate) const UNBOUND_NAME: &str = "resolver.test";

/// A running server.
pub(crate) struct Unbound {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) https: SocketAddr,
    _daemon: Daemon,
}

impl Unbound {
    /// Asks `behind` about `example.test` and `broken.test`, and knows of no root.
    pub(crate) fn start(authority: &Authority, behind: SocketAddr) -> Self {
        let dir = TempDir::new().expect("a folder");
        authority.issue_into(dir.path(), &[UNBOUND_NAME]);
        let [plain, tls, https] = [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let stub = |zone: &str| {
            let (ip, port) = (behind.ip(), behind.port());
            format!("stub-zone:\n  name: {zone}\n  stub-addr: {ip}@{port}\n")
        };
        let (plain_port, tls_port, https_port) = (plain.port(), tls.port(), https.port());
        let config = format!(
            "server:
  directory: \".\"
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  use-syslog: no
  logfile: \"\"
  do-daemonize: no
  num-threads: 1
  module-config: \"iterator\"
  interface: 127.0.0.1@{plain_port}
  interface: 127.0.0.1@{tls_port}
  interface: 127.0.0.1@{https_port}
  tls-port: {tls_port}
  https-port: {https_port}
  tls-service-key: key.pem
  tls-service-pem: cert.pem
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
  local-zone: test. nodefault
{}{}remote-control:
  control-enable: no
",
            stub("example.test"),
            stub("broken.test")
        );
        std::fs::write(dir.path().join("unbound.conf"), config).expect("unbound.conf");
        let args = ["-d", "-p", "-c", "unbound.conf"];
        let daemon = Daemon::start("unbound", &args, dir, &[plain, tls, https]);
        Self { plain, tls, https, _daemon: daemon }
    }
}
