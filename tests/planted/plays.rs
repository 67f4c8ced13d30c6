//! Short plays for mistakes that chance finds too seldom: one server, step by step.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
use crate::bank::effects::{Bound, Event, Timer, Write};
use crate::bank::ids::{
    ConnectionId, InstanceId, LifeId, RequestId, ServerId, SessionId, SessionName, TurnNumber,
};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::pages::Page;
use crate::bank::ledger::sessions::{Fate, Found, Sessions};
use crate::bank::limits::Limits;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Configuration, Hello, Message, Standing, Vote};
use crate::bank::request::{Instruction, Reply, Request};
use crate::bank::server::settling::Habit;
use crate::bank::server::{Config, Server};
use crate::disk::Disk;
use crate::founding;
use crate::long_logs;
use crate::mistakes::Mistake;
use crate::{fair, queues, scenes, trust};

/// Which mistake each is for. It panics if that is made.
pub const PLAYS: &[(Mistake, fn())] = &[
    (Mistake::PromiseNotDurable, a_promise_outlives_a_crash),
    (Mistake::PromiseBeforeDurable, a_promise_leaves_when_it_is_durable),
    (Mistake::AnotherBallotCounts, an_accepted_of_another_ballot_does_not_choose),
    (Mistake::PromiseWithoutBlocks, a_server_that_lacks_blocks_does_not_promise),
    (Mistake::RestOfOneOnly, long_logs::what_is_left_of_all_logs_counts),
    (Mistake::SettledBeforeRest, long_logs::a_settlement_has_an_end),
    (Mistake::RestCountedTwice, long_logs::what_came_with_the_block_is_not_left),
    (Mistake::OwnRestUnknown, long_logs::the_own_rest_brings_nothing_new),
    (Mistake::UnaskedIsPoor, long_logs::who_was_not_asked_for_is_not_refused),
    (Mistake::RestUnknownIsNothing, long_logs::who_says_nothing_of_the_rest_may_have_one),
    (Mistake::RestOpensNothing, long_logs::a_payee_may_be_opened_by_the_rest),
    (Mistake::LogFillsUp, long_logs::a_log_settles_from_half_of_its_bound_on),
    (Mistake::SettlingNeverEnds, long_logs::a_settlement_has_an_end),
    (Mistake::VainRunsWithoutRest, long_logs::runs_in_vain_rest),
    (Mistake::RefusedUnheard, a_refusal_waits_for_connected_servers),
    (Mistake::OldConnectionServed, an_older_connection_of_a_session_is_not_served),
    (Mistake::ForgottenIsNew, a_forgotten_session_expires),
    (Mistake::FloorNotStored, what_the_chain_holds_of_a_session_expires),
    (Mistake::HorizonLate, a_session_leaves_the_store_with_a_horizon),
    (Mistake::LookUpsWithoutRest, queues::runs_for_unknown_payees_rest),
    (Mistake::PatientHoldsUp, queues::a_patient_transfer_holds_nothing_up),
    (Mistake::OneHoldsUpAll, queues::an_account_that_waits_holds_up_no_other),
    (Mistake::GroupInOneQueue, queues::a_linked_group_holds_up_all_that_it_debits),
    (Mistake::PatienceIgnoresDebits, queues::a_debit_spares_a_patient_transfer_of_this_run),
    (Mistake::FoundsThoughTold, founding::a_server_that_was_told_its_bank_founds_none),
    (Mistake::UnlistedLifeBelieved, founding::a_life_that_the_list_lacks_is_a_rollback),
    (Mistake::ForgottenLifeRefused, founding::a_life_that_is_forgotten_is_no_rollback),
    (Mistake::RestingVotes, founding::who_only_reads_does_not_vote),
    (Mistake::OneAccuserIsEnough, trust::one_accuser_stops_nobody_whom_another_has_welcomed),
    (Mistake::DoubtIgnored, trust::whom_one_accuses_and_none_has_welcomed_waits_for_another_s_word),
    (
        Mistake::UnaskedBlocksTaken,
        trust::only_the_blocks_that_were_asked_for_are_taken_from_whom_they_were_asked_of,
    ),
    (Mistake::AnyRoundBelieved, trust::a_round_too_far_ahead_is_ignored_and_said_once),
    (Mistake::WaitsInVain, trust::no_run_waits_for_blocks_that_one_says_it_has_and_does_not_send),
    (Mistake::HeightOutlivesStore, trust::a_founding_that_a_lost_store_cut_short_goes_on),
    (
        Mistake::ReplacesWhoeverIsNamed,
        trust::a_rejoiner_replaces_none_but_the_store_that_its_operator_spoke_of,
    ),
    (Mistake::DebitSparesTheThird, fair::the_third_of_a_queue_needs_another_run_after_a_debit_too),
    (Mistake::AnyNumberWaits, fair::what_waits_is_bounded_in_items),
    (Mistake::OneHoldsAll, fair::who_opens_thousands_of_sessions_ends_nobody_else_s),
    (Mistake::GoneHoldsOn, fair::those_whose_connection_is_gone_go_first),
    (Mistake::UsedLeavesNoTrace, a_forgotten_session_expires),
    (Mistake::SessionNamesCounted, fair::the_next_session_s_name_can_not_be_told_beforehand),
    (Mistake::VotesAtOnce, scenes::nothing_is_said_before_the_chain_names_the_store),
    (Mistake::CountedAtOnce, scenes::the_new_store_does_not_help_to_choose_the_block_that_names_it),
    (Mistake::DeposedGoesOn, scenes::an_old_store_stops_at_the_block_that_replaces_it),
    (Mistake::RejoinDeposesAnybody, scenes::a_store_that_comes_too_late_stops),
    (Mistake::OldEpochGoesOn, scenes::a_server_rejoins_and_counts_anew),
];

