//! BIND as the authority for zones of every record type, from `bind9`; by UDP,
//! TCP, TLS and HTTPS.

use super::{Authority, Daemon, free_port};
use std::net::SocketAddr;
use tempfile::TempDir;

/// The name in its certificate.
pub(crate) const BIND_NAME: &str = "ns1.example.test";

const ZONE: &str = r#"$TTL 300
@       IN SOA ns1.example.test. host\.master.example.test. 2024010100 7200 900 1209600 60
        IN NS ns1
        IN NS ns2
        IN MX 10 mail
        IN MX 20 Backup.Example.Test.
        IN TXT "v=spf1 " "-all"
        IN TXT "semi; colon and \"quotes\""
        IN CAA 0 issue "ca.example.net"
        IN CAA 128 iodef "mailto:security@example.test"
ns1     IN A 127.0.0.1
ns2     IN A 192.0.2.53
www 60  IN A 192.0.2.1
www 60  IN A 192.0.2.2
www     IN AAAA 2001:db8::1
alias   IN CNAME other
other   IN CNAME www
_sip._tcp IN SRV 0 5 5060 sip.example.test.
sip     IN A 192.0.2.5
*.wild  IN A 192.0.2.42
child   IN NS ns1.child
ns1.child IN A 192.0.2.54
"#;

const REVERSE: &str = r#"$TTL 300
@       IN SOA ns1.example.test. hostmaster.example.test. 1 7200 900 1209600 60
        IN NS ns1.example.test.
1       IN PTR www.example.test.
"#;

/// `big.example.test`: more texts than fit into a datagram.
pub(crate) const BIG_TEXTS: usize = 40;

/// A running server.
pub(crate) struct Bind {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) daemon: Daemon,
}

impl Bind {
    /// Knows `example.test` and `2.0.192.in-addr.arpa`; `broken.test` has no zone
    /// file, and everything else is refused.
    pub(crate) fn start(authority: &Authority) -> Self {
        let dir = TempDir::new().expect("a folder");
        authority.issue_into(dir.path(), &[BIND_NAME, "127.0.0.1"]);
        let [plain, tls, https] = [(); 3].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let mut zone = ZONE.to_owned();
        for number in 0..BIG_TEXTS {
            zone += &format!("big IN TXT \"{number:03} {}\"\n", "x".repeat(200));
        }
        let config = format!(
            r#"options {{
                directory ".";
                listen-on port {} {{ 127.0.0.1; }};
                listen-on port {} tls own {{ 127.0.0.1; }};
                listen-on port {} tls own http default {{ 127.0.0.1; }};
                listen-on-v6 {{ none; }};
                pid-file none;
                recursion no;
                dnssec-validation no;
                notify no;
            }};
            tls own {{ cert-file "cert.pem"; key-file "key.pem"; }};
            controls {{ }};
            zone "example.test" {{ type primary; file "zone"; }};
            zone "2.0.192.in-addr.arpa" {{ type primary; file "reverse"; }};
            zone "broken.test" {{ type primary; file "missing"; }};
            "#,
            plain.port(),
            tls.port(),
            https.port()
        );
        for (file, text) in [("named.conf", &config), ("zone", &zone)] {
            std::fs::write(dir.path().join(file), text).expect(file);
        }
        std::fs::write(dir.path().join("reverse"), REVERSE).expect("reverse");
        let args = ["-g", "-n", "1", "-c", "named.conf"];
        let daemon = Daemon::start("named", &args, dir, &[plain, tls, https]);
        Self { plain, tls, https, daemon }
    }
}
