//! What holds for all values: the order of ballots, the arithmetic of logs and blocks, the codecs'
//! round trips, and that a changed block is found.

use std::collections::BTreeMap;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::blockchain::chain::Chain;
use paxos_banking::bank::ids::{
    AccountId, InstanceId, LifeId, RequestId, ServerId, SessionId, TurnNumber,
};
use paxos_banking::bank::ledger::entry::{Entry, Position, Via};
use paxos_banking::bank::ledger::local_log::LocalLog;
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Message, Standing, Vote};
use paxos_banking::bank::request::{Outcome, Reply, Request, TransferRequest};
use paxos_banking::wire;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn server() -> impl Strategy<Value = ServerId> {
    "[A-Za-z0-9_-]{1,16}".prop_map(|name| name.parse().unwrap())
}

fn account() -> impl Strategy<Value = AccountId> {
    "[A-Z]{1,3}(/[a-z._-]{1,20})?".prop_map(|name| name.parse().unwrap())
}

fn amount() -> impl Strategy<Value = Amount> {
    (0..=Amount::MAX.units()).prop_map(|units| Amount::new(units).unwrap())
}

fn ballot() -> impl Strategy<Value = Ballot> {
    let round = prop_oneof![0..4u64, 0..=Ballot::MAX_ROUND];
    (round, "[A-C]", 0..3u64).prop_map(|(round, server, life)| Ballot {
        round,
        server: server.parse().unwrap(),
        life: LifeId(life),
    })
}

