//! Chance, from a seed.
//!
//! Each part of the world draws from a stream of its own, so that a change in how
//! often one part draws does not reshuffle the others, and the targets answer the
//! same under every rule that judges them. ChaCha8 is specified, so a seed means
//! the same run on every machine and with every version of the generator's crate.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use uuid::Uuid;

/// Who draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Names and phases.
    World = 1,
    /// How checks end.
    Probes = 2,
    /// When messages arrive.
    Links = 3,
    /// How long transactions take, and who gets which replica.
    Control = 4,
    /// Scenarios made up by a seed.
    Scenarios = 5,
}

/// One stream of a seed.
#[derive(Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `seed`.
    pub fn new(seed: u64, stream: Stream) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream as u64);
        Self(generator)
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        if most <= least { least } else { self.0.random_range(least..=most) }
    }

    /// True with the probability `share`.
    pub fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && (share >= 1.0 || self.0.random_bool(share))
    }

    /// One of `of`; `None` when it is empty.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = i64::try_from(of.len()).unwrap_or(i64::MAX) - 1;
        let index = usize::try_from(self.between(0, last)).unwrap_or(0);
        of.get(index)
    }

    /// An id.
    pub fn id(&mut self) -> Uuid {
        Uuid::from_u128(self.0.random())
    }

    /// For code that draws by itself.
    pub fn generator(&mut self) -> &mut impl Rng {
        &mut self.0
    }
}