const CONFIRMED: [(&str, u64); 3] = [("A", 1), ("B", 2), ("C", 3)];

pub fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn configuration() -> Configuration {
    let servers = CONFIRMED.iter().map(|(name, _)| id(name)).collect();
    Configuration { servers, opening_balance: Amount::new(100).unwrap() }
}

pub fn genesis() -> SealedBlock {
    let servers = CONFIRMED.iter().map(|(name, n)| (id(name), InstanceId(*n))).collect();
    let opening_balance = configuration().opening_balance;
    SealedBlock::genesis(Genesis { format: FORMAT, opening_balance, servers })
}

/// Server A of an open bank, and its disk.
pub struct Stage {
    pub disk: Disk,
    pub server: Server,
}

impl Stage {
    pub fn new() -> Stage {
        Stage::of(config())
    }

    pub fn of(config: Config) -> Stage {
        let mut disk = Disk::empty(1);
        disk.chain.push(genesis());
        disk.stored.active = true;
        let account = |(name, _): &(&str, u64)| (name.parse().unwrap(), Amount::new(100).unwrap());
        let balances = CONFIRMED.iter().map(account).collect();
        disk.pages.insert(0, Page { number: 0, height: 0, balances });
        disk.stored.included =
            CONFIRMED.iter().map(|(name, _)| (id(name), Position::START)).collect();
        disk.stored.instances =
            CONFIRMED.iter().map(|(name, n)| (id(name), InstanceId(*n))).collect();
        let server = disk.load(config, 1);
        let mut stage = Stage { disk, server };
        stage.meet_all();
        stage
    }

    /// How many transfers wait.
    pub fn waiting(&mut self) -> Option<usize> {
        self.server.handle(Event::Request(ConnectionId(9), None, Request::Status));
        let turn = self.server.end_turn();
        turn.bound.release(None).into_iter().find_map(|bound| match bound {
            Bound::Reply(_, _, Reply::Status(status)) => Some(status.waiting),
            _ => None,
        })
    }

    fn crash(&mut self) {
        self.server = self.disk.load(config(), 2);
        self.meet_all();
    }

    /// B and C are connected, on the connections 2 and 3.
    pub fn meet_all(&mut self) {
        for (name, number) in &CONFIRMED[1..] {
            self.server.handle(Event::Greeted(ConnectionId(*number), hello(name, *number)));
            self.server.handle(Event::LinkUp(id(name)));
            let answer = Message::Hello(hello(name, *number));
            self.server.handle(Event::LinkAnswered(id(name), answer));
        }
        self.turn();
    }

    /// Something comes, and the turn ends; returns what that writes and proposes.
    pub fn hear(&mut self, connection: u64, message: Message) -> (Vec<Write>, Vec<Message>) {
        self.server.handle(Event::Received(ConnectionId(connection), message));
        self.turn()
    }

