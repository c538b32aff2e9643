//! Reading an answer's body without keeping it.

use bytes::Bytes;
use hyperverge_protocol::limits::SAMPLE_BYTES;
use memchr::memmem::Finder;

/// Takes a body chunk by chunk: counts it, keeps its beginning, looks for a text.
#[derive(Debug)]
pub(super) struct BodyReader<'a> {
    search: Option<Search<'a>>,
    /// The beginning, at most [`SAMPLE_BYTES`].
    pub(super) sample: Vec<u8>,
    pub(super) bytes: u64,
    /// The rest was not read.
    pub(super) cut: bool,
}

impl<'a> BodyReader<'a> {
    pub(super) fn new(finder: Option<&'a Finder<'static>>) -> Self {
        let search = finder.map(|finder| Search { finder, tail: Vec::new(), found: false });
        Self { search, sample: Vec::new(), bytes: 0, cut: false }
    }

    /// Takes `chunk`; `false` once `limit` bytes have been taken.
    pub(super) fn take(&mut self, mut chunk: Bytes, limit: usize) -> bool {
        let room = (limit as u64).saturating_sub(self.bytes);
        if chunk.len() as u64 > room {
            chunk.truncate(usize::try_from(room).unwrap_or(usize::MAX));
            self.cut = true;
        }
        self.bytes += chunk.len() as u64;
        let wanted = SAMPLE_BYTES.saturating_sub(self.sample.len()).min(chunk.len());
        self.sample.extend_from_slice(&chunk[..wanted]);
        if let Some(search) = &mut self.search {
            search.take(&chunk);
        }
        !self.cut
    }

    /// Whether the text was found; `true` when none was asked for.
    pub(super) fn found(&self) -> bool {
        self.search.as_ref().is_none_or(|search| search.found)
    }
}

/// A search over chunks that keeps no more than the text's own length.
#[derive(Debug)]
struct Search<'a> {
    finder: &'a Finder<'static>,
    tail: Vec<u8>,
    found: bool,
}

impl Search<'_> {
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

    fn read(
        finder: &Finder<'static>,
        chunks: &[&[u8]],
        limit: usize,
    ) -> (bool, bool, u64, Vec<u8>) {
        let mut reader = BodyReader::new(Some(finder));
        for chunk in chunks {
            if !reader.take(Bytes::copy_from_slice(chunk), limit) {
                break;
            }
        }
        (reader.found(), reader.cut, reader.bytes, reader.sample)
    }

    #[test]
    fn a_body_is_cut_at_the_limit_and_not_before() {
        let finder = Finder::new("end").into_owned();
        assert_eq!(read(&finder, &[b"abcend"], 6), (true, false, 6, b"abcend".to_vec()));
        assert_eq!(read(&finder, &[b"abcend"], 5), (false, true, 5, b"abcen".to_vec()));
        assert_eq!(read(&finder, &[b"abc", b"en", b"d"], 5), (false, true, 5, b"abcen".to_vec()));
        let long = vec![b'x'; 5_000];
        let (_, cut, bytes, sample) = read(&finder, &[&long], 10_000);
        assert_eq!((cut, bytes, sample.len()), (false, 5_000, SAMPLE_BYTES));
    }

    proptest! {
        /// However a body is cut into chunks, it holds the text or does not.
        #[test]
        fn chunks_change_nothing(
            body in proptest::collection::vec(0u8..3, 0..64),
            needle in proptest::collection::vec(0u8..3, 1..6),
            cuts in proptest::collection::vec(1usize..8, 64),
        ) {
            let finder = Finder::new(&needle).into_owned();
            let mut chunks = Vec::new();
            let mut rest = &body[..];
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let whole = body.windows(needle.len()).any(|window| window == needle);
            prop_assert_eq!(read(&finder, &chunks, 1_000).0, whole);
        }
    }
}
