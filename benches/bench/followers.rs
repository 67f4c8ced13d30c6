//! `followers`: what those who look on cost, and how fast a follower comes from the beginning of a long chain to its end.
//!
//! The same load is measured with and without them on the same bank, in turns, in slices: a machine that is shared is
//! not the same from one second to the next.

mod crowd;
mod from_the_beginning;

use super::bank::Bank;
use super::check::{Told, check};
use super::load::Manner;
use super::local::{SLICES, Slices, circle, load, mean, p50};
use super::report::{Bound, Report, Unit};
use super::settled::{FLAGS, FULL, watched_load};
use super::{Context, Fallible, Span};
use crowd::Crowd;

/// Transfers a line, connections to each server, and lines under way on each.
const BATCHED: (usize, usize, usize) = (1_000, 2, 4);
/// Transfers a second where the load is paced.
const PACED: usize = 150_000;

/// What is measured without those who look on, and with them.
const SIDES: [&str; 2] = ["alone", "followed"];

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    if context.setting.running.is_some() {
        return Err("followers starts banks of its own: not with --cluster".into());
    }
    for run in 1..=context.runs {
        context.step(&format!("followers: local, run {run}"));
        local(context, report)?;
        context.step(&format!("followers: settled, run {run}"));
        settled(context, report)?;
    }
    from_the_beginning::run(context, report)?;
    for (what, bound) in [
        ("1,000 a line", Bound::AtLeast(0.95)),
        ("64 clients", Bound::AtLeast(0.95)),
        ("settled", Bound::AtLeast(0.95)),
        ("settled, paced, p99", Bound::AtMost(2.0)),
    ] {
        report.ask(&format!("followers, {what}"), &ratio_name(what), bound);
    }
    from_the_beginning::ask(report);
    Ok(())
}

fn ratio_name(what: &str) -> String {
    format!("{what}: followed / alone")
}

/// The values of a figure, side by side.
#[derive(Default)]
struct Beside([Vec<f64>; 2]);

impl Beside {
    fn report(&self, report: &mut Report, what: &str, unit: Unit) {
        let means = self.0.each_ref().map(|values| mean(values));
        for (side, value) in SIDES.iter().zip(means) {
            report.add(&format!("{what}: {side}"), unit, value);
        }
        report.add(&ratio_name(what), Unit::Ratio, means[1] / means[0]);
    }
}

/// Measures in slices, now the one side first and now the other; 1 is the side with those who look on.
fn in_turns(
    context: &Context,
    bank: &Bank,
    report: &mut Report,
    mut measure: impl FnMut(usize) -> Fallible<()>,
) -> Fallible<()> {
    for slice in 0..SLICES {
        for side in [slice % 2, 1 - slice % 2] {
            let crowd = (side == 1).then(|| Crowd::gather(context, bank)).transpose()?;
            measure(side)?;
            if let Some(crowd) = crowd {
                crowd.leave(report)?;
            }
        }
    }
    Ok(())
}

fn slice_of(span: Span) -> Span {
    let slices = SLICES as f64;
    Span {
        seconds: span.seconds / slices,
        warm: span.warm / slices,
        most: span.most / SLICES as u64,
    }
}

fn local(context: &Context, report: &mut Report) -> Fallible<()> {
    let bank = Bank::start(&context.setting, &[])?;
    let (items, connections, window) = BATCHED;
    let manner = Manner::Pipelined { connections, window };
    let (mut told, span) = (Told::default(), slice_of(context.span(4.5)));
    let (mut rates, mut single) = (Beside::default(), [Slices::default(), Slices::default()]);
    in_turns(context, &bank, report, |side| {
        let ran = load(&bank, &circle(&bank, context.line(items)), manner, span, &mut told)?;
        rates.0[side].push(ran.rate());
        single[side].add(context.span(4.5), &bank, 64, &mut told)?;
        // Those who look on are told of blocks as well.
        bank.settle()
    })?;
    rates.report(report, "1,000 a line", Unit::PerSecond);
    let p50s = Beside(single.each_ref().map(|slices| vec![p50(slices)]));
    let single = Beside(single.map(|slices| slices.rates));
    single.report(report, "64 clients", Unit::PerSecond);
    p50s.report(report, "64 clients, p50", Unit::Nanos);
    bank.wait_until_quiet(false)?;
    report.checked(&check(&bank, &told)?);
    Ok(())
}

fn settled(context: &Context, report: &mut Report) -> Fallible<()> {
    let bank = Bank::start(&context.setting, &FLAGS)?;
    let (mut told, span) = (Told::default(), slice_of(context.span(6.0)));
    let paced = Manner::Paced { rate: context.size(PACED, 3_000) as f64 };
    let (mut rates, mut waits) = (Beside::default(), Beside::default());
    in_turns(context, &bank, report, |side| {
        let (ran, watched) = watched_load(&bank, context.line(BATCHED.0), FULL, span, &mut told)?;
        rates.0[side].push(watched.rate(ran.warm, ran.until));
        let (ran, watched) = watched_load(&bank, context.line(100), paced, span, &mut told)?;
        waits.0[side].push(watched.commit_latency(&ran).value_at_quantile(0.99) as f64);
        Ok(())
    })?;
    rates.report(report, "settled", Unit::PerSecond);
    waits.report(report, "settled, paced, p99", Unit::Nanos);
    report.checked(&check(&bank, &told)?);
    Ok(())
}