    pub fn ask(&mut self, connection: u64, amount: u64, number: u64) -> (Vec<Write>, Vec<Message>) {
        self.instruct(connection, numbered(pays("A", "B", amount), number))
    }

    pub fn instruct(&mut self, connection: u64, asked: Instruction) -> (Vec<Write>, Vec<Message>) {
        self.server.handle(Event::Request(ConnectionId(connection), None, Request::One(asked)));
        self.turn()
    }

    pub fn turn(&mut self) -> (Vec<Write>, Vec<Message>) {
        let (mut writes, mut free) = (Vec::new(), Vec::new());
        loop {
            let turn = self.server.end_turn();
            let receipt = (!turn.batch.writes.is_empty()).then(|| self.disk.commit(&turn.batch));
            writes.extend(turn.batch.writes);
            free.extend(turn.free.into_iter().map(|(_, message)| message));
            let own = turn.bound.release(receipt).into_iter().filter_map(|bound| match bound {
                Bound::Own(message) => Some(message),
                _ => None,
            });
            let own: Vec<Message> = own.collect();
            if own.is_empty() {
                return (writes, free);
            }
            own.into_iter().for_each(|message| self.server.handle(Event::Own(message)));
        }
    }
}

pub fn config() -> Config {
    Config {
        id: id("A"),
        configuration: configuration(),
        addresses: CONFIRMED.iter().map(|(name, _)| (id(name), "there".into())).collect(),
        rejoin: false,
        bank: None,
        habit: Habit::default(),
        limits: Limits::default(),
    }
}

pub fn hello(of: &str, instance: u64) -> Hello {
    let standing = Standing {
        genesis: Some(genesis().hash()),
        active: true,
        height: 0,
        turn: TurnNumber(3),
        position: Position::START,
    };
    Hello {
        version: FORMAT,
        id: id(of),
        instance: InstanceId(instance),
        life: LifeId(7),
        lives: vec![(LifeId(7), TurnNumber(1))],
        configuration: configuration(),
        standing,
        knows_you_as: Some(InstanceId(1)),
        rejoins: false,
        saw_you_at: None,
    }
}

pub fn ballot(round: u64, server: &str) -> Ballot {
    Ballot { round, server: id(server), life: LifeId(if server == "A" { 1 } else { 7 }) }
}

fn session(count: u64) -> SessionId {
    SessionName { server: id("A"), epoch: 1, opened_at: 0, bits: LifeId(1), count }.into()
}

pub fn pays(from: &str, to: &str, amount: u64) -> Action {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    Action::Transfer { from, to, amount: Amount::new(amount).unwrap() }
}

pub fn numbered(action: Action, number: u64) -> Instruction {
    let request = Some(RequestId { session: session(1), number });
    Instruction { request, ..Instruction::plain(action) }
}

/// The log of a server that has paid A once.
pub fn log(of: &str, amount: u64) -> Vec<Element> {
    vec![Element::seal(Position::START.next(), vec![record(pays(of, "A", amount))])]
}

pub fn record(action: Action) -> Record {
    Record { action, request: None, via: Via::Local, linked: false }
}

fn prepare(height: u64, round: u64, of: &str) -> Message {
    let (ballot, known, asks) = (ballot(round, of), BTreeMap::new(), BTreeSet::new());
    let previous = if height == 1 { genesis().hash() } else { BlockHash::NONE };
    Message::Prepare { height, ballot, previous, known, asks }
}

/// What answers A's first run.
pub fn promise(instance: u64, elements: Vec<Element>) -> Message {
    Message::Promise {
        height: 1,
        ballot: ballot(1, "A"),
        instance: InstanceId(instance),
        waiting: false,
        vote: Vote::Log { elements, cut: false, whole: None },
    }
}

fn a_promise_outlives_a_crash() {
    let mut stage = Stage::new();
    stage.hear(2, prepare(1, 2, "B"));
    stage.crash();
    let block = Block {
        height: 1,
        previous: genesis().hash(),
        proposer: Some(id("C")),
        genesis: None,
        logs: BTreeMap::from([(id("C"), log("C", 5))]),
    };
    let (ballot, block) = (ballot(1, "C"), SealedBlock::seal(block));
    let (writes, _) = stage.hear(3, Message::Accept { height: 1, ballot, block });
    assert_eq!(writes, [], "a higher ballot was promised before the crash");
}

