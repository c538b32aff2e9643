//! Whatever a scenario says and nothing would come of is refused, by its key and the rule.

use hyperverge_sim::generate;
use hyperverge_sim::scenario::{read, read_written};

const REGIONS: &str = r#"
regions = [{ name = "eu-west", provider = "alpha" }, "us-east", "ap-south"]
"#;
const SHOP: &str = r#"
[[monitors]]
name = "shop"
target = "https://shop.example.com"
interval = "30s"
"#;
/// Watched from one region, without TLS, by address.
const DOOR: &str = r#"
[[monitors]]
name = "door"
target = "http://192.0.2.7"
regions = ["eu-west"]
"#;

fn problems(text: &str) -> String {
    read_written(text, "bad").expect_err("something wrong").to_string()
}

/// Each must be refused by exactly this sentence's beginning, and nothing beside it.
fn refused(text: &str, wanted: &str) {
    let error = problems(text);
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with(wanted)), "{wanted}: {error}");
    assert_eq!(lines.len(), 1, "{wanted}: {error}");
}

fn accepted(text: &str) {
    if let Err(error) = read_written(text, "good") {
        panic!("{error}\n{text}");
    }
}

fn with_fault(fault: &str) -> String {
    format!("{REGIONS}{SHOP}{DOOR}[[faults]]\nat = \"5m\"\n{fault}")
}

#[test]
fn a_fault_takes_no_word_that_its_kind_does_not_read() {
    for (fault, wanted) in [
        (
            "kind = \"agent_dns\"\nfor = \"1m\"\nshare = 0.5",
            "faults[0].share is not for `agent_dns`",
        ),
        (
            "kind = \"partition\"\nfor = \"1m\"\nshare = 0.5",
            "faults[0].share is not for `partition`",
        ),
        (
            "kind = \"control_crash\"\nfor = \"1m\"\nregions = [\"eu-west\"]",
            "faults[0].regions is not for `control_crash`",
        ),
        (
            "kind = \"database\"\nfor = \"1m\"\nproviders = [\"alpha\"]",
            "faults[0].providers is not for `database`",
        ),
        (
            "kind = \"control_pause\"\nfor = \"1m\"\nagents = [\"eu-west-1\"]",
            "faults[0].agents is not for `control_pause`",
        ),
        (
            "kind = \"refuse\"\nfor = \"1m\"\nmonitors = [\"shop\"]\nreplica = 1",
            "faults[0].replica is not for `refuse`",
        ),
        (
            "kind = \"agent_dns\"\nfor = \"1m\"\nreplica = 1",
            "faults[0].replica is not for `agent_dns`",
        ),
        (
            "kind = \"database\"\nfor = \"1m\"\nreplica = 1",
            "faults[0].replica is not for `database`",
        ),
        (
            "kind = \"control_clock\"\nby = \"3s\"\nreplica = 1",
            "faults[0].replica is not for `control_clock`",
        ),
        ("kind = \"agent_suspend\"\nfor = \"1m\"\nreboot = true", "faults[0].reboot is not for"),
        (
            "kind = \"agent_clock\"\nby = \"3s\"\nfor = \"1m\"",
            "faults[0].for is not for `agent_clock`",
        ),
        (
            "kind = \"agent_dns\"\nfor = \"1m\"\nhosts = [\"shop.example.com\"]",
            "faults[0].hosts is not for `agent_dns`, which is no fault of a target",
        ),
    ] {
        refused(&with_fault(fault), wanted);
    }
}

#[test]
fn a_number_that_does_nothing_is_out_of_range() {
    for (fault, wanted) in [
        ("kind = \"partition\"\nfor = \"0s\"", "faults[0].for must be above 0"),
        ("kind = \"agent_clock\"\nby = \"0s\"", "faults[0].by must be a duration"),
        ("kind = \"control_clock\"\nby = \"-2d\"", "faults[0].by must be a duration of at most 1d"),
        (
            "kind = \"slow\"\nfor = \"1m\"\nmonitors = [\"shop\"]\nlatency = \"2h\"",
            "faults[0].latency must be above 0 and at most 1h",
        ),
        (
            "kind = \"link_delay\"\nfor = \"1m\"\ndelay = \"11s\"",
            "faults[0].delay must be above 0 and at most 10s",
        ),
        ("kind = \"link_loss\"\nfor = \"1m\"\nloss = 0.0", "faults[0].loss must be above 0"),
        ("kind = \"link_loss\"\nfor = \"1m\"\nloss = 1.0", "faults[0].loss must be above 0"),
        (
            "kind = \"flap\"\nfor = \"1m\"\nmonitors = [\"shop\"]\ndown = \"9s\"\nup = \"0s\"",
            "faults[0].up must be above 0",
        ),
        (
            "kind = \"refuse\"\nfor = \"1m\"\nmonitors = [\"shop\"]\nshare = 0.0",
            "faults[0].share must be above 0 and at most 1",
        ),
    ] {
        refused(&with_fault(fault), wanted);
    }
}

