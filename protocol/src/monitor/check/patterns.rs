//! The regular expressions of all sections: each is bounded by itself, and all
//! of them together by one budget, since a host holds those of 10,000 monitors.

use super::Problems;
use crate::limits::{PATTERNS, PATTERNS_BYTES, PATTERNS_COMPILED_BYTES};
use crate::pattern::Pattern;

/// What the patterns so far take.
#[derive(Default)]
pub(super) struct Spent {
    count: usize,
    source_bytes: usize,
    compiled_bytes: usize,
}

impl Spent {
    fn is_within(&self) -> bool {
        self.count <= PATTERNS
            && self.source_bytes <= PATTERNS_BYTES
            && self.compiled_bytes <= PATTERNS_COMPILED_BYTES
    }
}

impl Problems {
    /// Checks the pattern `source`, and that there is room for it.
    pub(super) fn pattern(&mut self, field: &str, source: &str) {
        // More would only cost the time to compile it.
        if !self.spent.is_within() {
            return;
        }
        match Pattern::parse(source) {
            Ok(pattern) => self.patterns(field, &[&pattern]),
            Err(rule) => self.unless(false, field, rule.to_string()),
        }
    }

    /// Takes good patterns out of the budget; the first field beyond it is named.
    pub(super) fn patterns(&mut self, field: &str, patterns: &[&Pattern]) {
        if !self.spent.is_within() {
            return;
        }
        let spent = &mut self.spent;
        spent.count += patterns.len();
        spent.source_bytes += patterns.iter().map(|p| p.source_bytes()).sum::<usize>();
        spent.compiled_bytes += patterns.iter().map(|p| p.compiled_bytes()).sum::<usize>();
        let fits = self.spent.is_within();
        self.unless(
            fits,
            field,
            "must leave all regular expressions of the monitor within 64, 4096 bytes \
             as written and 1 MiB compiled",
        );
    }
}
