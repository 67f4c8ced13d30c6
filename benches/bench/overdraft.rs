//! `overdraft`: transfers that force a run.
//!
//! A payer who has nothing is paid one unit by another server's account, which is in that server's
//! local log then and nowhere else, and pays it back: only a run can find it. What is measured is the
//! paying back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bank::{Bank, IDS};
use super::bare;
use super::check::{Told, check};
use super::lines::{Line, read_reply};
use super::load::Wire;
use super::report::{Bound, Report, Unit};
use super::tally::{Tally, new_histogram};
use super::{Context, Fallible, Span};

/// A way to compete.
struct Way {
    name: &'static str,
    servers: usize,
    /// At each of them.
    clients: usize,
    /// Entries that are in the log where the money is, before each overdraft.
    filling: usize,
}

const WAYS: [Way; 5] = [
    Way { name: "empty logs, one server", servers: 1, clients: 1, filling: 0 },
    Way { name: "10,000 entries, one server", servers: 1, clients: 1, filling: 10_000 },
    Way { name: "empty logs, all servers", servers: 3, clients: 1, filling: 0 },
    Way { name: "10,000 entries, all servers", servers: 3, clients: 1, filling: 10_000 },
    Way { name: "empty logs, 16 clients at each", servers: 3, clients: 16, filling: 0 },
];

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    for run in 1..=context.runs {
        let bank = Bank::start(&context.setting, &[])?;
        let mut told = Told::default();
        open_poor_accounts(&bank, &mut told)?;
        let redis = bank.shared_redis().ok_or("this needs a bank of its own")?;
        context.step(&format!("overdraft: bare round trip, run {run}"));
        let bare = bare::round_trip(&redis.address(), context.span(1.0).seconds)?;
        report.add_latency("bare durable round trip", &bare);
        for way in &WAYS {
            context.step(&format!("overdraft: {}, run {run}", way.name));
            let way = Way { filling: context.size(way.filling, way.filling.min(100)), ..*way };
            play(context, report, &bank, &way, &mut told)?;
        }
        let p50 = report.last("empty logs, one server: p50");
        let ratio = p50 / report.last("bare durable round trip: p50");
        report.add("empty logs, one server: p50 / round trip", Unit::Ratio, ratio);
        bank.settle()?;
        report.checked(&check(&bank, &told)?);
    }
    let figure = "empty logs, one server: p50 / round trip";
    report.ask("overdraft, empty logs, p50 / round trip", figure, Bound::AtMost(5.0));
    Ok(())
}

pub fn poor(id: &str, client: usize) -> String {
    format!("{id}/poor-{client}")
}

/// Opens the accounts of those who have nothing, and makes them known everywhere.
pub fn open_poor_accounts(bank: &Bank, told: &mut Told) -> Fallible<()> {
    let most = WAYS.iter().map(|way| way.clients).max().unwrap_or(1);
    for id in IDS {
        let accounts: Vec<String> = (0..most).map(|client| poor(id, client)).collect();
        let mut tally = Tally::new();
        ask(&mut Wire::open(&bank.addresses[id])?, &Line::openings(&accounts), &mut tally, false)?;
        told.add_one(id, &tally);
    }
    bank.settle()
}

/// Sends a request and takes down its reply.
pub fn ask(wire: &mut Wire, line: &Line, tally: &mut Tally, counts: bool) -> Fallible<()> {
    let start = send(wire, line)?;
    hear(wire, line, tally, counts.then_some(start))
}

/// Sends a request, and returns when that was.
pub fn send(wire: &mut Wire, line: &Line) -> Fallible<Instant> {
    let mut out = Vec::new();
    line.put(&mut out, 0);
    let start = Instant::now();
    wire.send(&out)?;
    Ok(start)
}

/// Takes down the reply to a request, and how long it took if that is to be counted.
pub fn hear(
    wire: &mut Wire,
    line: &Line,
    tally: &mut Tally,
    since: Option<Instant>,
) -> Fallible<()> {
    let said = read_reply(wire.line()?, line.items)?;
    let took = since.map(|since| since.elapsed().as_nanos() as u64);
    tally.take_down(said, line.items, 0, took);
    Ok(())
}

