//! Bounds on what a server holds at a time. The protocol depends on their values only as far as
//! [`Limits::assert_sound`] says.

use crate::bank::amount::Amount;

/// The most servers that a bank may be founded with, and the most that may vote.
pub const MAX_SERVERS: usize = 9;
/// The most members that a bank may have, with those that have no vote.
pub const MAX_MEMBERS: usize = 100;
/// The most transfers and openings that one request may carry.
pub const MAX_BATCH: usize = 5_000;
/// The most entries that one answer to `log` carries.
pub const MAX_LOG_PAGE: usize = 1_000;
/// The most entries or accounts that one answer to `history` or `accounts` carries.
pub const MAX_PAGE: usize = 1_000;
/// The most accounts that a follower may name.
pub const MAX_FOLLOWED: usize = 1_000;
/// The most elements of the local log that one answer to `history` may look through.
pub const MAX_LOOKED_THROUGH: usize = 10_000;
/// The most accounts for which one prepare may ask what whole logs bring.
pub const MAX_ASKED: usize = 256;
/// The longest time that a transfer may wait for money: one day, in milliseconds.
pub const MAX_WAIT_MS: u64 = 24 * 60 * 60 * 1_000;
/// The longest text of one entry in an element, in bytes: two accounts of 81 characters, an amount, a
/// request of 135, marks, a reference of 64 characters of four bytes each.
pub const MAX_ENTRY_TEXT: usize = 700;

/// The most that a home may have issued beyond what it took back, in units.
pub const MAX_ISSUED: i64 = 1 << 42;
/// The most servers that a bank that issues money may ever have had as members.
pub const MAX_HOMES: usize = 1 << 10;
/// The most money with which a bank that issues money may begin: all homes together can't issue so much that the sum of
/// all balances is no amount.
pub const MAX_FOUNDED: Amount =
    match Amount::new(Amount::MAX.units() - MAX_ISSUED as u64 * MAX_HOMES as u64) {
        Some(most) => most,
        None => unreachable!(),
    };

/// The number of accounts on a page of stored balances. All programs that read a store have to agree on it.
pub const PAGE: usize = 256;

/// The largest share of a block that one server's log may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// The most entries.
    pub entries: usize,
    /// The most bytes of the elements' texts; but a single element always fits.
    pub bytes: usize,
}

impl Share {
    /// A share without bounds.
    pub const ALL: Share = Share { entries: usize::MAX, bytes: usize::MAX };

    /// Makes a share of at most `entries` entries, of any length.
    pub fn of_entries(entries: usize) -> Share {
        Share { entries, ..Share::ALL }
    }
}

