//! How much of something all connections hold. Each has a share, so that a few greedy connections leave
//! something to everybody else.

use std::collections::BTreeMap;

use crate::bank::ids::ConnectionId;

/// The bounds on what may be held.
#[derive(Clone, Copy, Debug)]
pub(in crate::bank::server) struct Bounds {
    /// The most that all connections together may hold.
    pub all: usize,
    /// The most that one connection may hold.
    pub of_one: usize,
    /// What one connection may hold whatever the others hold.
    pub anyway: usize,
}

/// The bound that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bank::server) enum Full {
    /// All together hold as much as they may.
    All,
    /// The connection holds as much as it may.
    OfOne,
}

/// How much each connection holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Held {
    all: usize,
    of: BTreeMap<ConnectionId, usize>,
}

impl Held {
    /// Returns how much all connections hold.
    pub fn all(&self) -> usize {
        self.all
    }

    /// Returns how much a connection holds.
    fn of(&self, connection: ConnectionId) -> usize {
        self.of.get(&connection).copied().unwrap_or(0)
    }

    /// Checks that a connection may hold `more`.
    pub fn has_room(
        &self,
        connection: ConnectionId,
        more: usize,
        bounds: Bounds,
    ) -> Result<(), Full> {
        let of_one = self.of(connection) + more;
        match bounds {
            Bounds { anyway, .. } if of_one <= anyway => Ok(()),
            Bounds { of_one: most, .. } if of_one > most => Err(Full::OfOne),
            Bounds { all, .. } if self.all + more > all => Err(Full::All),
            _ => Ok(()),
        }
    }

    /// Notes that a connection holds `more`.
    pub fn take(&mut self, connection: ConnectionId, more: usize) {
        self.all += more;
        if more > 0 {
            *self.of.entry(connection).or_default() += more;
        }
    }

    /// Notes that a connection holds `less` less.
    pub fn give_back(&mut self, connection: ConnectionId, less: usize) {
        self.all -= less;
        let left = self.of(connection) - less;
        match left {
            0 => drop(self.of.remove(&connection)),
            left => drop(self.of.insert(connection, left)),
        }
    }

    /// Notes that a connection holds nothing any more.
    pub fn give_all_back(&mut self, connection: ConnectionId) {
        self.give_back(connection, self.of(connection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_share_and_a_little_anyway() {
        let bounds = Bounds { all: 10, of_one: 6, anyway: 2 };
        let [first, second, third] = [1, 2, 3].map(ConnectionId);
        let mut held = Held::default();
        held.take(first, 5);
        assert_eq!(held.has_room(first, 2, bounds), Err(Full::OfOne), "7 of one");
        held.take(second, 5);
        assert_eq!(held.has_room(first, 1, bounds), Err(Full::All), "11 in all");
        assert_eq!(held.has_room(third, 3, bounds), Err(Full::All));
        assert_eq!(held.has_room(third, 2, bounds), Ok(()), "2 anyway");
        held.take(third, 2);
        held.give_back(first, 5);
        assert_eq!(held.has_room(third, 1, bounds), Ok(()), "8 in all");
        held.give_all_back(second);
        held.give_all_back(third);
        held.give_all_back(first);
        assert_eq!(held, Held::default());
    }
}
