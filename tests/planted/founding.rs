//! Plays of how a bank is founded, for mistakes that chance can't find: the simulator tells no server its
//! bank.

use crate::bank::effects::{Event, Write};
use crate::bank::ids::{ConnectionId, InstanceId};
use crate::bank::paxos::message::{Hello, Standing};
use crate::bank::server::Config;
use crate::disk::Disk;
use crate::plays::{config, genesis, hello};

/// Its store was used before, and holds no block 0; all others are babies.
pub fn a_server_that_was_told_its_bank_founds_none() {
    let mut disk = Disk::empty(1);
    disk.load(config(), 1);
    let bank = Some(genesis().hash().to_string().parse().unwrap());
    let mut server = disk.load(Config { bank, ..config() }, 2);
    for (name, number) in [("B", 2), ("C", 3)] {
        let known = hello(name, number);
        let standing = Standing { genesis: None, active: false, ..known.standing.clone() };
        let baby = Hello { instance: InstanceId(number), standing, knows_you_as: None, ..known };
        server.handle(Event::Greeted(ConnectionId(number), baby));
    }
    let writes = server.end_turn().batch.writes;
    assert!(
        !writes.iter().any(|write| matches!(write, Write::Append { .. })),
        "it has founded one"
    );
}
