//! What a monitor keeps secret never leaves in a result.
//!
//! A target may say anything back to us, and what it says ends up in messages
//! and samples, on dashboards and in pages. So everything that a monitor sends
//! and that may be a secret is searched for, as it is and in the encodings in
//! which servers repeat what they were sent, and blotted out, in one place for
//! all probes. A beginning of a secret counts too where the text was cut off.
//!
//! What is shorter than [`SHORTEST`] is not searched for: it would blot out
//! half of every answer and hide nothing that cannot be guessed.
//!
//! To add a section that holds secrets: `gather.rs`; a language of bodies: `body.rs`.

mod body;
mod encodings;
mod gather;

use hyperverge_protocol::limits::{DETAIL_TEXT_BYTES, MESSAGE_BYTES, SAMPLE_BYTES};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Details, Observation, Outcome};
use memchr::memmem;
use std::sync::OnceLock;

/// Bytes of the shortest secret.
const SHORTEST: usize = 4;
/// Secrets of one monitor that are searched for; with more, nothing is told.
const SECRETS: usize = 256;
/// What is put in a secret's place; shorter than any.
const BLOT: &[u8] = b"***";
/// How our own messages say that a text goes on. Elsewhere it is the target's.
const ELLIPSIS: &[u8] = "\u{2026}".as_bytes();

/// What is put in the place of everything where a monitor has too many secrets.
const ALL_BLOTTED: &str = "*** (the monitor sends too many secrets to tell what they are not in)";

/// The secrets of one monitor.
#[derive(Debug, Default)]
pub struct Secrets {
    found: Vec<Vec<u8>>,
    /// There are more than [`SECRETS`]; `found` is empty.
    too_many: bool,
    /// Every way each may be written. Worked out at the first failure, since
    /// most monitors have none.
    forms: OnceLock<Vec<Vec<u8>>>,
}

impl Secrets {
    /// Everything in `spec` that may be one.
    pub fn new(spec: &MonitorSpec) -> Self {
        Self::of(gather::gather(spec))
    }

    fn of(mut found: Vec<Vec<u8>>) -> Self {
        for secret in &mut found {
            // No more than this of it could be in any text of ours.
            secret.truncate(SAMPLE_BYTES);
        }
        found.retain(|secret| secret.len() >= SHORTEST);
        found.sort_unstable();
        found.dedup();
        let too_many = found.len() > SECRETS;
        if too_many {
            found = Vec::new();
        }
        Self { found, too_many, forms: OnceLock::new() }
    }

    /// Blots them out of what `seen` says. A plain success says nothing.
    pub fn hide(&self, seen: &mut Observation) {
        let says_nothing = seen.outcome == Outcome::Ok && seen.message.is_empty();
        if says_nothing || self.found.is_empty() && !self.too_many {
            return;
        }
        // Full or not: the limit of the body, or the target, may have cut it off.
        if let Some(sample) = self.blotted(&seen.sample, &[seen.sample.len()]) {
            seen.sample = sample;
        }
        self.blot_text(&mut seen.message, |message| {
            let cuts = memmem::find_iter(message.as_bytes(), ELLIPSIS);
            cuts.chain(cut(message, MESSAGE_BYTES)).collect()
        });
        if let Some(details) = seen.details.as_deref_mut() {
            for text in texts(details) {
                self.blot_text(text, |text| cut(text, DETAIL_TEXT_BYTES).into_iter().collect());
            }
        }
    }

    fn blot_text(&self, text: &mut String, cuts: impl Fn(&str) -> Vec<usize>) {
        if let Some(blotted) = self.blotted(text.as_bytes(), &cuts(text)) {
            *text = String::from_utf8_lossy(&blotted).into_owned();
        }
    }

    /// `text` without any of them; `None` if there was none. Before each of
    /// `cuts`, in rising order, the beginning of one counts too.
    fn blotted(&self, text: &[u8], cuts: &[usize]) -> Option<Vec<u8>> {
        if self.too_many {
            return (!text.is_empty()).then(|| ALL_BLOTTED.as_bytes().to_vec());
        }
        let forms = self
            .forms
            .get_or_init(|| self.found.iter().flat_map(|s| encodings::forms(s)).collect());
        let mut spots = Vec::new();
        for form in forms {
            find(form, text, cuts, &mut spots);
        }
        (!spots.is_empty()).then(|| without(text, spots))
    }
}

/// The texts among the facts that a target chose.
fn texts(details: &mut Details) -> impl Iterator<Item = &mut String> {
    let tls = details.tls.iter_mut().flat_map(|tls| [&mut tls.subject, &mut tls.issuer]);
    let dns = details.dns.iter_mut().flat_map(|dns| dns.answers.iter_mut());
    tls.chain(dns)
}

/// The end of `text` if it was cut to `limit` bytes: between characters, so up
/// to three bytes short.
fn cut(text: &str, limit: usize) -> Option<usize> {
    (text.len() + 3 >= limit).then_some(text.len())
}

