//! One lane's sending side: what waits, what is under way, where to go on.

use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct LaneSend {
    waiting: BTreeSet<u64>,
    in_flight: BTreeSet<u64>,
    /// The lowest number that may be sent next.
    cursor: u64,
    rests_until_ms: i64,
}

impl LaneSend {
    pub(super) fn new(waiting: impl IntoIterator<Item = u64>) -> Self {
        Self {
            waiting: waiting.into_iter().collect(),
            in_flight: BTreeSet::new(),
            cursor: 0,
            rests_until_ms: i64::MIN,
        }
    }

    pub(super) fn add(&mut self, number: u64) {
        self.waiting.insert(number);
    }

    /// The next number to send, if the window and the lane's rest allow one.
    pub(super) fn send_next(&mut self, window: usize, boot_ms: i64) -> Option<u64> {
        if self.in_flight.len() >= window || boot_ms < self.rests_until_ms {
            return None;
        }
        let number = *self.waiting.range(self.cursor..).next()?;
        self.cursor = number + 1;
        self.in_flight.insert(number);
        Some(number)
    }

    /// Whether `number` waited; it does not any more.
    pub(super) fn acknowledge(&mut self, number: u64) -> bool {
        self.in_flight.remove(&number);
        self.waiting.remove(&number)
    }

    /// Sets the lane back to `number`, after a rest.
    pub(super) fn send_again_from(&mut self, number: u64, rests_until_ms: i64) {
        if self.is_in_flight(number) || number < self.cursor {
            self.cursor = self.cursor.min(number);
            self.in_flight.retain(|sent| *sent < number);
        }
        self.rests_until_ms = self.rests_until_ms.max(rests_until_ms);
    }

    /// Sets the lane back to the first number under way, after a rest.
    pub(super) fn send_again(&mut self, rests_until_ms: i64) {
        if let Some(first) = self.in_flight.first().copied() {
            self.send_again_from(first, rests_until_ms);
        }
    }

    pub(super) fn is_in_flight(&self, number: u64) -> bool {
        self.in_flight.contains(&number)
    }

    pub(super) fn holds(&self, number: u64) -> bool {
        self.waiting.contains(&number)
    }

    /// A new connection: everything that waits is sent again.
    pub(super) fn rewind(&mut self) {
        self.in_flight.clear();
        self.cursor = 0;
        self.rests_until_ms = i64::MIN;
    }

    /// When the rest ends, if something waits for that.
    pub(super) fn resting_until(&self, boot_ms: i64) -> Option<i64> {
        let sendable = self.waiting.range(self.cursor..).next().is_some();
        (sendable && boot_ms < self.rests_until_ms).then_some(self.rests_until_ms)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn first_waiting(&self) -> Option<u64> {
        self.waiting.first().copied()
    }
}
