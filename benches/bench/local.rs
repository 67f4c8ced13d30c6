//! `local`: transfers that their home covers, at all three servers at once.

use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::bank::Bank;
use super::bare::{self, Relay, Turns};
use super::check::{Told, check};
use super::lines::Line;
use super::load::{Load, Manner};
use super::place::Folder;
use super::report::{Bound, Report, Unit};
use super::tally::{Ran, new_histogram};
use super::{Context, Fallible, Span};

/// A local log holds no more than two million entries; a load ends before.
pub const MOST: u64 = 1_900_000;

/// In so many pieces is measured what is compared.
pub const SLICES: usize = 3;

/// Transfers a line, connections to each server, and lines under way on each.
const BATCHED: [(&str, usize, usize, usize); 2] =
    [("1,000 a line", 1_000, 2, 4), ("10 a line", 10, 2, 64)];

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
    circle_of(&bank.ids(), items, |id| id.to_owned())
}

/// The same from another account at each of these servers to that at the next.
pub fn circle_of(
    ids: &[String],
    items: usize,
    account: impl Fn(&str) -> String,
) -> BTreeMap<String, Vec<Line>> {
    let lines = |(place, id): (usize, &String)| {
        let (from, to) = (account(id), account(&ids[(place + 1) % ids.len()]));
        let line = match items {
            1 => Line::single(&from, &to, 1),
            _ => Line::batch(&vec![(from, to, 1); items]),
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
    let load = Load {
        addresses: &bank.addresses,
        key: bank.key(),
        lines,
        manner,
        start,
        seconds,
        warm,
        most,
    };
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
    let Some(redis) = bank.shared_redis().map(|redis| redis.address()) else { return Ok(()) };
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

/// One transfer in flight each. What is compared takes turns, in slices: a machine that is shared is not
/// the same from one second to the next.
fn run_single(context: &Context, report: &mut Report, run: usize) -> Fallible<()> {
    let bank = Bank::start(&context.setting, &[])?;
    let mut told = Told::default();
    let folder = Folder::new(&context.setting.folder)?;
    let redis = bank.shared_redis().map(|redis| redis.address());
    let bare = redis.map(|redis| Ok::<_, String>((Relay::start(&folder, &redis)?, redis)));
    let bare = bare.transpose()?;
    context.step(&format!("local: 1 client, run {run}"));
    let mut alone = Slices::default();
    let (mut round_trip, mut relayed) = (new_histogram(), new_histogram());
    for _ in 0..SLICES {
        let seconds = alone.add(context.span(1.5), &bank, 1, &mut told)?;
        let Some((relay, redis)) = &bare else { continue };
        merge(&mut round_trip, &bare::round_trip(redis, seconds)?)?;
        merge(&mut relayed, &relay.latency(seconds)?)?;
    }
    alone.report(report, "1 client");
    context.step(&format!("local: 64 and 256 clients, run {run}"));
    let (mut many, mut more, mut pushes) = (Slices::default(), Slices::default(), Vec::new());
    for _ in 0..SLICES {
        let seconds = many.add(context.span(1.5), &bank, 64, &mut told)?;
        more.add(context.span(1.5), &bank, 256, &mut told)?;
        let Some((_, redis)) = &bare else { continue };
        pushes.push(bare::many_clients(redis, 64, seconds)?);
    }
    many.report(report, "64 clients");
    more.report(report, "256 clients");
    bank.wait_until_quiet(false)?;
    report.checked(&check(&bank, &told)?);
    if bare.is_none() {
        return Ok(());
    }
    let p50 = |latency: &Histogram<u64>| latency.value_at_quantile(0.5) as f64;
    let pushed = mean(&pushes);
    report.add_latency("bare durable round trip", &round_trip);
    report.add_latency("bare relay", &relayed);
    report.add("64 clients, one RPUSH in flight each", Unit::PerSecond, pushed);
    report.add("64 clients / RPUSH", Unit::Ratio, mean(&many.rates) / pushed);
    let alone = p50(&alone.latency);
    report.add("1 client p50 / round trip", Unit::Ratio, alone / p50(&round_trip));
    report.add("1 client p50 / relay", Unit::Ratio, alone / p50(&relayed));
    Ok(())
}

/// The median of a measurement in pieces.
pub fn p50(slices: &Slices) -> f64 {
    slices.latency.value_at_quantile(0.5) as f64
}

/// A measurement in pieces, of clients that have one transfer in flight each.
pub struct Slices {
    pub rates: Vec<f64>,
    latency: Histogram<u64>,
}

impl Default for Slices {
    fn default() -> Slices {
        Slices { rates: Vec::new(), latency: new_histogram() }
    }
}

impl Slices {
    /// Measures one more; returns how long a slice of the whole is.
    pub fn add(
        &mut self,
        whole: Span,
        bank: &Bank,
        clients: usize,
        told: &mut Told,
    ) -> Fallible<f64> {
        let (seconds, warm) = (whole.seconds / SLICES as f64, whole.warm / SLICES as f64);
        let span = Span { seconds, warm, most: whole.most };
        let ran = load(bank, &circle(bank, 1), Manner::Single { clients }, span, told)?;
        self.rates.push(ran.rate());
        merge(&mut self.latency, &ran.latency())?;
        Ok(seconds)
    }

    /// Adds the figures of all pieces.
    pub fn report(&self, report: &mut Report, name: &str) {
        report.add(name, Unit::PerSecond, mean(&self.rates));
        report.add_latency(name, &self.latency);
    }
}

fn merge(all: &mut Histogram<u64>, one: &Histogram<u64>) -> Fallible<()> {
    all.add(one).map_err(|error| error.to_string())
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
