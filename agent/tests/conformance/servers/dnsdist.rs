//! dnsdist as a balancer in front of an authority, from `dnsdist`; by UDP, TCP,
//! TLS and HTTPS. Its rules make it misbehave.

use super::{Authority, Daemon, free_port};
use std::net::SocketAddr;
use tempfile::TempDir;

/// The name in its certificate.
pub(crate) const DNSDIST_NAME: &str = "balancer.test";

/// A running server.
pub(crate) struct Dnsdist {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) https: SocketAddr,
    _daemon: Daemon,
}

impl Dnsdist {
    /// Asks `behind`, but: `drop.test` is met with silence, `nxdomain.test`,
    /// `servfail.test`, `refused.test` and `notimp.test` with that code,
    /// `spoof.test` with `192.0.2.66`, `cut.test` with TC over UDP.
    pub(crate) fn start(authority: &Authority, behind: SocketAddr) -> Self {
        let dir = TempDir::new().expect("a folder");
        authority.issue_into(dir.path(), &[DNSDIST_NAME]);
        let [plain, tls, https] = [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let config = format!(
            r#"setLocal("{plain}")
addTLSLocal("{tls}", "cert.pem", "key.pem")
addDOHLocal("{https}", "cert.pem", "key.pem", "/dns-query")
setACL({{"127.0.0.0/8"}})
setSecurityPollSuffix("")
newServer({{address = "{behind}"}}):setUp()
addAction("drop.test", DropAction())
addAction("nxdomain.test", RCodeAction(DNSRCode.NXDOMAIN))
addAction("servfail.test", RCodeAction(DNSRCode.SERVFAIL))
addAction("refused.test", RCodeAction(DNSRCode.REFUSED))
addAction("notimp.test", RCodeAction(DNSRCode.NOTIMP))
addAction(AndRule({{makeRule("cut.test"), TCPRule(false)}}), TCAction())
addAction("cut.test", SpoofAction("192.0.2.77"))
addAction("spoof.test", SpoofAction("192.0.2.66"))
"#
        );
        std::fs::write(dir.path().join("dnsdist.conf"), config).expect("dnsdist.conf");
        let args = ["--supervised", "--disable-syslog", "-C", "dnsdist.conf"];
        let daemon = Daemon::start("dnsdist", &args, dir, &[plain, tls, https]);
        Self { plain, tls, https, _daemon: daemon }
    }
}
