//! `growth`: what a long chain costs.

use std::time::Instant;

use serde_json::json;

use super::bank::{Bank, IDS};
use super::check::{Told, check};
use super::load::{Load, Manner};
use super::local::{all_accepted, circle};
use super::process::wait_for;
use super::report::{Bound, Report, Unit};
use super::settled::{FLAGS, FULL, watched_load};
use super::tally::{Ack, Tally};
use super::{Context, Fallible};

/// How many transfers are in the chain when it is measured. What is on one line is one bank, for a
/// measurement makes the chain longer.
const STAGES: [&[u64]; 3] = [&[0], &[100_000], &[1_000_000, 5_000_000]];
/// The same, to see that it works.
const SMALL: [&[u64]; 2] = [&[0], &[3_000, 9_000]];
/// How the chain is filled: five thousand transfers a line.
const FILL: Manner = Manner::Pipelined { connections: 1, window: 4 };
const FILL_ITEMS: usize = 5_000;

/// What memory was when the chain had so many transfers.
struct Memory {
    transfers: u64,
    server: u64,
}

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    let stages: &[&[u64]] = if context.small { &SMALL } else { &STAGES };
    let mut first = 0.0;
    for banks in stages {
        let mut bank = Bank::start(&context.setting, &FLAGS)?;
        let mut told = Told::default();
        let mut seen: Vec<Memory> = Vec::new();
        for transfers in *banks {
            context.step(&format!("growth: filling up to {transfers}"));
            fill(context, &bank, *transfers, &mut told)?;
            let rate = measure(context, report, &mut bank, *transfers, &mut told, &mut seen)?;
            if *transfers == 0 {
                first = rate;
            }
            report.add(
                &format!("at {transfers}: throughput / that at 0"),
                Unit::Ratio,
                rate / first.max(1.0),
            );
        }
        bank.wait_until_quiet(true)?;
        report.checked(&check(&bank, &told)?);
        if let [before, after] = &seen[..] {
            let more = after.server as f64 - before.server as f64;
            let each = more / (after.transfers - before.transfers) as f64;
            report.add("server memory per further transfer", Unit::Bytes, each);
        }
    }
    report.ask(
        "growth, throughput at 5M / at 0",
        "at 5000000: throughput / that at 0",
        Bound::AtLeast(0.9),
    );
    let memory = "server memory per further transfer";
    report.ask("growth, memory per further transfer", memory, Bound::AtMost(40.0));
    report.ask("growth, zombie start at 5M", "at 5000000: zombie start", Bound::AtMost(2e9));
    Ok(())
}

fn in_all(told: &Told) -> u64 {
    IDS.iter().map(|id| told.count(id)).sum()
}

fn fill(context: &Context, bank: &Bank, transfers: u64, told: &mut Told) -> Fallible<()> {
    let missing = transfers.saturating_sub(in_all(told)) / 3;
    if missing == 0 {
        return Ok(());
    }
    let lines = circle(bank, context.size(FILL_ITEMS, 100));
    let (start, seconds) = (Instant::now(), 600.0);
    let load = Load {
        addresses: &bank.addresses,
        key: bank.key(),
        lines: &lines,
        manner: FILL,
        start,
        seconds,
        warm: 0.0,
        most: missing,
    };
    let ran = load.run()?;
    told.add(&ran);
    all_accepted(&ran)?;
    bank.wait_until_quiet(true)
}

fn measure(
    context: &Context,
    report: &mut Report,
    bank: &mut Bank,
    transfers: u64,
    told: &mut Told,
    seen: &mut Vec<Memory>,
) -> Fallible<f64> {
    let name = |what: &str| format!("at {transfers}: {what}");
    let mut rates = Vec::new();
    for _ in 0..context.size(3, 1) {
        context.step(&format!("growth: at {transfers}"));
        let (ran, watched) =
            watched_load(bank, context.line(1_000), FULL, context.span(1.0), told)?;
        let rate = watched.whole_rate(&ran);
        report.add(&name("committed"), Unit::PerSecond, rate);
        rates.push(rate);
    }
    rates.sort_by(f64::total_cmp);
    let server = bank.process(IDS[0]).ok_or("A doesn't run")?.memory()?;
    seen.push(Memory { transfers: in_all(told), server });
    report.add(&name("memory of a server"), Unit::Bytes, server as f64);
    if let Some(redis) = &bank.redis {
        report.add(&name("memory of Redis"), Unit::Bytes, redis.memory()? as f64);
    }
    report.add(&name("transfers in the chain then"), Unit::Count, in_all(told) as f64);
    let start = zombie_start(bank, IDS[2], told)?;
    report.add(&name("zombie start"), Unit::Nanos, start);
    bank.wait_until_open()?;
    bank.wait_until_quiet(true)?;
    Ok(rates[rates.len() / 2])
}

/// Kills a server, and starts it: nanoseconds until it has accepted a transfer.
fn zombie_start(bank: &mut Bank, id: &str, told: &mut Told) -> Fallible<f64> {
    bank.kill(id)?;
    let start = Instant::now();
    bank.start_server(id)?;
    let seq = wait_for(&format!("{id} serves again"), || {
        let reply = bank.ask(id, &json!({"transfer": {"to": IDS[0], "amount": 1}})).ok()?;
        reply["seq"].as_u64()
    })?;
    let took = start.elapsed().as_nanos() as f64;
    let mut tally = Tally::new();
    tally.acks.push(Ack { at: 0, first: seq, count: 1 });
    told.add_one(id, &tally);
    Ok(took)
}
