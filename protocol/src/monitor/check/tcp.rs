//! Section `tcp`.

use super::Problems;
use crate::limits;
use crate::monitor::{MonitorSpec, Step};

pub(super) fn check(spec: &MonitorSpec, found: &mut Problems) {
    let steps = &spec.tcp.steps;
    if steps.len() > limits::TCP_STEPS {
        return found.unless(false, "tcp.steps", "must be at most 16 steps");
    }
    let starts = steps.iter().filter(|step| **step == Step::Starttls).count();
    let ways = usize::from(spec.tcp.tls) + usize::from(spec.tls.starttls.is_some()) + starts;
    found.unless(
        ways <= 1,
        "tcp",
        "must begin TLS at most once: by tcp.tls, by tls.starttls or by one step \"starttls\"",
    );
    for (index, step) in steps.iter().enumerate() {
        check_step(&format!("tcp.steps[{index}]"), step, found);
    }
}

fn check_step(field: &str, step: &Step, found: &mut Problems) {
    match step {
        Step::Send(text) => found.unless(
            (1..=limits::SEND_BYTES).contains(&text.len()),
            field,
            "must be 1 to 4096 bytes",
        ),
        Step::SendHex(digits) => check_hex(field, digits, limits::SEND_BYTES, found),
        Step::Expect(text) => found.unless(
            (1..=limits::PATTERN_BYTES).contains(&text.len()),
            field,
            "must be 1 to 1024 bytes",
        ),
        Step::ExpectHex(digits) => check_hex(field, digits, limits::PATTERN_BYTES, found),
        Step::ExpectRegex(source) => found.pattern(field, source),
        Step::Starttls => {}
    }
}

fn check_hex(field: &str, digits: &str, bytes: usize, found: &mut Problems) {
    let good = (2..=2 * bytes).contains(&digits.len())
        && digits.len().is_multiple_of(2)
        && digits.bytes().all(|b| b.is_ascii_hexdigit());
    found.unless(
        good,
        field,
        format!("must be pairs of hexadecimal digits, for 1 to {bytes} bytes"),
    );
}