#[test]
fn times_beyond_all_bounds_are_named_and_nothing_overflows() {
    let never = "999999999999999s";
    let fault = format!("kind = \"control_clock\"\nby = \"-{never}\"");
    refused(&with_fault(&fault), "faults[0].by");
    let far = with_fault(&format!(
        "kind = \"slow\"\nfor = \"{never}\"\nmonitors = [\"shop\"]\nlatency = \"{never}\""
    ));
    let error = problems(&far);
    assert!(error.contains("duration must be from 1s to 7d"), "{error}");
    assert!(error.contains("faults[0].latency must be"), "{error}");
    let hold = format!(
        "{REGIONS}{SHOP}[[silences]]\nat = \"{never}\"\nfor = \"{never}\"\nmatchers.monitors = [\"*\"]"
    );
    let error = problems(&hold);
    assert!(error.contains("silences[0].at must be at most 7d"), "{error}");
    assert!(error.contains("silences[0].for must be at most 7d"), "{error}");
}

#[test]
fn a_fault_hits_somebody() {
    let of =
        |kind: &str, more: &str| with_fault(&format!("kind = \"{kind}\"\nfor = \"1m\"\n{more}"));
    for (fault, wanted) in [
        (
            of("refuse", "monitors = [\"shops*\"]"),
            "faults[0].monitors names `shops*`, which is no monitor's beginning",
        ),
        (
            of("refuse", "networks = [\"203.0.113.\", \"192.0.2.\"]"),
            "faults[0].networks names `203.0.113.`, which is no address's beginning",
        ),
        (
            of("certificate", "monitors = [\"door\"]"),
            "faults[0].monitors names `door`, which `certificate` does not hurt: no TLS is spoken",
        ),
        (
            of("certificate", "monitors = [\"shop\", \"door\"]"),
            "faults[0].monitors names `door`, which `certificate` does not hurt",
        ),
        (
            of("certificate", "monitors = [\"door*\"]"),
            "faults[0].kind hurts none of the monitors it names: no TLS is spoken to `door`",
        ),
        (
            of("certificate", "networks = [\"192.0.2.\"]"),
            "faults[0].kind hurts none of the monitors it names",
        ),
        (
            of("name", "monitors = [\"door\"]"),
            "faults[0].monitors names `door`, which `name` does not hurt: the target of `door` is an",
        ),
        (
            of("slow", "monitors = [\"shop\"]\nlatency = \"2s\""),
            "faults[0].monitors names `shop`, which `slow` does not hurt: `latency` crosses neither",
        ),
        (of("refuse", "monitors = [\"*\"]\nregions = [\"us-east\"]\n"), ""),
        (
            of("refuse", "monitors = [\"door\"]\nregions = [\"eu-west\", \"us-east\"]"),
            "faults[0].regions names `us-east`, from where none of its monitors is watched",
        ),
        (
            of("refuse", "monitors = [\"shop\", \"door\"]\nregions = [\"us-east\"]"),
            "faults[0].monitors names `door`, which is not watched from where this fault is",
        ),
    ] {
        if wanted.is_empty() { accepted(&fault) } else { refused(&fault, wanted) }
    }
    accepted(&of("certificate", "monitors = [\"*\"]"));
    let by_address = format!(
        "{REGIONS}{DOOR}[[faults]]\nkind = \"agent_dns\"\nat = \"5m\"\nfor = \"1m\"\nregions = [\"eu-west\"]"
    );
    refused(&by_address, "faults[0].kind hits no check");
}

