//! Ports for listeners that must keep theirs over a restart.
//!
//! Port 0 gives a new port each time, and a port probed and let go may be taken
//! by any outgoing connection before it is used. So these are taken below the
//! range that kernels hand out, and reserved among this user's processes by a
//! locked file for as long as the value lives.

use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;

/// Below Linux's ephemeral range (32768 upward) and IANA's (49152 upward).
const RANGE: std::ops::Range<u16> = 21_000..31_000;

/// A loopback port, free for TCP and UDP, that no other [`ReservedPort`] has.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    /// Closing the file frees the port for others.
    _lock: File,
}

impl ReservedPort {
    /// Finds and reserves a port.
    pub fn reserve() -> Result<Self> {
        let folder = lock_folder();
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        // Different processes begin at different places, so they seldom meet.
        let start = usize::try_from(std::process::id()).unwrap_or_default() * 7 % RANGE.len();
        for number in RANGE.skip(start).chain(RANGE.take(start)) {
            let path = folder.join(number.to_string());
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .with_context(|| format!("opening {}", path.display()))?;
            if lock.try_lock().is_ok() && is_free(number) {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port between {} and {}", RANGE.start, RANGE.end)
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port on 127.0.0.1, as text.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

fn is_free(number: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, number);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

/// One folder a user, so that nobody meets another's files without the right to lock them.
fn lock_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("hyperverge-ports-{user}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_not_given_twice() {
        let first = ReservedPort::reserve().expect("a port");
        let second = ReservedPort::reserve().expect("another");
        assert_ne!(first.number(), second.number());
        assert!(is_free(first.number()), "reserved, but free to listen on");
    }
}
