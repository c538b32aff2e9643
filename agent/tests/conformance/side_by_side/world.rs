//! What both probers look at: nginx and unbound from Debian, and a few sockets
//! that no server of good manners would offer.

use super::blackbox::Blackbox;
use crate::network::Network;
use crate::servers::Daemon;
use futures_util::future::join_all;
use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::{Value, json};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// Two more hosts behind this one, of which the farther is prohibited by the
/// nearer; and name servers at 127.0.0.1. The router keeps no error message back: Linux lets
/// each host have six in a row by default, and both probers together ask for as many.
const NETWORK: &str = r#"
    sysctl -qw 'net.ipv4.ping_group_range=0 0'
    host router; host far
    link near router r0 192.0.2.1/24 192.0.2.2/24 2001:db8:1::1/64 2001:db8:1::2/64
    join router f0 far f1 198.51.100.1/24 198.51.100.2/24 2001:db8:2::1/64 2001:db8:2::2/64
    on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
    on router ip route add unreachable 203.0.113.1
    on router ip route add prohibit 203.0.113.2
    on router ip route add blackhole 203.0.113.3
    ip route add default via 192.0.2.2
    ip -6 route add default via 2001:db8:1::2
    on far ip route add default via 198.51.100.1
    on far ip -6 route add default via 2001:db8:2::1
    resolv=$(mktemp)
    echo 'nameserver 127.0.0.1' > "$resolv"
    mount --bind "$resolv" /etc/resolv.conf
    rm "$resolv"
"#;

/// Good HTTP and HTTPS; then HTTPS with a certificate that is broken.
pub(super) const HTTP: u16 = 8080;
pub(super) const HTTPS: u16 = 8443;
pub(super) const EXPIRED: u16 = 8444;
pub(super) const WRONG_HOST: u16 = 8445;
pub(super) const UNKNOWN_ROOT: u16 = 8446;
pub(super) const SELF_SIGNED: u16 = 8447;
/// Greets as a mail server does, and answers one line.
pub(super) const MAIL: u16 = 2525;
/// Takes connections and says nothing; begins an answer and stops; resets; closes;
/// says what nobody understands.
pub(super) const SILENT: u16 = 7001;
pub(super) const HALF: u16 = 7002;
pub(super) const RESET: u16 = 7003;
pub(super) const CLOSE: u16 = 7004;
pub(super) const GARBAGE: u16 = 7005;
/// Nothing listens there.
pub(super) const CLOSED: u16 = 7999;

/// Everything that runs, and both probers.
pub(super) struct World {
    blackbox: Blackbox,
    context: ProbeContext,
    _exporter: Daemon,
    _nginx: Daemon,
    _unbound: Daemon,
}

/// Runs `rows` in a world of their own; `test` is the calling test's name.
pub(super) fn compare(test: &str, rows: impl FnOnce() -> Vec<Row>) {
    Network::new(&[NETWORK]).run(test, || async {
        let world = World::start();
        let rows = rows();
        let compared = join_all(rows.iter().map(|row| world.compare(row))).await;
        let wrong: Vec<String> = compared.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    });
}

/// One target, as both are asked about it, and what both must say.
pub(super) struct Row {
    pub(super) module: &'static str,
    /// For the exporter.
    pub(super) target: String,
    /// For us: a monitor without name and timeout.
    pub(super) monitor: Value,
    /// `None` where it is well; else how we call what is wrong.
    pub(super) wrong: Option<Reason>,
}

impl World {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let roots = certificates(dir.path());
        let ca = dir.path().join("root.pem");
        let (blackbox, exporter) = Blackbox::start(&ca);
        impolite();
        let settings = ProbeSettings {
            egress: EgressPolicy {
                allow: vec!["0.0.0.0/0".parse().expect("all"), "::/0".parse().expect("all")],
            },
            ca_pem: Some(roots.into_bytes()),
            ..ProbeSettings::default()
        };
        Self {
            blackbox,
            _exporter: exporter,
            _nginx: nginx(dir),
            _unbound: unbound(),
            context: ProbeContext::new(settings).expect("a context"),
        }
    }

    /// What is not as the row says, if anything.
    async fn compare(&self, row: &Row) -> Option<String> {
        let (blackbox, module, target) = (self.blackbox, row.module, row.target.clone());
        let asking = tokio::task::spawn_blocking(move || blackbox.probe(module, &target));
        let (ours, theirs) = tokio::join!(self.check(row), asking);
        let theirs = theirs.expect("an answer");
        let outcome = if row.wrong.is_some() { Outcome::Fail } else { Outcome::Ok };
        let as_said = (ours.outcome, ours.reason) == (outcome, row.wrong);
        let alike = as_said && theirs.success == row.wrong.is_none();
        let Row { module, target, wrong, .. } = row;
        let says = &theirs.log;
        (!alike).then(|| format!("{module} {target}: expected {wrong:?}\n{ours:?}\n{says}"))
    }

    async fn check(&self, row: &Row) -> Observation {
        let mut spec = json!({ "name": "both", "timeout": "5s" });
        for (key, value) in row.monitor.as_object().expect("an object") {
            spec[key] = value.clone();
        }
        let spec = MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON"));
        let spec = spec.expect("a good monitor");
        let check = CheckId { monitor_name: "both", region: "here", slot: 1 };
        probe::run(&self.context, &spec, &check).await
    }
}

