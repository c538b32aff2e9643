//! nginx: HTTP/1.1 and 2, from `nginx-light`.

use super::daemon::Daemon;
use std::net::SocketAddr;
use tempfile::TempDir;

/// nginx with the `server` blocks of a test. Certificates that `Authority`
/// wrote into `dir` can be named by their files' names.
pub(crate) fn nginx(dir: TempDir, servers: &str, ready: &[SocketAddr]) -> Daemon {
    let config = format!(
        "daemon off;
        master_process off;
        worker_processes 1;
        pid nginx.pid;
        error_log stderr;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            ssl_protocols TLSv1.2 TLSv1.3;
            default_type text/plain;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            {servers}
        }}"
    );
    std::fs::write(dir.path().join("nginx.conf"), config).expect("nginx.conf");
    let prefix = format!("{}/", dir.path().display());
    Daemon::start("nginx", &["-p", &prefix, "-c", "nginx.conf", "-e", "stderr"], dir, ready)
}
