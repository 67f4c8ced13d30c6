//! What a peer that is stopped, or dead, costs those who only pay from what they have.

use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::request::Outcome;
use paxos_banking::client::session::{Ending, Session};

use crate::support::process::{Bank, Setup, signal};

const ROUNDS: usize = 7;
/// How long each condition is measured in each round.
const EACH: Duration = Duration::from_secs(3);

/// How the third server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Third {
    Well,
    Stopped,
    Killed,
}

const ALL: [Third; 3] = [Third::Well, Third::Stopped, Third::Killed];

/// Pays from A and B while C is well, stopped and killed, in turn, and prints how long each payment
/// took. Servers settle all the while, so that there is something to be said to C.
pub fn measure() {
    let flags = "--opening-balance 100000000 --settle-every 500ms";
    let flags = flags.split_whitespace().map(str::to_owned).collect();
    let mut bank =
        Bank::set_up(&["A", "B", "C"], Setup { redis_each: true, flags, ..Setup::default() });
    bank.start_all();
    let mut sessions = ["A", "B"].map(|id| bank.session(id));
    pay(&mut sessions);
    let mut found = ALL.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for place in 0..ALL.len() {
            let condition = (round + place) % ALL.len();
            found[condition].push(under(ALL[condition], &mut bank, &mut sessions));
        }
    }
    print(&found);
}

fn under(third: Third, bank: &mut Bank, sessions: &mut [Session; 2]) -> (Duration, Duration) {
    match third {
        Third::Well => {}
        Third::Stopped => signal(bank.process("C"), "STOP"),
        Third::Killed => bank.kill("C"),
    }
    let measured = pay(sessions);
    match third {
        Third::Well => {}
        Third::Stopped => signal(bank.process("C"), "CONT"),
        Third::Killed => bank.start_server("C"),
    }
    bank.wait_until_connected();
    measured
}

/// Pays from both at once, one payment after the other; returns the median and the 99th percentile
/// of how long they took.
fn pay(sessions: &mut [Session; 2]) -> (Duration, Duration) {
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let payers: Vec<_> = sessions.iter_mut().map(|one| scope.spawn(|| pay_from(one))).collect();
        payers.into_iter().flat_map(|payer| payer.join().expect("it pays")).collect()
    });
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn pay_from(session: &mut Session) -> Vec<Duration> {
    let until = Instant::now() + EACH;
    let mut times = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        let to = "C".parse().expect("an account");
        let ending = session.transfer(None, to, Amount::new(1).expect("an amount"));
        let accepted = matches!(ending, Ending::Decided(Outcome::Accepted { .. }));
        assert!(accepted, "it is covered: {ending:?}");
        times.push(begun.elapsed());
    }
    times
}

fn print(found: &[Vec<(Duration, Duration)>; 3]) {
    let median = |mut values: Vec<Duration>| {
        values.sort_unstable();
        values[values.len() / 2].as_secs_f64() * 1_000.0
    };
    println!("local transfers at A and B; medians of {ROUNDS} rounds of {} s:", EACH.as_secs());
    println!("{:10} {:>12} {:>12} {:>11} {:>11}", "C is", "p50", "p99", "p50 ratio", "p99 ratio");
    let mut well = None;
    for (third, rounds) in ALL.iter().zip(found) {
        let p50 = median(rounds.iter().map(|(p50, _)| *p50).collect());
        let p99 = median(rounds.iter().map(|(_, p99)| *p99).collect());
        let (well50, well99) = *well.get_or_insert((p50, p99));
        let (ratio50, ratio99) = (p50 / well50, p99 / well99);
        let name = format!("{third:?}").to_lowercase();
        println!("{name:10} {p50:9.3} ms {p99:9.3} ms {ratio50:11.2} {ratio99:11.2}");
    }
}
