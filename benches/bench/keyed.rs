//! `keys`: what keys cost. A bank with them and one without run side by side, and what is compared takes turns, in
//! slices: a machine that is shared is not the same from one second to the next.

use std::time::Instant;

use super::bank::{Bank, Setting};
use super::check::{Told, check};
use super::load::Manner;
use super::local::{SLICES, Slices, circle, load, mean, p50};
use super::report::{Bound, Report, Unit};
use super::starve::idle::Process;
use super::stream::Stream;
use super::{Context, Fallible, Span};

/// How many handshakes are counted.
const HANDSHAKES: usize = 1_000;
/// How many idle connections.
const IDLE: usize = 200;
/// Transfers a line, connections to each server, and lines under way on each.
const BATCHED: (usize, usize, usize) = (1_000, 2, 4);

/// A bank, and what clients were told by it.
struct Side {
    name: &'static str,
    bank: Bank,
    told: Told,
}

impl Side {
    fn start(context: &Context, keys: bool) -> Fallible<Side> {
        let name = if keys { "keys" } else { "plain" };
        let setting = Setting { keys, ..context.setting.clone() };
        Ok(Side { name, bank: Bank::start(&setting, &[])?, told: Told::default() })
    }
}

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    if context.setting.running.is_some() {
        return Err("keys starts banks of its own: not with --cluster".into());
    }
    for run in 1..=context.runs {
        context.step(&format!("keys: run {run}"));
        let mut sides = [Side::start(context, false)?, Side::start(context, true)?];
        batched(context, report, &mut sides)?;
        for clients in [64, 1] {
            single(context, report, &mut sides, clients)?;
        }
        handshakes(context, report, &sides[1].bank)?;
        for Side { name, bank, told } in &sides {
            idle(context, report, name, bank)?;
            bank.wait_until_quiet(false)?;
            report.checked(&check(bank, told)?);
        }
    }
    report.ask("keys, 1,000 a line / plain", "1,000 a line: keys / plain", Bound::AtLeast(0.85));
    report.ask("keys, 64 clients / plain", "64 clients: keys / plain", Bound::AtLeast(0.9));
    report.ask("keys, 1 client p50 / plain", "1 client p50: keys / plain", Bound::AtMost(1.1));
    report.ask("a handshake, of the server's core", "a handshake: server", Bound::AtMost(1e6));
    Ok(())
}

fn batched(context: &Context, report: &mut Report, sides: &mut [Side; 2]) -> Fallible<()> {
    let (items, connections, window) = BATCHED;
    let Span { seconds, warm, most } = context.span(4.5);
    let slices = SLICES as f64;
    let span = Span { seconds: seconds / slices, warm: warm / slices, most: most / SLICES as u64 };
    let manner = Manner::Pipelined { connections, window };
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..SLICES {
        for (Side { bank, told, .. }, rates) in sides.iter_mut().zip(&mut rates) {
            let ran = load(bank, &circle(bank, context.line(items)), manner, span, told)?;
            rates.push(ran.rate());
            bank.settle()?;
        }
    }
    let rates = rates.map(|rates| mean(&rates));
    for (side, rate) in sides.iter().zip(rates) {
        report.add(&format!("1,000 a line: {}", side.name), Unit::PerSecond, rate);
    }
    report.add("1,000 a line: keys / plain", Unit::Ratio, rates[1] / rates[0]);
    Ok(())
}

fn single(
    context: &Context,
    report: &mut Report,
    sides: &mut [Side; 2],
    clients: usize,
) -> Fallible<()> {
    let mut slices = [Slices::default(), Slices::default()];
    for _ in 0..SLICES {
        for (Side { bank, told, .. }, slices) in sides.iter_mut().zip(&mut slices) {
            slices.add(context.span(3.0), bank, clients, told)?;
        }
    }
    let what = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
    for (side, slices) in sides.iter().zip(&slices) {
        slices.report(report, &format!("{what}: {}", side.name));
    }
    let [plain, keys] = &slices;
    report.add(
        &format!("{what}: keys / plain"),
        Unit::Ratio,
        mean(&keys.rates) / mean(&plain.rates),
    );
    report.add(&format!("{what} p50: keys / plain"), Unit::Ratio, p50(keys) / p50(plain));
    Ok(())
}

/// What A's process, and this one, take of a core for a connection with its handshake.
fn handshakes(context: &Context, report: &mut Report, bank: &Bank) -> Fallible<()> {
    let many = context.size(HANDSHAKES, 20);
    let (start, before) = (Instant::now(), Process::look(bank)?);
    for _ in 0..many {
        drop(Stream::open(&bank.addresses["A"], bank.key())?);
    }
    let took = start.elapsed().as_nanos() as f64;
    let core = Process::look(bank)?.core - before.core;
    report.add("a handshake: server", Unit::Nanos, core / many as f64);
    report.add("a handshake: until it is over", Unit::Nanos, took / many as f64);
    Ok(())
}

fn idle(context: &Context, report: &mut Report, name: &str, bank: &Bank) -> Fallible<()> {
    let many = context.size(IDLE, 20);
    let before = Process::look(bank)?;
    let open = |_| {
        let mut wire = super::load::Wire::open_with(&bank.addresses["A"], bank.key())?;
        wire.send(b"{\"balance\":{}}\n")?;
        wire.line()?;
        Ok(wire)
    };
    let _open: Vec<_> = (0..many).map(open).collect::<Fallible<_>>()?;
    let each = (Process::look(bank)?.memory - before.memory) / many as f64;
    report.add(&format!("an idle connection: {name}"), Unit::Bytes, each);
    Ok(())
}
