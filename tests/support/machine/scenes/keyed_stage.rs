//! Server A of an open bank with keys, played step by step, and what others prove to it.

use crate::bank::asker::Asker;
use crate::bank::blockchain::block::{Genesis, SealedBlock};
use crate::bank::effects::{Bound, Event};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, InstanceId};
use crate::bank::ledger::entry::Action;
use crate::bank::paxos::message::{Configuration, Hello, Message, Standing};
use crate::bank::server::Config;
use crate::machine::stage::*;

pub fn key(name: &str) -> Fingerprint {
    Fingerprint::of(name.as_bytes())
}

pub fn keyed_genesis() -> SealedBlock {
    keyed_genesis_of(false)
}

pub fn keyed_genesis_of(issuing: bool) -> SealedBlock {
    let keys = ["A", "B", "C"].map(|name| (id(name), key(name))).into();
    let genesis = genesis().block().genesis.clone().expect("block 0");
    SealedBlock::genesis(Genesis { keys, issuing, ..genesis })
}

pub fn keyed_config() -> Config {
    Config { key: Some(key("A")), keys: true, ..config() }
}

pub fn keyed_hello(of: &str) -> Hello {
    keyed_hello_of(of, false)
}

pub fn keyed_hello_of(of: &str, issuing: bool) -> Hello {
    let hello = hello(of);
    let genesis = Some(keyed_genesis_of(issuing).hash());
    let configuration = Configuration { issuing, ..hello.configuration };
    Hello { configuration, standing: Standing { genesis, ..hello.standing }, ..hello }
}

/// A peer greets over a connection on which it proved a key, or none.
pub fn greets(
    stage: &mut Stage,
    connection: ConnectionId,
    hello: Hello,
    proved: Option<&str>,
) -> Said {
    if let Some(name) = proved {
        let asker = Asker { key: key(name), role: None };
        stage.handle(Event::Proved(connection, asker));
    }
    stage.handle(Event::Greeted(connection, hello))
}

pub fn is_welcome(said: &Said) -> bool {
    said.bound.iter().any(|bound| matches!(bound, Bound::Answer(_, Message::Hello(_))))
}

/// The reason of a rejection, and whether it tells of this server's state.
pub fn rejection(said: &Said) -> (String, bool) {
    let found = said.bound.iter().find_map(|bound| match bound {
        Bound::Answer(_, Message::Reject { reason, hello, .. }) => {
            Some((reason.clone(), hello.is_some()))
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("it is not rejected: {said:?}"))
}

/// Whether somebody who is refused hears that its store is over.
pub fn is_told_that_it_is_over(said: &Said) -> bool {
    let is_told =
        |bound: &Bound| matches!(bound, Bound::Answer(_, Message::Reject { over: true, .. }));
    said.bound.iter().any(is_told)
}

pub fn meets(stage: &mut Stage, of: &str) {
    meets_as(stage, of, keyed_hello(of));
}

pub fn meets_as(stage: &mut Stage, of: &str, hello: Hello) {
    let said = greets(stage, connection(&id(of)), hello.clone(), Some(of));
    assert!(is_welcome(&said), "{said:?}");
    stage.handle(Event::LinkProved(id(of), key(of)));
    stage.handle(Event::LinkUp(id(of)));
    stage.handle(Event::LinkAnswered(id(of), Message::Hello(hello)));
}

/// C rejoins by block 1 with another store and another key.
pub fn c_rejoins() -> SealedBlock {
    let (old, new) = (instance("C"), InstanceId(33));
    let key = Some(Box::new(key("C2")));
    let rejoin = Action::Rejoin { server: id("C"), old, new, key };
    block_of(&keyed_genesis(), [("B", element_of(1, [rejoin]))])
}

pub fn hello_of_the_new_c() -> Hello {
    Hello { instance: InstanceId(33), rejoins: true, ..keyed_hello("C") }
}