/// Writes a root and pairs of certificate and key; returns the root.
fn certificates(dir: &Path) -> String {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root")
    };
    let (root, unknown) = (authority("Root"), authority("Unknown"));
    let leaf = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut expired = leaf("good.test");
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let issue =
        |file: &str, params: CertificateParams, issuer: Option<&CertifiedIssuer<'_, KeyPair>>| {
            let key = KeyPair::generate().expect("a key");
            let certificate = match issuer {
                Some(issuer) => params.signed_by(&key, issuer),
                None => params.self_signed(&key),
            };
            let write = |ending: &str, pem: String| {
                std::fs::write(dir.join(format!("{file}.{ending}")), pem).expect("written");
            };
            write("pem", certificate.expect("a certificate").pem());
            write("key", key.serialize_pem());
        };
    issue("good", leaf("good.test"), Some(&root));
    issue("expired", expired, Some(&root));
    issue("wrong", leaf("other.test"), Some(&root));
    issue("unknown", leaf("good.test"), Some(&unknown));
    issue("self", leaf("good.test"), None);
    // With its root, which nobody knows; without, the chain would be the one thing wrong.
    let chain = dir.join("unknown.pem");
    let alone = std::fs::read_to_string(&chain).expect("the leaf");
    std::fs::write(&chain, alone + &unknown.pem()).expect("written");
    std::fs::write(dir.join("root.pem"), root.pem()).expect("written");
    root.pem()
}

fn nginx(dir: TempDir) -> Daemon {
    let tls = [
        (HTTPS, "good"),
        (EXPIRED, "expired"),
        (WRONG_HOST, "wrong"),
        (UNKNOWN_ROOT, "unknown"),
        (SELF_SIGNED, "self"),
    ];
    let listen = tls.map(|(port, name)| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {name}.pem; ssl_certificate_key {name}.key; location / {{ return 200 'well'; }} }}\n"
        )
    });
    // One process: in a user namespace there is no other user to become.
    let config = format!(
        "user root root; daemon off; master_process off; pid nginx.pid; error_log stderr;
events {{ }}
http {{
    access_log off; client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
    uwsgi_temp_path temp; scgi_temp_path temp; default_type text/plain;
    server {{
        listen 127.0.0.1:{HTTP};
        location / {{ add_header X-State fine; return 200 'well'; }}
        location /empty {{ return 204; }}
        location /missing {{ return 404 'gone'; }}
        location /broken {{ return 503 'sick'; }}
        location /moved {{ return 302 /there; }}
        location /round {{ return 302 /round; }}
        location /away {{ return 302 http://127.0.0.1:{CLOSED}/; }}
    }}
    {}
}}
",
        listen.concat()
    );
    std::fs::write(dir.path().join("nginx.conf"), config).expect("written");
    let path = dir.path().to_str().expect("a path").to_owned();
    let ready = tls.map(|(port, _)| SocketAddr::from(([127, 0, 0, 1], port)));
    Daemon::start("nginx", &["-p", &path, "-c", "nginx.conf", "-e", "stderr"], dir, &ready)
}

/// Knows who serves the root, as every name server does.
fn unbound() -> Daemon {
    let dir = tempfile::tempdir().expect("a folder");
    let config = "server:
    interface: 127.0.0.1
    port: 53
    username: \"\"
    chroot: \"\"
    pidfile: \"\"
    directory: \".\"
    do-daemonize: no
    use-syslog: no
    module-config: \"iterator\"
    local-zone: \"test.\" static
    local-data: \"good.test. 300 A 127.0.0.1\"
    local-data: \"good.test. 300 MX 10 mail.good.test.\"
    local-data: \"far.test. 300 A 198.51.100.2\"
    local-zone: \"example.\" refuse
    local-zone: \".\" transparent
    local-data: \". 300 NS root.test.\"
remote-control:
    control-enable: no
";
    std::fs::write(dir.path().join("unbound.conf"), config).expect("written");
    let ready = [SocketAddr::from(([127, 0, 0, 1], 53))];
    Daemon::start("unbound", &["-d", "-c", "unbound.conf"], dir, &ready)
}

/// Listeners that misbehave, for as long as the process lives.
fn impolite() {
    let serve = |port: u16, serve: fn(std::net::TcpStream)| {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || serve(stream));
            }
        });
    };
    // Until the prober goes away.
    fn wait(mut stream: std::net::TcpStream) {
        let _gone = std::io::copy(&mut stream, &mut std::io::sink());
    }
    serve(SILENT, wait);
    serve(HALF, |mut stream| {
        let _gone = stream.read(&mut [0; 4096]);
        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwell");
        wait(stream);
    });
    serve(RESET, |mut stream| {
        // Once there is a request; with nobody lingering, closing resets.
        let _gone = stream.read(&mut [0; 1]);
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("set");
    });
    serve(CLOSE, drop);
    serve(GARBAGE, |mut stream| {
        let _gone = stream.write_all(b"\0\x01\x02 what is this\r\n\r\n");
        wait(stream);
    });
    serve(MAIL, |mut stream| {
        let _gone = stream.write_all(b"220 mail.test ready\r\n");
        let mut line = [0; 64];
        if stream.read(&mut line).is_ok_and(|read| read > 0) {
            let _gone = stream.write_all(b"250 mail.test\r\n");
        }
        wait(stream);
    });
    // A name server that takes questions and says nothing.
    let silent = UdpSocket::bind(("127.0.0.1", SILENT)).expect("a free port");
    std::thread::spawn(move || while silent.recv(&mut [0; 512]).is_ok() {});
}
