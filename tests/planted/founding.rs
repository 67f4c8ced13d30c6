//! Plays of which bank and which store it is, for mistakes that chance can't find: the simulator tells no
//! server its bank, no server lives so often, and no store is full.

use crate::bank::effects::{Event, Write};
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::message::{Hello, Sighting, Standing};
use crate::bank::server::Config;
use crate::bank::stored::{LIVES_KEPT, forget_oldest};
use crate::machine::disk::Disk;
use crate::machine::stage::*;

/// Its store was used before, and holds no block 0; all others are babies.
pub fn a_server_that_was_told_its_bank_founds_none() {
    let mut disk = Disk::empty(1);
    disk.load(config(), 1);
    let bank = Some(genesis().hash().to_string().parse().unwrap());
    let mut server = disk.load(Config { bank, ..config() }, 2);
    for (name, connection) in [("B", OF_B), ("C", OF_C)] {
        server.handle(Event::Greeted(connection, baby(name)));
    }
    let writes = server.end_turn().batch.writes;
    assert!(
        !writes.iter().any(|write| matches!(write, Write::Append { .. })),
        "it has founded one"
    );
}

/// Whether a server that has lived more often than its store remembers stops when B and C have seen it in a
/// life that the store doesn't list, at this turn.
fn stops(turn: u64) -> bool {
    let mut disk = Disk::empty(1);
    for life in 1..=LIVES_KEPT as u64 + 50 {
        disk.load(config(), life);
        forget_oldest(&mut disk.stored.lives);
    }
    let mut server = disk.load(config(), 9_999);
    let (life, turn) = (LifeId(77_777), TurnNumber(turn));
    let seen = Sighting { instance: InstanceId(1), life, turn, position: Position::START };
    for (name, connection) in [("B", OF_B), ("C", OF_C)] {
        let known = hello(name);
        let standing = Standing { genesis: None, ..known.standing };
        let sees = Hello { knows_you_as: None, standing, saw_you_at: Some(seen), ..known };
        server.handle(Event::Greeted(connection, sees));
    }
    server.end_turn().stop.is_some()
}

/// The oldest life that it lists began at turn 51.
pub fn a_life_that_is_forgotten_is_no_rollback() {
    assert!(!stops(50), "an honest server stops");
}

/// It would be listed, had it been.
pub fn a_life_that_the_list_lacks_is_a_rollback() {
    assert!(stops(51) && stops(900), "a server that was rolled back goes on");
}

/// Its store takes no writes: what it promised could not be durable.
pub fn who_only_reads_does_not_vote() {
    let mut stage = Stage::open();
    let recovery = stage.disk.recover(config()).unwrap();
    stage.server = recovery
        .resting("it is full".into())
        .finish(crate::bank::ledger::secret::Secret([1, 1]))
        .unwrap();
    for peer in ["B", "C"] {
        stage.meet(peer);
    }
    stage.hear(OF_B, prepare("B", 1, &genesis()));
}
