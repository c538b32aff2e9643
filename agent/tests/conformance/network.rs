//! A network of a test's own: hosts that are network namespaces, joined by
//! virtual cables, in a user namespace, so that no test needs to be root or
//! touches the machine's network.
//!
//! The test starts itself again inside, and the body runs there. Set-ups are
//! shell with these words: `host NAME` makes a host; `link NEAR-NAME HOST FAR-NAME
//! ADDRESSES…` lays a cable from here to one, `join HOST NAME HOST NAME ADDRESSES…`
//! between two (each side's addresses in turn, IPv4 and IPv6); `on HOST COMMAND…`
//! runs something there.

use std::future::Future;
use std::process::Command;

const INSIDE: &str = "HYPERVERGE_TEST_INSIDE_NETWORK";

const WORDS: &str = r#"
host() {
    unshare -n setpriv --pdeathsig KILL sleep infinity &
    eval "pid_$1=$!"
    hosts="${hosts:-} $!"
    while [ "$(readlink "/proc/$!/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    settled "on $1"
}
settled() { # IPv6 addresses hold at once, instead of after a second
    $1 sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    $1 ip link set lo up
}
on() {
    eval "pid=\$pid_$1"
    shift
    nsenter -t "$pid" -n "$@"
}
addressed() { # WITH NAME IPv4 IPv6, where WITH is a command or nothing
    $1 ip address add "$3" dev "$2"
    $1 ip address add "$4" dev "$2" nodad
    $1 ip link set "$2" up
}
lit() { # WITH NAME: waits until the kernel has noticed that the cable carries
    while ! $1 ip -o link show dev "$2" | grep -q 'state UP'; do sleep 0.01; done
}
link() {
    eval "pid=\$pid_$2"
    ip link add "$1" type veth peer name "$3" netns "$pid"
    addressed "" "$1" "$4" "$6"
    addressed "on $2" "$3" "$5" "$7"
    lit "" "$1"
    lit "on $2" "$3"
}
join() {
    eval "pid=\$pid_$3"
    on "$1" ip link add "$2" type veth peer name "$4" netns "$pid"
    addressed "on $1" "$2" "$5" "$7"
    addressed "on $3" "$4" "$6" "$8"
    lit "on $1" "$2"
    lit "on $3" "$4"
}
trap 'kill ${hosts:-} 2>/dev/null || true' EXIT
settled ""
"#;

/// What is around a test.
pub(crate) struct Network {
    script: String,
    privileges: String,
}

impl Network {
    /// A network made by each of `setups` in turn.
    pub(crate) fn new(setups: &[&str]) -> Self {
        Self { script: setups.concat(), privileges: String::new() }
    }

    /// Runs the body without one of the capabilities, or without `all`.
    pub(crate) fn without_capability(mut self, name: &str) -> Self {
        self.privileges = format!("setpriv --bounding-set=-{name} --inh-caps=-all");
        self
    }

    /// Runs `body` inside; `test` is the name of the calling test in this binary.
    pub(crate) fn run<F: Future<Output = ()>>(self, test: &str, body: impl FnOnce() -> F) {
        run_in_each([self], test, body);
    }

    /// Starts the test again inside.
    fn enter(self, test: &str) {
        let exe = std::env::current_exe().expect("this program");
        let exe = exe.to_str().expect("a path");
        let Self { script, privileges } = self;
        let again = format!("{privileges} '{exe}' --exact '{test}' --nocapture --test-threads 1");
        let done = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-euc"])
            .arg(format!("{WORDS}{script}\n{again}"))
            .env(INSIDE, "1")
            .output()
            .expect("unshare, of util-linux");
        let says = String::from_utf8_lossy(&done.stdout);
        let complains = String::from_utf8_lossy(&done.stderr);
        let passed = done.status.success() && says.contains("1 passed");
        assert!(passed, "inside: {:?}\n{says}\n{complains}", done.status);
    }
}

/// Runs `body` inside each of the networks, one after another.
pub(crate) fn run_in_each<F: Future<Output = ()>>(
    networks: impl IntoIterator<Item = Network>,
    test: &str,
    body: impl FnOnce() -> F,
) {
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new().expect("a runtime").block_on(body());
    }
    for network in networks {
        network.enter(test);
    }
}
