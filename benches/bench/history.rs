//! `history`: pages from the middle of a chain of many small blocks.

mod long_chain;

use std::time::{Duration, Instant};

use serde_json::json;

use super::bank::{Bank, IDS, OPENING, Setting};
use super::check::{Told, check};
use super::pages::{self, page_before};
use super::process::wait_as_long;
use super::report::{Report, Unit};
use super::settled::FLAGS;
use super::talk::Talk;
use super::tally::{Ack, Tally};
use super::{Context, Fallible};
use long_chain::LongChain;

/// How many blocks are in the chain.
const BLOCKS: usize = 2_000_000;
/// How long the first page may take: earlier builds read the whole chain before it, in pieces.
const PATIENCE: Duration = Duration::from_secs(600);

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    for (build, setting) in context.builds() {
        play(context, report, build, &setting)?;
    }
    pages::ask_for(report, "history, in 2 million blocks", "a page in the middle", 5e6);
    Ok(())
}

/// Pages on one build.
fn play(context: &Context, report: &mut Report, build: &str, setting: &Setting) -> Fallible<()> {
    let mut bank = Bank::start(setting, &FLAGS)?;
    let mut told = Told::default();
    for (id, to) in [("A", "B"), ("B", "A")] {
        let reply = bank.ask(id, &json!({"transfer": {"to": to, "amount": 1}}))?;
        let first = reply["seq"].as_u64().ok_or_else(|| format!("not paid: {reply}"))?;
        tell(&mut told, id, first, 1);
    }
    bank.settle()?;
    bank.stop_servers();
    context.step(&format!("history: {build}writing blocks"));
    let blocks = context.size(BLOCKS, 2_000) as u64;
    let made = LongChain::write(&bank, blocks, context.size(64 << 20, 64 << 10) as u64)?;
    for (id, (first, count)) in &made {
        tell(&mut told, id, *first, *count);
    }
    context.step(&format!("history: {build}the first page"));
    let start = Instant::now();
    IDS.iter().try_for_each(|id| bank.start_server(id))?;
    bank.wait_until_open()?;
    let first = wait_as_long(PATIENCE, "the first page", || {
        let mut talk = Talk::open(&bank.addresses["A"]).ok()?;
        pages::ask(&mut talk, &page_before("A", blocks / 2, OPENING)).ok()?;
        Some(start.elapsed().as_nanos() as f64)
    })?;
    report.add(&format!("{build}from the start to the first page"), Unit::Nanos, first);
    context.step(&format!("history: {build}pages"));
    let name = format!("{build}a page in the middle");
    let seconds = context.span(4.0).seconds;
    let middle = blocks / 4..blocks * 3 / 4;
    pages::measure(report, &bank, &name, seconds, || {
        page_before("A", fastrand::u64(middle.clone()), OPENING)
    })?;
    report.add(&format!("{build}blocks"), Unit::Count, blocks as f64);
    let memory = bank.process("A").ok_or("A doesn't run")?.memory()?;
    report.add(&format!("{build}memory of a server"), Unit::Bytes, memory as f64);
    // To read a long list in Redis in pieces takes for ever.
    if setting.archive || context.small {
        report.checked(&check(&bank, &told)?);
    }
    Ok(())
}

fn tell(told: &mut Told, id: &str, first: u64, count: u64) {
    let mut tally = Tally::new();
    tally.acks.push(Ack { at: 0, first, count });
    told.add_one(id, &tally);
}
