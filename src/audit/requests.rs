//! The requests that were carried out. A retry pays once, so none may come again.

use std::collections::BTreeMap;

use crate::bank::ids::{RequestId, SessionId, SessionName};
use crate::bank::ledger::element::Element;

/// A set of requests, held as ranges of numbers for each session. Clients count and few requests are refused,
/// so millions of requests make few ranges.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    sessions: BTreeMap<SessionId, Numbers>,
}

impl Requests {
    /// Adds a request. False if it is there already.
    pub fn insert(&mut self, request: &RequestId) -> bool {
        match self.sessions.get_mut(&request.session) {
            Some(numbers) => numbers.insert(request.number),
            None => {
                let mut numbers = Numbers::default();
                numbers.insert(request.number);
                self.sessions.insert(request.session.clone(), numbers);
                true
            }
        }
    }

    /// Notes that all numbers of a session up to this one are used.
    pub fn cover(&mut self, session: &SessionId, highest: u64) {
        let numbers = self.sessions.entry(session.clone()).or_default();
        let last = numbers.ranges.entry(1).or_default();
        *last = highest.max(*last);
    }

    /// Returns the sessions that clients named, by their ids in a bank that goes on in this epoch, each with its highest
    /// number in this set or in these elements.
    pub fn carried<'a>(
        &self,
        elements: impl Iterator<Item = &'a Element>,
        epoch: u64,
    ) -> BTreeMap<SessionId, u64> {
        let mut carried = BTreeMap::new();
        let records = elements.flat_map(Element::records);
        let logged = records.filter_map(|record| record.request.as_ref());
        let logged = logged.map(|RequestId { session, number }| (session, *number));
        for (session, number) in self.highest().chain(logged) {
            if session.is_named() {
                let here = SessionId::from(SessionName { epoch, ..(**session).clone() });
                let highest = carried.entry(here).or_default();
                *highest = number.max(*highest);
            }
        }
        carried
    }

    /// Returns the highest number of each session, in the sessions' order.
    pub fn highest(&self) -> impl Iterator<Item = (&SessionId, u64)> {
        let last = |numbers: &Numbers| numbers.ranges.last_key_value().map(|(_, last)| *last);
        self.sessions.iter().filter_map(move |(session, numbers)| Some((session, last(numbers)?)))
    }

    /// True if the set holds a request.
    pub fn contains(&self, request: &RequestId) -> bool {
        let numbers = self.sessions.get(&request.session);
        numbers.is_some_and(|numbers| numbers.contains(request.number))
    }
}

/// Numbers, as ranges from first to last.
#[derive(Clone, Debug, Default)]
struct Numbers {
    ranges: BTreeMap<u64, u64>,
}

impl Numbers {
    fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        let after = number.checked_add(1).and_then(|next| self.ranges.remove(&next));
        let last = after.unwrap_or(number);
        match self.ranges.range_mut(..number).next_back() {
            Some((_, before)) if before.checked_add(1) == Some(number) => *before = last,
            _ => drop(self.ranges.insert(number, last)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_one_range_in_whatever_order_they_come() {
        let mut numbers = Numbers::default();
        for number in [5, 3, 4, 1, 2, u64::MAX, u64::MAX - 1] {
            assert!(!numbers.contains(number) && numbers.insert(number), "{number}");
            assert!(numbers.contains(number) && !numbers.insert(number), "{number}");
        }
        assert_eq!(numbers.ranges, BTreeMap::from([(1, 5), (u64::MAX - 1, u64::MAX)]));
        assert!(!numbers.contains(0) && !numbers.contains(6));
    }

    #[test]
    fn sessions_count_for_themselves() {
        let request = |text: &str| text.parse::<RequestId>().unwrap();
        let mut requests = Requests::default();
        assert!(requests.insert(&request("A.1.0.00000000000000ff.1#1")));
        assert!(requests.insert(&request("A.1.0.00000000000000ff.2#1")));
        assert!(!requests.insert(&request("A.1.0.00000000000000ff.1#1")));
        assert!(!requests.contains(&request("A.1.0.00000000000000ff.1#2")));
    }
}