fn a_promise_leaves_when_it_is_durable() {
    let mut stage = Stage::new();
    stage.server.handle(Event::Received(ConnectionId(2), prepare(1, 2, "B")));
    assert_eq!(stage.server.end_turn().free, [], "nothing leaves before the turn is durable");
}

fn an_accepted_of_another_ballot_does_not_choose() {
    let mut stage = Stage::new();
    stage.ask(9, 500, 1);
    stage.hear(2, promise(2, log("B", 5)));
    let (_, free) = stage.hear(3, promise(3, Vec::new()));
    let (hash, ballot) = (proposed(&free), ballot(0, "A"));
    let instance = InstanceId(2);
    let (writes, _) = stage.hear(2, Message::Accepted { height: 1, ballot, hash, instance });
    assert_eq!(writes, [], "that was accepted in another ballot");
}

pub fn proposed(free: &[Message]) -> BlockHash {
    let proposed = free.iter().find_map(|message| match message {
        Message::Accept { block, .. } => Some(block.hash()),
        _ => None,
    });
    proposed.expect("all have promised")
}

fn a_refusal_waits_for_connected_servers() {
    let mut stage = Stage::new();
    stage.ask(9, 500, 1);
    stage.hear(2, promise(2, Vec::new()));
    stage.server.handle(Event::Timer(Timer::Gather { covered: false }));
    let (_, free) = stage.turn();
    let asks = free.iter().any(|message| matches!(message, Message::Prepare { .. }));
    assert!(asks, "C is connected and gets one further run to answer");
}

fn a_server_that_lacks_blocks_does_not_promise() {
    let (writes, _) = Stage::new().hear(2, prepare(2, 1, "B"));
    assert_eq!(writes, [], "block 1 is not here");
}

fn an_older_connection_of_a_session_is_not_served() {
    let mut stage = Stage::new();
    assert_eq!(stage.ask(9, 1, 1).0.len(), 1, "the newer connection is served");
    assert_eq!(stage.ask(8, 1, 2).0, [], "the older one is not");
}

fn a_forgotten_session_expires() {
    let limits = Limits { sessions: 10, ..Limits::default() };
    let (mut sessions, connection) = (Sessions::new(&limits), ConnectionId(1));
    let fate = Fate::Accepted(Position { epoch: 1, seq: 1 }, Via::Local);
    let old = numbered(pays("A", "B", 5), 1);
    let request = old.request.clone().unwrap();
    sessions.remember(&request, &old.action, false, fate);
    for count in 1..=10 {
        let later = SessionId::from(SessionName { opened_at: 1, ..(*session(count)).clone() });
        sessions.open(&later, connection);
    }
    assert_eq!(sessions.find(&request, &old, connection), Found::Expired);
}

fn what_the_chain_holds_of_a_session_expires() {
    let in_chain = BTreeMap::from([(session(1), 7)]);
    let mut sessions = Sessions::restore(&Limits::default(), &in_chain, None, false);
    let mut find = |number| {
        let asked = numbered(pays("A", "B", 5), number);
        sessions.find(&asked.request.clone().unwrap(), &asked, ConnectionId(1))
    };
    assert_eq!([find(3), find(7), find(8)], [Found::Expired, Found::Expired, Found::New]);
}

fn a_session_leaves_the_store_with_a_horizon() {
    let limits = Limits { sessions: 1, ..Limits::default() };
    let mut sessions = Sessions::new(&limits);
    let old = numbered(pays("A", "B", 5), 1);
    let request = old.request.clone().unwrap();
    let at = Position::START.next();
    let record = Record { request: old.request.clone(), ..record(old.action.clone()) };
    sessions.recover(at, &record, false);
    let changes = sessions.came_into_chain(&[Element::seal(at, vec![record])]);
    assert_eq!(changes.highest, BTreeMap::from([(session(1), 1)]));
    let later = SessionId::from(SessionName { opened_at: 1, ..(*session(2)).clone() });
    sessions.open(&later, ConnectionId(1));
    let changes = sessions.came_into_chain(&[]);
    assert!(changes.forgotten.contains(&session(1)), "there is no room for it");
    let mut again = Sessions::restore(&limits, &BTreeMap::new(), changes.horizon, false);
    assert_eq!(again.find(&request, &old, ConnectionId(2)), Found::Expired);
}

pub fn logs(writes: &[Write]) -> bool {
    writes.iter().any(|write| matches!(write, Write::Log(_)))
}
