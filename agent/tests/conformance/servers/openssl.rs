//! OpenSSL's own server (`openssl s_server`), which still does what nginx and
//! everybody else have given up, and its command line to issue such certificates.

use super::daemon::Daemon;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Answers HTTP over TLS with the certificate `cert.pem` and its key `key.pem` in `dir`.
pub(crate) fn s_server(dir: TempDir, at: SocketAddr, more: &[&str]) -> Daemon {
    let at_text = at.to_string();
    let mut args = vec!["s_server", "-accept", &at_text, "-cert", "cert.pem", "-key", "key.pem"];
    args.push("-www");
    args.extend(more);
    Daemon::start("openssl", &args, dir, &[at])
}

/// Runs `openssl` in `dir`; it must succeed.
#[track_caller]
pub(crate) fn openssl(dir: &Path, args: &str) {
    let ran = Command::new("openssl").args(args.split_whitespace()).current_dir(dir).output();
    let ran = ran.expect("openssl; run scripts/set-up servers");
    assert!(ran.status.success(), "{args}: {}", String::from_utf8_lossy(&ran.stderr));
}
