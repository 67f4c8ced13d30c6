//! Values of all kinds.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::bank::ids::{
    AccountId, ClientName, InstanceId, LifeId, Naming, Owner, RequestId, ServerId, SessionId,
    SessionName, TurnNumber,
};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Message, Standing, Vote, Whole};
use paxos_banking::bank::reference::Reference;
use paxos_banking::bank::wall_time::WallTime;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

pub fn server() -> impl Strategy<Value = ServerId> {
    "[A-Za-z0-9_-]{1,16}".prop_map(|name| name.parse().unwrap())
}

pub fn account() -> impl Strategy<Value = AccountId> {
    "[A-Z]{1,3}(/[a-z._-]{1,20})?".prop_map(|name| name.parse().unwrap())
}

pub fn amount() -> impl Strategy<Value = Amount> {
    (0..=Amount::MAX.units()).prop_map(|units| Amount::new(units).unwrap())
}

/// A number as JSON has it in every language.
pub fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..4u64, 0..=Amount::MAX.units()]
}

pub fn position() -> impl Strategy<Value = Position> {
    (count(), count()).prop_map(|(epoch, seq)| Position { epoch, seq })
}

pub fn ballot() -> impl Strategy<Value = Ballot> {
    let round = prop_oneof![0..4u64, 0..=Ballot::MAX_ROUND];
    (round, "[A-C]", 0..3u64).prop_map(|(round, server, life)| Ballot {
        round,
        server: server.parse().unwrap(),
        life: LifeId(life),
    })
}

pub fn session() -> impl Strategy<Value = SessionId> {
    let owner = option::of(key().prop_map(Owner::of));
    let by_server = (server(), any::<u64>(), count(), count(), count(), owner).prop_map(
        |(server, life, epoch, opened_at, count, owner)| {
            let bits = LifeId(life);
            let count = if owner.is_some() { 0 } else { count };
            let naming = Naming::ByServer { opened_at, bits, count };
            SessionName { naming, server, epoch, owner }.into()
        },
    );
    let owner = option::of(key().prop_map(Owner::of));
    let named =
        (server(), count(), name_of_session(), owner).prop_map(|(server, epoch, name, owner)| {
            SessionName { naming: Naming::ByClient(name), server, epoch, owner }.into()
        });
    prop_oneof![3 => by_server, 1 => named]
}

pub fn name_of_session() -> impl Strategy<Value = ClientName> {
    prop_oneof!["[A-Za-z0-9_-]{1,64}", Just("named".to_owned()), Just("k".repeat(17))]
        .prop_map(|name| name.parse().unwrap())
}

pub fn key() -> impl Strategy<Value = Fingerprint> {
    any::<[u8; 32]>().prop_map(Fingerprint)
}

pub fn request_id() -> impl Strategy<Value = RequestId> {
    (session(), 1..=Amount::MAX.units()).prop_map(|(session, number)| RequestId { session, number })
}

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (account(), account(), amount()).prop_map(|(from, to, amount)| Action::Transfer {
            from,
            to,
            amount
        }),
        (account(), amount()).prop_map(|(account, amount)| Action::Mint { account, amount }),
        (account(), amount()).prop_map(|(account, amount)| Action::Burn { account, amount }),
        (account(), option::of(key()))
            .prop_map(|(account, key)| Action::Open { account, key: key.map(Box::new) }),
        (account(), key()).prop_map(|(account, key)| Action::Rekey { account, key: Box::new(key) }),
    ]
}

pub fn reference() -> impl Strategy<Value = Reference> {
    "[^\\pC\\u2028\\u2029]{1,64}".prop_map(|text| text.parse().unwrap())
}

pub fn time() -> impl Strategy<Value = Option<WallTime>> {
    option::of((0..=WallTime::MAX.millis()).prop_map(|millis| WallTime::new(millis).unwrap()))
}

pub fn via() -> impl Strategy<Value = Via> {
    prop_oneof![Just(Via::Local), Just(Via::Paxos)]
}

