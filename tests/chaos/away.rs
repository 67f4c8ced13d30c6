//! How long a server that was away takes to catch up, and how much memory.

use std::fs;
use std::time::{Duration, Instant};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::request::{Instruction, Outcome};
use paxos_banking::client::session::{Ending, Session};
use serde_json::{Value, json};

use crate::support::process::{Bank, Setup};

/// Commits many blocks of one entry each, and then few with many entries, while C is away; prints
/// how C gets them.
pub fn measure() {
    for (blocks, entries_each) in [(10_000, 1), (20, 5_000)] {
        let flags = "--opening-balance 100000000";
        let flags = flags.split_whitespace().map(str::to_owned).collect();
        let setup = Setup { redis_each: true, flags, ..Setup::default() };
        let mut bank = Bank::set_up(&["A", "B", "C"], setup);
        bank.start_all();
        bank.kill("C");
        let begun = Instant::now();
        commit(&mut bank.session("A"), blocks, entries_each);
        let head = bank.ask("A", &json!({"status": {}})).expect("A answers");
        let (height, entries) = (&head["height"], blocks * entries_each);
        println!("C is away: {height} blocks, {entries} entries, in {:.1?}", begun.elapsed());
        let took = catch_up(&mut bank, &head);
        let rate = |count: usize| count as f64 / took.as_secs_f64();
        let (of_blocks, of_entries) = (rate(blocks), rate(entries));
        println!(
            "  C has reconciled {took:.2?} after its start: {of_blocks:.0} blocks/s, {of_entries:.0} entries/s"
        );
        for id in ["C", "A"] {
            println!("  peak memory of {id}: {}", peak_memory(&mut bank, id));
        }
    }
}

/// So many blocks with so many entries each.
fn commit(session: &mut Session, blocks: usize, entries_each: usize) {
    let amount = Amount::new(1).expect("an amount");
    let [from, to] = ["A", "B"].map(|name| name.parse().expect("an account"));
    let one = Instruction::plain(Action::Transfer { from, to, amount });
    let one = Instruction { settled: true, ..one };
    for _ in 0..blocks {
        for ending in session.instruct_all(vec![one.clone(); entries_each]) {
            let settled =
                matches!(ending, Ending::Decided(Outcome::Accepted { settled: Some(true), .. }));
            assert!(settled, "there is a majority: {ending:?}");
        }
    }
}

/// Starts C, and returns how long it takes until it holds that block, from before its start.
fn catch_up(bank: &mut Bank, head: &Value) -> Duration {
    let begun = Instant::now();
    bank.start_server("C");
    loop {
        let status = bank.ask("C", &json!({"status": {}}));
        if status.is_some_and(|status| status["head"] == head["head"]) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "C doesn't catch up");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What the system says of the most memory that a process ever had.
fn peak_memory(bank: &mut Bank, id: &str) -> String {
    let pid = bank.process(id).expect("it runs").pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("not known on this system".into(), |peak| peak.trim().to_owned())
}
