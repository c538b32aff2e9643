//! `expect.body`, `body_without` and `body_regex`: what an answer's body says.
//!
//! Texts are looked for while the body passes, so that it need not be kept.
//! Only a regular expression or an assertion needs all of it in one place.

use super::{Answer, Judgement, WantsBody};
use hyperverge_protocol::limits::SAMPLE_BYTES;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::Reason;
use hyperverge_protocol::pattern::Pattern;
use hyperverge_protocol::problem::FieldProblem;
use memchr::memmem::Finder;

#[derive(Debug)]
pub(super) struct Body {
    text: Option<Finder<'static>>,
    without: Option<Finder<'static>>,
    regex: Option<Pattern>,
    /// Somebody else wants to see all of it.
    whole: bool,
}

impl Body {
    pub(super) fn new(spec: &MonitorSpec, whole: bool) -> Result<Self, FieldProblem> {
        let expect = &spec.expect;
        let finder = |text: &Option<String>| text.as_ref().map(|t| Finder::new(t).into_owned());
        let regex = expect.body_regex.as_ref().map(|source| {
            Pattern::parse(source)
                .map_err(|rule| FieldProblem::new("expect.body_regex", rule.to_string()))
        });
        Ok(Self {
            text: finder(&expect.body),
            without: finder(&expect.body_without),
            regex: regex.transpose()?,
            whole,
        })
    }

    pub(super) fn wants(&self) -> WantsBody {
        if self.whole || self.regex.is_some() {
            WantsBody::Whole
        } else if self.text.is_some() || self.without.is_some() {
            WantsBody::Search
        } else {
            WantsBody::Count
        }
    }

    pub(super) fn reader(&self) -> BodyReader<'_> {
        let keep = match self.wants() {
            WantsBody::Whole => usize::MAX,
            WantsBody::Search | WantsBody::Count => SAMPLE_BYTES,
        };
        BodyReader {
            text: self.text.as_ref().map(Search::new),
            without: self.without.as_ref().map(Search::new),
            keep,
            ..BodyReader::sampling()
        }
    }

    /// A body that was cut off may hold further on what is not in it so far;
    /// what it must not hold is judged by what was read.
    pub(super) fn must(&self, answer: &Answer<'_>) -> Result<(), Judgement> {
        if self.text.is_some() && !answer.found.text {
            return Err(missing(answer, "hold the expected text"));
        }
        if self.without.is_some() && answer.found.without {
            let message = "the body holds a text that it must not hold";
            return Err(Judgement::fail(Reason::Body, message));
        }
        match self.regex.as_ref().map_or(Ok(true), |regex| regex.is_match(answer.body)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(missing(answer, "match the expected pattern")),
            Err(_) => {
                let message = "the body takes too many steps to match with the expected pattern";
                Err(Judgement::fail(Reason::Body, message))
            }
        }
    }
}

fn missing(answer: &Answer<'_>, what: &str) -> Judgement {
    if !answer.cut {
        return Judgement::fail(Reason::Body, format!("the body does not {what}"));
    }
    let message = format!("the body, cut off at the limit, does not {what} up to there");
    Judgement::fail(Reason::BodyTooLarge, message)
}

/// What was found in a body as it passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// The text of `expect.body`.
    pub text: bool,
    /// The text of `expect.body_without`.
    pub without: bool,
}

/// Takes a body chunk by chunk: counts it, keeps of it what is wanted, looks for texts.
#[derive(Debug)]
pub struct BodyReader<'a> {
    text: Option<Search<'a>>,
    without: Option<Search<'a>>,
    keep: usize,
    kept: Vec<u8>,
    bytes: u64,
    cut: bool,
}

impl<'a> BodyReader<'a> {
    /// Keeps a sample and looks for nothing, for an answer that failed already.
    pub fn sampling() -> Self {
        Self {
            text: None,
            without: None,
            keep: SAMPLE_BYTES,
            kept: Vec::new(),
            bytes: 0,
            cut: false,
        }
    }

    /// Takes `chunk`; `false` once there is more than `limit` bytes.
    pub fn take(&mut self, mut chunk: &[u8], limit: usize) -> bool {
        let room = (limit as u64).saturating_sub(self.bytes);
        if chunk.len() as u64 > room {
            chunk = &chunk[..usize::try_from(room).unwrap_or(usize::MAX)];
            self.cut = true;
        }
        self.bytes += chunk.len() as u64;
        let wanted = self.keep.saturating_sub(self.kept.len()).min(chunk.len());
        self.kept.extend_from_slice(&chunk[..wanted]);
        for search in [&mut self.text, &mut self.without].into_iter().flatten() {
            search.take(chunk);
        }
        !self.cut
    }

    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory that what is kept takes.
    pub fn memory(&self) -> usize {
        self.kept.capacity()
    }

