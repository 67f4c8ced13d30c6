//! What a simulated bank begins with that goes on where another one ended: more accounts than a page holds, more
//! opening blocks than a turn takes, names that were used, and entries that were in no block.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{BlockHash, Origin};
use crate::bank::blockchain::origin::Opening;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, Naming, Owner, RequestId, ServerId, SessionId, SessionName};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record};

use super::books::Accounts;

/// The epoch in which a bank begins that goes on from a first one.
pub const NEXT: u64 = 1_000_001;
/// The last entry of each server in the former chain.
const LAST: Position = Position { epoch: 1, seq: 17 };

/// How much there was.
#[derive(Clone, Copy)]
pub struct Former {
    /// How many accounts each server had beside its own.
    pub accounts: usize,
    /// About how many bytes each opening block has.
    pub bytes: usize,
}

/// What the bank begins with, and what the judge knows of it.
pub struct Carried {
    pub opening: Arc<Opening>,
    /// How many opening blocks there are.
    pub blocks: u64,
    /// What all accounts hold once they are all there.
    pub accounts: Accounts,
    pub sessions: BTreeMap<SessionId, u64>,
}

impl Former {
    /// The accounts of a server, and what they held.
    fn of(&self, id: &ServerId, opening: u64) -> Vec<(AccountId, u64)> {
        let further = (0..self.accounts).map(|number| {
            let name = format!("{id}/former-{number:04}");
            // Most are empty: whoever leaves pays out what there is, a little at a time.
            let units = if number % 50 == 3 { 5 } else { 0 };
            (name.parse().expect("a name"), units)
        });
        [(AccountId::of(id), opening)].into_iter().chain(further).collect()
    }

    /// `names` are the sessions that clients named, each by its home and with its highest number.
    pub fn carry(
        &self,
        ids: &[ServerId],
        opening: u64,
        keyed: bool,
        names: &[(ServerId, String, u64)],
    ) -> Carried {
        let mut all: Vec<(AccountId, u64)> =
            ids.iter().flat_map(|id| self.of(id, opening)).collect();
        all.sort_unstable();
        let owner = keyed.then(|| Owner::of(Fingerprint::of(b"a person")));
        let session = |epoch: u64, (server, name, _): &(ServerId, String, u64)| {
            let naming = Naming::ByClient(name.parse().expect("a name"));
            SessionId::from(SessionName { naming, server: server.clone(), epoch, owner })
        };
        let sessions: BTreeMap<SessionId, u64> =
            names.iter().map(|named| (session(NEXT, named), named.2)).collect();
        let (mut accounts, mut logs): (Accounts, _) = (
            all.iter().map(|(account, units)| (account.clone(), i128::from(*units))).collect(),
            BTreeMap::new(),
        );
        // Each has paid 1 to the next one, the last under a name, and no block holds it.
        for (place, id) in ids.iter().enumerate().filter(|_| opening > 0 && ids.len() > 1) {
            let (from, to) = (AccountId::of(id), AccountId::of(&ids[(place + 1) % ids.len()]));
            *accounts.get_mut(&from).expect("its own") -= 1;
            *accounts.get_mut(&to).expect("another's own") += 1;
            let amount = Amount::new(1).expect("an amount");
            let last = names.iter().find(|(home, ..)| home == id);
            let request =
                last.map(|named| RequestId { session: session(1, named), number: named.2 });
            let record = Record { request, ..Record::plain(Action::Transfer { from, to, amount }) };
            logs.insert(id.clone(), vec![Element::seal(LAST.next(), vec![record])]);
        }
        let total = all.iter().map(|(_, units)| units).sum();
        let origin = Origin {
            bank: BlockHash::of("the former bank"),
            height: 7,
            head: BlockHash::of("its last block"),
            included: ids.iter().map(|id| (id.clone(), LAST)).collect(),
            epoch: NEXT,
            accounts: all.len() as u64,
            total: Amount::new(total).expect("an amount"),
            sessions: true,
            blocks: Vec::new(),
        };
        let held = all
            .into_iter()
            .map(|(account, units)| (account, Amount::new(units).expect("an amount"), None));
        let opening = Opening::cut(origin, held, sessions.clone(), logs, self.bytes);
        let opening = Arc::new(opening.expect("block 0 has room for it"));
        let blocks = opening.origin.blocks.len() as u64;
        Carried { opening, blocks, accounts, sessions }
    }
}
