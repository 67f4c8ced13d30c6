//! A server's local log: its entries that are in no committed block yet.

use std::collections::VecDeque;

use crate::bank::ids::ServerId;
use crate::bank::ledger::element::{Draft, Element};
use crate::bank::ledger::entry::{Action, Entry, Position, Record};
use crate::bank::limits::Share;
use crate::bank::wall_time::WallTime;

/// The local log, in elements. Each holds the entries of one turn, as the store has them.
///
/// A promise or a block may end only between elements, so that the store can drop whole elements. The
/// present turn's entries become an element when the turn ends, or earlier if a promise has to speak of
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalLog {
    /// The last entry that is in the chain.
    base: Position,
    elements: VecDeque<Element>,
    /// The entries accepted in this turn that are in no element yet.
    open: Draft,
    /// The number of entries in all elements.
    sealed: usize,
    /// The time that the next element gets: the latest that was told, and no earlier than that of any element before.
    now: Option<WallTime>,
    /// By how much the entries make the sum of all balances grow, in units.
    issues: i64,
}

/// The error if a block's entries of this server are not the beginning of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Different;

impl LocalLog {
    /// Makes the log that follows `base`.
    ///
    /// # Errors
    /// The index of the element that is out of place, and the position of the missing entry.
    pub fn new(base: Position, elements: Vec<Element>) -> Result<LocalLog, (usize, Position)> {
        let mut last = base;
        for (index, element) in elements.iter().enumerate() {
            if element.first() != last.next() {
                return Err((index, last.next()));
            }
            last = element.last();
        }
        let sealed = (last.seq - base.seq) as usize;
        let now = elements.iter().filter_map(Element::time).max();
        let issues = elements.iter().filter_map(Element::issues).sum();
        let (elements, open) = (elements.into(), Draft::default());
        Ok(LocalLog { base, elements, open, sealed, now, issues })
    }

    /// Has the next element be no earlier than this.
    pub fn no_earlier_than(self, time: Option<WallTime>) -> LocalLog {
        LocalLog { now: self.now.max(time), ..self }
    }

    /// Returns the time that the next element gets.
    pub fn now(&self) -> Option<WallTime> {
        self.now
    }

    /// Tells the time of the turn. A clock that was set back stands still here until it has caught up.
    pub fn tell_time(&mut self, now: WallTime) {
        self.now = if planted!(TimeGoesBack) { Some(now) } else { self.now.max(Some(now)) };
    }

    /// Returns by how much its entries make the sum of all balances grow, in units.
    pub fn issues(&self) -> i64 {
        self.issues
    }

    /// Returns the position of the last entry, in the log or, if the log is empty, in the chain.
    pub fn last(&self) -> Position {
        self.base.plus(self.len())
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.sealed + self.open.len()
    }

    /// True if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if all entries are in elements.
    pub fn is_sealed(&self) -> bool {
        self.open.is_empty()
    }

    /// True if it holds this entry, which concerns the servers.
    pub fn holds(&self, action: &Action) -> bool {
        let open = self.open_element();
        let mut all =
            self.elements.iter().chain(&open).filter(|element| element.concerns_servers());
        all.any(|element| element.records().iter().any(|record| record.action == *action))
    }

    /// Returns all elements, oldest first, with the entries that are in no element as the last one.
    pub fn elements(&self) -> impl Iterator<Item = Element> {
        self.elements.iter().cloned().chain(self.open_element())
    }

    /// Returns the last elements that hold anything before seq `end`, oldest first, at most `most` of them;
    /// and whether there are others before them.
    pub fn before(&self, end: u64, most: usize) -> (Vec<Element>, bool) {
        let open = self.open_element().filter(|element| element.first().seq < end);
        let sealed = self.elements.partition_point(|element| element.first().seq < end);
        let newest = open.into_iter().chain(self.elements.range(..sealed).rev().cloned());
        let mut taken: Vec<Element> = newest.take(most).collect();
        taken.reverse();
        let first = taken.first().map_or(end, |element| element.first().seq);
        (taken, first > self.base.next().seq && !self.is_empty())
    }

    /// Returns the entries that are in no element yet as the element that they would be.
    fn open_element(&self) -> Option<Element> {
        let first = self.base.plus(self.sealed).next();
        (!self.open.is_empty()).then(|| self.open.clone().seal(first, self.now))
    }

