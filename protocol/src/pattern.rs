//! Regular expressions that neither a pattern nor a text can make expensive.
//!
//! The engine's searches are linear in the text, but the factor is the size of
//! the compiled pattern: `(?:.{1,500}x){1,5}` takes 15 s for 1 MiB of text.
//! So the compiled size is bounded, and a search that would take more than
//! [`STEPS`] steps that way runs on a lazily built automaton instead, which
//! takes one step for each byte and gives up when it had to be built anew too
//! often.

use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, meta};
use std::sync::OnceLock;

use crate::limits::PATTERN_BYTES;

/// A compiled pattern, at most (it is held in three forms).
const COMPILED_BYTES: usize = 256 * 1024;
/// States of an automaton that are kept while one text is searched.
const CACHE_BYTES: usize = 1024 * 1024;
/// How often that cache may fill up in one search.
const CACHE_FILLS: usize = 8;
/// Steps that one search may take on the general engine: bytes of text by states.
const STEPS: usize = 16 * 1024 * 1024;
/// Groups within groups.
const NESTING: u32 = 64;

/// Why a pattern is refused; reads on after the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternRule {
    #[error("must be 1 to {PATTERN_BYTES} bytes")]
    Length,
    #[error("must be a regular expression: {0}")]
    Syntax(String),
    #[error("must be a smaller regular expression: its repetitions multiply")]
    TooLarge,
}

/// A search that was given up: this pattern, on this text, takes too many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the regular expression takes too many steps on this text")]
pub struct TooManySteps;

/// A regular expression (syntax of the crate `regex`), matched against bytes
/// that may or may not be UTF-8.
#[derive(Debug)]
pub struct Pattern {
    source_bytes: usize,
    general: meta::Regex,
    nfa: thompson::NFA,
    /// Built at the first text that is too long for `general`; `None`: cannot be.
    patient: OnceLock<Option<Box<DFA>>>,
}

impl Pattern {
    /// Compiles `source` within the bounds of this module.
    pub fn parse(source: &str) -> Result<Self, PatternRule> {
        if !(1..=PATTERN_BYTES).contains(&source.len()) {
            return Err(PatternRule::Length);
        }
        let syntax = syntax::Config::new().utf8(false).nest_limit(NESTING);
        let nfa = thompson::Config::new()
            .utf8(false)
            .which_captures(thompson::WhichCaptures::None)
            .nfa_size_limit(Some(COMPILED_BYTES));
        let nfa = thompson::NFA::compiler()
            .syntax(syntax)
            .configure(nfa)
            .build(source)
            .map_err(|error| rule(&error, error.size_limit().is_some()))?;
        let general = meta::Config::new()
            .utf8_empty(false)
            .which_captures(thompson::WhichCaptures::None)
            .nfa_size_limit(Some(2 * COMPILED_BYTES))
            // It is for captures, which nobody asks for.
            .onepass(false)
            .hybrid_cache_capacity(CACHE_BYTES);
        let general = meta::Regex::builder()
            .syntax(syntax)
            .configure(general)
            .build(source)
            .map_err(|error| rule(&error, error.size_limit().is_some()))?;
        Ok(Self { source_bytes: source.len(), general, nfa, patient: OnceLock::new() })
    }

    /// Bytes of the text it was compiled from.
    pub(crate) fn source_bytes(&self) -> usize {
        self.source_bytes
    }

    /// Bytes of the first of its forms; the others are of its order.
    pub(crate) fn compiled_bytes(&self) -> usize {
        self.nfa.memory_usage()
    }

    /// What a search of `len` bytes takes at most, in steps of an expression
    /// (some 30 ns each).
    pub fn steps(&self, len: usize) -> usize {
        let most = len.saturating_mul(self.nfa.states().len());
        1 + most.min(STEPS) / 32
    }

    /// Whether `text` holds a match.
    pub fn is_match(&self, text: &[u8]) -> Result<bool, TooManySteps> {
        if text.len().saturating_mul(self.nfa.states().len()) <= STEPS {
            return Ok(self.general.is_match(text));
        }
        let dfa = self.patient.get_or_init(|| patient(&self.nfa).map(Box::new));
        let dfa = dfa.as_deref().ok_or(TooManySteps)?;
        let mut cache = dfa.create_cache();
        dfa.try_search_fwd(&mut cache, &Input::new(text).earliest(true))
            .map(|found| found.is_some())
            .map_err(|_| TooManySteps)
    }
}

fn patient(nfa: &thompson::NFA) -> Option<DFA> {
    let config = DFA::config()
        .cache_capacity(CACHE_BYTES)
        .minimum_cache_clear_count(Some(CACHE_FILLS))
        .unicode_word_boundary(true);
    DFA::builder().configure(config).build_from_nfa(nfa.clone()).ok()
}

/// The innermost error says it best; it shows the pattern, which its author may see.
fn rule(error: &dyn std::error::Error, too_large: bool) -> PatternRule {
    if too_large {
        return PatternRule::TooLarge;
    }
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let sentence = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
    PatternRule::Syntax(sentence.unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &[u8]) -> Result<bool, TooManySteps> {
        Pattern::parse(pattern).expect(pattern).is_match(text)
    }

    #[test]
    fn patterns_people_write() {
        assert_eq!(found(r#""status":\s*"(ok|up)""#, br#"{"status": "up"}"#), Ok(true));
        assert_eq!(found(r"(?i)^nginx/1\.\d+$", b"NGINX/1.26"), Ok(true));
        assert_eq!(found("^a$", b"b\na\nb"), Ok(false));
        assert_eq!(found("(?m)^a$", b"b\na\nb"), Ok(true));
        assert_eq!(found("gr\u{fc}n.", "gr\u{fc}n\u{e9}".as_bytes()), Ok(true));
        assert_eq!(found(r"(?-u)\xff\x00", b"..\xff\x00"), Ok(true));
    }

    #[test]
    fn what_cannot_be_compiled_is_refused_with_its_rule() {
        let refused = |source: &str| Pattern::parse(source).expect_err(source);
        assert_eq!(refused(""), PatternRule::Length);
        assert_eq!(refused(&"a".repeat(PATTERN_BYTES + 1)), PatternRule::Length);
        for bomb in ["(a{1000}){1000}", r"(?:\w{1,200}){50}", "((((a{9}){9}){9}){9}){9}"] {
            assert_eq!(refused(bomb), PatternRule::TooLarge, "{bomb}");
        }
        assert_eq!(refused("(a").to_string(), "must be a regular expression: unclosed group");
        assert!(matches!(refused(&"(".repeat(500)), PatternRule::Syntax(_)));
        assert!(matches!(refused(r"(a)\1"), PatternRule::Syntax(_)));
    }

    #[test]
    fn a_long_text_takes_one_step_for_each_byte_or_is_given_up() {
        let text = b"ab".repeat(128 * 1024);
        assert_eq!(found(r"[ab]{90}c", &text), Ok(false));
        assert_eq!(found(r"(?:.{1,40}x){1,5}", &text), Ok(false));
        assert_eq!(found(r"[a-b]{3}$", &text), Ok(true));
        // Every position may be the beginning, so no two stretches look alike to it.
        let mut noise = Vec::with_capacity(text.len());
        let mut x = 1_u64;
        while noise.len() < text.len() {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.push(if x >> 63 == 0 { b'a' } else { b'b' });
        }
        assert_eq!(found(r"a[ab]{500}c", &noise), Err(TooManySteps));
    }
}
