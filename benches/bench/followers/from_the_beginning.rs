//! One follower, from the beginning of ten million entries to their end: most are in segments, the last ones in Redis.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::bench::bank::{Bank, IDS, Setting};
use crate::bench::check::{Told, check};
use crate::bench::growth::{FILL, FILL_ITEMS};
use crate::bench::load::Wire;
use crate::bench::local::{MOST, circle, load};
use crate::bench::report::{Bound, Report, Unit};
use crate::bench::settled::FLAGS;
use crate::bench::{Context, Fallible, Span};

/// How many entries there are, at least.
const ENTRIES: usize = 10_000_000;
/// How often they are read, at most.
const MOST_RUNS: usize = 3;
/// Flags for small sizes.
const TINY: [&str; 4] = ["--keep", "16KiB", "--segment", "16KiB"];

const READ_HERE: &str = "follow from 0, read by the benchmark";
const CLIENT: &str = "follow from 0, the shipped client";

pub fn ask(report: &mut Report) {
    report.ask("follow from 0", READ_HERE, Bound::AtLeast(5e5));
    report.ask("follow from 0, the client", CLIENT, Bound::AtLeast(5e5));
}

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    context.step("followers: filling");
    let setting = Setting { redis_each: true, archive: true, ..context.setting.clone() };
    let tiny = if context.small { &TINY[..] } else { &[] };
    let bank = Bank::start(&setting, &[&FLAGS[..], tiny].concat())?;
    let mut told = Told::default();
    let wanted = context.size(ENTRIES, 6_000) as u64;
    let count = |told: &Told| IDS.iter().map(|id| told.count(id)).sum::<u64>();
    let lines = circle(&bank, context.size(FILL_ITEMS, 100));
    while count(&told) < wanted {
        let most = ((wanted - count(&told)) / IDS.len() as u64 + 1).min(MOST);
        load(&bank, &lines, FILL, Span { seconds: 600.0, warm: 0.0, most }, &mut told)?;
        bank.wait_until_quiet(true)?;
    }
    let height = bank.status("A")?["height"].as_u64().ok_or("A has no height")?;
    let entries = count(&told);
    report.add("follow from 0: entries", Unit::Count, entries as f64);
    for run in 1..=context.runs.min(MOST_RUNS) {
        context.step(&format!("followers: from 0, run {run}"));
        for (name, took) in [
            (READ_HERE, read_here(&bank, height, entries)?),
            (CLIENT, by_client(context, &bank, height, entries)?),
        ] {
            report.add(name, Unit::PerSecond, entries as f64 / took);
        }
    }
    context.step("followers: checking");
    report.checked(&check(&bank, &told)?);
    Ok(())
}

/// Reads all entries, and sees that each comes at the place after the last one. Returns the seconds that it took.
fn read_here(bank: &Bank, height: u64, entries: u64) -> Fallible<f64> {
    let start = Instant::now();
    let mut wire = Wire::open_with(&bank.addresses["A"], bank.key())?;
    wire.send(b"{\"id\":1,\"follow\":{\"from\":{\"height\":0}}}\n")?;
    let first: Value = serde_json::from_slice(wire.line()?).map_err(|error| error.to_string())?;
    if first["bank"].is_null() {
        return Err(format!("a follower is told: {first}"));
    }
    let (mut last, mut count) = ((0, 0), 0);
    loop {
        wire.fill()?;
        while let Some(line) = wire.next_line() {
            match place_of(line) {
                Some(place) => {
                    let is_next = match (place.0 == last.0, count) {
                        (_, 0) | (false, _) => place.0 >= last.0 && place.1 == 0,
                        (true, _) => place.1 == last.1 + 1,
                    };
                    if !is_next {
                        return Err(format!("after {last:?} comes {place:?}"));
                    }
                    (last, count) = (place, count + 1);
                }
                None => {
                    let mark: Value =
                        serde_json::from_slice(line).map_err(|error| error.to_string())?;
                    let next = mark["next"]["height"].as_u64();
                    let next = next.ok_or_else(|| format!("a follower is told: {mark}"))?;
                    if next > height {
                        return all_came(count, entries).map(|()| start.elapsed().as_secs_f64());
                    }
                }
            }
        }
    }
}

/// The place of a line's entry.
fn place_of(line: &[u8]) -> Option<(u64, u64)> {
    let number = |text: &[u8]| {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
        let (length, value) = digits.fold((0, 0), |(length, value), digit| {
            (length + 1, value * 10 + u64::from(digit - b'0'))
        });
        (length > 0).then_some((length, value))
    };
    let rest = line.strip_prefix(b"{\"id\":1,\"height\":")?;
    let (length, height) = number(rest)?;
    let rest = rest[length..].strip_prefix(b",\"number\":")?;
    Some((height, number(rest)?.1))
}

fn all_came(count: u64, entries: u64) -> Fallible<()> {
    match count == entries {
        true => Ok(()),
        false => Err(format!("{count} entries came to a follower, of {entries}")),
    }
}

/// The same with the shipped client, whose lines are counted.
fn by_client(context: &Context, bank: &Bank, height: u64, entries: u64) -> Fallible<f64> {
    let in_words = |error: std::io::Error| format!("the client: {error}");
    let start = Instant::now();
    let mut client = Command::new(&context.setting.program);
    client.args(["client", "--id", "A", "--connect", &bank.addresses["A"], "--json"]);
    client.args(["-c", &format!("follow --from 0 --to {height}")]);
    let client = client.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut client = client.spawn().map_err(in_words)?;
    let mut output = client.stdout.take().ok_or("the client has no output")?;
    let (mut buffer, mut count) = (vec![0; 256 << 10], 0);
    loop {
        match output.read(&mut buffer).map_err(in_words)? {
            0 => break,
            read => count += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
    let took = start.elapsed().as_secs_f64();
    let status = client.wait().map_err(in_words)?;
    if !status.success() {
        return Err(format!("the client ends with {status}"));
    }
    all_came(count, entries).map(|()| took)
}
