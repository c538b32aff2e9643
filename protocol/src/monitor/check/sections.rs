//! A section belongs to its kind: options that nothing would read are refused,
//! so that nobody believes in them.

use super::Problems;
use crate::monitor::{Kind, MonitorSpec};

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    for (field, kind, is_default) in [
        ("http", Kind::Http, spec.http == Default::default()),
        ("tcp", Kind::Tcp, spec.tcp == Default::default()),
        ("icmp", Kind::Icmp, spec.icmp == Default::default()),
        ("dns", Kind::Dns, spec.dns == Default::default()),
    ] {
        found.unless(
            kind == spec.kind || is_default,
            field,
            format!("must be absent unless kind is {}", kind.as_str()),
        );
    }
}
