//! What is explored of banks whose members come and go.

use super::state::Budget;
use super::{Ask, Bank, Before, Begun};
use crate::bank::amount::Amount;
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::member_order::Order;
use crate::bounds::Exploration;

const ONE: &[&str] = &["A"];
const TWO: &[&str] = &["A", "B"];
const THREE: &[&str] = &["A", "B", "C"];

fn pays(from: &str, to: &str, amount: u64) -> Ask {
    let amount = Amount::new(amount).expect("an amount");
    let account = |name: &str| name.parse().expect("an account");
    Ask::Act(Action::Transfer { from: account(from), to: account(to), amount })
}

fn admit(server: &str, branch: bool) -> Ask {
    let at = format!("{server}:7000").parse().expect("an address");
    let server = server.parse().expect("a server");
    Ask::Order(Order::Admit { server, at, key: None, branch })
}

fn dismiss(server: &str) -> Ask {
    let server = server.parse().expect("a server");
    Ask::Order(Order::Change(MemberChange::Dismiss { server }))
}

fn promote(server: &str) -> Ask {
    let server = server.parse().expect("a server");
    Ask::Order(Order::Change(MemberChange::Promote { server }))
}

fn demote(server: &str) -> Ask {
    let server = server.parse().expect("a server");
    Ask::Order(Order::Change(MemberChange::Demote { server }))
}

/// Nothing goes wrong. Nobody joins.
fn fair(founders: &'static [&'static str], asks: Vec<(usize, Ask)>) -> Bank {
    Bank {
        founders,
        joiners: Vec::new(),
        before: Vec::new(),
        begun: Vec::new(),
        asks,
        budget: Budget { returns: true, ..Budget::default() },
        chatter_at_once: true,
        rounds: 2,
    }
}

/// The bank, with more that may happen.
fn with(mut bank: Bank, change: impl FnOnce(&mut Budget)) -> Bank {
    change(&mut bank.budget);
    bank
}

/// D is a member, or a branch, when the exploring begins.
fn with_d(branch: bool, bank: Bank) -> Bank {
    let d = bank.founders.len();
    let mut before = vec![Before::Start(d), Before::Ask(0, admit("D", branch))];
    before.extend(bank.before);
    Bank { joiners: vec![("D", "A")], before, ..bank }
}

fn in_one_round(bank: Bank) -> Bank {
    Bank { rounds: 1, ..bank }
}

fn exploration(name: &'static str, states: usize, bank: Bank) -> Exploration<Bank> {
    Exploration { name, states, bank }
}

/// A admits D while it pays, and D, once it is a member, is paid.
pub fn one_becomes_two() -> Bank {
    let asks = vec![(0, admit("D", false)), (0, pays("A", "D", 3)), (0, Ask::Settle)];
    let bank = Bank { joiners: vec![("D", "A")], ..fair(ONE, asks) };
    with(bank, |b| (b.beats, b.crashes) = (2, 1))
}

/// D is dismissed.
pub fn two_become_one() -> Bank {
    let asks = vec![(1, dismiss("D"))];
    with(with_d(false, fair(ONE, asks)), |b| {
        (b.beats, b.cuts, b.crashes, b.impatience) = (1, 1, 1, 1)
    })
}

/// D is dismissed, but A pays it at the same time; and D may pay on.
pub fn who_leaves_is_paid() -> Bank {
    let before = vec![Before::Ask(0, pays("A", "D", 2))];
    let asks = vec![
        (0, pays("A", "D", 1)),
        (1, pays("D", "A", 2)),
        (1, dismiss("D")),
        (1, Ask::Act(Action::open("D/x".parse().expect("an account")))),
    ];
    with_d(false, Bank { before, ..fair(ONE, asks) })
}

/// C's vote is taken while B needs a run, which may be for the same block or for the next.
pub fn a_vote_is_taken() -> Bank {
    in_one_round(fair(THREE, vec![(0, demote("C")), (1, pays("B", "A", 12))]))
}

/// D, a branch, gets a vote while B needs a run.
pub fn a_vote_is_given() -> Bank {
    let asks = vec![(0, promote("D")), (1, pays("B", "A", 12))];
    in_one_round(with_d(true, fair(TWO, asks)))
}

