//! `limit`: what this Redis, with these settings, takes from bare loops.

use super::bare::{self, Relay, Turns};
use super::place::Folder;
use super::redis::OwnRedis;
use super::report::{Report, Unit};
use super::{Context, Fallible, Span};

/// Elements of a turn, and entries of an element, when a thousand transfers go in a line and when
/// ten do. (`local` takes the turns that its servers have made.)
const BATCHED: [(&str, usize, usize); 2] = [("1,000 a line", 8, 1_000), ("10 a line", 1, 500)];

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    for run in 1..=context.runs {
        let folder = Folder::new(&context.setting.folder)?;
        let redis = OwnRedis::start(folder.path())?;
        for (name, elements, entries) in BATCHED {
            context.step(&format!("limit: bare loops, {name}, run {run}"));
            let turns: Vec<Turns> =
                (0..3).map(|place| Turns::like(place, elements, entries)).collect();
            let rate = bare::same_bytes(&redis.address(), &turns, context.span(1.5).seconds)?;
            report.add(&format!("bare loops, turns as of {name}"), Unit::PerSecond, rate);
        }
        small_writes(context, report, &folder, &redis, run)?;
    }
    Ok(())
}

/// One small write at a time.
fn small_writes(
    context: &Context,
    report: &mut Report,
    folder: &Folder,
    redis: &OwnRedis,
    run: usize,
) -> Fallible<()> {
    let Span { seconds, .. } = context.span(1.5);
    context.step(&format!("limit: small writes, run {run}"));
    let round_trip = bare::round_trip(&redis.address(), seconds)?;
    report.add_latency("bare durable round trip", &round_trip);
    let relay = Relay::start(folder, &redis.address())?.latency(seconds)?;
    report.add_latency("bare relay", &relay);
    let rate = bare::many_clients(&redis.address(), 64, seconds)?;
    report.add("64 clients, one RPUSH in flight each", Unit::PerSecond, rate);
    Ok(())
}