/// Each kind hurts what it can hurt, and of that only what expects otherwise.
#[test]
fn a_fault_hurts_only_what_has_what_it_breaks() {
    let monitor = |more: &str| format!("{REGIONS}[[monitors]]\nname = \"a\"\n{more}\n");
    let fault = |kind: &str| {
        format!("[[faults]]\nkind = \"{kind}\"\nat = \"5m\"\nfor = \"1m\"\nmonitors = [\"a\"]\n")
    };
    let ping = monitor("kind = \"icmp\"\ntarget = \"www.example.com\"");
    for kind in ["refuse", "reset", "status", "certificate"] {
        let wanted = format!("faults[0].monitors names `a`, which `{kind}` does not hurt");
        refused(&format!("{ping}{}", fault(kind)), &wanted);
    }
    accepted(&format!("{ping}{}", fault("hang")));
    accepted(&format!("{ping}{}", fault("name")));
    let port = monitor("kind = \"tcp\"\ntarget = \"www.example.com:25\"");
    accepted(&format!("{port}{}", fault("refuse")));
    refused(&format!("{port}{}", fault("status")), "faults[0].monitors names `a`, which `status`");
    let tolerant = monitor("target = \"http://a.example\"\nexpect.status = [\"200-599\"]");
    refused(
        &format!("{tolerant}{}", fault("status")),
        "faults[0].monitors names `a`, which `status`",
    );
}

#[test]
fn a_monitor_says_nothing_that_a_simulated_target_passes_over() {
    let shop = |more: &str| format!("{REGIONS}{SHOP}{more}\n");
    for (more, wanted) in [
        ("enabled = false", "monitors[0].enabled must be true"),
        ("invert = true", "monitors[0].invert is not for a simulated target"),
        (
            "assert = [\"response.json().queue < 100\"]",
            "monitors[0].assert is not for a simulated target",
        ),
        ("expect.body = \"ok\"", "monitors[0].expect.body is not for a simulated target"),
        ("expect.certificate_days = 7", "monitors[0].expect.certificate_days is not for"),
        ("warn.certificate_days = 7", "monitors[0].warn.certificate_days is not for"),
        ("expect.status = [\"204\"]", "monitors[0].expect.status must take 200"),
        ("http.method = \"POST\"", "monitors[0].http.method is not for a simulated target"),
        ("tls.min_version = \"1.2\"", "monitors[0].tls.min_version is not for a simulated target"),
        (
            "network.addresses = [\"192.0.2.1\"]",
            "monitors[0].network.addresses is not for a simulated target; `address` says",
        ),
        ("policy.quorum = { count = 4 }", "monitors[0].policy.quorum must count at most"),
        ("address = \"shop\"", "monitors[0].address must be an IP address"),
    ] {
        refused(&shop(more), wanted);
    }
    for same in [
        "enabled = true",
        "invert = false",
        "assert = []",
        "http.method = \"GET\"",
        "expect = { latency = \"2s\", status = [\"200-299\"] }",
        "labels = { team = \"shop\" }",
    ] {
        accepted(&shop(same));
    }
}

#[test]
fn words_of_the_world_belong_together() {
    let one =
        |more: &str| format!("{REGIONS}[[monitors]]\nname = \"a\"\ninterval = \"30s\"\n{more}\n");
    let site = "target = \"http://www.site-#.example\"";
    let plain = "target = \"http://www.site.example\"";
    for (text, wanted) in [
        (one(&format!("{plain}\nhosts = 3")), "monitors[0].hosts must have `copies` beside it"),
        (
            one(&format!("{site}\ncopies = 3\nhosts = 4")),
            "monitors[0].hosts must be from 1 to `copies`",
        ),
        (one(&format!("{plain}\ncopies = 3\nhosts = 3")), "monitors[0].target must have a `#`"),
        (
            one(&format!("{site}\ncopies = 3")),
            "monitors[0].target must have no `#` without `hosts`",
        ),
        (one(&format!("{plain}\ncopies = 0")), "monitors[0].copies must be from 1"),
        (
            one(&format!("{plain}\ncertificate = \"wild\"")),
            "monitors[0].certificate is shown only where TLS is spoken",
        ),
        (
            one("target = \"http://192.0.2.1\"\naddress = \"192.0.2.2\""),
            "monitors[0].address must be left out",
        ),
        (
            format!(
                "{REGIONS}{SHOP}address = \"192.0.2.1\"\n{}",
                SHOP.replace("\"shop\"", "\"b\"")
            ),
            "monitors[1].address must be what monitors[0] says: `shop.example.com` resolves to",
        ),
    ] {
        refused(&text, wanted);
    }
    accepted(&one(&format!("{site}\ncopies = 6\nhosts = 3\naddress = \"192.0.2.#\"")));
    accepted(&one(&format!("{plain}\ncopies = 3")));
}

