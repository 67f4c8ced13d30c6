//! A server's local log: its entries that are in no committed block yet.

use std::collections::VecDeque;

use crate::bank::ledger::entry::{Entry, Position};

/// The most entries of one element. An element is never divided, so this bounds how far a cut may
/// fall short of what would fit.
pub const MAX_ELEMENT: usize = 1_000;

/// The local log, in elements: each holds the entries of one turn, as the store has them.
///
/// A promise or a block may end only between elements, so that the store can drop whole ones. An
/// element therefore stays open only until its turn ends or a promise speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalLog {
    /// The last entry that is in the chain.
    base: Position,
    elements: VecDeque<Vec<Entry>>,
    length: usize,
    /// The last element may still grow.
    open: bool,
}

/// Why a log's beginning can't be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimError {
    /// The entries are not those that the log begins with.
    Different,
    /// They end within an element.
    WithinElement,
}

impl LocalLog {
    /// The log that follows `base`.
    ///
    /// # Errors
    /// The position at which an entry is missing or out of place.
    pub fn new(base: Position, elements: Vec<Vec<Entry>>) -> Result<LocalLog, Position> {
        let mut last = base;
        for entry in elements.iter().flatten() {
            if entry.position() != last.next() {
                return Err(last.next());
            }
            last = entry.position();
        }
        if elements.iter().any(Vec::is_empty) {
            return Err(last.next());
        }
        let length = elements.iter().map(Vec::len).sum();
        Ok(LocalLog { base, elements: elements.into(), length, open: false })
    }

    /// The position of the last entry, in the log or, if the log is empty, in the chain.
    pub fn last(&self) -> Position {
        Position { seq: self.base.seq + self.length as u64, ..self.base }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.length
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.elements.iter().flatten()
    }

    /// Adds an entry; says whether it begins a new element.
    pub fn append(&mut self, entry: Entry) -> bool {
        assert_eq!(entry.position(), self.last().next(), "a gap in the local log");
        let grow = self.open && self.elements.back().is_some_and(|last| last.len() < MAX_ELEMENT);
        match self.elements.back_mut() {
            Some(last) if grow => last.push(entry),
            _ => self.elements.push_back(vec![entry]),
        }
        self.length += 1;
        self.open = true;
        !grow
    }

    /// From here on a new entry begins a new element.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// The entries after seq `known`, from a beginning of the log that is at most `limit` entries
    /// long and ends between elements; and whether that left something out.
    pub fn promise(&self, known: u64, limit: usize) -> (Vec<Entry>, bool) {
        assert!(!self.open, "a promise of an open element");
        let mut taken = 0;
        let fits = |element: &&Vec<Entry>| {
            taken += element.len();
            taken <= limit
        };
        let entries: Vec<Entry> = (self.elements.iter().take_while(fits).flatten())
            .filter(|entry| entry.seq > known)
            .cloned()
            .collect();
        (entries, taken > limit)
    }

    /// Takes `entries`, which must be those that the log begins with, off its front; returns how
    /// many elements that were.
    ///
    /// # Errors
    /// If they are not, or end within an element; the log is then as before.
    pub fn trim(&mut self, entries: &[&Entry]) -> Result<usize, TrimError> {
        let elements = match self.whole_elements(entries)? {
            _ if planted!(WholeLogDropped) => self.elements.len(),
            included => included,
        };
        let dropped: usize = self.elements.drain(..elements).map(|element| element.len()).sum();
        self.length -= dropped;
        self.base.seq += dropped as u64;
        if self.elements.is_empty() {
            self.open = false;
        }
        Ok(elements)
    }

    /// How many elements `entries` are, if the log begins with them and they end between elements.
    ///
    /// # Errors
    /// If not.
    pub fn whole_elements(&self, entries: &[&Entry]) -> Result<usize, TrimError> {
        if entries.len() > self.length || !self.entries().zip(entries).all(|(a, b)| a == *b) {
            return Err(TrimError::Different);
        }
        let mut rest = entries.len();
        let mut elements = 0;
        while rest > 0 {
            let length = self.elements[elements].len();
            rest = rest.checked_sub(length).ok_or(TrimError::WithinElement)?;
            elements += 1;
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::ledger::entry::Via;

    fn entry(seq: u64) -> Entry {
        Entry {
            server: "A".parse().unwrap(),
            epoch: 1,
            seq,
            from: "A".parse().unwrap(),
            to: "B".parse().unwrap(),
            amount: Amount::new(seq).unwrap(),
            request: None,
            via: Via::Local,
        }
    }

    fn log() -> LocalLog {
        let mut log = LocalLog::new(Position::START, Vec::new()).unwrap();
        for seq in 1..=5 {
            log.append(entry(seq));
            if seq % 2 == 0 {
                log.close();
            }
        }
        log.close();
        log
    }

    #[test]
    fn promises_are_cut_between_elements() {
        let log = log(); // 1 2 | 3 4 | 5
        let seqs = |known, limit| {
            let (entries, cut) = log.promise(known, limit);
            (entries.iter().map(|e| e.seq).collect::<Vec<_>>(), cut)
        };
        assert_eq!(seqs(0, 9), (vec![1, 2, 3, 4, 5], false));
        assert_eq!(seqs(3, 9), (vec![4, 5], false));
        assert_eq!(seqs(0, 3), (vec![1, 2], true));
        assert_eq!(seqs(1, 4), (vec![2, 3, 4], true));
    }

    #[test]
    fn only_its_own_beginning_in_whole_elements_is_taken_off() {
        let mut log = log();
        let entries: Vec<Entry> = (1..=4).map(entry).collect();
        let first = |n| entries[..n].iter().collect::<Vec<_>>();
        assert_eq!(log.trim(&first(3)), Err(TrimError::WithinElement));
        assert_eq!(log.trim(&[&entry(2)]), Err(TrimError::Different));
        assert_eq!(log.trim(&first(4)), Ok(2));
        assert_eq!((log.len(), log.last().seq), (1, 5));
        assert_eq!(log.trim(&[]), Ok(0));
    }

    #[test]
    fn a_gap_is_found() {
        let elements = vec![vec![entry(1)], vec![entry(3)]];
        assert_eq!(LocalLog::new(Position::START, elements), Err(Position { epoch: 1, seq: 2 }));
    }
}
