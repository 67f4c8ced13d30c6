//! `fault`: throughput second by second while a server is killed and comes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bank::{Bank, IDS};
use super::check::{Told, check};
use super::lines::Line;
use super::load::{Broken, Pace, Wire, paced, wait_until};
use super::local::{circle, load};
use super::report::{Bound, Report, Unit};
use super::settled::FULL;
use super::tally::{Ran, Tally, seconds};
use super::{Context, Fallible};

/// Which one is killed.
const KILLED: &str = IDS[2];
/// How servers settle meanwhile.
const FLAGS: [&str; 4] = ["--settle-every", "1s", "--settle-at", "20000"];
/// Transfers a line.
const ITEMS: usize = 100;
/// Of what all can take, so much is asked of them: what one of them lacks is seen then, while at
/// full load the others would get what the killed one leaves them of the processors.
const SHARE: f64 = 0.5;

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    for run in 1..=context.runs {
        context.step(&format!("fault: what they can take, run {run}"));
        let mut bank = Bank::start(&context.setting, &FLAGS)?;
        let mut told = Told::default();
        let full =
            load(&bank, &circle(&bank, context.line(1_000)), FULL, context.span(2.0), &mut told)?;
        bank.wait_until_quiet(true)?;
        context.step(&format!("fault: kill and return, run {run}"));
        // A phase before, one without the killed server, one after.
        let phase = if context.small { 1.0 } else { context.seconds.unwrap_or(5.0).max(2.0) };
        let rate = if context.small { 3_000.0 } else { full.rate() * SHARE };
        let (ran, started) = kill_and_return(&mut bank, rate, phase)?;
        told.add(&ran);
        bank.wait_until_open()?;
        bank.settle()?;
        report.checked(&check(&bank, &told)?);
        add_figures(report, &ran, phase, started);
        report.add("asked of all three", Unit::PerSecond, rate);
    }
    report.ask(
        "fault, the others' slowest second",
        "the others' slowest second / before",
        Bound::AtLeast(0.8),
    );
    report.ask("fault, the killed one serves after", "start to first reply", Bound::AtMost(2e9));
    Ok(())
}

/// The loads, and when the killed server was started again (nanoseconds).
fn kill_and_return(bank: &mut Bank, rate: f64, phase: f64) -> Fallible<(Ran, u64)> {
    let lines = circle(bank, ITEMS);
    let addresses = bank.addresses.clone();
    let start = Instant::now();
    let after = |phases: f64| start + Duration::from_secs_f64(phase * phases);
    let pace = Pace { rate: rate / 3.0, start, end: after(3.0) };
    thread::scope(|scope| {
        let client = |id: &'static str| {
            let (address, lines, pace) = (&addresses[id], &lines[id], &pace);
            (id, scope.spawn(move || insist(address, lines, pace)))
        };
        let clients = IDS.map(client);
        wait_until(after(1.0));
        bank.kill(KILLED)?;
        wait_until(after(2.0));
        let started = start.elapsed().as_nanos() as u64;
        bank.start_server(KILLED)?;
        let ended = clients.into_iter().map(|(id, client)| {
            let tally = client.join().map_err(|_| "a client has panicked".to_owned())??;
            let failed = tally.others.iter().next().filter(|_| id != KILLED);
            match failed {
                Some((reason, _)) => Err(format!("{id}: {reason}")),
                None => Ok((id.to_owned(), tally)),
            }
        });
        let tallies = ended.collect::<Fallible<BTreeMap<String, Tally>>>()?;
        Ok((Ran::new(tallies, 0.0, 3.0 * phase), started))
    })
}

/// Sends at its pace for as long as it can; connects again when it is disconnected, and goes on with
/// what is due then.
fn insist(address: &str, lines: &[Line], pace: &Pace) -> Fallible<Tally> {
    let mut all = Tally::new();
    let sent = AtomicU64::new(0);
    while Instant::now() < pace.end {
        if Wire::open(address).is_err() {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        let due = pace.start.elapsed().as_secs_f64() * pace.rate / lines[0].items as f64;
        sent.fetch_max(due as u64, Ordering::Relaxed);
        if let Ok(tally) = paced(address, lines, pace, &sent, Broken::Ends) {
            all.add(tally);
        }
    }
    Ok(all)
}

fn add_figures(report: &mut Report, ran: &Ran, phase: f64, started: u64) {
    let others: Vec<&str> = IDS.into_iter().filter(|id| *id != KILLED).collect();
    let slice = phase.min(1.0);
    let timeline = ran.timeline(slice, &others);
    let kill = (phase / slice) as usize;
    // The first second is the one in which all begins, and the last may be cut short.
    let before = &timeline[kill.saturating_sub(1).min(1)..kill];
    let usual = before.iter().sum::<f64>() / before.len().max(1) as f64;
    let after = &timeline[kill..timeline.len() - 1];
    let least = after.iter().copied().fold(f64::INFINITY, f64::min);
    report.add("the others before", Unit::PerSecond, usual);
    report.add("the others' slowest second / before", Unit::Ratio, least / usual.max(1.0));
    let acks = &ran.tallies[KILLED].acks;
    let first = acks.iter().map(|ack| ack.at).filter(|at| *at > started).min();
    let took = first.map_or(seconds(ran.until) * 1e9, |first| (first - started) as f64);
    report.add("start to first reply", Unit::Nanos, took);
    for id in IDS {
        report.set_timeline(&format!("server {id}"), slice, ran.timeline(slice, &[id]));
        report.add_latency(&format!("server {id}"), &ran.tallies[id].latency);
    }
}
