//! The rules of single values, beyond their types.

use super::{Settings, Sources};
use std::net::SocketAddr;
use tracing_subscriber::EnvFilter;
use url::Url;

/// Bytes a `JWT_SECRET` must have.
const JWT_SECRET_BYTES: usize = 32;

/// One value that breaks a rule. Never shows the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {key} {rule}")]
pub struct SettingProblem {
    pub place: String,
    pub key: &'static str,
    pub rule: String,
}

struct Checker<'a> {
    sources: &'a Sources,
    problems: Vec<SettingProblem>,
}

impl Checker<'_> {
    fn require(&mut self, holds: bool, key: &'static str, rule: impl Into<String>) {
        if !holds {
            let place = self.sources.of(key).to_owned();
            self.problems.push(SettingProblem { place, key, rule: rule.into() });
        }
    }

    fn range(&mut self, value: u32, low: u32, high: u32, key: &'static str) {
        let rule = format!("must be between {low} and {high}, not {value}");
        self.require((low..=high).contains(&value), key, rule);
    }
}

/// Every broken rule of `settings`.
pub(super) fn check(settings: &Settings, sources: &Sources) -> Vec<SettingProblem> {
    let mut checker = Checker { sources, problems: Vec::new() };
    server_and_link(settings, &mut checker);
    database_and_keys(settings, &mut checker);
    mail_and_egress(settings, &mut checker);
    log_and_numbers(settings, &mut checker);
    checker.problems
}

fn server_and_link(settings: &Settings, checker: &mut Checker<'_>) {
    const ADDRESS: &str = "must be an address and a port, such as 127.0.0.1:4000 or [::]:4000";
    let server = &settings.server;
    checker.require(server.listen.parse::<SocketAddr>().is_ok(), "server.listen", ADDRESS);
    checker.require(settings.link.listen.parse::<SocketAddr>().is_ok(), "link.listen", ADDRESS);
    let url = Url::parse(&server.public_url).ok();
    let good = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    checker.require(good, "server.public_url", "must be an http or https URL");
    for address in &settings.link.advertise {
        let port =
            address.rsplit_once(':').map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
        let good = matches!(port, Some((true, Ok(port))) if port > 0);
        checker.require(good, "link.advertise", format!("must be host:port, not {address:?}"));
    }
    checker.require(
        settings.link.advertise.len() <= 16,
        "link.advertise",
        "must hold at most 16 addresses",
    );
    checker.require(
        server.tls_cert.is_empty() == server.tls_key.is_empty(),
        "server.tls_cert",
        "and server.tls_key must be set together, or neither",
    );
}

fn database_and_keys(settings: &Settings, checker: &mut Checker<'_>) {
    let url = settings.database.url.expose();
    let known =
        ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme));
    checker.require(known, "database.url", "must begin with sqlite:// or postgres://");
    checker.require(!url.contains(":memory:"), "database.url", "must name a file: memory forgets");
    let keys = &settings.keys;
    checker.require(
        keys.jwt_secret.is_empty() || keys.jwt_secret.expose().len() >= JWT_SECRET_BYTES,
        "keys.jwt_secret",
        format!("must be at least {JWT_SECRET_BYTES} bytes"),
    );
    checker.require(
        keys.jwt_secret.is_empty() || keys.session.is_empty(),
        "keys.jwt_secret",
        "and keys.session must not both be set",
    );
}

fn mail_and_egress(settings: &Settings, checker: &mut Checker<'_>) {
    let url = Url::parse(settings.mail.smtp_url.expose()).ok();
    let good = url.is_some_and(|url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host());
    checker.require(good, "mail.smtp_url", "must be smtp://host:port or smtps://host:port");
    let from = settings.mail.from.parse::<lettre::message::Mailbox>();
    checker.require(from.is_ok(), "mail.from", "must be a mail address, such as Name <name@host>");
    for cidr in &settings.egress.allow {
        let rule = format!("must hold networks such as 10.0.0.0/8, not {cidr:?}");
        checker.require(is_cidr(cidr), "egress.allow", rule);
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
}

fn log_and_numbers(settings: &Settings, checker: &mut Checker<'_>) {
    let level = EnvFilter::try_new(&settings.log.level);
    let known = level.is_ok() && !settings.log.level.is_empty();
    checker.require(known, "log.level", "must be error, warn, info, debug, trace or directives");
    checker.range(settings.retention.results_days, 1, 3_650, "retention.results_days");
    let group_wait = settings.correlator.group_wait.as_millis();
    checker.require(group_wait <= 600_000, "correlator.group_wait", "must be at most 10m");
    let grace = settings.liveness.grace.as_millis();
    checker.require(
        (1_000..=3_600_000).contains(&grace),
        "liveness.grace",
        "must be between 1s and 1h",
    );
    let limits = &settings.limits;
    checker.range(limits.sessions, 1, 100_000, "limits.sessions");
    checker.range(limits.monitors, 1, 1_000_000, "limits.monitors");
    checker.range(limits.body_bytes, 16 * 1024, 16 * 1024 * 1024, "limits.body_bytes");
}
