//! The target and section of kind `dns`, and what its answer must be.

use super::Problems;
use super::target::{judge_host, judge_tls_host};
use crate::dns::{DomainName, RecordData, authority_type, is_rcode};
use crate::egress::{parse_endpoint, parse_url};
use crate::limits;
use crate::monitor::{DnsTransport, MonitorSpec, RecordType};
use std::net::IpAddr;

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    check_target(spec, found);
    check_server(spec, found);
    check_answer(spec, found);
    check_data("expect.authority", &spec.expect.authority, authority_type, found);
}

fn check_target(spec: &MonitorSpec, found: &mut Problems) {
    if spec.target.parse::<IpAddr>().is_ok() {
        return found.unless(
            spec.dns.record == RecordType::Ptr,
            "target",
            "must be a domain name; an address is asked about with dns.record PTR",
        );
    }
    if let Err(rule) = spec.target.parse::<DomainName>() {
        found.unless(false, "target", rule.to_string());
    }
}

fn check_server(spec: &MonitorSpec, found: &mut Problems) {
    let (dns, field) = (&spec.dns, "dns.server");
    let Some(server) = &dns.server else {
        found.unless(
            !dns.transport.is_encrypted(),
            field,
            "must be given with dns.transport tls, https and quic",
        );
        return found.unless(
            spec.network.addresses.is_empty(),
            "network.addresses",
            "must be absent unless dns.server is given",
        );
    };
    if server.len() > limits::TARGET_BYTES {
        return found.unless(false, field, "must be at most 2048 bytes");
    }
    if dns.transport == DnsTransport::Https && server.contains("://") {
        match parse_url(server) {
            Err(rule) => found.unless(false, field, rule.to_string()),
            Ok(url) => {
                found.unless(url.scheme() == "https", field, "must be an https URL");
                let template = url.query().is_some() || server.contains(['{', '}']);
                found.unless(!template, field, "must be a URL without a query or a template");
                judge_host(&url, field, found);
                judge_tls_host(&url, field, found);
            }
        }
        return;
    }
    match parse_endpoint(server) {
        Err(rule) => found.unless(false, field, rule.to_string()),
        Ok(endpoint) => {
            judge_host(&endpoint.url, field, found);
            judge_tls_host(&endpoint.url, field, found);
        }
    }
}

fn check_answer(spec: &MonitorSpec, found: &mut Problems) {
    let expect = &spec.expect;
    if expect.rcode.len() > limits::DNS_EXPECTED {
        found.unless(false, "expect.rcode", "must be at most 32 codes");
    } else {
        for (index, rcode) in expect.rcode.iter().enumerate() {
            let field = format!("expect.rcode[{index}]");
            found.unless(
                is_rcode(rcode),
                &field,
                "must be a response code in capital letters, such as NOERROR or NXDOMAIN",
            );
            found.unless(!expect.rcode[..index].contains(rcode), &field, "must not repeat");
        }
    }
    check_data("expect.answers", &expect.answers, |_| spec.dns.record, found);
    for (field, ttl) in [("expect.ttl", expect.ttl), ("warn.ttl", spec.warn.ttl)] {
        if let Some(ttl) = ttl {
            let whole = ttl.0.subsec_nanos() == 0;
            found.unless(
                whole && (1..=limits::DNS_TTL_S).contains(&ttl.0.as_secs()),
                field,
                "must be whole seconds, 1s to 2147483647s",
            );
        }
    }
}

fn check_data(
    field: &str,
    data: &[String],
    record: impl Fn(&str) -> RecordType,
    found: &mut Problems,
) {
    if data.len() > limits::DNS_EXPECTED {
        return found.unless(false, field, "must be at most 32 records");
    }
    for (index, text) in data.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if text.len() > limits::DNS_DATA_BYTES {
            found.unless(false, &field, "must be at most 4096 bytes");
        } else if let Err(rule) = RecordData::parse(record(text), text) {
            found.unless(false, &field, rule.to_string());
        }
    }
}
