//! Which checks of a burst were counted.
//!
//! Two checks of a burst may run side by side, and batches may come in another order than
//! they were made, so a check may come after one with a higher index.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Which check of which burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurstMark {
    pub id: Uuid,
    /// From 1 upward.
    pub index: u32,
}

/// The checks of one burst that were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BurstMarks {
    pub id: Uuid,
    /// The highest index of them.
    pub index: u32,
    /// Bit k: the check k below that was counted. What is further below counts as counted.
    pub below: u64,
}

impl BurstMarks {
    fn one(mark: BurstMark) -> Self {
        Self { id: mark.id, index: mark.index, below: 1 }
    }

    /// Whether `mark` was counted.
    pub(super) fn holds(self, mark: BurstMark) -> bool {
        let below = self.index.checked_sub(mark.index).filter(|_| self.id == mark.id);
        below.is_some_and(|below| self.below.checked_shr(below).is_none_or(|bits| bits & 1 == 1))
    }

    fn with(self, mark: BurstMark) -> Self {
        match mark.index.checked_sub(self.index) {
            Some(more) => {
                let below = self.below.checked_shl(more).unwrap_or(0) | 1;
                Self { index: mark.index, below, ..self }
            }
            None => {
                let bit = 1u64.checked_shl(self.index - mark.index).unwrap_or(0);
                Self { below: self.below | bit, ..self }
            }
        }
    }

    /// Adds the newest check that was counted; another burst takes over.
    pub(super) fn newest(known: Option<Self>, mark: Option<BurstMark>) -> Option<Self> {
        let Some(mark) = mark else { return known };
        let same = known.filter(|known| known.id == mark.id);
        Some(same.map_or_else(|| Self::one(mark), |known| known.with(mark)))
    }

    /// Adds a check that started before the newest that was counted. Of an older burst
    /// nobody asks any more.
    pub(super) fn overtaken(known: Option<Self>, mark: Option<BurstMark>) -> Option<Self> {
        let Some(mark) = mark else { return known };
        Some(known.map_or_else(
            || Self::one(mark),
            |known| if known.id == mark.id { known.with(mark) } else { known },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_check_is_counted_once_in_any_order(indices in prop::collection::vec(1u32..60, 0..90)) {
            let id = Uuid::from_u128(1);
            let mut marks: Option<BurstMarks> = None;
            let mut counted = std::collections::BTreeSet::new();
            for index in indices {
                let mark = BurstMark { id, index };
                prop_assert_eq!(
                    marks.is_some_and(|marks| marks.holds(mark)),
                    !counted.insert(index)
                );
                marks = BurstMarks::newest(marks, Some(mark));
            }
            let other = BurstMark { id: Uuid::from_u128(2), index: 1 };
            prop_assert!(!marks.is_some_and(|marks| marks.holds(other)));
        }
    }

    #[test]
    fn what_lies_far_below_counts_as_counted() {
        let id = Uuid::from_u128(1);
        let marks = BurstMarks::newest(None, Some(BurstMark { id, index: 100 }));
        let holds = |index| marks.is_some_and(|marks| marks.holds(BurstMark { id, index }));
        assert_eq!([36, 37, 99, 100].map(holds), [true, false, false, true]);
    }
}
