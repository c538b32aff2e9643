//! Section `icmp`, and what `expect` and `warn` say about it.

use super::Problems;
use crate::limits;
use crate::monitor::MonitorSpec;

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    let icmp = &spec.icmp;
    found.unless((1..=limits::PACKETS).contains(&icmp.packets), "icmp.packets", "must be 1 to 100");
    found.unless(
        (limits::SPACING_MIN..=limits::SPACING_MAX).contains(&icmp.spacing.0),
        "icmp.spacing",
        "must be 10ms to 10s",
    );
    // With the last spacing as the least time that the last reply gets.
    found.unless(
        icmp.spacing.0 * u32::from(icmp.packets) <= spec.timeout().0,
        "icmp.packets",
        format!(
            "must, times icmp.spacing ({}), fit into the timeout ({})",
            icmp.spacing,
            spec.timeout()
        ),
    );
    found.unless(
        (limits::PAYLOAD_MIN..=limits::PAYLOAD_MAX).contains(&icmp.size),
        "icmp.size",
        "must be 16 to 1472",
    );
    found.unless(icmp.ttl.is_none_or(|ttl| ttl > 0), "icmp.ttl", "must be 1 to 255");
    for (field, loss) in [("expect.loss", spec.expect.loss), ("warn.loss", spec.warn.loss)] {
        found.unless(loss.is_none_or(|loss| loss <= 99), field, "must be 0 to 99");
    }
    for (field, jitter) in
        [("expect.jitter", spec.expect.jitter), ("warn.jitter", spec.warn.jitter)]
    {
        let Some(jitter) = jitter else { continue };
        found.unless(!jitter.0.is_zero(), field, "must be more than 0");
        found.unless(
            jitter <= spec.timeout(),
            field,
            format!("must be at most the timeout ({})", spec.timeout()),
        );
        found.unless(icmp.packets >= 2, field, "must be absent unless icmp.packets is at least 2");
    }
}