/// Adds where in `text` the secret `form` is, and where it is cut off. Looks
/// once at each place that begins like it, whatever the text holds.
fn find(form: &[u8], text: &[u8], cuts: &[usize], spots: &mut Vec<(usize, usize)>) {
    let Some(beginning) = form.get(..SHORTEST) else { return };
    let finder = memmem::Finder::new(beginning);
    let mut from = 0;
    while let Some(start) = finder.find(&text[from..]).map(|at| from + at) {
        let rest = &text[start..];
        if rest.starts_with(form) {
            spots.push((start, start + form.len()));
            from = start + form.len();
            continue;
        }
        // The beginning before one cut is in that before the next, so the first
        // that does not fit is the last to look at.
        let first = cuts.partition_point(|cut| *cut < start + SHORTEST);
        let begun = cuts[first..].iter().take_while(|cut| form.starts_with(&text[start..**cut]));
        if let Some(end) = begun.last() {
            spots.push((start, *end));
            if *end == text.len() {
                return;
            }
        }
        from = start + 1;
    }
}

/// `text` with a blot in place of each of `spots`.
fn without(text: &[u8], mut spots: Vec<(usize, usize)>) -> Vec<u8> {
    spots.sort_unstable();
    let mut out = Vec::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in spots {
        if start >= done {
            out.extend_from_slice(&text[done..start]);
            out.extend_from_slice(BLOT);
        }
        done = done.max(end);
    }
    out.extend_from_slice(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::outcome::Reason;
    use proptest::prelude::*;

    fn hidden(secret: &str, text: &str) -> String {
        let secrets = Secrets::of(vec![secret.as_bytes().to_vec()]);
        let mut seen = Observation::bare(Outcome::Fail, Some(Reason::Body), text);
        // No secret of the tests begins before a line's end.
        seen.sample = format!("{text}\n").into_bytes();
        secrets.hide(&mut seen);
        assert_eq!(format!("{}\n", seen.message).as_bytes(), seen.sample);
        seen.message
    }

    #[test]
    fn a_secret_is_blotted_out_however_it_is_written() {
        let secret = "p\u{e4}ss/w\"d+1";
        for text in [
            secret,
            "p%C3%A4ss%2Fw%22d%2B1",
            "p%c3%a4ss%2fw%22d%2b1",
            "p\u{e4}ss/w\\\"d+1",
            "p\u{e4}ss/w&quot;d+1",
        ] {
            assert_eq!(hidden(secret, &format!("<{text}> and {text}")), "<***> and ***");
        }
        assert_eq!(hidden("hunter2", "aHVudGVyMg=="), "***==");
        assert_eq!(hidden("aaaa", "aaaaaa"), "***aa");
        assert_eq!(hidden("aaaab", "aaaaab"), "a***");
        assert_eq!(hidden("hunter2", "nothing of hun"), "nothing of hun");
    }

    #[test]
    fn an_ellipsis_is_a_cut_in_our_own_messages_only() {
        let secrets = Secrets::of(vec![b"hunter2".to_vec(), "a\u{2026}b\u{2026}c".into()]);
        let mut seen = Observation::bare(
            Outcome::Fail,
            Some(Reason::Body),
            "is \"hunt\u{2026}\" or hunt or a\u{2026}b\u{2026}",
        );
        seen.sample = "is \"hunt\u{2026}\"".into();
        secrets.hide(&mut seen);
        assert_eq!(seen.message, "is \"***\u{2026}\" or hunt or ***\u{2026}");
        assert_eq!(seen.sample, "is \"hunt\u{2026}\"".as_bytes());
    }

    #[test]
    fn forms_are_made_at_the_first_failure_and_kept() {
        let secrets = Secrets::of(vec![b"hunter2".to_vec()]);
        secrets.hide(&mut Observation::bare(Outcome::Ok, None, ""));
        assert!(secrets.forms.get().is_none());
        let hide = || {
            secrets.hide(&mut Observation::bare(Outcome::Fail, Some(Reason::Body), "hunter2"));
            secrets.forms.get().map(Vec::as_ptr)
        };
        assert!(hide().is_some());
        assert_eq!(hide(), hide());
    }

    #[test]
    fn with_too_many_secrets_nothing_is_told() {
        let told = |count: usize| {
            let secrets = Secrets::of((0..count).map(|n| format!("key-{n:04}").into()).collect());
            let mut seen = Observation::bare(Outcome::Fail, Some(Reason::Body), "has key-0007");
            seen.sample = b"key-0007 and text".to_vec();
            secrets.hide(&mut seen);
            (seen.message, String::from_utf8(seen.sample).expect("text"))
        };
        assert_eq!(told(SECRETS), ("has ***".to_owned(), "*** and text".to_owned()));
        let all = ALL_BLOTTED.to_owned();
        assert_eq!(told(SECRETS + 1), (all.clone(), all));
    }

    #[test]
    fn a_sample_that_was_cut_in_a_secret_keeps_no_part_of_it() {
        let secrets = Secrets::of(vec![b"hunter2-hunter2".to_vec()]);
        let mut seen = Observation::bare(Outcome::Fail, Some(Reason::Status), "answered 500");
        // Whether the sample is full, or the body was cut off before that.
        for length in [SAMPLE_BYTES, 20] {
            seen.sample = [vec![b'.'; length - 8], b"hunter2-".to_vec()].concat();
            secrets.hide(&mut seen);
            assert!(seen.sample.ends_with(b".***"));
            assert_eq!(seen.message, "answered 500");
        }
    }

    proptest! {
        /// Whatever stands around it, and however often, nothing of a secret is left.
        #[test]
        fn nothing_is_left(
            secret in "[a-c!%/ ]{4,12}",
            parts in proptest::collection::vec("[a-c ]{0,6}", 1..6),
        ) {
            let text = parts.join(&secret);
            let left = hidden(&secret, &text);
            prop_assert!(!left.contains(&secret), "{left:?}");
        }
    }
}
