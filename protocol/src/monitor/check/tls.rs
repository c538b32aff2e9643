//! Section `tls`.

use super::{Problems, pem};
use crate::egress::{self, is_tls_host};
use crate::limits;
use crate::monitor::{Kind, MonitorSpec, Step, TlsOptions};

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    let tls = &spec.tls;
    if *tls == TlsOptions::default() {
        return;
    }
    if !speaks_tls(spec) {
        return found.unless(false, "tls", "must be absent where no TLS is spoken");
    }
    found.unless(
        spec.kind != Kind::Http || tls.verify,
        "tls.verify",
        "must be left out when kind is http: say http.verify",
    );
    check_certificates(tls, found);
    check_pins(tls, found);
    if let Some(name) = &tls.server_name {
        let host = egress::parse_endpoint(name).ok().filter(|host| host.port.is_none());
        let fits = host.is_some_and(|host| host.url.host().is_some_and(|h| is_tls_host(&h)));
        found.unless(
            name.len() <= limits::HOST_BYTES && fits,
            "tls.server_name",
            "must be a host name or an address",
        );
    }
    check_origin(spec, found);
    check_dialogue(spec, found);
}

/// Whether a check may see a certificate.
pub(super) fn speaks_tls(spec: &MonitorSpec) -> bool {
    match spec.kind {
        // In the clear it may still redirect to https.
        Kind::Http | Kind::Tls => true,
        Kind::Tcp => {
            spec.tcp.tls || spec.tls.starttls.is_some() || spec.tcp.steps.contains(&Step::Starttls)
        }
        Kind::Dns => spec.dns.transport.is_encrypted(),
        Kind::Icmp => false,
    }
}

fn check_certificates(tls: &TlsOptions, found: &mut Problems) {
    for (field, pem) in [("tls.ca", &tls.ca), ("tls.certificate", &tls.certificate)] {
        let Some(pem) = pem else { continue };
        if pem.len() > limits::PEM_BYTES {
            found.unless(false, field, "must be at most 65536 bytes");
            continue;
        }
        let count = pem::labels(pem)
            .map(|labels| labels.iter().filter(|label| **label == "CERTIFICATE").count());
        found.unless(
            count.is_some_and(|count| (1..=limits::PEM_CERTIFICATES).contains(&count)),
            field,
            "must hold 1 to 64 certificates in PEM form",
        );
    }
    if let Some(pem) = &tls.key {
        let keys = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
        let is_key = pem.len() <= limits::PEM_BYTES
            && pem::labels(pem).is_some_and(|labels| {
                labels.iter().filter(|label| keys.contains(label)).count() == 1
            });
        found.unless(
            is_key,
            "tls.key",
            "must be a private key in PEM form, without a password, of at most 65536 bytes",
        );
    }
    found.unless(
        tls.key.is_some() || tls.certificate.is_none(),
        "tls.key",
        "must be there when tls.certificate is",
    );
    found.unless(
        tls.certificate.is_some() || tls.key.is_none(),
        "tls.certificate",
        "must be there when tls.key is",
    );
}

fn check_pins(tls: &TlsOptions, found: &mut Problems) {
    if tls.pins.len() > limits::PINS {
        return found.unless(false, "tls.pins", "must be at most 8 fingerprints");
    }
    for (index, pin) in tls.pins.iter().enumerate() {
        found.unless(
            pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit()),
            &format!("tls.pins[{index}]"),
            "must be 64 hexadecimal digits (SHA-256)",
        );
    }
}

/// What is shown to the monitor's own origin, or demanded of it, is for no other; and
/// `http://` is another origin than the `https://` it may redirect to.
fn check_origin(spec: &MonitorSpec, found: &mut Problems) {
    if spec.kind != Kind::Http || super::http::speaks_tls(spec) {
        return;
    }
    let tls = &spec.tls;
    for (absent, field) in [
        (tls.server_name.is_none(), "tls.server_name"),
        (tls.certificate.is_none(), "tls.certificate"),
        (tls.key.is_none(), "tls.key"),
        (tls.pins.is_empty(), "tls.pins"),
    ] {
        found.unless(absent, field, "must be absent unless the target is https");
    }
}

fn check_dialogue(spec: &MonitorSpec, found: &mut Problems) {
    let tls = &spec.tls;
    let has_dialogue = matches!(spec.kind, Kind::Tcp | Kind::Tls);
    let only_there = "must be absent unless kind is tcp or tls";
    found.unless(has_dialogue || tls.starttls.is_none(), "tls.starttls", only_there);
    found.unless(has_dialogue || tls.alpn.is_empty(), "tls.alpn", only_there);
    let fits = |name: &String| (1..=limits::ALPN_BYTES).contains(&name.len());
    found.unless(
        tls.alpn.len() <= limits::ALPN_PROTOCOLS && tls.alpn.iter().all(fits),
        "tls.alpn",
        "must be at most 8 names of 1 to 255 bytes",
    );
}
