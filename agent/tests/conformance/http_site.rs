//! One site, served alike by nginx and Caddy, in every version of HTTP they
//! know, with a backend behind it that does what the path says.

use crate::servers::{Authority, Daemon, caddy, free_port, nginx};
use hyperverge_agent::probe::{self, CheckId, ProbeContext, ProbeSettings};
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::Observation;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) const NAME: &str = "web.test";

/// Both servers and what is behind them.
pub(crate) struct Site {
    pub(crate) authority: Authority,
    pub(crate) plain: SocketAddr,
    /// TLS with HTTP/2 in nginx; with HTTP/2 and 3 in Caddy.
    pub(crate) secure: SocketAddr,
    /// TLS without HTTP/2 (nginx only).
    pub(crate) old: SocketAddr,
    /// Wants a client certificate (nginx only).
    pub(crate) members: SocketAddr,
    _daemon: Daemon,
    _backend: Backend,
}

struct Backend(JoinHandle<()>);

impl Drop for Backend {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

impl Site {
    pub(crate) async fn nginx() -> Self {
        let (backend, behind) = backend().await;
        let authority = Authority::new();
        let dir = tempfile::tempdir().expect("a folder");
        authority.issue_into(dir.path(), &[NAME, "127.0.0.1"]);
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("ca.pem");
        std::fs::write(dir.path().join("users"), "mo:{PLAIN}secret\n").expect("users");
        let [plain, secure, old, members] = [address(), address(), address(), address()];
        let locations = format!(
            r#"
            location = / {{ return 200 "all is well\n"; }}
            location = /down {{ return 503 "down\n"; }}
            location = /gone {{ return 444; }}
            location = /moved {{ return 302 /; }}
            location = /private {{
                auth_basic "members"; auth_basic_user_file users;
                root .; try_files /text =404;
            }}
            location = /text {{
                gzip on; gzip_types *; gzip_min_length 1; root .; try_files /text =404;
            }}
            location = /agent {{ return 200 "$http_user_agent|$http_x_hyperverge_check|$host"; }}
            location / {{
                proxy_pass http://{behind}; proxy_buffering off; proxy_read_timeout 60s;
            }}
            "#
        );
        let text = "all is well, over and over again\n".repeat(3_000);
        std::fs::write(dir.path().join("text"), text).expect("text");
        let tls = "ssl_certificate cert.pem; ssl_certificate_key key.pem;";
        let servers = format!(
            "server {{ listen {plain}; {locations} }}
            server {{ listen {secure} ssl http2; {tls} {locations} }}
            server {{ listen {old} ssl; {tls} {locations} }}
            server {{
                listen {members} ssl http2; {tls}
                ssl_client_certificate ca.pem; ssl_verify_client on; {locations}
            }}"
        );
        let daemon = nginx(dir, &servers, &[plain, secure, old, members]);
        Self { authority, plain, secure, old, members, _daemon: daemon, _backend: backend }
    }

    pub(crate) async fn caddy() -> Self {
        let (backend, behind) = backend().await;
        let authority = Authority::new();
        let dir = tempfile::tempdir().expect("a folder");
        authority.issue_into(dir.path(), &[NAME, "127.0.0.1"]);
        let [plain, secure] = [address(), address()];
        let routes = format!(
            r#"
            handle / {{
                respond "all is well" 200
            }}
            handle /down {{
                respond "down" 503
            }}
            handle /gone {{
                abort
            }}
            handle /moved {{
                redir * / 302
            }}
            handle {{
                reverse_proxy {behind} {{
                    flush_interval -1
                }}
            }}
            "#
        );
        let at = |scheme: &str, address: SocketAddr| format!("{scheme}://:{}", address.port());
        let sites = format!(
            "{} {{
                bind 127.0.0.1
                {routes}
            }}
            {} {{
                bind 127.0.0.1
                tls cert.pem key.pem
                {routes}
            }}",
            at("http", plain),
            at("https", secure),
        );
        let daemon = caddy(dir, &sites, &[plain, secure]);
        let (old, members) = (secure, secure);
        Self { authority, plain, secure, old, members, _daemon: daemon, _backend: backend }
    }

    /// Checks `path` at `address` in `version`, with `more` in the monitor.
    pub(crate) async fn check(
        &self,
        scheme: &str,
        address: SocketAddr,
        path: &str,
        more: Value,
    ) -> Observation {
        let mut spec = json!({
            "name": "site",
            "target": format!("{scheme}://{NAME}:{}{path}", address.port()),
            "timeout": "20s",
            "network": { "addresses": ["127.0.0.1"] },
        });
        for (key, value) in more.as_object().expect("an object") {
            spec[key] = value.clone();
        }
        let spec = MonitorSpec::from_json(&serde_json::to_vec(&spec).expect("JSON"));
        probe::run(&self.context(), &spec.expect("a good monitor"), &id()).await
    }

    pub(crate) fn context(&self) -> ProbeContext {
        let settings = ProbeSettings {
            egress: EgressPolicy { allow: vec!["127.0.0.0/8".parse().expect("a network")] },
            ca_pem: Some(self.authority.pem().into_bytes()),
            ..ProbeSettings::default()
        };
        ProbeContext::new(settings).expect("a context")
    }
}

pub(crate) fn id() -> CheckId<'static> {
    CheckId { monitor_name: "site", region: "here", slot: 7 }
}

async fn backend() -> (Backend, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    (Backend(task), address)
}

/// `/hung`: never answers. `/half`: begins an answer and hangs. `/broken`:
/// begins one and breaks off. `/endless`: a body without an end.
async fn behave(mut stream: TcpStream) {
    let mut request = vec![0; 8_192];
    let read = stream.read(&mut request).await.unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe first half";
    match path {
        "/half" => drop(stream.write_all(half).await),
        "/broken" => return drop(stream.write_all(half).await),
        "/endless" => {
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            if stream.write_all(head).await.is_ok() {
                while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
            }
            return;
        }
        _ => {}
    }
    std::future::pending::<()>().await;
}
