//! What happens next: events by time, and by the order in which they were asked
//! for within a millisecond.

use std::collections::BTreeMap;

/// Events that are to come.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    events: BTreeMap<(i64, u64), E>,
    next: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), next: 0 }
    }
}

impl<E> Queue<E> {
    /// `event` happens at `at`.
    pub(crate) fn push(&mut self, at: i64, event: E) {
        self.events.insert((at, self.next), event);
        self.next += 1;
    }

    /// Takes the next event, with its time.
    pub(crate) fn pop(&mut self) -> Option<(i64, E)> {
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }
}
