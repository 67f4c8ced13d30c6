//! `archive`: what moving old blocks to segments costs while servers settle, and how fast a server catches up
//! that was away for longer than its peers' Redis remembers.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::accounts::Town;
use super::bank::{Bank, IDS, Setting};
use super::chains::{base_of, entries_around};
use super::check::{Told, check};
use super::growth::{FILL, FILL_ITEMS};
use super::lines::Line;
use super::load::{Load, Manner};
use super::local::{all_accepted, circle_of};
use super::place::bytes_in;
use super::process::wait_as_long;
use super::report::{Bound, Report, Unit};
use super::settled::{FLAGS, FULL};
use super::tally::{Ran, new_histogram};
use super::{Context, Fallible};

/// Flags with which most of what is missed is in segments only.
const SHORT: [&str; 4] = ["--keep", "8MiB", "--segment", "4MiB"];
/// The same where little is paid, to see that all works.
const TINY: [&str; 4] = ["--keep", "16KiB", "--segment", "16KiB"];
/// What is paid before the measurements, more than Redis keeps.
const FILLED: usize = 6_000_000;
/// What C misses.
const MISSED: usize = 10_000_000;
/// How often it misses that, at most.
const MOST_RUNS: usize = 3;
/// What A and B are paid each second while their clients' waiting is measured, and how many at once.
const PACE: f64 = 2_000.0;
const PACED_ITEMS: usize = 10;
/// How long C may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The servers' flags: those that know of archives get these, too.
fn flags(setting: &Setting, flags: &'static [&'static str]) -> Vec<&'static str> {
    let own = if setting.archive { flags } else { &[] };
    [&FLAGS[..], own].concat()
}

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    settled(context, report)?;
    long_names(context, report)?;
    for run in 1..=context.runs.min(MOST_RUNS) {
        for (build, setting) in context.builds() {
            context.step(&format!("archive: {build}catching up, run {run}"));
            catch_up(context, report, build, &setting)?;
        }
    }
    let ratio = "settled / the other build";
    report.ask("archive, settled / other", ratio, Bound::AtLeast(0.95));
    let disk = "archive, a transfer of nine-character names";
    report.ask("archive, disk a transfer, long names", disk, Bound::AtMost(40.0));
    report.ask("archive, catching up", "catching up", Bound::AtLeast(1e6));
    let p99 = "catching up: the peers' p99 / undisturbed";
    report.ask("archive, peers' p99 meanwhile", p99, Bound::AtMost(2.0));
    Ok(())
}

/// Ten thousand accounts in use, as `accounts` has them, and servers that archive from before the first
/// measurement on; beside the other build, in turns.
fn settled(context: &Context, report: &mut Report) -> Fallible<()> {
    let mut towns = Vec::new();
    for (build, setting) in context.builds() {
        context.step(&format!("archive: {build}filling"));
        let flags = flags(&setting, if context.small { &TINY } else { &[] });
        let accounts = context.size(10_000, 30);
        let mut town = Town::found(context, &setting, &flags, "10,000", accounts)?;
        town.pay_uniform(context, context.size(FILLED, 3_000) as u64)?;
        towns.push((build, town));
    }
    for run in 1..=context.runs {
        for (build, town) in &mut towns {
            context.step(&format!("archive: {build}settled, run {run}"));
            let rate = town.settled_uniform(context)?;
            report.add(&format!("{build}settled"), Unit::PerSecond, rate);
        }
        if towns.len() == 2 {
            let ratio = report.last("settled") / report.last("the other build: settled");
            report.add("settled / the other build", Unit::Ratio, ratio);
        }
    }
    for (build, town) in &towns {
        let memory = town.bank.process("A").ok_or("A doesn't run")?.memory()?;
        report.add(&format!("{build}memory of a server"), Unit::Bytes, memory as f64);
        report.checked(&check(&town.bank, &town.told)?);
    }
    Ok(())
}

/// What an archive takes where accounts' names have nine characters, beside what it holds.
fn long_names(context: &Context, report: &mut Report) -> Fallible<()> {
    context.step("archive: names of nine characters");
    let setting = Setting { archive: true, redis_each: true, ..context.setting.clone() };
    let bank = Bank::start(&setting, &flags(&setting, if context.small { &TINY } else { &SHORT }))?;
    let mut told = Told::default();
    let name = |id: &str| format!("{id}/1234567");
    let founding = |id: &str| {
        let gift = [(id.to_owned(), name(id), 10_000_000_000)];
        (id.to_owned(), vec![Line::openings(&[name(id)]), Line::batch(&gift)])
    };
    let one = Manner::Once { window: 1 };
    pay(&bank, &IDS.map(founding).into(), one, u64::MAX, &mut told)?;
    let lines = circle_of(&bank.ids(), context.line(1_000), name);
    pay(&bank, &lines, FULL, context.size(FILLED, 6_000) as u64 / 3, &mut told)?;
    let (base, archive) = (base_of(&bank, "A")?, bytes_in(&bank.archive_path("A")));
    let (archived, _) = entries_around(&bank, "A", base)?;
    let each = archive as f64 / archived.max(1) as f64;
    report.add("archive, a transfer of nine-character names", Unit::Bytes, each);
    report.checked(&check(&bank, &told)?);
    Ok(())
}

