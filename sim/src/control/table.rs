//! One table of the database, with transactions as the product's have them.
//!
//! A transaction writes at once and is then rolled back into a [`Redo`], which is
//! applied when it commits: that lies some ms later, and other transactions may
//! commit between. What a transaction locked (`FOR UPDATE`, a unique key) nobody else may
//! have written or locked by then, or it conflicts and is tried again: one of two that
//! lock the same waits for the other, and reads anew. What it only read may have
//! changed, as under READ COMMITTED.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// Rows by key.
#[derive(Debug)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// Versions of rows that were ever locked.
    versions: BTreeMap<K, u64>,
    undo: Vec<(K, Option<V>)>,
    locks: Vec<(K, u64)>,
}

/// What a transaction does to one table.
#[derive(Debug)]
pub struct Redo<K, V> {
    writes: Vec<(K, Option<V>)>,
    locks: Vec<(K, u64)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            versions: BTreeMap::new(),
            undo: Vec::new(),
            locks: Vec::new(),
        }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// A row.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// Whether there is such a row.
    pub fn contains(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// A row that must not change before the commit.
    pub fn lock(&mut self, key: &K) -> Option<&V> {
        let version = *self.versions.entry(key.clone()).or_insert(0);
        self.locks.push((key.clone(), version));
        self.rows.get(key)
    }

    /// Every row, in the order of keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// Rows with keys in `range`.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes a row.
    pub fn put(&mut self, key: K, row: V) {
        let old = self.rows.insert(key.clone(), row);
        self.undo.push((key, old));
    }

    /// Writes a row unless there is one; whether there was none.
    pub fn put_new(&mut self, key: K, row: V) -> bool {
        let new = !self.rows.contains_key(&key);
        if new {
            self.put(key, row);
        }
        new
    }

    /// Removes a row.
    pub fn remove(&mut self, key: &K) {
        if let Some(old) = self.rows.remove(key) {
            self.undo.push((key.clone(), Some(old)));
        }
    }

    /// Takes everything back that was written since the last time.
    pub fn roll_back(&mut self) -> Redo<K, V> {
        let mut writes = Vec::with_capacity(self.undo.len());
        for (key, old) in std::mem::take(&mut self.undo).into_iter().rev() {
            let new = match old {
                Some(old) => self.rows.insert(key.clone(), old),
                None => self.rows.remove(&key),
            };
            writes.push((key, new));
        }
        writes.reverse();
        Redo { writes, locks: std::mem::take(&mut self.locks) }
    }

    /// Whether everything that was locked is as it was.
    pub fn is_unchanged(&self, redo: &Redo<K, V>) -> bool {
        redo.locks.iter().all(|(key, version)| self.versions.get(key) == Some(version))
    }

    /// Commits.
    pub fn apply(&mut self, redo: Redo<K, V>) {
        let locked = redo.locks.iter().map(|(key, _)| key);
        for key in locked.chain(redo.writes.iter().map(|(key, _)| key)) {
            if let Some(version) = self.versions.get_mut(key) {
                *version += 1;
            }
        }
        for (key, new) in redo.writes {
            match new {
                Some(new) => self.rows.insert(key, new),
                None => self.rows.remove(&key),
            };
        }
    }
}

impl<K, V> Redo<K, V> {
    /// Whether it writes nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rolled_back_comes_with_the_commit() {
        let mut table = Table::default();
        table.put(1, "a");
        let first = table.roll_back();
        assert_eq!(table.get(&1), None);
        table.apply(first);
        table.put(1, "b");
        table.put(1, "c");
        table.remove(&1);
        table.put(2, "d");
        let second = table.roll_back();
        assert_eq!((table.get(&1), table.get(&2)), (Some(&"a"), None));
        table.apply(second);
        assert_eq!((table.get(&1), table.get(&2)), (None, Some(&"d")));
    }

    #[test]
    fn one_of_two_that_lock_the_same_reads_anew() {
        let mut table: Table<i32, &str> = Table::default();
        table.lock(&1);
        let first = table.roll_back();
        table.lock(&1);
        let second = table.roll_back();
        table.apply(first);
        assert!(!table.is_unchanged(&second), "it read before the first wrote elsewhere");
    }

    #[test]
    fn who_locked_what_changed_meanwhile_conflicts() {
        let mut table = Table::default();
        table.lock(&1);
        table.put(1, "mine");
        let mine = table.roll_back();
        table.lock(&1);
        table.put(1, "theirs");
        let theirs = table.roll_back();
        assert!(table.is_unchanged(&mine) && table.is_unchanged(&theirs));
        table.apply(theirs);
        assert!(!table.is_unchanged(&mine));
    }
}