#[test]
fn names_are_named_with_their_entry() {
    let text =
        format!("{REGIONS}{SHOP}{}", SHOP.replace("\"shop\"", "\"b\"\nnotify = [\"defualt\"]"));
    refused(
        &text,
        "monitors[1].notify names `defualt`, which is not there; did you mean `default`?",
    );
    let twice = format!("{REGIONS}{SHOP}{SHOP}");
    refused(&twice, "monitors[1].name must be given once; `shop` is there already");
    refused(&format!("channels = [\"a\", \"a\"]{REGIONS}{SHOP}"), "channels[1] must be given once");
}

#[test]
fn routes_and_holds_take_somebody() {
    let hold = |kind: &str, more: &str| {
        format!(
            "{REGIONS}{SHOP}labels = {{ team = \"shop\" }}\n[[{kind}]]\nname = \"it\"\n{more}\n"
        )
    };
    for (text, wanted) in [
        (
            hold("silences", "at = \"1m\"\nfor = \"1m\"\nmatchers.labels = { team = \"web\" }"),
            "silences[0].matchers must take a monitor",
        ),
        (
            hold("silences", "at = \"1m\"\nfor = \"0s\"\nmatchers.monitors = [\"*\"]"),
            "silences[0].for must be above 0",
        ),
        (
            hold("maintenance_windows", "at = \"1m\"\nfor = \"1m\"\nmatchers = {}"),
            "maintenance_windows[0].matchers must name a label or a monitor",
        ),
        (
            hold("maintenance_windows", "at = \"15m\"\nfor = \"1m\"\nmatchers.monitors = [\"*\"]"),
            "maintenance_windows[0].at must be before the run ends",
        ),
        (
            hold("routes", "channels = [\"default\"]\nmatch.labels = { team = \"web\" }"),
            "routes[0].match.labels must be labels of a monitor",
        ),
        (
            hold(
                "routes",
                "channels = [\"default\"]\nmatch = { labels = { team = \"shop\" }, subject = [\"agent\"] }",
            ),
            "routes[0].match.subject must name `monitor` beside `labels`",
        ),
    ] {
        refused(&text, wanted);
    }
    accepted(&hold("silences", "at = \"1m\"\nfor = \"1m\"\nmatchers.labels = { team = \"*\" }"));
    accepted(&hold("routes", "channels = [\"default\"]\nmatch.labels = { team = \"shop\" }"));
}

#[test]
fn a_shape_is_named_in_words() {
    refused(&format!("seed = -1{REGIONS}{SHOP}"), "seed must be a whole number, 0 or more");
    refused(&format!("regions = [3]{SHOP}"), "regions[0] must be a name, or a table with a name");
    for wrong in ["\"1\"", "[1]", "[1, 2, 3]", "-1"] {
        let text = format!("{REGIONS}{SHOP}[expect]\nopened = {wrong}");
        refused(&text, "expect.opened must be a number, or [least, most]");
    }
}

#[test]
fn an_expectation_can_be_met() {
    let text = format!("{REGIONS}{SHOP}[expect]\nopened = [3, 1]");
    refused(&text, "expect.opened must be [least, most]");
}

