//! One bank's life: founded, used while faults come over it, healed, and judged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::customer::Customer;
use crate::segments;
use crate::stage::{OPENING, Stage};
use crate::support::checker::history::History;
use crate::support::checker::{Evidence, Finding, check};
use crate::teller::Teller;
use crate::visitor::{VISITOR, Visitor};
use crate::weather::{Tally, rage};

/// What one episode is like; all of it follows from its seed.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub servers: usize,
    pub redis_each: bool,
    /// Whether old blocks leave Redis for segments.
    pub archive: bool,
    /// Whether and when servers settle by themselves.
    pub flags: &'static str,
    pub clients_each: usize,
    /// How long faults come over it.
    pub lasts: Duration,
}

impl Plan {
    /// The plan that a seed makes.
    pub fn of(seed: u64, lasts: Duration) -> Plan {
        let mut dice = fastrand::Rng::with_seed(seed);
        let servers = if dice.u8(..3) == 0 { 5 } else { 3 };
        let flags = ["", "--settle-every 1s", "--settle-at 2000", "--settle-every 300ms"];
        let (redis_each, flags) = (dice.u8(..3) > 0, flags[dice.usize(..flags.len())]);
        Plan {
            seed,
            servers,
            redis_each,
            archive: dice.u8(..3) > 0,
            flags,
            clients_each: if servers == 5 { 2 } else { 3 },
            lasts,
        }
    }
}

/// What came of an episode in which nothing was wrong.
#[derive(Debug, Default)]
pub struct Story {
    pub faults: Tally,
    pub asked: std::collections::BTreeMap<&'static str, usize>,
    /// What happened to the member that comes and goes.
    pub visits: std::collections::BTreeMap<&'static str, usize>,
    pub blocks: usize,
    pub entries: usize,
}

impl Story {
    /// Adds another one's numbers.
    pub fn add(&mut self, other: Story) {
        other.faults.iter().for_each(|(kind, n)| *self.faults.entry(*kind).or_default() += n);
        other.asked.iter().for_each(|(fate, n)| *self.asked.entry(fate).or_default() += n);
        other.visits.iter().for_each(|(what, n)| *self.visits.entry(what).or_default() += n);
        self.blocks += other.blocks;
        self.entries += other.entries;
    }
}

/// Plays an episode. The servers' logs are kept in that folder.
///
/// # Errors
/// What the checker finds.
pub fn play(plan: &Plan, logs: &Path) -> Result<Story, Finding> {
    fs::create_dir_all(logs).expect("a folder for logs");
    let ids = &["A", "B", "C", "D", "E"][..plan.servers];
    let mut stage = Stage::open(ids, (plan.redis_each, plan.archive), plan.flags, logs);
    let mut dice = fastrand::Rng::with_seed(plan.seed);
    let mut visitor = Visitor::of(&stage);
    let (history, faults) = live_through(&mut stage, &mut visitor, plan, &mut dice);
    let visits = std::mem::take(&mut visitor.tally);
    stage.bank.settle();
    let asked = history.tally();
    let ids = stage.bank.ids();
    let chains = ids.iter().map(|id| (id.clone(), segments::chain(&mut stage.bank, id))).collect();
    let visitors = [VISITOR.to_owned()].into();
    let evidence = Evidence { opening: OPENING, visitors, chains, history };
    let (blocks, entries) = check(&evidence)?;
    Ok(Story { faults, asked, visits, blocks, entries })
}

/// Tells the clients to stop, whatever happens: those that wait for them would wait for ever.
struct StopAtLast<'a>(&'a AtomicBool);

impl Drop for StopAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Clients do what they do while faults come; when all is healed they go on for a little while.
fn live_through(
    stage: &mut Stage,
    visitor: &mut Visitor,
    plan: &Plan,
    dice: &mut fastrand::Rng,
) -> (History, Tally) {
    let ids = stage.bank.ids();
    // Who comes and goes is paid as well, whenever it is there.
    let all = [&ids[..], &[VISITOR.to_owned()]].concat();
    let mut customers = Vec::new();
    for id in &ids {
        for place in 0..plan.clients_each {
            let teller = Teller::new(stage.doors[id].address(), dice.fork());
            customers.push(Customer::new(teller, id, place, &all, plan.clients_each));
        }
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let at_last = StopAtLast(&stop);
        let live = |customer: Customer| scope.spawn(|| customer.live(&stop));
        let clients: Vec<_> = customers.into_iter().map(live).collect();
        let tally = rage(stage, visitor, dice, Instant::now() + plan.lasts);
        thread::sleep(Duration::from_millis(500));
        drop(at_last);
        let mut history = History::default();
        for client in clients {
            history.add(client.join().expect("a client that understands all answers"));
        }
        (history, tally)
    })
}

/// Where the logs of an episode go.
pub fn logs_of(seed: u64) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"))
}