/// The bounds of a server, from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The most entries of one element. An element is never divided, so a cut may fall short by so much of
    /// what would fit. A linked group is no longer than an element.
    pub element: usize,
    /// The most entries of one block.
    pub block: usize,
    /// About how many bytes the elements of one block may have.
    pub block_bytes: usize,
    /// The most of its log beyond a block that a server tells with its acceptance.
    pub beyond: Share,
    /// The most entries of the local log.
    pub log: usize,
    /// The most accounts of all servers, as far as this server knows. It opens none beyond.
    pub accounts: usize,
    /// The most waiting transfers, and the most clients that settle.
    pub waiting: usize,
    /// The most waiting transfers of one connection; half of them may wait for money.
    pub waiting_of_one: usize,
    /// The waiting transfers that each connection may have whatever the others have, and as many settlements.
    pub waiting_anyway: usize,
    /// For how many accounts a run asks what whole logs bring; at most [`MAX_ASKED`].
    pub asked: usize,
    /// The number of runs in a row that may bring nothing before such runs rest in between.
    pub vain_runs: u32,
    /// The most items of all requests of which some outcome waits.
    pub items_that_wait: usize,
    /// The most items of such requests of one connection.
    pub items_of_one: usize,
    /// The items of such requests that each connection may have whatever the others have.
    pub items_anyway: usize,
    /// How many sessions are remembered, not counting those that their clients named.
    pub sessions: usize,
    /// How many of them that are of one connection.
    pub sessions_of_one: usize,
    /// How many names of their own clients may use for sessions. These are never forgotten.
    pub names: usize,
    /// How many of them one key may use.
    pub names_of_one: usize,
    /// How many requests of one session are remembered.
    pub remembered: usize,
    /// How many requests of all sessions are remembered, not counting those that wait.
    pub remembered_in_all: usize,
    /// About how many bytes of the chain's last blocks a starting server reads. It checks the rest of a
    /// longer chain while it serves.
    pub tail: usize,
    /// The number of accounts on a page of stored balances.
    pub page: usize,
    /// The bytes of a block's text for each of which one more page of balances may be written with the block;
    /// see [`Limits::pages_with`].
    pub bytes_per_page: usize,
    /// About how many bytes of the chain may have to be read after the pages as they come in. More are
    /// tolerated if it would take a page for fewer bytes than `bytes_per_page`.
    pub bytes_after_pages: usize,
    /// About how many bytes of opening blocks are written in one turn.
    pub opening_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            element: 1_000,
            block: 60_000,
            block_bytes: 8 << 20,
            // A hand of payments that came meanwhile; more are asked for.
            beyond: Share { entries: 1_000, bytes: 32 << 10 },
            log: 4_000_000,
            accounts: 20_000_000,
            waiting: 10_000,
            // The longest batch fits.
            waiting_of_one: MAX_BATCH,
            waiting_anyway: 64,
            asked: MAX_ASKED,
            vain_runs: 8,
            // At some 200 to 400 bytes each.
            items_that_wait: 300_000,
            items_of_one: 75_000,
            items_anyway: 256,
            sessions: 10_000,
            sessions_of_one: 64,
            names: 1_000,
            names_of_one: 100,
            remembered: 10_000,
            remembered_in_all: 200_000,
            tail: 4 << 20,
            page: PAGE,
            // About three times a page's bytes, so that pages are a quarter of what is written.
            bytes_per_page: 16 << 10,
            // About a second's work for a server that starts.
            bytes_after_pages: 64 << 20,
            opening_bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// Returns the largest share that each of `servers` servers promises for a block. A server that waits to be
    /// admitted knows of none, itself included.
    pub fn share(&self, servers: usize) -> Share {
        let servers = servers.max(1);
        let entries = (self.block / servers).max(self.element);
        Share { entries, bytes: self.block_bytes / servers }
    }

    /// Returns how many of `pages` pages of balances are written, at most, with a block of `bytes` bytes.
    pub fn pages_with(&self, bytes: usize, pages: usize) -> usize {
        1 + bytes / self.bytes_per_page.max(self.bytes_after_pages / pages.max(1))
    }

    /// Checks what the protocol needs of the bounds.
    ///
    /// # Panics
    /// If a bound is 0, or a run asks for more accounts than others answer.
    pub fn assert_sound(&self) {
        let Limits { element, block, block_bytes, log, accounts, waiting, asked, .. } = self;
        let Limits { sessions, remembered, remembered_in_all, page, bytes_per_page, .. } = self;
        let Limits { sessions_of_one, items_that_wait, items_of_one, items_anyway, .. } = self;
        let Limits { waiting_of_one, waiting_anyway, names, names_of_one, opening_bytes, .. } =
            self;
        let shares = [waiting_of_one, waiting_anyway];
        let held = [items_that_wait, items_of_one, items_anyway].into_iter().chain(shares);
        let bounds = [element, block, block_bytes, log, accounts, waiting, page, bytes_per_page];
        let mut all = bounds.into_iter().chain(held).chain([
            sessions,
            sessions_of_one,
            names,
            names_of_one,
            opening_bytes,
            remembered,
            remembered_in_all,
            asked,
        ]);
        assert!(*asked <= MAX_ASKED, "no server answers for so many accounts: {asked}");
        assert!(all.all(|limit| *limit > 0), "a limit of 0: {self:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_all_homes_issue_there_is_no_more_than_can_be_counted() {
        let all = Amount::new(MAX_ISSUED as u64 * MAX_HOMES as u64);
        assert_eq!(all.and_then(|all| MAX_FOUNDED.plus(all)), Some(Amount::MAX));
    }

    #[test]
    fn many_pages_are_written_faster_than_few_but_never_many_times_a_block() {
        let limits = Limits { bytes_per_page: 8, bytes_after_pages: 1_000, ..Limits::default() };
        let mebi = 1 << 20;
        // All of the pages within 1,000 bytes of the chain…
        assert_eq!(limits.pages_with(1_000, 1), 2);
        assert_eq!(limits.pages_with(1_000, 50), 51);
        assert_eq!(limits.pages_with(500, 50), 26);
        // …but none for less than 8.
        assert_eq!(limits.pages_with(1_000, 1_000), 126);
        assert_eq!(limits.pages_with(1_000, mebi), 126);
        assert_eq!(limits.pages_with(0, mebi), 1);
        assert_eq!(limits.pages_with(1_000, 0), 2);
    }
}