/// The policies say how long it takes until all is at rest.
#[test]
fn settle_is_as_long_as_the_policies_need() {
    let text = |head: &str, monitor: &str, faults: &str| {
        format!("{head}{REGIONS}{SHOP}{monitor}\n{faults}")
    };
    let refuse = |at: &str| {
        format!(
            "[[faults]]\nkind = \"refuse\"\nat = \"{at}\"\nfor = \"1m\"\nmonitors = [\"shop\"]\n"
        )
    };
    let once = refuse("5m");
    refused(
        &text("settle = \"59s\"", "", &once),
        "settle must be at least 1m: `recover_after` checks of `shop` take so long",
    );
    accepted(&text("settle = \"60s\"", "", &once));
    let slowly = "policy = { recover_after = 5 }";
    refused(&text("settle = \"149s\"", slowly, &once), "settle must be at least 150s");
    let again = format!("{once}{}", refuse("10m"));
    refused(&text("settle = \"10m\"", "", &again), "settle must be at least 11m");
    accepted(&text("settle = \"11m\"", "", &again));
    accepted(&text("settle = \"1m\"", "policy.flap = { changes = 0 }", &again));
    accepted(&text("settle = \"1m\"", "", &format!("{once}{}", refuse("40m"))));
    let flap = "[[faults]]\nkind = \"flap\"\nat = \"5m\"\nfor = \"9m\"\ndown = \"1m\"\nup = \"1m\"\nmonitors = [\"shop\"]\n";
    refused(&text("settle = \"5m\"", "", flap), "settle must be at least 11m");
    let cut = |lasts: &str| {
        let own = |at: &str| {
            format!("[[faults]]\nkind = \"partition\"\nat = \"{at}\"\nfor = \"{lasts}\"\n")
        };
        let long = once.replace("for = \"1m\"", "for = \"9m\"");
        format!("{long}{}{}", own("6m"), own("10m"))
    };
    refused(&text("settle = \"10m\"", "", &cut("90s")), "settle must be at least 11m");
    accepted(&text("settle = \"10m\"", "", &cut("89s")));
    let blind =
        "[[faults]]\nkind = \"agent_dns\"\nat = \"10m\"\nfor = \"1m\"\nregions = [\"eu-west\"]\n";
    refused(
        &text("settle = \"10m\"", "", &format!("{once}{blind}")),
        "settle must be at least 11m",
    );
    let other = DOOR.replace("192.0.2.7", "door.example.net");
    let elsewhere = "regions = [\"us-east\"]";
    accepted(&text("settle = \"10m\"", elsewhere, &format!("{other}{once}{blind}")));
    let back = "[[faults]]\nkind = \"control_clock\"\nat = \"5m\"\nby = \"-30m\"\n";
    refused(&text("settle = \"20m\"", "", back), "settle must be at least 31m");
    let left = "settle = \"10m\"\nduration = \"8m\"";
    refused(&text(left, "", &once), "settle must be at most what `duration` leaves");
    accepted(&text("duration = \"8m\"", "", &once));
}

/// Without a word, it is as long as they need.
#[test]
fn settle_grows_with_the_policies() {
    let settle = |interval: &str| {
        let shop = SHOP.replace("30s", interval);
        let fault =
            "[[faults]]\nkind = \"refuse\"\nat = \"5h\"\nfor = \"5h\"\nmonitors = [\"shop\"]\n";
        read_written(&format!("{REGIONS}{shop}{fault}"), "usual").unwrap().settle
    };
    assert_eq!(settle("30s"), 15 * 60_000);
    assert_eq!(settle("1h"), 2 * 3_600_000 + 60_000);
}

/// What is made up by chance may say something in vain; its text says it no more, and is
/// the same run.
#[test]
fn the_text_of_what_is_made_up_says_nothing_in_vain() {
    let mut tidied = 0;
    for seed in 1..=200 {
        let made = generate::scenario(seed).unwrap();
        let written = read_written(&made.text(), "made-up")
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(written.duration, made.duration, "seed {seed}");
        if written.faults != made.faults && tidied < 3 {
            tidied += 1;
            let told = |it| {
                let report = hyperverge_sim::command::simulate(it, seed);
                serde_json::to_string(&(report.verdicts, report.incidents, report.pages)).unwrap()
            };
            assert_eq!(told(&made), told(&written), "seed {seed}");
        }
    }
    assert_eq!(tidied, 3);
}

/// A rule that holds for what is written only: made-up faults may miss.
#[test]
fn what_is_made_up_may_miss() {
    let text = with_fault("kind = \"certificate\"\nfor = \"1m\"\nmonitors = [\"door\"]");
    assert!(read(&text, "made-up").is_ok());
    assert!(read_written(&text, "written").is_err());
}
