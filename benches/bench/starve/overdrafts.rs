//! A client that asks for what it hasn't got, over and over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use super::Ground;
use super::figures::Figures;
use super::refusals::{ask_in_vain, open_empty};
use crate::bench::Fallible;
use crate::bench::bank::{Bank, IDS};
use crate::bench::lines::Line;
use crate::bench::load::{Load, Manner};
use crate::bench::report::{Bound, Unit};
use crate::bench::talk::Talk;

/// What is compared takes turns: a machine that is shared is not the same from one second to the next.
const SLICES: usize = 4;
/// At the two servers that the client doesn't ask.
const CLIENTS: usize = 16;

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let bank = ground.bank(&[])?;
    open_empty(&bank)?;
    let slice = ground.seconds(1.5);
    local(&bank, slice / 2.0)?;
    let (over, asks, asked) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (mut runs, mut lines) = (0.0, [0; 3]);
    thread::scope(|scope| {
        let greedy = scope.spawn(|| overdraw(&bank, &over, &asks, &asked));
        let mut slices = || -> Fallible<()> {
            // What a first refusal is worth saying is said; it is the loop that is looked at.
            asks.store(true, Ordering::Relaxed);
            local(&bank, slice)?;
            asks.store(false, Ordering::Relaxed);
            for _ in 0..SLICES {
                alone.push(local(&bank, slice)?);
                let before = (runs_of_a(&bank)?, lines_said(&bank));
                asks.store(true, Ordering::Relaxed);
                beside.push(local(&bank, slice)?);
                asks.store(false, Ordering::Relaxed);
                runs += runs_of_a(&bank)? - before.0;
                let after = lines_said(&bank);
                (0..3).for_each(|place| lines[place] += after[place] - before.1[place]);
            }
            Ok(())
        };
        let done = slices();
        over.store(true, Ordering::Relaxed);
        done.and(greedy.join().map_err(|_| "the greedy client has panicked".to_owned())?)
    })?;
    let seconds = slice * SLICES as f64;
    let mut ratios: Vec<f64> = alone.iter().zip(&beside).map(|(a, b)| b / a).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = (ratios[(SLICES - 1) / 2] + ratios[SLICES / 2]) / 2.0;
    figures.measured("refused", Unit::PerSecond, asked.into_inner() as f64 / seconds);
    figures.measured("runs of A", Unit::PerSecond, runs / seconds);
    figures.asked("B and C, local / undisturbed", Unit::Ratio, ratio, Bound::AtLeast(0.9));
    for (id, lines) in IDS.iter().zip(lines) {
        let rate = lines as f64 / seconds;
        figures.asked(&format!("{id}'s log, lines"), Unit::PerSecond, rate, Bound::AtMost(5.0));
    }
    Ok(())
}

fn overdraw(bank: &Bank, over: &AtomicBool, asks: &AtomicBool, asked: &AtomicU64) -> Fallible<()> {
    let mut talk = Talk::open(&bank.addresses["A"])?;
    while !over.load(Ordering::Relaxed) {
        if asks.load(Ordering::Relaxed) {
            ask_in_vain(&mut talk)?;
            asked.fetch_add(1, Ordering::Relaxed);
        } else {
            thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Local payments a second at B and C, one in flight for each client.
fn local(bank: &Bank, seconds: f64) -> Fallible<f64> {
    let lines = [("B", "C"), ("C", "B")];
    let lines: BTreeMap<_, _> =
        lines.map(|(from, to)| (from.to_owned(), vec![Line::single(from, to, 1)])).into();
    let load = Load {
        addresses: &bank.addresses,
        key: bank.key(),
        lines: &lines,
        manner: Manner::Single { clients: CLIENTS },
        start: Instant::now(),
        seconds,
        warm: seconds / 10.0,
        most: u64::MAX,
    };
    Ok(load.run()?.rate())
}

fn runs_of_a(bank: &Bank) -> Fallible<f64> {
    bank.status("A")?["measured"]["runs_started"].as_f64().ok_or("A doesn't tell its runs".into())
}

/// Lines in each server's log.
fn lines_said(bank: &Bank) -> [usize; 3] {
    IDS.map(|id| bank.process(id).map_or(0, |process| process.said().lines().count()))
}