    /// Whether there was more than the limit.
    pub fn cut(&self) -> bool {
        self.cut
    }

    /// For [`Judge::judge`](super::Judge::judge).
    pub fn answer<'s>(&'s self, headers: &'s [(String, String)]) -> Answer<'s> {
        let found = |search: &Option<Search<'_>>| search.as_ref().is_some_and(|s| s.found);
        Answer {
            headers,
            body: &self.kept,
            cut: self.cut,
            found: Found { text: found(&self.text), without: found(&self.without) },
            authority: &[],
            unwritten: 0,
        }
    }

    /// The body's beginning, at most [`SAMPLE_BYTES`].
    pub fn into_sample(mut self) -> Vec<u8> {
        if self.kept.len() > SAMPLE_BYTES {
            self.kept.truncate(SAMPLE_BYTES);
            self.kept.shrink_to_fit();
        }
        self.kept
    }
}

/// A search over chunks that keeps no more than the text's own length.
#[derive(Debug)]
struct Search<'a> {
    finder: &'a Finder<'static>,
    tail: Vec<u8>,
    found: bool,
}

impl<'a> Search<'a> {
    fn new(finder: &'a Finder<'static>) -> Self {
        Self { finder, tail: Vec::new(), found: false }
    }

    fn take(&mut self, chunk: &[u8]) {
        let overlap = self.finder.needle().len().saturating_sub(1);
        if self.found {
            return;
        }
        if !self.tail.is_empty() {
            // A match across the border ends within the first `overlap` bytes of the chunk.
            self.tail.extend_from_slice(&chunk[..overlap.min(chunk.len())]);
            self.found = self.finder.find(&self.tail).is_some();
        }
        self.found = self.found || self.finder.find(chunk).is_some();
        if chunk.len() >= overlap {
            self.tail.clear();
            self.tail.extend_from_slice(&chunk[chunk.len() - overlap..]);
        } else if self.tail.is_empty() {
            self.tail.extend_from_slice(chunk);
        } else {
            let surplus = self.tail.len().saturating_sub(overlap);
            self.tail.drain(..surplus);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn looking_for(text: &[u8]) -> Body {
        Body {
            text: Some(Finder::new(text).into_owned()),
            without: None,
            regex: None,
            whole: false,
        }
    }

    fn read(body: &Body, chunks: &[&[u8]], limit: usize) -> (bool, bool, u64, Vec<u8>) {
        let mut reader = body.reader();
        for chunk in chunks {
            if !reader.take(chunk, limit) {
                break;
            }
        }
        let found = reader.answer(&[]).found.text;
        (found, reader.cut(), reader.bytes(), reader.into_sample())
    }

    #[test]
    fn a_body_is_cut_at_the_limit_and_not_before() {
        let body = looking_for(b"end");
        assert_eq!(read(&body, &[b"abcend"], 6), (true, false, 6, b"abcend".to_vec()));
        assert_eq!(read(&body, &[b"abcend"], 5), (false, true, 5, b"abcen".to_vec()));
        assert_eq!(read(&body, &[b"abc", b"en", b"d"], 5), (false, true, 5, b"abcen".to_vec()));
        let long = vec![b'x'; 5_000];
        let (_, cut, bytes, sample) = read(&body, &[&long], 10_000);
        assert_eq!((cut, bytes, sample.len()), (false, 5_000, SAMPLE_BYTES));
        let whole = Body { whole: true, ..body };
        let mut reader = whole.reader();
        assert!(reader.take(&long, 10_000));
        assert_eq!(reader.answer(&[]).body.len(), 5_000);
        assert_eq!(reader.into_sample().len(), SAMPLE_BYTES);
    }

    proptest! {
        /// However a body is cut into chunks, it holds the text or does not.
        #[test]
        fn chunks_change_nothing(
            body in proptest::collection::vec(0u8..3, 0..64),
            needle in proptest::collection::vec(0u8..3, 1..6),
            cuts in proptest::collection::vec(1usize..8, 64),
        ) {
            let mut chunks = Vec::new();
            let mut rest = &body[..];
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let whole = body.windows(needle.len()).any(|window| window == needle);
            prop_assert_eq!(read(&looking_for(&needle), &chunks, 1_000).0, whole);
        }
    }
}
