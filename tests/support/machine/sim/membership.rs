//! The judge's books of members that come and go.

use std::collections::BTreeSet;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{AccountId, InstanceId, ServerId};
use crate::bank::ledger::entry::{Action, Entry};
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::request::Order;

use super::books::{Books, name};
use super::register::Turn;
use super::tally::Mark;
use super::world::World;

impl Books {
    /// A server is a member by its own chain, with the store that it has.
    pub fn assert_takes_part(&self, server: &ServerId, instance: InstanceId) {
        let top = self.tops.get(server);
        let roll = top.and_then(|top| self.register.after(*top));
        let named = roll.and_then(|roll| roll.members.get(server));
        assert_eq!(named, Some(&instance), "{server} logs or votes, and is no member");
    }

    /// Whether a server may pay an account, as far as its chain tells it who takes part.
    pub fn can_be_paid(&self, server: &ServerId, account: &AccountId) -> bool {
        let roll = self.tops.get(server).and_then(|top| self.register.after(*top));
        roll.is_some_and(|roll| roll.members.keys().any(|id| id.as_str() == account.home()))
    }

    /// Whether this is what a server logs without being asked by a client.
    pub fn is_of_its_own(&self, entry: &Entry) -> bool {
        match &entry.record.action {
            Action::Rejoin { .. } | Action::Member(_) => true,
            Action::Open { account, .. } => {
                entry.record.request.is_none()
                    && *account == AccountId::of(&entry.server)
                    && !self.is_founder(&entry.server)
            }
            _ => false,
        }
    }

    /// A server has logged a change of the members.
    pub fn log_change(&mut self, entry: &Entry, change: &MemberChange) {
        let is_it = |order: &Order| match (order, change) {
            (Order::Admit { server, at, key, branch }, MemberChange::Admit(admission)) => {
                let named = (&admission.server, &admission.at, &admission.key, admission.branch);
                named == (server, at, key, *branch)
            }
            (Order::Change(ordered), change) => ordered == change,
            _ => false,
        };
        assert!(self.ordered.iter().any(is_it), "nobody ordered {entry:?}");
        self.changes.insert(name(entry));
        if let MemberChange::Dismiss { server } = change {
            assert_eq!(*server, entry.server, "{server} is dismissed by its own word alone");
            self.leaving.insert(server.clone(), name(entry));
        }
    }

    /// A block of which nobody knew is in the chain: who comes and goes by it?
    pub fn enter_turns(&mut self, block: &SealedBlock) {
        for entry in block.block().entries() {
            let named = name(&entry);
            self.changes.remove(&named);
            self.leaving.retain(|_, asked| *asked != named);
        }
        let rich = self.rich();
        let turns = self.register.enter(block, &rich);
        let changed = |turn: &&Turn| {
            matches!(turn, Turn::Changed(_) | Turn::Admitted(..) | Turn::Dismissed(_))
        };
        if turns.iter().filter(changed).count() > 1 {
            self.marks.push(Mark::TwoChanges);
        }
        for turn in turns {
            let mark = match turn {
                Turn::Rejoined(server, new) => {
                    let epoch = self.epoch(&server);
                    self.named.insert(new, (server.clone(), block.height()));
                    self.write_off(&server, epoch);
                    continue;
                }
                Turn::Admitted(server, instance) => {
                    self.named.insert(instance, (server, block.height()));
                    Mark::Admitted
                }
                Turn::Dismissed(server) => {
                    self.assert_nothing_left(&server);
                    Mark::DismissedBy
                }
                Turn::VoidRejoin => Mark::VoidRejoin,
                Turn::Stays => Mark::Stays,
                Turn::Changed(MemberChange::Move { .. }) => Mark::Moved,
                Turn::Changed(MemberChange::Promote { .. }) => Mark::Promoted,
                Turn::Changed(_) => Mark::Demoted,
                Turn::Void => Mark::VoidChange,
            };
            self.marks.push(mark);
        }
    }

    /// Who dismisses itself has all that it ever logged in blocks, but for what was lost before.
    fn assert_nothing_left(&self, server: &ServerId) {
        let own = self.logged.keys().filter(|(of, ..)| of == server);
        for name in own {
            let is_there = self.in_block.contains_key(name) || self.lost.contains(name);
            assert!(is_there, "{server} is dismissed, and {name:?} is in no block");
        }
    }

    /// The homes of all accounts that hold money by the chain that anybody has.
    fn rich(&self) -> BTreeSet<ServerId> {
        let held = self.chain().iter().filter(|(_, units)| **units > 0);
        held.map(|(account, _)| account.home().parse().unwrap()).collect()
    }
}

impl World {
    /// What a server's store says of the members is what the judge reads in the same chain.
    pub fn judge_roll(&self, id: &ServerId) {
        let disk = &self.disks[id];
        let Some(top) = disk.chain.last() else { return };
        let roll = self.judge.books.register.after(top.height()).expect("somebody has it");
        let derived = &disk.stored.derived;
        let (named, told) = (&roll.members, &derived.instances);
        assert_eq!(named, told, "the members after block {}", top.height());
        let membership = &derived.membership;
        let told = (&membership.branches, &membership.addresses);
        assert_eq!((&roll.branches, &roll.addresses), told, "after block {}", top.height());
    }

    /// Whether a dismissed server waits for the word of one that was dismissed, too. Nobody ever gives it, so that an
    /// operator has to end this server. It waits for all who voted, if it holds the block; else two have to tell it,
    /// where it knows two. One that was admitted and dismissed before it heard of either is told to start anew.
    fn waits_for_the_gone(&self, id: &ServerId) -> bool {
        let now = self.roll();
        let register = &self.judge.books.register;
        let Some(top) = (self.disks[id].chain.len() as u64).checked_sub(1) else {
            return register.is_over(self.disks[id].stored.instance);
        };
        let known = register.after(top).expect("somebody has it");
        let is_gone = |other: &&ServerId| known.members.get(*other) != now.members.get(*other);
        let others = || known.members.keys().filter(|other| *other != id);
        let here = others().filter(|other| !is_gone(other)).count();
        others().any(|other| known.votes(other) && is_gone(&other))
            || here < others().count().min(2)
    }

    /// At the end members run, know each other, and are found where the chain says; nobody else runs.
    pub fn judge_members(&self) {
        let roll = self.roll();
        for (id, host) in &self.hosts {
            let Some(server) = &host.server else {
                assert!(!roll.members.contains_key(id), "{id} is a member, and does not run");
                continue;
            };
            if !roll.members.contains_key(id) {
                assert!(self.waits_for_the_gone(id), "{id} runs, and is no member");
                continue;
            }
            let others: BTreeSet<&ServerId> = roll.members.keys().filter(|m| *m != id).collect();
            let dials = server.dials();
            let dialled: BTreeSet<&ServerId> = dials.iter().map(|(other, _)| other).collect();
            assert!(others.is_subset(&dialled), "{id} dials {dialled:?} of {others:?}");
            for (other, at) in &dials {
                let named = roll.addresses.get(other);
                let right = named.is_none_or(|named| named.as_str() == at);
                let right = right || !roll.members.contains_key(other);
                assert!(right, "{id} looks for {other} at {at}, not at {named:?}");
            }
        }
    }
}
