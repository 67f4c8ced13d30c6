//! The order of the accounts' names, in a few bytes an account: for lists, which no decision waits for.
//!
//! Source: G. Jenks, *Sorted Containers*, 2014 (a sorted list in pieces: a binary search, and a short move to make
//! room).

use crate::bank::ids::AccountId;

/// The most numbers in a piece. A full one is cut in two.
const MOST: usize = 512;

/// Accounts by number, in the order of their names' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NameOrder {
    /// None of them is empty.
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    /// The name of the first one: so no account has to be fetched to find the piece.
    first: AccountId,
    numbers: Vec<u32>,
}

/// Where an account stands in the order.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    piece: usize,
    within: usize,
}

impl Piece {
    fn new(first: AccountId, some: &[u32]) -> Piece {
        let mut numbers = Vec::with_capacity(MOST);
        numbers.extend_from_slice(some);
        Piece { first, numbers }
    }
}

impl NameOrder {
    /// Takes in an account. `name` gives the names of all.
    pub(super) fn insert<'a>(&mut self, number: u32, name: impl Fn(u32) -> &'a AccountId) {
        let added = name(number);
        let Place { piece: at, within } = self.find(&name, |other| other < added);
        let Some(piece) = self.pieces.get_mut(at) else {
            return self.pieces.push(Piece::new(added.clone(), &[number]));
        };
        if piece.numbers.len() == MOST {
            // Names often come in their order; then the pieces stay full.
            let cut = if within == MOST { MOST - 1 } else { MOST / 2 };
            let rest = Piece::new(name(piece.numbers[cut]).clone(), &piece.numbers[cut..]);
            piece.numbers.truncate(cut);
            self.pieces.insert(at + 1, rest);
            return self.insert(number, name);
        }
        if within == 0 {
            piece.first = added.clone();
        }
        piece.numbers.insert(within, number);
    }

    /// Finds the first account whose name is not `before` the wanted ones. `before` is true for the first names, and
    /// false from some name on.
    pub(super) fn find<'a>(
        &self,
        name: impl Fn(u32) -> &'a AccountId,
        before: impl Fn(&AccountId) -> bool,
    ) -> Place {
        let next = self.pieces.partition_point(|piece| before(&piece.first));
        let Some(piece) = next.checked_sub(1) else { return Place::default() };
        let numbers = &self.pieces[piece].numbers;
        Place { piece, within: numbers.partition_point(|number| before(name(*number))) }
    }

    /// Returns the accounts from a place on.
    pub(super) fn from(&self, Place { piece, within }: Place) -> impl Iterator<Item = u32> {
        let pieces = self.pieces[piece..].iter();
        pieces.flat_map(|piece| piece.numbers.iter().copied()).skip(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(order: impl Iterator<Item = usize>) -> Vec<AccountId> {
        order.map(|number| format!("A/{number:05}").parse().unwrap()).collect()
    }

    fn in_order(names: &[AccountId]) -> NameOrder {
        let mut order = NameOrder::default();
        let name = |number: u32| &names[number as usize];
        (0..names.len() as u32).for_each(|number| order.insert(number, name));
        order
    }

    /// Names in each order in which they may come: upwards, downwards, and in none.
    fn orders() -> [Vec<AccountId>; 3] {
        let many = 3 * MOST + 7;
        // 7 and the number of names have no factor in common.
        [names(0..many), names((0..many).rev()), names((0..many).map(|n| 7 * n % many))]
    }

    #[test]
    fn all_names_are_listed_in_their_order_however_they_came() {
        for names in orders() {
            let order = in_order(&names);
            let name = |number: u32| &names[number as usize];
            let listed: Vec<&AccountId> = order.from(Place::default()).map(name).collect();
            let mut sorted: Vec<&AccountId> = names.iter().collect();
            sorted.sort();
            assert_eq!(listed, sorted);
            assert!(
                order
                    .pieces
                    .iter()
                    .all(|piece| { !piece.numbers.is_empty() && piece.numbers.capacity() == MOST })
            );
        }
    }

    #[test]
    fn names_in_their_order_leave_no_piece_half_empty() {
        let order = in_order(&orders()[0]);
        assert_eq!(order.pieces.len(), 4);
    }

    #[test]
    fn a_list_begins_where_it_is_told_to() {
        for names in orders() {
            let order = in_order(&names);
            let name = |number: u32| &names[number as usize];
            for bound in &names {
                let next = |strictly: bool| {
                    let before = |name: &AccountId| name < bound || (strictly && name == bound);
                    order.from(order.find(name, before)).map(name).next()
                };
                assert_eq!(next(false), Some(bound));
                assert_eq!(next(true), names.iter().filter(|name| *name > bound).min());
            }
        }
        let none = NameOrder::default();
        assert_eq!(none.from(none.find(|_| unreachable!(), |_| true)).next(), None);
    }
}