    /// Returns the entries after `after`, oldest first, as entries of `server`.
    pub fn entries_after(&self, server: &ServerId, after: Position) -> impl Iterator<Item = Entry> {
        let begin = self.elements.partition_point(|element| element.last() <= after);
        let sealed = self.elements.range(begin..).cloned();
        let entries = sealed
            .chain(self.open_element())
            .flat_map(move |element| element.entries(server).collect::<Vec<_>>());
        entries.filter(move |entry| entry.position() > after)
    }

    /// Adds records that belong together, and so come into one element. If they don't fit into the open
    /// one, of at most `max` entries, the open one is sealed first and returned.
    pub fn append<I>(&mut self, records: I, max: usize) -> Option<Element>
    where
        I: IntoIterator<Item = Record, IntoIter: ExactSizeIterator>,
    {
        let records = records.into_iter();
        let full = self.open.len() + records.len() > max;
        let sealed = if full { self.seal() } else { None };
        for record in records {
            self.issues += record.action.issues();
            self.open.push(&record);
        }
        sealed
    }

    /// Makes an element of the entries that are in none yet, to be made durable.
    pub fn seal(&mut self) -> Option<Element> {
        if self.open.is_empty() {
            return None;
        }
        let first = self.base.plus(self.sealed).next();
        let mut element = self.open.seal(first, self.now);
        if planted!(GroupHalfLate) {
            let mut records = element.records().to_vec();
            records[1..].iter().for_each(|record| self.open.push(record));
            records.truncate(1);
            records[0].linked = false;
            element = Element::seal_at(self.now, first, records);
        }
        self.sealed += element.entries_held();
        self.elements.push_back(element.clone());
        Some(element)
    }

    /// Returns the elements after seq `known`, from a beginning of the log that holds at most this share; and
    /// whether something was left out.
    pub fn promise(&self, known: u64, share: Share) -> (Vec<Element>, bool) {
        let open = self.open_element();
        assert!(
            open.is_none() || planted!(OpenElementPromised),
            "a promise of what is in no element"
        );
        let all = || self.elements.iter().chain(&open);
        let (mut taken, mut length) = (0, 0);
        let mut fits = |element: &Element| {
            taken += element.entries_held();
            length += element.text().len();
            let is_first = length == element.text().len();
            taken <= share.entries && (length <= share.bytes || is_first)
        };
        let fitting = all().take_while(|element| fits(element)).count();
        let beginning = all().take(fitting);
        let elements = beginning.filter(|element| element.last().seq > known).cloned().collect();
        (elements, fitting < all().count())
    }

    /// Returns the elements after the first `some`, unless they are more than this share.
    pub fn after(&self, some: usize, share: Share) -> Option<Vec<Element>> {
        let rest = || self.elements.iter().skip(some);
        let entries: usize = rest().map(Element::entries_held).sum();
        let bytes: usize = rest().map(|element| element.text().len()).sum();
        (entries <= share.entries && bytes <= share.bytes).then(|| rest().cloned().collect())
    }

    /// Takes `elements`, which must be the log's beginning, off its front.
    ///
    /// # Errors
    /// If they are not. The log then stays as it is.
    pub fn trim(&mut self, elements: &[Element]) -> Result<usize, Different> {
        if !self.begins_with(elements) {
            return Err(Different);
        }
        let trimmed = if planted!(WholeLogDropped) { self.elements.len() } else { elements.len() };
        for element in self.elements.drain(..trimmed) {
            self.base = element.last();
            self.sealed -= element.entries_held();
            self.issues -= element.issues().unwrap_or_default();
        }
        Ok(trimmed)
    }

