//! Balances in pages: whatever was written when, a start comes to what the chain says.

use std::collections::BTreeMap;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::bank::ids::AccountId;
use paxos_banking::bank::ledger::balances::{Balances, View};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::ledger::pages::Page;
use paxos_banking::bank::ledger::restoration::Restoration;
use paxos_banking::bank::ledger::trial::Trial;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::config;

const OPENING: u64 = 100;
const ACCOUNTS: usize = 9;

fn account(number: usize) -> AccountId {
    let name = if number == 0 { "A".to_owned() } else { format!("A/{number}") };
    name.parse().unwrap()
}

/// From, to, how much; what makes no sense is left out.
type Payment = (usize, usize, u64);

/// What happens with one block, how many pages come with it, and whether the server then starts anew.
type Step = (Vec<Payment>, usize, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let payment = (0..ACCOUNTS, 0..ACCOUNTS, 1..OPENING);
    vec((vec(payment, 1..6), 1..3usize, any::<bool>()), 1..20)
}

/// What a store has.
#[derive(Default)]
struct Store {
    pages: BTreeMap<u32, Page>,
    checkpoint: u64,
    blocks: Vec<SealedBlock>,
}

impl Store {
    fn take(&mut self, balances: &mut Balances, most: usize, height: u64) {
        for page in balances.late_pages(most, height) {
            self.pages.insert(page.number, page);
        }
        self.checkpoint = balances.checkpoint(height);
    }

    fn restore(&self, size: usize) -> Balances {
        let mut restoration = Restoration::new(3, size, self.checkpoint);
        for (number, page) in (0..).zip(self.pages.values()) {
            assert_eq!(page.number, number, "no page is left out");
            restoration.page(page).unwrap();
        }
        self.blocks.iter().for_each(|block| restoration.block(block).unwrap());
        restoration.into_balances()
    }
}

/// Accounts that pay and don't exist yet are opened before; every second account has a key, and some get
/// another one.
fn actions(payments: &[Payment], balances: &Balances) -> Vec<Action> {
    let mut trial = Trial::new(balances, View::Committed);
    let mut happened = Vec::new();
    for (from, to, units) in payments {
        let opens = [*from, *to].map(|number| {
            let key = (number % 2 == 0).then(|| Box::new(key(0)));
            Action::Open { account: account(number), key }
        });
        let (from, to) = (account(*from), account(*to));
        let rekey = Action::Rekey { account: to.clone(), key: Box::new(key(*units)) };
        let amount = Amount::new(*units).unwrap();
        let transfer = Action::Transfer { from, to, amount };
        let rekey = (units % 3 == 0).then_some(rekey);
        for action in opens.into_iter().chain([transfer]).chain(rekey) {
            if trial.apply(&action).is_ok() {
                happened.push(action);
            }
        }
    }
    happened
}

fn block(height: u64, actions: &[Action]) -> SealedBlock {
    let record = |action: &Action| Record {
        action: action.clone(),
        via: Via::Local,
        request: None,
        linked: false,
        reference: None,
    };
    let records = actions.iter().map(record).collect();
    let home = "A".parse().unwrap();
    let logs =
        BTreeMap::from([(home, vec![Element::seal(Position { epoch: 1, seq: 1 }, records)])]);
    let (previous, proposer) = (BlockHash::NONE, None);
    SealedBlock::seal(Block { height, previous, proposer, genesis: None, opening: None, logs })
}

fn key(number: u64) -> Fingerprint {
    Fingerprint::of(&number.to_be_bytes())
}

/// What each account holds, and its key.
fn all(balances: &Balances) -> BTreeMap<AccountId, (Amount, Option<Fingerprint>)> {
    let all = balances.all_committed();
    all.map(|(account, amount)| {
        let key = balances.committed_key(&account);
        (account, (amount, key))
    })
    .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_start_comes_to_what_was_there(steps in steps(), size in 1..4usize) {
        let mut balances = Balances::new(7, size);
        let mut store = Store::default();
        balances.found([(account(0), Amount::new(OPENING).unwrap())]);
        store.take(&mut balances, usize::MAX, 0);
        let mut height = 0;
        for (payments, most, starts) in steps {
            let actions = actions(&payments, &balances);
            if actions.is_empty() {
                continue;
            }
            height += 1;
            let mut trial = Trial::new(&balances, View::Committed);
            actions.iter().for_each(|action| trial.apply(action).unwrap());
            let changes = trial.into_changes();
            balances.commit(changes, height);
            store.blocks.push(block(height, &actions));
            store.take(&mut balances, most, height);
            prop_assert!(store.checkpoint <= height);
            let restored = store.restore(size);
            prop_assert_eq!(all(&restored), all(&balances));
            if starts {
                // What is late is late again.
                prop_assert_eq!(restored.checkpoint(height), store.checkpoint);
                balances = restored;
                balances.forget_log();
            }
        }
        // With nothing new, all is written sooner or later.
        store.take(&mut balances, usize::MAX, height);
        prop_assert_eq!(store.checkpoint, height);
        store.blocks.clear();
        prop_assert_eq!(all(&store.restore(size)), all(&balances));
    }
}