/// Records of few sessions, so that an element names some of them by number only; the last one is
/// linked to nothing.
pub fn records() -> impl Strategy<Value = Vec<Record>> {
    let requests = option::of((0..2usize, any::<u64>()));
    let what_for = option::of(reference());
    (vec(session(), 2), vec((action(), requests, via(), any::<bool>(), what_for), 1..6)).prop_map(
        |(sessions, lines)| {
            let last = lines.len() - 1;
            let record = |(place, (action, request, via, linked, reference)): (
                usize,
                (_, Option<_>, _, _, _),
            )| {
                let name = |(session, number): (usize, u64)| RequestId {
                    session: sessions[session].clone(),
                    number,
                };
                Record {
                    action,
                    request: request.map(name),
                    via,
                    linked: linked && place < last,
                    reference,
                }
            };
            lines.into_iter().enumerate().map(record).collect()
        },
    )
}

pub fn element() -> impl Strategy<Value = Element> {
    (time(), position(), records())
        .prop_map(|(time, first, records)| Element::seal_at(time, first, records))
}

pub fn block() -> impl Strategy<Value = SealedBlock> {
    let logs = btree_map(server(), vec(element(), 1..3), 0..3);
    (any::<u64>(), server(), logs, ".*").prop_map(|(height, proposer, logs, before)| {
        let (previous, proposer) = (BlockHash::of(&before), Some(proposer));
        SealedBlock::seal(Block { height, previous, proposer, genesis: None, opening: None, logs })
    })
}

fn whole() -> impl Strategy<Value = Whole> {
    let brings = btree_map(account(), amount(), 0..4);
    (position(), brings).prop_map(|(last, brings)| Whole { last, brings })
}

pub fn message() -> impl Strategy<Value = Message> {
    let numbers = (any::<u64>(), any::<u64>().prop_map(InstanceId));
    let vote = prop_oneof![
        (ballot(), block()).prop_map(|(ballot, block)| Vote::Accepted { ballot, block }),
        (vec(element(), 0..4), any::<bool>(), option::of(whole()))
            .prop_map(|(elements, cut, whole)| Vote::Log { elements, cut, whole }),
    ];
    let known = btree_map(server(), any::<u64>(), 0..4);
    let standing = (any::<u64>(), any::<bool>(), position(), option::of(block()));
    prop_oneof![
        (any::<u64>(), ballot(), block(), known, btree_set(account(), 0..4)).prop_map(
            |(height, ballot, block, known, asks)| {
                Message::Prepare { height, ballot, previous: block.hash(), known, asks }
            }
        ),
        (numbers.clone(), ballot(), any::<bool>(), vote).prop_map(
            |((height, instance), ballot, waiting, vote)| {
                Message::Promise { height, ballot, instance, waiting, vote }
            }
        ),
        (any::<u64>(), ballot(), block()).prop_map(|(height, ballot, block)| Message::Accept {
            height,
            ballot,
            block
        }),
        (numbers, ballot(), block(), any::<bool>()).prop_map(
            |((height, instance), ballot, block, waiting)| {
                let beyond =
                    waiting.then(|| block.block().logs.values().flatten().cloned().collect());
                Message::Accepted { height, ballot, hash: block.hash(), instance, waiting, beyond }
            },
        ),
        (any::<u64>(), ballot(), ballot(), any::<bool>()).prop_map(
            |(height, ballot, promised, waiting)| {
                Message::Nack { height, ballot, promised, waiting }
            }
        ),
        (any::<u64>(), block())
            .prop_map(|(height, block)| Message::Commit { height, hash: block.hash() }),
        vec(block(), 0..3).prop_map(|blocks| Message::BlocksResponse { blocks }),
        any::<[u64; 2]>().prop_map(|[from, to]| Message::BlocksRequest { from, to }),
        any::<u64>().prop_map(|height| Message::ReconcileAck { height }),
        standing.prop_map(|(height, active, position, block)| {
            let (genesis, turn) = (block.map(|block| block.hash()), TurnNumber(height));
            Message::Heartbeat(Standing { genesis, active, height, turn, position })
        }),
    ]
}
