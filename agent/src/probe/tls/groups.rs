//! The groups for the exchange of keys: ring's, and secp521r1 behind all of them.
//!
//! No share for it is in the first message, so it costs nobody more than its two bytes in
//! the list, and a server that takes no other asks for one. In TLS 1.2 the list is also
//! what a server with a certificate of that curve looks for.

use p521::ecdh::EphemeralSecret;
use p521::elliptic_curve::Generate;
use p521::elliptic_curve::sec1::ToSec1Point;
use p521::{PublicKey, Sec1Point};
use rand::rngs::SysRng;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup, ring};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};

pub(super) fn all() -> Vec<&'static dyn SupportedKxGroup> {
    let mut all = ring::default_provider().kx_groups;
    all.push(&Secp521r1);
    all
}

#[derive(Debug)]
struct Secp521r1;

impl SupportedKxGroup for Secp521r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret =
            EphemeralSecret::try_generate_from_rng(&mut SysRng).map_err(|_| GetRandomFailed)?;
        let share = secret.public_key().to_sec1_point(false);
        Ok(Box::new(Exchange { secret, share }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

struct Exchange {
    secret: EphemeralSecret,
    share: Sec1Point,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        let refused = || Error::from(PeerMisbehaved::InvalidKeyShare);
        // TLS has no other form of a point than the uncompressed one (RFC 8446, section 4.2.8.2).
        let theirs = Some(theirs).filter(|theirs| theirs.first() == Some(&4));
        let theirs = PublicKey::from_sec1_bytes(theirs.ok_or_else(refused)?);
        let shared = self.secret.diffie_hellman(&theirs.map_err(|_| refused())?);
        Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        self.share.as_bytes()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_come_to_the_same_secret() {
        let (ours, theirs) = (Secp521r1.start().expect("a key"), Secp521r1.start().expect("a key"));
        let (our_share, their_share) = (ours.pub_key().to_vec(), theirs.pub_key().to_vec());
        assert_eq!((our_share.len(), our_share[0]), (133, 4));
        let one = ours.complete(&their_share).expect("a secret");
        let other = theirs.complete(&our_share).expect("a secret");
        assert_eq!(one.secret_bytes(), other.secret_bytes());
        assert_eq!(one.secret_bytes().len(), 66);
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_refused() {
        let good = Secp521r1.start().expect("a key").pub_key().to_vec();
        let mut compressed = good[..67].to_vec();
        compressed[0] = 2 + (good[132] & 1);
        let mut elsewhere = good.clone();
        elsewhere[132] ^= 1;
        let infinity = vec![0];
        for bad in [compressed, elsewhere, infinity, Vec::new(), good[..132].to_vec()] {
            assert!(Secp521r1.start().expect("a key").complete(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn it_comes_last() {
        let names: Vec<_> = all().iter().map(|group| group.name()).collect();
        assert_eq!(names.last(), Some(&NamedGroup::secp521r1));
        assert_eq!(names.first(), Some(&NamedGroup::X25519));
    }
}
