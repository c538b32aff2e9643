//! What was read from the chains that servers showed lately.
//!
//! A server shows the same certificates with every handshake. Whether they are to
//! be believed is verified anew each time; what they say about themselves is
//! read again only where a byte of them is another one.

use super::facts::Sent;
use crate::probe::limits;
use hyperverge_protocol::outcome::TlsFacts;
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// One place for each chain, by the end of its leaf, which is its signature: two
/// chains that fall on one place take turns in it.
pub(super) struct Recent(Mutex<Vec<Option<Known>>>);

struct Known {
    /// The leaf and whatever came with it, one after the other.
    bytes: Box<[u8]>,
    lengths: Box<[usize]>,
    sent: Sent,
}

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new((0..limits::TLS_CHAINS).map(|_| None).collect()))
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

impl Recent {
    /// As [`Sent::read`] and [`Sent::facts`].
    pub(super) fn facts(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        path: Option<&[usize]>,
    ) -> Option<TlsFacts> {
        // Nothing panics while it holds the lock.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = leaf.last_chunk::<8>().map_or(0, |end| u64::from_le_bytes(*end));
        let place = usize::try_from(end % limits::TLS_CHAINS as u64).unwrap_or(0);
        let place = known.get_mut(place)?;
        if let Some(known) = place.as_ref().filter(|known| known.is(leaf, intermediates)) {
            return Some(known.sent.facts(path));
        }
        let sent = Sent::read(leaf, intermediates)?;
        let facts = sent.facts(path);
        *place = Known::new(leaf, intermediates, sent);
        Some(facts)
    }
}

impl Known {
    /// `None` where it would take too much memory.
    fn new(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        sent: Sent,
    ) -> Option<Self> {
        let all = || std::iter::once(leaf).chain(intermediates);
        let lengths: Box<[usize]> = all().map(|one| one.len()).collect();
        if lengths.iter().sum::<usize>() > limits::TLS_CHAIN_BYTES {
            return None;
        }
        let bytes = all().flat_map(|one| one.iter().copied()).collect();
        Some(Self { bytes, lengths, sent })
    }

    fn is(&self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> bool {
        if self.lengths.len() != 1 + intermediates.len() {
            return false;
        }
        let mut rest = &self.bytes[..];
        std::iter::once(leaf).chain(intermediates).zip(&self.lengths).all(|(one, length)| {
            let Some((here, beyond)) = rest.split_at_checked(*length) else { return false };
            rest = beyond;
            here == one.as_ref()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("made");
        made.cert.der().clone()
    }

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let recent = Recent::default();
        let certificates: Vec<_> =
            ["a.test", "b.test", "c.test"].map(certificate).into_iter().collect();
        // More than once around, and with everything that comes with the leaf.
        for _ in 0..3 {
            for leaf in &certificates {
                for others in [&certificates[..], &certificates[1..], &[]] {
                    let sent = Sent::read(leaf, others).expect("certificates");
                    for path in [None, Some(&[][..]), Some(&[0]), Some(&[1, 0])] {
                        let expected = Some(sent.facts(path));
                        assert_eq!(recent.facts(leaf, others, path), expected);
                        assert_eq!(recent.facts(leaf, others, path), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn a_chain_is_known_by_every_byte_of_it() {
        let (leaf, other) = (certificate("a.test"), certificate("b.test"));
        let sent = Sent::read(&leaf, &[]).expect("certificates");
        let chain = [leaf.clone(), other.clone()];
        let known = Known::new(&leaf, &chain, sent.clone()).expect("small enough");
        assert!(known.is(&leaf, &chain));
        assert!(!known.is(&leaf, &chain[..1]));
        assert!(!known.is(&leaf, &[other.clone(), leaf.clone()]));
        for at in 0..other.len() {
            let mut bytes = other.to_vec();
            bytes[at] ^= 1;
            assert!(!known.is(&leaf, &[leaf.clone(), bytes.into()]), "{at}");
        }
        // The same bytes, cut elsewhere.
        let (head, tail) = other.split_at(10);
        let (head, tail) = (CertificateDer::from(head), CertificateDer::from(tail));
        let known =
            Known::new(&leaf, std::slice::from_ref(&other), sent.clone()).expect("small enough");
        assert!(!known.is(&leaf, &[head, tail]));
        let endless = vec![leaf.clone(); limits::TLS_CHAIN_BYTES / leaf.len() + 1];
        assert!(Known::new(&leaf, &endless, sent).is_none());
    }

    #[test]
    fn what_cannot_be_read_is_not_remembered() {
        let recent = Recent::default();
        for bytes in [&b""[..], b"\x30", &[0x30; 64]] {
            assert_eq!(recent.facts(&CertificateDer::from(bytes), &[], None), None);
        }
    }
}
