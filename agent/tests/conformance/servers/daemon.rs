//! A server process: started, waited for, and ended with the test.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process with its folder; both are gone when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    _dir: TempDir,
}

impl Daemon {
    /// Starts `program` in `dir` and waits until something takes connections at
    /// each of `ready`. The process must stay in the foreground.
    pub(crate) fn start(program: &str, args: &[&str], dir: TempDir, ready: &[SocketAddr]) -> Self {
        let log = dir.path().join("output.log");
        let output = File::create(&log).expect("a log");
        let child = Command::new(program)
            .args(args)
            .current_dir(dir.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program} cannot be started ({error}); run scripts/set-up servers")
            });
        let mut daemon = Self { child, _dir: dir };
        daemon.wait(program, &log, ready);
        daemon
    }

    /// Stops it where it is: its sockets stay, and nothing answers.
    pub(crate) fn freeze(&self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let id = rustix::process::Pid::from_raw(id).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::STOP).expect("stopped");
    }

    #[expect(clippy::disallowed_methods, reason = "a process of somebody else's gives no sign")]
    fn wait(&mut self, program: &str, log: &Path, ready: &[SocketAddr]) {
        let began = Instant::now();
        for address in ready {
            while TcpStream::connect(address).is_err() {
                let ended = self.child.try_wait().expect("its state");
                let says = || std::fs::read_to_string(log).unwrap_or_default();
                assert!(ended.is_none(), "{program} ended: {ended:?}\n{}", says());
                assert!(began.elapsed() < START_WITHIN, "{program} does not listen\n{}", says());
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already gone is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that is free for both TCP and UDP on `127.0.0.1`. Held sockets make
/// sure that two tests of one process are not given the same one; each test
/// binary runs one test in a process, so the kernel's choice is spread enough.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}
