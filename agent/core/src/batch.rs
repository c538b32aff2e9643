//! What goes into one batch, and when it is sealed.
//!
//! Rows wait at most a second, and less when one of them is news: the first
//! failure of a monitor, or the answer that a burst waits for. A batch is closed early when it has as many
//! rows or bytes as a batch may have, and an empty one is sealed every ten
//! seconds so that `complete_through` moves while nothing is due. Dated and
//! undated rows never share a batch.

use crate::limits::{
    BATCH_MISSED, SEAL_EMPTY_EVERY_MS, SEAL_EVERY_MS, SEAL_NEWS_MS, SEAL_NEWS_SPACING_MS,
    SEAL_RETRY_MS,
};
use crate::missed::{Missed, MissedRanges};
use hyperverge_protocol::limits::{BATCH_BYTES, BATCH_ROWS};
use hyperverge_protocol::wire::ResultRow;
use std::collections::VecDeque;

/// Bytes that one missed range takes on the wire, at most.
const MISSED_BYTES: usize = 64;
/// Bytes that stand before a row on the wire, at most.
const ROW_HEAD_BYTES: usize = 8;

/// The contents of one batch, before it has a number.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Draft {
    pub rows: Vec<ResultRow>,
    /// What the rows take on the wire.
    pub rows_bytes: usize,
    pub missed: Vec<Missed>,
    /// Only the last draft of several that are closed together carries it:
    /// it speaks about all of them.
    pub complete_through_ms: Option<i64>,
    pub undated: bool,
}

impl Draft {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.missed.is_empty() && self.complete_through_ms.is_none()
    }

    /// What it takes on the wire, at most.
    pub fn bytes(&self) -> usize {
        self.rows_bytes + self.missed.len() * MISSED_BYTES
    }

    fn has_room_for(&self, ranges: usize) -> bool {
        !self.undated
            && self.missed.is_empty()
            && self.rows_bytes + ranges * MISSED_BYTES <= BATCH_BYTES
    }
}

/// Collects rows and missed slots into drafts.
#[derive(Debug)]
pub struct Batcher {
    rows: Vec<ResultRow>,
    bytes: usize,
    undated: bool,
    missed: MissedRanges,
    closed: VecDeque<Draft>,
    /// When the oldest waiting row or range came.
    waiting_since_ms: Option<i64>,
    /// When the oldest news that waits came.
    news_since_ms: Option<i64>,
    sealed_at_ms: i64,
    /// Nothing is due before: the last batch was not taken.
    not_before_ms: i64,
}

