//! The home's disk is destroyed: what was told is on the replica's.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::customer::Customer;
use crate::stage::{OPENING, Stage};
use crate::support::checker::history::History;
use crate::support::checker::{Evidence, check};
use crate::support::cluster::wait_until;
use crate::support::redis::say;
use crate::support::stores::{program, version};
use crate::teller::Teller;

const ROUNDS: usize = 10;
/// How many turns of each server pass in a round before the disaster.
const TURNS: u64 = 40;
const CLIENTS: usize = 3;

/// Tells the clients to stop, whatever happens: those that wait for them would wait for ever.
struct StopAtLast<'a>(&'a AtomicBool);

impl Drop for StopAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Clients pay all the time. In each round the master is killed and its folder removed, and the replica is
/// promoted: at the same address, while the servers run, or at another one, with which they start again.
/// Then each answer that a client got is held against the chain.
pub fn ten_rounds_lose_nothing_that_was_told(name: &str) {
    let Some(store) = program(name) else { return };
    let mut stage = Stage::open(store, 1);
    let version = version(&stage.bank.stores[0]);
    let history = while_clients_pay(&mut stage, |stage| {
        for round in 0..ROUNDS {
            progresses(stage);
            if round % 2 == 0 {
                stage.lose_the_master_at_its_address();
            } else {
                for id in stage.bank.ids() {
                    stage.bank.kill(&id);
                }
                stage.lose_the_master();
                for id in stage.bank.ids() {
                    stage.bank.start_server(&id);
                }
            }
            stage.add_replica(&[]);
        }
        progresses(stage);
    });
    stage.bank.settle();
    let tally = history.tally();
    let chain = |id: &String| {
        let key = format!("SERVER-BLOCKCHAIN-{id}");
        let ask = ["LRANGE", &key, "0", "-1"];
        (id.clone(), say(&mut stage.bank.stores[0].connect(), &ask))
    };
    let chains = stage.bank.ids().iter().map(chain).collect();
    let (blocks, entries) =
        check(&Evidence { opening: OPENING.into(), visitors: Default::default(), chains, history })
            .unwrap_or_else(|found| {
                panic!("{found}; clients were told {tally:?}");
            });
    println!(
        "{version}: {ROUNDS} masters destroyed; told {tally:?}; {blocks} blocks, {entries} entries"
    );
    is_sound(&stage);
}

/// Each server has written so many turns since it was asked, and serves.
fn progresses(stage: &mut Stage) {
    for id in stage.bank.ids() {
        wait_until("a server serves", || stage.status(&id)["active"] == json!(true));
        let begun = stage.turn(&id);
        wait_until("a server writes", || stage.turn(&id) >= begun + TURNS);
    }
}

/// Lives through something while clients pay; returns what these asked and were told.
fn while_clients_pay(stage: &mut Stage, live_through: impl FnOnce(&mut Stage)) -> History {
    let ids = stage.bank.ids();
    let mut dice = fastrand::Rng::new();
    let mut customers = Vec::new();
    for id in &ids {
        for place in 0..CLIENTS {
            let teller = Teller::new(stage.bank.address(id), dice.fork());
            customers.push(Customer::new(teller, id, place, &ids, CLIENTS));
        }
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let at_last = StopAtLast(&stop);
        let live = |customer: Customer| scope.spawn(|| customer.live(&stop));
        let clients: Vec<_> = customers.into_iter().map(live).collect();
        live_through(stage);
        thread::sleep(Duration::from_millis(200));
        drop(at_last);
        let mut history = History::default();
        for client in clients {
            history.add(client.join().expect("a client that understands all answers"));
        }
        history
    })
}

fn is_sound(stage: &Stage) {
    let mut audit = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    audit.args(["audit", "--json", "--redis", &stage.bank.stores[0].url()]);
    let audit = audit.output().unwrap();
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success() && said.contains(r#""sound":true"#), "{said}");
}