/// Sends lines to servers that are up, and waits until they have settled.
fn pay(
    bank: &Bank,
    lines: &BTreeMap<String, Vec<Line>>,
    manner: Manner,
    most: u64,
    told: &mut Told,
) -> Fallible<()> {
    run_load(bank, lines, manner, (600.0, most), told)?;
    wait_as_long(PATIENCE, "all is settled", || {
        let is_empty = |id: &String| bank.status(id).is_ok_and(|it| it["log_length"] == json!(0));
        lines.keys().all(is_empty).then_some(())
    })
}

fn run_load(
    bank: &Bank,
    lines: &BTreeMap<String, Vec<Line>>,
    manner: Manner,
    (seconds, most): (f64, u64),
    told: &mut Told,
) -> Fallible<Ran> {
    let (start, warm) = (Instant::now(), 0.0);
    let (addresses, key) = (&bank.addresses, bank.key());
    let load = Load { addresses, key, lines, manner, start, seconds, warm, most };
    let ran = load.run()?;
    told.add(&ran);
    all_accepted(&ran)?;
    Ok(ran)
}

/// C is away while A and B pay, and comes back.
fn catch_up(
    context: &Context,
    report: &mut Report,
    build: &str,
    setting: &Setting,
) -> Fallible<()> {
    let name = |what: &str| format!("{build}catching up{what}");
    let flags = flags(setting, if context.small { &TINY } else { &SHORT });
    let mut bank = Bank::start(setting, &flags)?;
    let mut told = Told::default();
    bank.kill("C")?;
    let peers = ["A", "B"].map(str::to_owned);
    let lines = |items| circle_of(&peers, items, str::to_owned);
    let missed = context.size(MISSED, 6_000) as u64;
    pay(&bank, &lines(context.line(FILL_ITEMS)), FILL, missed / 2, &mut told)?;
    let missed: u64 = peers.iter().map(|id| told.count(id)).sum();
    let height = bank.status("A")?["height"].as_u64();
    let (base, paced) = (base_of(&bank, "A")?, lines(PACED_ITEMS));
    let (in_segments, _) = entries_around(&bank, "A", base)?;
    report.add(&name(": C has missed"), Unit::Count, missed as f64);
    report.add(&name(": of that in segments only"), Unit::Count, in_segments as f64);
    let manner = Manner::Paced { rate: PACE };
    let span = (context.span(4.0).seconds, u64::MAX);
    let usual = run_load(&bank, &paced, manner, span, &mut told)?.latency();
    let (start, mut meanwhile) = (Instant::now(), new_histogram());
    bank.start_server("C")?;
    let took = thread::scope(|scope| {
        let caught_up = scope.spawn(|| {
            let up = |status: Value| status["height"].as_u64() >= height;
            wait_as_long(PATIENCE, "C has caught up", || {
                bank.status("C").is_ok_and(up).then(|| start.elapsed())
            })
        });
        while !caught_up.is_finished() {
            let ran = run_load(&bank, &paced, manner, (0.25, u64::MAX), &mut told)?;
            meanwhile.add(ran.latency()).map_err(|error| error.to_string())?;
        }
        caught_up.join().map_err(|_| "who watches has panicked".to_owned())?
    })?;
    report.add(&name(""), Unit::PerSecond, missed as f64 / took.as_secs_f64());
    let p99 = |times: &Histogram<u64>| times.value_at_quantile(0.99) as f64;
    report.add(&name(": the peers' p99, undisturbed"), Unit::Nanos, p99(&usual));
    report.add(&name(": the peers' p99"), Unit::Nanos, p99(&meanwhile));
    let ratio = p99(&meanwhile) / p99(&usual);
    report.add(&name(": the peers' p99 / undisturbed"), Unit::Ratio, ratio);
    bank.wait_until_open()?;
    bank.wait_until_quiet(true)?;
    report.checked(&check(&bank, &told)?);
    Ok(())
}