/// What the clients of one server did: what they were told by their own server and by the other one.
struct Played {
    home: usize,
    own: Tally,
    donor: Tally,
}

fn play(
    context: &Context,
    report: &mut Report,
    bank: &Bank,
    way: &Way,
    told: &mut Told,
) -> Fallible<()> {
    let before = Runs::count(bank)?;
    let Span { seconds, .. } = context.span(1.5);
    let start = Instant::now();
    let over = AtomicBool::new(false);
    let clients =
        (0..way.servers).flat_map(|home| (0..way.clients).map(move |client| (home, client)));
    let played: Vec<Played> = thread::scope(|scope| {
        let over = &over;
        let one = |(home, client)| scope.spawn(move || overdraw(bank, way, home, client, over));
        let threads: Vec<_> = clients.map(one).collect();
        thread::sleep(Duration::from_secs_f64(seconds));
        over.store(true, Ordering::Relaxed);
        let join = |thread: thread::ScopedJoinHandle<'_, Fallible<Played>>| {
            thread.join().map_err(|_| "a client has panicked".to_owned())?
        };
        threads.into_iter().map(join).collect::<Fallible<_>>()
    })?;
    let took = start.elapsed().as_secs_f64();
    let runs = Runs::count(bank)?.since(&before);
    let mut latency = new_histogram();
    for one in &played {
        latency.add(&one.own.latency).expect("the bounds are the same");
        told.add_one(IDS[one.home], &one.own);
        told.add_one(IDS[(one.home + 1) % 3], &one.donor);
        // The money is there before it is asked for, and everybody is connected: nothing is refused.
        if let Some((reason, _)) = one.own.others.iter().chain(&one.donor.others).next() {
            return Err(format!("{}: {reason}", way.name));
        }
    }
    let served = latency.len() as f64;
    report.add_latency(way.name, &latency);
    report.add(&format!("{}: served", way.name), Unit::PerSecond, served / took);
    report.add(&format!("{}: runs", way.name), Unit::PerSecond, runs.won / took);
    report.add(&format!("{}: served by a run", way.name), Unit::Ratio, served / runs.won.max(1.0));
    report.add(
        &format!("{}: lost runs of all", way.name),
        Unit::Ratio,
        runs.lost / runs.begun.max(1.0),
    );
    Ok(())
}

fn overdraw(
    bank: &Bank,
    way: &Way,
    home: usize,
    client: usize,
    over: &AtomicBool,
) -> Fallible<Played> {
    let (id, donor) = (IDS[home], IDS[(home + 1) % 3]);
    let payer = poor(id, client);
    let (mut at_home, mut at_donor) =
        (Wire::open(&bank.addresses[id])?, Wire::open(&bank.addresses[donor])?);
    let filling = vec![(donor, IDS[(home + 2) % 3], 1); (way.filling / 2).max(1)];
    let filling = Line::batch(&filling);
    let (give, pay_back) = (Line::single(donor, &payer, 1), Line::single(&payer, donor, 1));
    let mut played = Played { home, own: Tally::new(), donor: Tally::new() };
    while !over.load(Ordering::Relaxed) {
        for _ in 0..if way.filling > 0 { 2 } else { 0 } {
            ask(&mut at_donor, &filling, &mut played.donor, false)?;
        }
        ask(&mut at_donor, &give, &mut played.donor, false)?;
        ask(&mut at_home, &pay_back, &mut played.own, true)?;
    }
    Ok(played)
}

/// Runs, as the servers have counted them.
#[derive(Default)]
struct Runs {
    begun: f64,
    lost: f64,
    won: f64,
}

impl Runs {
    fn count(bank: &Bank) -> Fallible<Runs> {
        let mut runs = Runs::default();
        for id in IDS {
            let measured = bank.status(id)?["measured"].take();
            let count = |name: &str| {
                measured[name].as_f64().ok_or_else(|| format!("{id} doesn't tell its {name}"))
            };
            runs.begun += count("runs_started")?;
            runs.lost += count("runs_lost")?;
            runs.won += count("runs_won")?;
        }
        Ok(runs)
    }

    fn since(self, before: &Runs) -> Runs {
        Runs {
            begun: self.begun - before.begun,
            lost: self.lost - before.lost,
            won: self.won - before.won,
        }
    }
}