fn request_id() -> impl Strategy<Value = RequestId> {
    let numbers = (count(), count(), count(), 1..=Amount::MAX.units());
    (server(), any::<u64>(), numbers).prop_map(
        |(server, life, (epoch, opened_at, count, number))| {
            let life = LifeId(life);
            RequestId { session: SessionId { server, epoch, opened_at, life, count }, number }
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    let names = (server(), account(), account());
    (names, any::<[u64; 2]>(), amount(), option::of(request_id()), any::<bool>()).prop_map(
        |((server, from, to), [epoch, seq], amount, request, local)| {
            let via = if local { Via::Local } else { Via::Paxos };
            Entry { server, epoch, seq, from, to, amount, request, via }
        },
    )
}

fn block() -> impl Strategy<Value = SealedBlock> {
    (any::<u64>(), server(), vec(entry(), 0..4), ".*").prop_map(
        |(height, proposer, entries, before)| {
            let (previous, proposer) = (BlockHash::of(&before), Some(proposer));
            SealedBlock::seal(Block { height, previous, proposer, genesis: None, entries })
        },
    )
}

/// A number as JSON has it in every language.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..4u64, 0..=Amount::MAX.units()]
}

fn position() -> impl Strategy<Value = Position> {
    (count(), count()).prop_map(|(epoch, seq)| Position { epoch, seq })
}

fn message() -> impl Strategy<Value = Message> {
    let numbers = (any::<u64>(), any::<u64>().prop_map(InstanceId));
    let vote = prop_oneof![
        (ballot(), block()).prop_map(|(ballot, block)| Vote::Accepted { ballot, block }),
        (vec(entry(), 0..4), any::<bool>()).prop_map(|(entries, cut)| Vote::Log { entries, cut }),
    ];
    let known = proptest::collection::btree_map(server(), any::<u64>(), 0..4);
    let standing = (any::<u64>(), any::<bool>(), position(), option::of(block()));
    prop_oneof![
        (any::<u64>(), ballot(), block(), known).prop_map(|(height, ballot, block, known)| {
            Message::Prepare { height, ballot, previous: block.hash(), known }
        }),
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
        (numbers, ballot(), block()).prop_map(|((height, instance), ballot, block)| {
            Message::Accepted { height, ballot, hash: block.hash(), instance }
        }),
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

fn transfer() -> impl Strategy<Value = TransferRequest> {
    (option::of(account()), account(), amount(), option::of(request_id()))
        .prop_map(|(from, to, amount, request)| TransferRequest { from, to, amount, request })
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Session),
        Just(Request::Status),
        Just(Request::Settle),
        transfer().prop_map(Request::Transfer),
        vec(transfer(), 1..4).prop_map(Request::Transfers),
        option::of(account()).prop_map(Request::Balance),
        option::of(position()).prop_map(|after| Request::Log { after }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (server(), position(), amount(), any::<bool>()).prop_map(
            |(server, Position { epoch, seq }, balance, repeated)| {
                Outcome::Accepted { server, epoch, seq, balance, via: Via::Paxos, repeated }
            }
        ),
        (".*", amount(), vec(server(), 0..3), vec(server(), 0..3)).prop_map(
            |(reason, balance, consulted, not_consulted)| {
                Outcome::Refused { reason, balance, consulted, not_consulted }
            }
        ),
        ".*".prop_map(|reason| Outcome::Unavailable { reason }),
        ".*".prop_map(|reason| Outcome::Invalid { reason }),
        ".*".prop_map(|reason| Outcome::Expired { reason }),
    ]
}

/// Entry `seq` of A's log.
fn of_a(seq: u64) -> Entry {
    Entry {
        server: "A".parse().unwrap(),
        epoch: 1,
        seq,
        from: "A".parse().unwrap(),
        to: "B".parse().unwrap(),
        amount: Amount::new(1).unwrap(),
        request: None,
        via: Via::Local,
    }
}

/// A chain of two servers, and the block that comes next.
fn chain_and_next() -> (Chain, SealedBlock) {
    let ids = ["A", "B"].map(|id| id.parse::<ServerId>().unwrap());
    let servers: BTreeMap<_, _> = ids.into_iter().zip([1, 2].map(InstanceId)).collect();
    let opening_balance = Amount::new(100).unwrap();
    let genesis = SealedBlock::genesis(Genesis { format: FORMAT, opening_balance, servers });
    let block = Block {
        height: 1,
        previous: genesis.hash(),
        proposer: Some("B".parse().unwrap()),
        genesis: None,
        entries: vec![of_a(1), of_a(2)],
    };
    (Chain::found(&genesis).unwrap(), SealedBlock::seal(block))
}

proptest! {
    // A failure says what it takes to repeat it; no file is needed.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ballots_are_ordered_by_round_then_server_then_life(a in ballot(), b in ballot()) {
        let key = |of: &Ballot| (of.round, of.server.clone(), of.life);
        prop_assert_eq!(a.cmp(&b), key(&a).cmp(&key(&b)));
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
    }

    #[test]
    fn a_promised_beginning_of_a_log_can_be_trimmed(
        sizes in vec(1..5usize, 0..8),
        limit in 0..40usize,
        known in 0..40u64,
    ) {
        let mut seq = 0..;
        let elements: Vec<Vec<Entry>> = (sizes.iter())
            .map(|size| seq.by_ref().take(*size).map(|seq| of_a(seq + 1)).collect())
            .collect();
        let total: usize = sizes.iter().sum();
        let mut log = LocalLog::new(Position::START, elements).unwrap();
        let last = log.last();
        let (all, cut) = log.promise(0, limit);
        prop_assert!(all.len() <= limit && (cut || all.len() == total));
        let (rest, _) = log.promise(known, limit);
        let beginning = all.len().min(known as usize);
        prop_assert_eq!(&rest, &all[beginning..]);
        log.trim(&all.iter().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!((log.len(), log.last()), (total - all.len(), last));
    }

    #[test]
    fn messages_survive_the_wire(message in message()) {
        let line = wire::encode_message(&message);
        prop_assert_eq!(wire::parse_message(line.trim_end().as_bytes()), Ok(message));
    }

    #[test]
    fn requests_survive_the_wire(id in count(), request in request()) {
        let line = wire::encode_request(id, &request);
        prop_assert_eq!(wire::parse_request(line.trim_end().as_bytes()), Ok((Some(id), request)));
    }

    #[test]
    fn replies_survive_the_wire(id in count(), asked in transfer(), outcome in outcome()) {
        let (asked, reply) = (Request::Transfer(asked), Reply::Transfer(outcome));
        let line = wire::encode_reply(Some(id), &reply);
        let heard = wire::parse_reply(line.trim_end().as_bytes(), id, &asked);
        prop_assert!(matches!(heard, Ok(Some(wire::Answer::Reply(same))) if same == reply));
    }

    #[test]
    fn no_line_takes_the_parsers_down(line in vec(any::<u8>(), 0..200)) {
        prop_assert!(wire::parse_message(&line).is_err());
        prop_assert!(wire::parse_request(&line).is_err());
    }

    /// The block after it names its hash, so a stored block that is changed can't be its successor's.
    #[test]
    fn any_changed_byte_of_a_stored_block_is_found(place in any::<prop::sample::Index>(), to in any::<u8>()) {
        let (chain, block) = chain_and_next();
        prop_assert!(chain.verify(&block).is_ok());
        let mut bytes = block.text().as_bytes().to_vec();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != to);
        bytes[place] = to;
        let opened = String::from_utf8(bytes).ok().and_then(|text| SealedBlock::open(&text).ok());
        if let Some(changed) = opened {
            prop_assert_ne!(changed.hash(), block.hash());
        }
    }
}