    /// True if the log begins with these elements.
    pub fn begins_with(&self, elements: &[Element]) -> bool {
        elements.len() <= self.elements.len()
            && self.elements.iter().zip(elements).all(|(a, b)| a == b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;

    const ROOM: usize = 100;

    fn record(amount: u64) -> Record {
        let (from, to) = ("A".parse().unwrap(), "B".parse().unwrap());
        let action = Action::Transfer { from, to, amount: Amount::new(amount).unwrap() };
        Record::plain(action)
    }

    fn element(seqs: std::ops::RangeInclusive<u64>) -> Element {
        let first = Position { epoch: 1, seq: *seqs.start() };
        Element::seal(first, seqs.map(record).collect())
    }

    /// Makes a log of 1 2 | 3 4 | 5.
    fn log() -> LocalLog {
        let mut log = LocalLog::new(Position::START, Vec::new()).unwrap();
        for seq in 1..=5 {
            assert_eq!(log.append(vec![record(seq)], ROOM), None);
            if seq != 1 && seq != 3 {
                log.seal().unwrap();
            }
        }
        assert_eq!(log.seal(), None);
        log
    }

    #[test]
    fn promises_are_cut_between_elements() {
        let log = log();
        let (a, b, c) = (element(1..=2), element(3..=4), element(5..=5));
        assert_eq!(
            log.promise(0, Share::of_entries(9)),
            (vec![a.clone(), b.clone(), c.clone()], false)
        );
        assert_eq!(log.promise(2, Share::of_entries(9)), (vec![b.clone(), c], false));
        assert_eq!(log.promise(0, Share::of_entries(3)), (vec![a.clone()], true));
        assert_eq!(log.promise(2, Share::of_entries(4)), (vec![b.clone()], true));
        assert!(!log.promise(0, Share::of_entries(5)).1);
        let two = a.text().len() + b.text().len();
        assert_eq!(log.promise(0, Share { bytes: two, ..Share::ALL }), (vec![a.clone(), b], true));
        assert_eq!(log.promise(0, Share { bytes: two - 1, ..Share::ALL }), (vec![a.clone()], true));
        assert_eq!(
            log.promise(0, Share { bytes: 1, ..Share::ALL }),
            (vec![a], true),
            "one there always is"
        );
    }

    #[test]
    fn the_newest_of_it_is_had_in_pieces_of_bounded_size() {
        let mut log = log();
        log.append(vec![record(6)], ROOM);
        let [a, b, c, d] = [1..=2, 3..=4, 5..=5, 6..=6].map(element);
        let all = vec![a.clone(), b.clone(), c.clone(), d.clone()];
        assert_eq!(log.before(u64::MAX, 9), (all, false));
        assert_eq!(log.before(u64::MAX, 2), (vec![c.clone(), d], true));
        assert_eq!(log.before(6, 2), (vec![b.clone(), c], true));
        assert_eq!(log.before(4, 1), (vec![b], true), "seq 3 is before it");
        assert_eq!(log.before(3, 1), (vec![a], false));
        assert_eq!(log.before(1, 9), (vec![], false));
    }

    #[test]
    fn only_its_own_beginning_is_taken_off() {
        let mut log = log();
        assert_eq!(log.trim(&[element(1..=3)]), Err(Different));
        assert_eq!(log.trim(&[element(3..=4)]), Err(Different));
        assert_eq!(log.trim(&[element(1..=2), element(3..=4)]), Ok(2));
        assert_eq!((log.len(), log.last().seq), (1, 5));
        assert_eq!(log.trim(&[]), Ok(0));
        assert_eq!(log.trim(&[element(5..=5), element(6..=6)]), Err(Different));
    }

    #[test]
    fn what_was_sealed_before_leaves_while_more_comes() {
        let mut log = log();
        log.append(vec![record(6), record(7)], ROOM);
        assert_eq!(log.trim(&[element(1..=2)]), Ok(1));
        assert_eq!((log.len(), log.last().seq), (5, 7));
        assert_eq!(log.seal(), Some(element(6..=7)));
        let server = "A".parse().unwrap();
        let seqs = |after| {
            let after = Position { epoch: 1, seq: after };
            log.entries_after(&server, after).map(|entry| entry.seq).collect::<Vec<_>>()
        };
        assert_eq!(seqs(2), [3, 4, 5, 6, 7]);
        assert_eq!(seqs(3), [4, 5, 6, 7]);
        assert_eq!(seqs(6), [7]);
    }

    #[test]
    fn records_that_belong_together_come_into_one_element() {
        let mut log = LocalLog::new(Position::START, Vec::new()).unwrap();
        assert_eq!(log.append(vec![record(1), record(2)], 3), None);
        assert_eq!(log.append(vec![record(3), record(4)], 3), Some(element(1..=2)));
        assert_eq!(log.append(vec![record(5)], 3), None);
        assert_eq!(log.seal(), Some(element(3..=5)));
        assert_eq!(log.len(), 5);
    }

    #[test]
    fn a_gap_is_found() {
        let elements = vec![element(1..=1), element(3..=3)];
        let missing = Position { epoch: 1, seq: 2 };
        assert_eq!(LocalLog::new(Position::START, elements), Err((1, missing)));
    }
}
