//! A server that is fed, and what must hold of it whatever it is fed.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::effects::{Bound, Event, Timer, TimerCommand, Write};
use paxos_banking::bank::ids::AccountId;
use paxos_banking::bank::note::Level;
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::bank::request::Reply;
use paxos_banking::bank::server::Server;
use paxos_banking::wire::{Tag, encode_message, encode_reply};

use crate::machine::bank_of_three::{OPENING, config, genesis, greetings, hello};
use crate::machine::disk::Disk;
use crate::target::Heard;

/// Server A of an open bank, both ways connected to B and C.
pub struct Bank {
    server: Server,
    disk: Disk,
    committed: BTreeMap<AccountId, Amount>,
    timers: BTreeSet<Timer>,
}

impl Bank {
    pub fn open() -> Bank {
        let mut disk = Disk::founded(1, &genesis());
        let committed = disk.pages[&0].balances.iter().cloned().collect();
        let server = disk.load(config(), 1);
        let mut bank = Bank { server, disk, committed, timers: BTreeSet::new() };
        for peer in ["B", "C"] {
            greetings(&hello(peer)).into_iter().for_each(|event| bank.server.handle(event));
        }
        bank.settle_down(&Heard::default());
        bank
    }

    /// Lets it have something, and goes on until it has nothing more to say to itself. False if it
    /// stopped.
    pub fn handle(&mut self, event: Event, heard: &Heard) -> bool {
        self.server.handle(event);
        self.settle_down(heard)
    }

    /// Lets all timers run out that are set now. False if it stopped.
    pub fn wait(&mut self, heard: &Heard) -> bool {
        let timers = std::mem::take(&mut self.timers);
        timers.into_iter().all(|timer| self.handle(Event::Timer(timer), heard))
    }

    fn settle_down(&mut self, heard: &Heard) -> bool {
        loop {
            let turn = self.server.end_turn();
            for note in turn.notes.iter().filter(|note| note.level() == Level::Warning) {
                heard.refused(&note.to_string());
            }
            if let Some(stop) = turn.stop {
                heard.refused(&stop.reason);
                return false;
            }
            for command in turn.timers {
                match command {
                    TimerCommand::Set(timer) => drop(self.timers.insert(timer)),
                    TimerCommand::Cancel(timer) => drop(self.timers.remove(&timer)),
                }
            }
            turn.free.iter().for_each(|(_, message)| assert_one_line(&encode_message(message)));
            turn.batch.writes.iter().for_each(|write| self.keep(write, heard));
            let receipt = self.disk.commit(turn.batch);
            let mut own = Vec::new();
            for bound in turn.bound.release(&receipt) {
                match bound {
                    Bound::Own(message) => own.push(message),
                    bound => hear(&bound, heard),
                }
            }
            if own.is_empty() {
                return true;
            }
            own.into_iter().for_each(|message| self.server.handle(Event::Own(message)));
        }
    }

    /// Money neither comes from nowhere nor goes there.
    fn keep(&mut self, write: &Write, heard: &Heard) {
        heard.accepted(match write {
            Write::Log(_) => "writes an entry",
            Write::Promise(_) => "writes a promise",
            Write::Accept { .. } => "writes an accepted block",
            Write::Append { .. } => "writes a block",
            Write::Activate => "writes that it is open",
        });
        let Write::Append { pages, .. } = write else { return };
        self.committed.extend(pages.iter().flat_map(|page| page.balances.clone()));
        let total: u64 = self.committed.values().map(|amount| amount.units()).sum();
        assert_eq!(total, 3 * OPENING, "the total changed: {:?}", self.committed);
    }
}

fn hear(bound: &Bound, heard: &Heard) {
    match bound {
        Bound::Reply(_, number, reply) => hear_reply(*number, reply, heard),
        Bound::Tell(_, word) => hear_reply(None, word, heard),
        Bound::Read { query, .. } => {
            let query = format!("{query:?}");
            heard.accepted(format!("reads {}", query.split(' ').next().unwrap_or_default()));
        }
        Bound::Follow(..) => heard.accepted("has it followed"),
        Bound::Peer(_, message) | Bound::Answer(_, message) => {
            assert_one_line(&encode_message(message));
            match message {
                Message::Reject { reason, .. } => heard.refused(reason),
                // It says so whatever it hears.
                Message::Heartbeat(_) => {}
                message => heard.accepted(format!("says {}", message.name())),
            }
        }
        Bound::HangUp(_) | Bound::Dial(..) | Bound::Part(_) => {}
        Bound::SendBlocks { .. } => heard.accepted("sends blocks"),
        Bound::Own(_) => {}
    }
}

/// What a client hears is one line, and an error in it says something.
pub fn hear_reply(number: Option<u64>, reply: &Reply, heard: &Heard) {
    hear_named(number.map(Tag::Number).as_ref(), reply, heard);
}

/// The same of a reply to a request with any name.
pub fn hear_named(tag: Option<&Tag>, reply: &Reply, heard: &Heard) {
    let line = encode_reply(tag, reply);
    assert_one_line(&line);
    let value: serde_json::Value = serde_json::from_str(&line).expect("a reply is JSON");
    assert_eq!(line.starts_with("{\"id\":"), tag.is_some(), "{line}");
    let field = |name: &str| value[name].as_str().map(str::to_owned);
    match (reply, field("outcome")) {
        (Reply::Error { message, .. }, _) => heard.refused(message),
        (_, Some(outcome)) if outcome == "accepted" => heard.accepted("a transfer"),
        (_, Some(_)) => heard.refused(&field("reason").expect("a reason")),
        (Reply::Batch { outcomes }, _) if outcomes.is_empty() => heard.accepted("an empty batch"),
        (Reply::Batch { .. }, _) => heard.accepted("a batch"),
        (Reply::Balance { .. }, _) => heard.accepted("a balance"),
        (Reply::Status(_), _) => heard.accepted("a status"),
        (Reply::Session { .. }, _) => heard.accepted("a session"),
        (Reply::Accounts { .. }, _) => heard.accepted("a list of accounts"),
        _ => heard.accepted("another reply"),
    }
}

fn assert_one_line(line: &str) {
    let inside = line.strip_suffix('\n').expect("a line ends in a newline");
    assert!(!inside.is_empty() && !inside.contains('\n'), "not one line: {line:?}");
}
