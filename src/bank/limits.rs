//! Bounds on what a server holds at a time. Nothing in the protocol depends on their values, but for
//! what [`Limits::assert_sound`] says.

/// The most servers that a bank may have.
pub const MAX_SERVERS: usize = 9;
/// The most transfers and openings that one request may carry.
pub const MAX_BATCH: usize = 5_000;
/// The most entries that one answer to `log` carries.
pub const MAX_LOG_PAGE: usize = 1_000;
/// The most entries or accounts that one answer to `history` or `accounts` carries.
pub const MAX_PAGE: usize = 1_000;
/// The most elements of the local log that are looked through for one answer to `history`.
pub const MAX_LOOKED_THROUGH: usize = 10_000;
/// The most accounts of which one prepare asks what whole logs would bring.
pub const MAX_ASKED: usize = 256;
/// The longest time that a transfer may wait for money: one day, in milliseconds.
pub const MAX_WAIT_MS: u64 = 24 * 60 * 60 * 1_000;
/// The longest text of one entry in an element: two accounts of 81 characters, an amount, a request,
/// marks.
pub const MAX_ENTRY_TEXT: usize = 400;

/// How many accounts are on a page of stored balances. All that read a store have to agree on it.
pub const PAGE: usize = 256;

/// A server's share of a block, at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Entries.
    pub entries: usize,
    /// Bytes of their elements' texts; but one element there may always be.
    pub bytes: usize,
}

impl Share {
    /// As much as there is.
    pub const ALL: Share = Share { entries: usize::MAX, bytes: usize::MAX };

    /// So many entries, of whatever length.
    pub fn of_entries(entries: usize) -> Share {
        Share { entries, ..Share::ALL }
    }
}

/// The bounds that a server is configured with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The most entries of one element. An element is never divided, so this bounds how far a cut may
    /// fall short of what would fit; and a linked group is no longer than this.
    pub element: usize,
    /// The most entries of one block.
    pub block: usize,
    /// About how many bytes the elements of one block may have.
    pub block_bytes: usize,
    /// The most entries of the local log.
    pub log: usize,
    /// The most accounts of all servers, as far as this one knows: it opens none beyond that.
    pub accounts: usize,
    /// The most transfers that wait, and the most clients that settle.
    pub waiting: usize,
    /// How many waiting transfers one connection may have; half of them may wait for money.
    pub waiting_of_one: usize,
    /// How many it may have whatever the others have, and as many settlements.
    pub waiting_anyway: usize,
    /// Of how many accounts a run asks what whole logs would bring; at most [`MAX_ASKED`].
    pub asked: usize,
    /// So many runs in a row may bring nothing before such runs rest in between.
    pub vain_runs: u32,
    /// How many transfers and openings all requests may have together of which some outcome waits.
    pub items_that_wait: usize,
    /// How many those of one connection may have.
    pub items_of_one: usize,
    /// How many those of one connection may have whatever the others have.
    pub items_anyway: usize,
    /// How many sessions are remembered.
    pub sessions: usize,
    /// How many sessions of one connection are remembered.
    pub sessions_of_one: usize,
    /// How many requests of one session are remembered.
    pub remembered: usize,
    /// How many requests of all sessions together are remembered, but for those that wait.
    pub remembered_in_all: usize,
    /// About how many bytes of the chain's last blocks are read when a server starts. The rest of a
    /// longer chain is checked while it serves.
    pub tail: usize,
    /// How many accounts are on a page of stored balances.
    pub page: usize,
    /// With a block comes one page of balances, and one more for so many bytes of its text or more, as
    /// [`Limits::pages_with`] says.
    pub bytes_per_page: usize,
    /// About how many bytes of the chain may have to be read after the pages as they come in, if that
    /// doesn't take a page for fewer bytes than `bytes_per_page`.
    pub bytes_after_pages: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            element: 1_000,
            block: 60_000,
            block_bytes: 8 << 20,
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
            remembered: 10_000,
            remembered_in_all: 200_000,
            tail: 4 << 20,
            page: PAGE,
            // About three times as many as a page has: the pages are a quarter of what is written then.
            bytes_per_page: 16 << 10,
            // About a second's work for a server that starts.
            bytes_after_pages: 64 << 20,
        }
    }
}

impl Limits {
    /// What one of so many servers promises for a block at the most.
    pub fn share(&self, servers: usize) -> Share {
        let entries = (self.block / servers).max(self.element);
        Share { entries, bytes: self.block_bytes / servers }
    }

    /// How many pages of balances, of so many that there are, come with a block of so many bytes at the
    /// most.
    pub fn pages_with(&self, bytes: usize, pages: usize) -> usize {
        1 + bytes / self.bytes_per_page.max(self.bytes_after_pages / pages.max(1))
    }

    /// Checks what the protocol needs of them.
    ///
    /// # Panics
    /// If any is 0, or more accounts are asked for than others answer.
    pub fn assert_sound(&self) {
        let Limits { element, block, block_bytes, log, accounts, waiting, asked, .. } = self;
        let Limits { sessions, remembered, remembered_in_all, page, bytes_per_page, .. } = self;
        let Limits { sessions_of_one, items_that_wait, items_of_one, items_anyway, .. } = self;
        let Limits { waiting_of_one, waiting_anyway, .. } = self;
        let shares = [waiting_of_one, waiting_anyway];
        let held = [items_that_wait, items_of_one, items_anyway].into_iter().chain(shares);
        let bounds = [element, block, block_bytes, log, accounts, waiting, page, bytes_per_page];
        let mut all = bounds.into_iter().chain(held).chain([
            sessions,
            sessions_of_one,
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
