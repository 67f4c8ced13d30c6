//! How much of something all connections hold together, of which each has its share: so that a few who take
//! what they can leave something to everybody else.

use std::collections::BTreeMap;

use crate::bank::ids::ConnectionId;

/// How much may be held.
#[derive(Clone, Copy, Debug)]
pub(in crate::bank::server) struct Bounds {
    /// By all together.
    pub all: usize,
    /// By one connection.
    pub of_one: usize,
    /// By one connection, whatever the others hold.
    pub anyway: usize,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bank::server) enum Full {
    /// All together hold as much as they may.
    All,
    /// The connection does.
    OfOne,
}

/// How much is held, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Held {
    all: usize,
    of: BTreeMap<ConnectionId, usize>,
}

impl Held {
    /// How much all hold.
    pub fn all(&self) -> usize {
        self.all
    }

    /// How much a connection holds.
    fn of(&self, connection: ConnectionId) -> usize {
        self.of.get(&connection).copied().unwrap_or(0)
    }

    /// Whether a connection may hold so much more.
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

    /// A connection holds so much more.
    pub fn take(&mut self, connection: ConnectionId, more: usize) {
        self.all += more;
        if more > 0 {
            *self.of.entry(connection).or_default() += more;
        }
    }

    /// A connection holds so much less.
    pub fn give_back(&mut self, connection: ConnectionId, less: usize) {
        self.all -= less;
        let left = self.of(connection) - less;
        match left {
            0 => drop(self.of.remove(&connection)),
            left => drop(self.of.insert(connection, left)),
        }
    }

    /// A connection holds nothing any more.
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
