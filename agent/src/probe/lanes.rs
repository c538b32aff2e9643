//! Lookups of one name that are made at the same time, and have nothing to do with each other.
//!
//! hickory lets whoever asks what is being asked already wait for that answer. For a
//! prober this is wrong twice: one lost datagram fails every monitor of a host, and
//! who joins late is told neither how long it waited nor given its own timeout. It
//! shares within one resolver only, so lookups of the same name take different ones.

use super::limits::LOOKUP_LANES;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Resolvers that are alike; as many as there ever were lookups of one name at once.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    /// Never empty, and at most [`LOOKUP_LANES`].
    lanes: Vec<Arc<T>>,
    /// Which of them are looking a name up, a bit each.
    busy: HashMap<String, u64>,
}

impl<T> Lanes<T> {
    pub(super) fn new(first: T) -> Self {
        Self { state: Mutex::new(State { lanes: vec![Arc::new(first)], busy: HashMap::new() }) }
    }

    /// One that looks nothing up that is called `name`, made with `another` if there is
    /// none. No lane, and the last one, where as many do as there may be.
    pub(super) fn enter(
        &self,
        name: &str,
        another: impl FnOnce() -> Option<T>,
    ) -> (Arc<T>, Option<Lane<'_, T>>) {
        let mut state = self.state();
        let busy = state.busy.get(name).copied().unwrap_or(0);
        let index = busy.trailing_ones() as usize;
        if index == state.lanes.len() && index < LOOKUP_LANES {
            state.lanes.extend(another().map(Arc::new));
        }
        let Some(chosen) = state.lanes.get(index).map(Arc::clone) else {
            return (Arc::clone(&state.lanes[state.lanes.len() - 1]), None);
        };
        *state.busy.entry(name.to_owned()).or_default() |= 1 << index;
        (chosen, Some(Lane { lanes: self, name: name.to_owned(), index }))
    }

    /// Any of them, for questions that may be shared.
    pub(super) fn any(&self) -> Arc<T> {
        Arc::clone(&self.state().lanes[0])
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing is left half done by a panic: only making another one may.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is being looked up, until this is dropped.
#[derive(Debug)]
pub(super) struct Lane<'a, T> {
    lanes: &'a Lanes<T>,
    name: String,
    index: usize,
}

impl<T> Drop for Lane<'_, T> {
    fn drop(&mut self) {
        let mut state = self.lanes.state();
        let Some(busy) = state.busy.get_mut(&self.name) else { return };
        *busy &= !(1 << self.index);
        if *busy == 0 {
            state.busy.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lookups_of_a_name_share_a_lane() {
        let lanes = Lanes::new(0);
        let mut made = 0;
        let mut enter = |name: &str| {
            lanes.enter(name, || {
                made += 1;
                (made < LOOKUP_LANES * 2).then_some(made)
            })
        };
        let (first, lane) = enter("a");
        let (other, _other_lane) = enter("b");
        assert_eq!((*first, *other), (0, 0), "other names do not matter");
        let (second, _second_lane) = enter("a");
        assert_eq!(*second, 1);
        drop(lane);
        let (third, _third_lane) = enter("a");
        assert_eq!(*third, 0, "the first is free again");
        let held: Vec<_> = (2..LOOKUP_LANES).map(|_| enter("a")).collect();
        assert!(held.iter().all(|(_, lane)| lane.is_some()));
        let (_, none) = enter("a");
        assert!(none.is_none(), "as many as there may be");
        drop((held, _second_lane, _third_lane, _other_lane));
        assert!(lanes.state().busy.is_empty());
    }
}