impl Batcher {
    /// An empty batcher; the first empty batch falls due ten seconds from now.
    pub fn new(boot_ms: i64) -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            undated: false,
            missed: MissedRanges::default(),
            closed: VecDeque::new(),
            waiting_since_ms: None,
            news_since_ms: None,
            sealed_at_ms: boot_ms,
            not_before_ms: i64::MIN,
        }
    }

    /// Takes the row of a finished slot; `encoded_len` is its size on the wire.
    pub fn handle_row(&mut self, row: ResultRow, encoded_len: usize, undated: bool, boot_ms: i64) {
        let bytes = encoded_len + ROW_HEAD_BYTES;
        let full = self.rows.len() >= BATCH_ROWS || self.bytes + bytes > BATCH_BYTES;
        if full || (undated != self.undated && !self.rows.is_empty()) {
            self.close_rows();
        }
        self.undated = undated;
        self.bytes += bytes;
        self.rows.push(row);
        self.waiting_since_ms.get_or_insert(boot_ms);
    }

    /// The row handed in last is one that somebody waits for.
    pub fn handle_news(&mut self, boot_ms: i64) {
        self.news_since_ms.get_or_insert(boot_ms);
    }

    /// Takes slots that will never have a row.
    pub fn handle_missed(&mut self, missed: Missed, boot_ms: i64) {
        self.missed.add(missed);
        self.waiting_since_ms.get_or_insert(boot_ms);
    }

    /// Takes back what [`Self::take`] gave, because nobody could seal it now.
    pub fn handle_put_back(&mut self, drafts: impl IntoIterator<Item = Draft>, boot_ms: i64) {
        for draft in drafts {
            draft.missed.into_iter().for_each(|missed| self.handle_missed(missed, boot_ms));
            for row in draft.rows {
                let length = prost::Message::encoded_len(&row);
                self.handle_row(row, length, draft.undated, boot_ms);
            }
        }
        self.not_before_ms = boot_ms.saturating_add(SEAL_RETRY_MS);
    }

    /// When [`Self::take`] is due, on the boot clock.
    pub fn next_seal_ms(&self) -> i64 {
        self.due_ms().max(self.not_before_ms)
    }

    fn due_ms(&self) -> i64 {
        if !self.closed.is_empty() {
            return i64::MIN;
        }
        let empty = self.sealed_at_ms + SEAL_EMPTY_EVERY_MS;
        let rows = self.waiting_since_ms.map(|since| since + SEAL_EVERY_MS);
        let spaced = self.sealed_at_ms + SEAL_NEWS_SPACING_MS;
        let news = self.news_since_ms.map(|since| (since + SEAL_NEWS_MS).max(spaced));
        [rows, news].into_iter().flatten().fold(empty, i64::min)
    }

    /// Rows that wait, closed drafts included.
    pub fn waiting_rows(&self) -> usize {
        self.rows.len() + self.closed.iter().map(|draft| draft.rows.len()).sum::<usize>()
    }

    /// Whether nothing waits to be sealed.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.closed.is_empty() && self.missed.is_empty()
    }

    /// How many slots could not even be remembered as missed since this was asked.
    pub fn take_forgotten(&mut self) -> u64 {
        self.missed.take_forgotten()
    }

    /// Closes everything that waits. `complete_through_ms` must have been asked
    /// for after the last row was handed in; while undated it is `None`, and
    /// nothing is sealed for its sake.
    pub fn take(&mut self, complete_through_ms: Option<i64>, boot_ms: i64) -> VecDeque<Draft> {
        self.close_rows();
        while !self.missed.is_empty() {
            let missed = self.missed.take(BATCH_MISSED);
            match self.closed.back_mut().filter(|last| last.has_room_for(missed.len())) {
                Some(last) => last.missed = missed,
                None => self.closed.push_back(Draft { missed, ..Draft::default() }),
            }
        }
        if complete_through_ms.is_some() && self.closed.back().is_none_or(|last| last.undated) {
            self.closed.push_back(Draft::default());
        }
        if let Some(last) = self.closed.back_mut() {
            last.complete_through_ms = complete_through_ms;
        }
        self.waiting_since_ms = None;
        self.news_since_ms = None;
        self.sealed_at_ms = boot_ms;
        std::mem::take(&mut self.closed)
    }

    fn close_rows(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let rows_bytes = std::mem::take(&mut self.bytes);
        let undated = self.undated;
        self.closed.push_back(Draft { rows, rows_bytes, undated, ..Draft::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::missed::MissedReason;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn row(slot: i64) -> ResultRow {
        ResultRow { slot, ..ResultRow::default() }
    }

    #[test]
    fn rows_wait_a_second_and_silence_ten() {
        let mut batcher = Batcher::new(0);
        assert_eq!(batcher.next_seal_ms(), SEAL_EMPTY_EVERY_MS);
        batcher.handle_row(row(1), 10, false, 300);
        batcher.handle_row(row(2), 10, false, 900);
        assert_eq!(batcher.next_seal_ms(), 300 + SEAL_EVERY_MS);
        let drafts = batcher.take(Some(7), 1_300);
        assert_eq!(drafts.len(), 1);
        assert_eq!(drafts[0].complete_through_ms, Some(7));
        let empty = batcher.take(Some(9), 11_300);
        assert_eq!(empty, [Draft { complete_through_ms: Some(9), ..Draft::default() }]);
        assert!(batcher.take(None, 21_300).is_empty(), "undated silence says nothing");
    }

    #[test]
    fn news_does_not_wait_a_second_but_comes_no_oftener_than_the_lane_bears() {
        let mut batcher = Batcher::new(0);
        batcher.handle_row(row(1), 10, false, 2_000);
        batcher.handle_news(2_000);
        assert_eq!(batcher.next_seal_ms(), 2_000 + SEAL_NEWS_MS);
        batcher.take(None, 2_100);
        batcher.handle_row(row(2), 10, false, 2_150);
        assert_eq!(batcher.next_seal_ms(), 2_150 + SEAL_EVERY_MS, "that was news, this is not");
        batcher.handle_row(row(3), 10, false, 2_200);
        batcher.handle_news(2_200);
        assert_eq!(batcher.next_seal_ms(), 2_100 + SEAL_NEWS_SPACING_MS);
        batcher.handle_row(row(4), 10, false, 2_550);
        batcher.handle_news(2_550);
        assert_eq!(batcher.next_seal_ms(), 2_100 + SEAL_NEWS_SPACING_MS, "the first counts");
    }

    #[test]
    fn what_is_put_back_is_tried_again_in_a_while() {
        let mut batcher = Batcher::new(0);
        let rows = 0..2 * BATCH_ROWS as i64 + 1;
        rows.clone().for_each(|slot| batcher.handle_row(row(slot), 10, false, 0));
        let missed = Missed::one(Uuid::nil(), 1, 9, MissedReason::Suspend);
        batcher.handle_missed(missed, 0);
        assert_eq!(batcher.next_seal_ms(), i64::MIN, "there is a full batch");
        let drafts = batcher.take(Some(1), 5_000);
        batcher.handle_put_back(drafts, 5_000);
        assert_eq!(batcher.next_seal_ms(), 5_000 + SEAL_RETRY_MS);
        assert_eq!(batcher.waiting_rows(), rows.clone().count());
        let again = batcher.take(Some(2), 5_100);
        let slots: Vec<i64> = again.iter().flat_map(|d| &d.rows).map(|row| row.slot).collect();
        assert_eq!(slots, rows.collect::<Vec<_>>());
        assert_eq!(again.iter().flat_map(|d| &d.missed).collect::<Vec<_>>(), [&missed]);
    }

    #[test]
    fn dated_and_undated_rows_part() {
        let mut batcher = Batcher::new(0);
        batcher.handle_row(row(1), 10, true, 0);
        batcher.handle_row(row(2), 10, false, 0);
        let drafts = batcher.take(Some(1), 0);
        let kinds: Vec<_> = drafts.iter().map(|d| (d.undated, d.complete_through_ms)).collect();
        assert_eq!(kinds, [(true, None), (false, Some(1))]);
    }

    proptest! {
        /// Everything comes out once, in order, and no draft is too large.
        #[test]
        fn nothing_is_lost_and_nothing_too_large(
            sizes in prop::collection::vec(1usize..4_000, 0..6_000),
            gaps in 0i64..12_000,
        ) {
            let mut batcher = Batcher::new(0);
            for (slot, size) in sizes.iter().enumerate() {
                batcher.handle_row(row(slot as i64), *size, false, 0);
            }
            for gap in 0..gaps {
                let missed = Missed::one(Uuid::nil(), 1, gap * 2, MissedReason::Overload);
                batcher.handle_missed(missed, 0);
            }
            let drafts = batcher.take(Some(1), 0);
            let slots: Vec<i64> =
                drafts.iter().flat_map(|d| &d.rows).map(|row| row.slot).collect();
            prop_assert_eq!(slots, (0..sizes.len() as i64).collect::<Vec<_>>());
            let missed: Vec<i64> =
                drafts.iter().flat_map(|d| &d.missed).map(|m| m.first / 2).collect();
            prop_assert_eq!(missed, (0..gaps).collect::<Vec<_>>());
            for draft in &drafts {
                let bytes: usize = draft.rows.iter().map(|r| sizes[r.slot as usize] + 8).sum();
                prop_assert_eq!(bytes, draft.rows_bytes);
                prop_assert!(bytes <= BATCH_BYTES && draft.rows.len() <= BATCH_ROWS);
                prop_assert!(draft.missed.len() <= BATCH_MISSED);
            }
            let last = drafts.len() - 1;
            for (index, draft) in drafts.iter().enumerate() {
                prop_assert_eq!(draft.complete_through_ms.is_some(), index == last);
            }
        }
    }
}
