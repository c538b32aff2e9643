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
//! To add a section that holds secrets: `gather.rs`.

mod encodings;
mod gather;

use hyperverge_protocol::limits::{MESSAGE_BYTES, SAMPLE_BYTES};
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Details, Observation, Outcome};
use memchr::memmem;

/// Bytes of the shortest secret.
const SHORTEST: usize = 4;
/// What is put in a secret's place; shorter than any.
const BLOT: &[u8] = b"***";
/// How our own messages say that a text goes on.
const ELLIPSIS: &[u8] = "\u{2026}".as_bytes();

/// The secrets of one monitor.
#[derive(Debug, Default)]
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// Everything in `spec` that may be one.
    pub fn new(spec: &MonitorSpec) -> Self {
        let mut found = gather::gather(spec);
        for secret in &mut found {
            // No more than this of it could be in any text of ours.
            secret.truncate(SAMPLE_BYTES);
        }
        found.retain(|secret| secret.len() >= SHORTEST);
        found.sort_unstable();
        found.dedup();
        Self(found)
    }

    /// Blots them out of what `seen` says. A plain success says nothing.
    pub fn hide(&self, seen: &mut Observation) {
        if self.0.is_empty() || seen.outcome == Outcome::Ok && seen.message.is_empty() {
            return;
        }
        let forms: Vec<Vec<u8>> = self.0.iter().flat_map(|s| encodings::forms(s)).collect();
        let cut = seen.sample.len() >= SAMPLE_BYTES;
        if let Some(sample) = blotted(&forms, &seen.sample, cut) {
            seen.sample = sample;
        }
        blot_text(&forms, &mut seen.message);
        if let Some(details) = seen.details.as_deref_mut() {
            texts(details).for_each(|text| blot_text(&forms, text));
        }
    }
}

/// The texts among the facts that a target chose.
fn texts(details: &mut Details) -> impl Iterator<Item = &mut String> {
    let tls = details.tls.iter_mut().flat_map(|tls| [&mut tls.subject, &mut tls.issuer]);
    let dns = details.dns.iter_mut().flat_map(|dns| dns.answers.iter_mut());
    tls.chain(dns)
}

fn blot_text(forms: &[Vec<u8>], text: &mut String) {
    // A message is cut between characters, so up to three bytes short.
    let cut = text.len() + 3 >= MESSAGE_BYTES;
    if let Some(blotted) = blotted(forms, text.as_bytes(), cut) {
        *text = String::from_utf8_lossy(&blotted).into_owned();
    }
}

/// `text` without any of `forms`; `None` if there was none. If it is `cut`,
/// its end may be the beginning of one.
fn blotted(forms: &[Vec<u8>], text: &[u8], cut: bool) -> Option<Vec<u8>> {
    let mut spots: Vec<(usize, usize)> = Vec::new();
    let ends = memmem::find_iter(text, ELLIPSIS).chain(cut.then_some(text.len()));
    let ends: Vec<usize> = ends.collect();
    for form in forms {
        spots.extend(memmem::find_iter(text, form).map(|start| (start, start + form.len())));
        for end in &ends {
            let first = end.saturating_sub(form.len() - 1);
            let begun = (first..end.saturating_sub(SHORTEST - 1))
                .find(|start| form.starts_with(&text[*start..*end]));
            spots.extend(begun.map(|start| (start, *end)));
        }
    }
    if spots.is_empty() {
        return None;
    }
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
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperverge_protocol::outcome::Reason;
    use proptest::prelude::*;

    fn hidden(secret: &str, text: &str) -> String {
        let secrets = Secrets(vec![secret.as_bytes().to_vec()]);
        let mut seen = Observation::bare(Outcome::Fail, Some(Reason::Body), text);
        seen.sample = text.as_bytes().to_vec();
        secrets.hide(&mut seen);
        assert_eq!(seen.message.as_bytes(), seen.sample);
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
        assert_eq!(hidden("hunter2", "is \"hunt\u{2026}\" so"), "is \"***\u{2026}\" so");
        assert_eq!(hidden("hunter2", "nothing of hun"), "nothing of hun");
    }

    #[test]
    fn a_sample_that_was_cut_in_a_secret_keeps_no_part_of_it() {
        let secrets = Secrets(vec![b"hunter2-hunter2".to_vec()]);
        let mut seen = Observation::bare(Outcome::Fail, Some(Reason::Status), "answered 500");
        seen.sample = [vec![b'.'; SAMPLE_BYTES - 8], b"hunter2-".to_vec()].concat();
        secrets.hide(&mut seen);
        assert!(seen.sample.ends_with(b".***"));
        assert_eq!(seen.message, "answered 500");
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
