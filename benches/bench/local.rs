//! `local`: transfers that their home covers, at all three servers at once.

use std::collections::BTreeMap;
use std::time::Instant;

use super::bank::Bank;
use super::bare::{self, Turns};
use super::check::{Told, check};
use super::limit::small_writes;
use super::lines::Line;
use super::load::{Load, Manner};
use super::place::Folder;
use super::report::{Bound, Report, Unit};
use super::tally::Ran;
use super::{Context, Fallible, Span};

/// A local log holds no more than two million entries; a load ends before.
const MOST: u64 = 1_900_000;

/// Transfers a line, connections to each server, and lines under way on each.
const BATCHED: [(&str, usize, usize, usize); 2] =
    [("1,000 a line", 1_000, 2, 8), ("10 a line", 10, 2, 64)];

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    for run in 1..=context.runs {
        for batched in BATCHED {
            run_batched(context, report, batched, run)?;
        }
        run_single(context, report, run)?;
    }
    report.ask("local, 1,000 a line", "1,000 a line", Bound::AtLeast(1e6));
    report.ask("local, 1,000 a line / bare", "1,000 a line / bare loops", Bound::AtLeast(0.3));
    report.ask("local, 10 a line", "10 a line", Bound::AtLeast(4e5));
    report.ask("local, 64 clients / 64 x RPUSH", "64 clients / RPUSH", Bound::AtLeast(0.7));
    report.ask("local, 1 client p50 / round trip", "1 client p50 / round trip", Bound::AtMost(1.8));
    report.ask("local, 1 client p50 / relay", "1 client p50 / relay", Bound::AtMost(1.2));
    Ok(())
}

/// For each server, lines of so many transfers of one unit, from its own account to the next one's.
pub fn circle(bank: &Bank, items: usize) -> BTreeMap<String, Vec<Line>> {
    let ids = bank.ids();
    let lines = |(place, id): (usize, &String)| {
        let to = &ids[(place + 1) % ids.len()];
        let line = match items {
            1 => Line::single(id, to, 1),
            _ => Line::batch(&vec![(id, to, 1); items]),
        };
        (id.clone(), vec![line])
    };
    ids.iter().enumerate().map(lines).collect()
}

/// Fails unless all was accepted.
pub fn all_accepted(ran: &Ran) -> Fallible<()> {
    let others = ran.others();
    let Some((reason, count)) = others.iter().next() else { return Ok(()) };
    Err(format!(
        "{count} transfers were not accepted: {reason} ({} reasons in all). A bank that is driven needs \
         accounts with enough money.",
        others.len()
    ))
}

/// A load of so many seconds, all of which has to be accepted.
pub fn load(
    bank: &Bank,
    lines: &BTreeMap<String, Vec<Line>>,
    manner: Manner,
    Span { seconds, warm, most }: Span,
    told: &mut Told,
) -> Fallible<Ran> {
    let start = Instant::now();
    let most = most.min(MOST);
    let load = Load { addresses: &bank.addresses, lines, manner, start, seconds, warm, most };
    let ran = load.run()?;
    told.add(&ran);
    all_accepted(&ran)?;
    Ok(ran)
}

fn run_batched(
    context: &Context,
    report: &mut Report,
    (name, items, connections, window): (&str, usize, usize, usize),
    run: usize,
) -> Fallible<()> {
    context.step(&format!("local: {name}, run {run}"));
    let mut bank = Bank::start(&context.setting, &[])?;
    let mut told = Told::default();
    let manner = Manner::Pipelined { connections, window };
    let ran =
        load(&bank, &circle(&bank, context.line(items)), manner, context.span(3.0), &mut told)?;
    bank.wait_until_quiet(false)?;
    report.checked(&check(&bank, &told)?);
    report.add(name, Unit::PerSecond, ran.rate());
    report.add_latency(name, &ran.latency());
    report.add_timeline(name, &ran);
    let Some(redis) = bank.redis.as_ref().map(|redis| redis.address()) else { return Ok(()) };
    context.step(&format!("local: bare loops, {name}, run {run}"));
    let turns = Turns::of(&bank)?;
    bank.stop_servers();
    let rate = bare::same_bytes(&redis, &turns, context.span(1.5).seconds)?;
    let entries = turns.iter().map(Turns::entries).sum::<f64>() / turns.len() as f64;
    report.add(&format!("{name}: entries a turn"), Unit::Count, entries);
    report.add(&format!("{name}: bare loops, same turns"), Unit::PerSecond, rate);
    report.add(&format!("{name} / bare loops"), Unit::Ratio, ran.rate() / rate);
    Ok(())
}

/// One transfer in flight each.
fn run_single(context: &Context, report: &mut Report, run: usize) -> Fallible<()> {
    let mut bank = Bank::start(&context.setting, &[])?;
    let mut told = Told::default();
    let mut rates = BTreeMap::new();
    let mut alone = 0.0;
    for clients in [1, 64, 256] {
        let name = if clients == 1 { "1 client".into() } else { format!("{clients} clients") };
        context.step(&format!("local: {name}, run {run}"));
        let manner = Manner::Single { clients };
        let ran = load(&bank, &circle(&bank, 1), manner, context.span(1.5), &mut told)?;
        report.add(&name, Unit::PerSecond, ran.rate());
        report.add_latency(&name, &ran.latency());
        rates.insert(clients, ran.rate());
        if clients == 1 {
            alone = ran.latency().value_at_quantile(0.5) as f64;
        }
    }
    bank.wait_until_quiet(false)?;
    report.checked(&check(&bank, &told)?);
    bank.stop_servers();
    let Some(redis) = &bank.redis else { return Ok(()) };
    let folder = Folder::new(&context.setting.folder)?;
    small_writes(context, report, &folder, redis, run)?;
    let last = |name: &str| report.last(name);
    let rpush = rates[&64] / last("64 clients, one RPUSH in flight each");
    let round_trip = alone / last("bare durable round trip: p50");
    let relay = alone / last("bare relay: p50");
    report.add("64 clients / RPUSH", Unit::Ratio, rpush);
    report.add("1 client p50 / round trip", Unit::Ratio, round_trip);
    report.add("1 client p50 / relay", Unit::Ratio, relay);
    Ok(())
}