/// A, with the only vote, has D beside it as a branch, and goes on if D is away.
pub fn a_branch_joins() -> Bank {
    let asks = vec![(0, admit("D", true)), (0, Ask::Settle)];
    with(Bank { joiners: vec![("D", "A")], ..fair(ONE, asks) }, |b| b.beats = 2)
}

/// A and B take each other's vote: one of them stays the last voter.
pub fn two_take_each_other_s_vote() -> Bank {
    fair(TWO, vec![(0, demote("B")), (1, demote("A"))])
}

/// A and B are dismissed by themselves: one block dismisses one.
pub fn two_are_dismissed() -> Bank {
    let before = vec![
        Before::Ask(0, pays("A", "C", 10)),
        Before::Ask(1, pays("B", "C", 10)),
        Before::Ask(2, Ask::Settle),
    ];
    let asks = vec![(0, dismiss("A")), (1, dismiss("B"))];
    in_one_round(Bank { before, ..fair(THREE, asks) })
}

/// D, which is to be dismissed, has proposed the block that says so when nobody reaches it any more. A has accepted
/// the block; what B is to accept is under way.
fn cut_off_when_leaving() -> Vec<Begun> {
    let (a, b, d) = (0, 1, 2);
    vec![
        Begun::Ask(d, dismiss("D")),
        Begun::Arrived("prepare", a),
        Begun::Arrived("prepare", b),
        Begun::Arrived("promise", d),
        Begun::Arrived("accept", a),
        Begun::CutOff(d),
    ]
}

/// The others have finished the round, and go on. D comes back, and both tell it that it is no member.
pub fn who_missed_its_dismissal_is_told() -> Bank {
    let mut begun = cut_off_when_leaving();
    begun.push(Begun::Finished(0));
    let bank = fair(TWO, vec![(1, pays("B", "A", 12))]);
    with(with_d(false, Bank { begun, ..bank }), |b| b.beats = 1)
}

/// The others have finished the round, and another store of D's is a member. The old one comes back, and what it had
/// sent to B is still under way.
pub fn the_old_store_comes_back() -> Bank {
    let mut begun = cut_off_when_leaving();
    begun.extend([Begun::Finished(0), Begun::Joined(3, 0, admit("D", false))]);
    let bank = fair(TWO, vec![(1, pays("B", "A", 12))]);
    let mut bank = with(with_d(false, Bank { begun, rounds: 6, ..bank }), |b| b.beats = 1);
    bank.joiners.push(("D", "A"));
    bank
}

pub fn quick() -> Vec<Exploration<Bank>> {
    vec![
        exploration("one becomes two", 57_399, one_becomes_two()),
        exploration("two become one", 20_982, two_become_one()),
        exploration("who missed its dismissal is told", 36, who_missed_its_dismissal_is_told()),
        exploration("who leaves is paid", 608, who_leaves_is_paid()),
        exploration("two take each other's vote", 575, two_take_each_other_s_vote()),
        exploration("two are dismissed", 43_520, two_are_dismissed()),
        exploration("a branch joins", 5_161, a_branch_joins()),
        exploration("a vote is given", 4_729, a_vote_is_given()),
        exploration("a vote is taken", 85_879, a_vote_is_taken()),
        exploration("the old store comes back", 26_946, the_old_store_comes_back()),
    ]
}

pub fn deep() -> Vec<Exploration<Bank>> {
    let c_pays =
        |bank: Bank| Bank { asks: [bank.asks, vec![(2, pays("C", "B", 3))]].concat(), ..bank };
    vec![
        exploration("a vote is taken, and C pays", 455_941, c_pays(a_vote_is_taken())),
        exploration(
            "a vote is taken, and one is cut off",
            15_162_449,
            with(a_vote_is_taken(), |b| b.cuts = 1),
        ),
        exploration(
            "a vote is given, and a crash",
            2_767_103,
            with(a_vote_is_given(), |b| (b.crashes, b.beats) = (1, 1)),
        ),
        exploration(
            "two take each other's vote, and a crash",
            29_937,
            with(two_take_each_other_s_vote(), |b| (b.crashes, b.impatience) = (1, 1)),
        ),
        exploration(
            "who leaves is paid, and a crash",
            389_456,
            with(who_leaves_is_paid(), |b| (b.crashes, b.beats, b.impatience) = (1, 1, 1)),
        ),
    ]
}
