//! `growth`: what a long chain costs, as far as memory and disk reach.

mod room;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::accounts::open_all;
use super::bank::{Bank, IDS, Setting};
use super::check::{Told, check};
use super::lines::Line;
use super::load::{Load, Manner};
use super::local::{all_accepted, circle};
use super::pages::{self, newest_page};
use super::place::bytes_in;
use super::process::{wait_as_long, wait_for};
use super::report::{Bound, Report, Unit};
use super::settled::{FLAGS, FULL, watched_load};
use super::talk::Talk;
use super::tally::{Ack, Tally};
use super::{Context, Fallible};

/// How many transfers are in the chain, at least, when it is measured; after the last of these at each further
/// multiple of it.
const STEPS: [u64; 5] = [0, 5_000_000, 10_000_000, 50_000_000, 100_000_000];
/// The same, to see that it works.
const SMALL: [u64; 3] = [0, 6_000, 12_000];
/// The step from which on servers with an archive have segments.
const ARCHIVING: usize = 2;
/// As far as the other build goes: it keeps all in Redis's memory, and a bank of this length takes minutes to start.
const OTHER_MOST: u64 = 100_000_000;
/// So many transfers are paid between two looks whether there is room for more.
const PIECE: u64 = 10_000_000;
/// How the chain is filled: five thousand transfers a line.
pub const FILL: Manner = Manner::Pipelined { connections: 1, window: 4 };
/// Transfers a line.
pub const FILL_ITEMS: usize = 5_000;
/// Accounts that are there and not used.
const ACCOUNTS: usize = 10_000;
/// An account that is paid once, in the beginning.
const COLD: &str = "A/cold";
/// How long a start may take: the other build reads all its blocks.
const LONG: Duration = Duration::from_secs(600);
/// What is measured at the end.
const KILLED: &str = "all killed in the end, until a client is served";
/// Flags for small sizes.
const TINY: [&str; 4] = ["--keep", "16KiB", "--segment", "16KiB"];

/// One build's bank, as it grows.
struct Growth<'a> {
    context: &'a Context,
    /// What its figures' names begin with.
    build: &'static str,
    archive: bool,
    bank: Bank,
    told: Told,
    /// The steps that it has reached.
    reached: Vec<u64>,
    /// Memory of a server, and in how long a chain.
    memory: Vec<(u64, u64)>,
}

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    let mut reached = Vec::new();
    for (build, setting) in context.builds() {
        reached = Growth::play(context, report, build, &setting)?;
    }
    let last = reached.last().copied().unwrap_or_default();
    let of = |what: &str| format!("at {}: {what}", short(last));
    report.ask("growth, throughput / that at 0", &of("committed / at 0"), Bound::AtLeast(0.9));
    let memory = "server memory per further transfer";
    report.ask("growth, memory per further transfer", memory, Bound::AtMost(40.0));
    report.ask("growth, zombie start", &of("zombie start"), Bound::AtMost(2e9));
    ask_of_archive(context, report, &reached);
    Ok(())
}

/// What is asked since old blocks go to an archive.
fn ask_of_archive(context: &Context, report: &mut Report, reached: &[u64]) {
    let Some(last) = reached.last() else { return };
    for step in reached.iter().filter(|step| **step >= steps(context)[ARCHIVING]) {
        beside(report, &format!("at {}: memory of three stores", short(*step)));
    }
    beside(report, KILLED);
    let stores = beside_name(&format!("at {}: memory of three stores", short(OTHER_MOST)));
    report.ask("growth, stores / other", &stores, Bound::AtMost(1.0 / 6.0));
    report.ask("growth, all killed / other", &beside_name(KILLED), Bound::AtMost(0.1));
    for step in reached.iter().skip(steps(context).len() - 1) {
        let at = short(*step);
        let name = |what: &str| format!("at {at}: {what}");
        report.ask(
            &format!("growth, {at}, RSS"),
            &name("memory of a server"),
            Bound::AtMost(150e6),
        );
        let first = steps(context).last().map_or(0, |step| *step);
        let stores = "memory of three stores";
        if *step > first
            && let Some(ratio) =
                report.ratio(&name(stores), &format!("at {}: {stores}", short(first)))
        {
            let asked = name(&format!("{stores} / at {}", short(first)));
            report.add(&asked, Unit::Ratio, ratio);
            report.ask(&format!("growth, {at}, stores"), &asked, Bound::AtMost(1.1));
        }
    }
    let name = |what: &str| format!("at {}: {what}", short(*last));
    let rate = name("committed / when archiving began");
    report.ask("growth, throughput / archiving began", &rate, Bound::AtLeast(0.95));
    report.ask("growth, all killed, served after", KILLED, Bound::AtMost(3e9));
    let disk = name("disk of a server, a transfer");
    report.ask("growth, disk a transfer and server", &disk, Bound::AtMost(16.0));
    pages::ask_for(report, "growth, a cold account", &name("a page, cold account"), 50e6);
    pages::ask_for(report, "growth, a busy account", &name("a page, busy account"), 5e6);
}

/// Adds a figure by the other build's.
fn beside(report: &mut Report, name: &str) {
    if let Some(ratio) = report.ratio(name, &format!("the other build: {name}")) {
        report.add(&beside_name(name), Unit::Ratio, ratio);
    }
}

fn beside_name(name: &str) -> String {
    format!("{name} / the other build's")
}

fn steps(context: &Context) -> &'static [u64] {
    if context.small { &SMALL } else { &STEPS }
}

/// A number of transfers for people.
fn short(transfers: u64) -> String {
    match transfers {
        0 => "0".into(),
        many if many.is_multiple_of(1_000_000) => format!("{}M", many / 1_000_000),
        some => some.to_string(),
    }
}

impl Growth<'_> {
    /// Founds a bank, lets it grow, and measures on the way. Returns the steps that it has reached.
    fn play(
        context: &Context,
        report: &mut Report,
        build: &'static str,
        setting: &Setting,
    ) -> Fallible<Vec<u64>> {
        let archive = setting.archive;
        let tiny = if archive && context.small { &TINY[..] } else { &[] };
        let bank = Bank::start(setting, &[&FLAGS[..], tiny].concat())?;
        let (told, reached, memory) = (Told::default(), Vec::new(), Vec::new());
        let mut growth = Growth { context, build, archive, bank, told, reached, memory };
        growth.begin()?;
        for step in growth.steps() {
            if let Some(why) = growth.fill(report, step)? {
                report.note(&format!("{build}growth ends before {}: {why}", short(step)));
                break;
            }
            growth.measure(report, step)?;
            growth.reached.push(step);
        }
        growth.end(report)?;
        Ok(growth.reached)
    }

    fn steps(&self) -> Vec<u64> {
        let steps = steps(self.context);
        let last = steps.last().copied().unwrap_or_default();
        let most = match (self.context.small, self.archive) {
            (true, _) => last,
            (false, true) => self.context.most,
            (false, false) => self.context.most.min(OTHER_MOST),
        };
        let further = (2..).map(|times| times * last);
        steps.iter().copied().chain(further).take_while(|step| *step <= most).collect()
    }

    fn name(&self, step: u64, what: &str) -> String {
        format!("{}at {}: {what}", self.build, short(step))
    }

    fn step(&self, what: &str) {
        self.context.step(&format!("growth: {}{what}", self.build));
    }

    /// Opens accounts, and pays the cold one.
    fn begin(&mut self) -> Fallible<()> {
        open_all(&self.bank, self.context.size(ACCOUNTS, 30), &mut self.told)?;
        let lines = [Line::openings(&[COLD.into()]), Line::batch(&[("A", COLD, 5)])];
        self.send(&[("A".to_owned(), lines.into())].into(), Manner::Once { window: 1 }, u64::MAX)
    }

    fn send(
        &mut self,
        lines: &BTreeMap<String, Vec<Line>>,
        manner: Manner,
        most: u64,
    ) -> Fallible<()> {
        let load = Load {
            addresses: &self.bank.addresses,
            key: self.bank.key(),
            lines,
            manner,
            start: Instant::now(),
            seconds: 600.0,
            warm: 0.0,
            most,
        };
        let ran = load.run()?;
        self.told.add(&ran);
        all_accepted(&ran)?;
        self.bank.wait_until_quiet(true)
    }

    fn transfers(&self) -> u64 {
        IDS.iter().map(|id| self.told.count(id)).sum()
    }

    /// Pays until so much is in the chain. Says why not, if there is no room.
    fn fill(&mut self, report: &mut Report, step: u64) -> Fallible<Option<String>> {
        let lines = circle(&self.bank, self.context.size(FILL_ITEMS, 100));
        let (start, before) = (Instant::now(), self.transfers());
        while self.transfers() < step {
            let so_far = self.transfers();
            self.step(&format!("{so_far} of {step}"));
            if let Some(why) = room::lack(&self.bank)? {
                return Ok(Some(format!("{why}, with {so_far} transfers in the chain")));
            }
            let missing = (step - so_far).min(PIECE) / IDS.len() as u64 + 1;
            self.send(&lines, FILL, missing)?;
        }
        let paid = self.transfers() - before;
        if paid > 0 {
            let rate = paid as f64 / start.elapsed().as_secs_f64();
            report.add(&self.name(step, "committed on the way there"), Unit::PerSecond, rate);
        }
        Ok(None)
    }

    fn measure(&mut self, report: &mut Report, step: u64) -> Fallible<()> {
        let mut rates = Vec::new();
        for _ in 0..self.context.size(3, 1) {
            self.step(&format!("at {}", short(step)));
            let (items, span) = (self.context.line(1_000), self.context.span(2.0));
            let (ran, watched) = watched_load(&self.bank, items, FULL, span, &mut self.told)?;
            rates.push(watched.whole_rate(&ran));
        }
        let committed = self.name(step, "committed");
        rates.iter().for_each(|rate| report.add(&committed, Unit::PerSecond, *rate));
        self.say(report, &committed);
        self.compare_rate(report, step, "at 0", 0);
        self.compare_rate(report, step, "when archiving began", ARCHIVING);
        self.room(report, step)?;
        let start = zombie_start(&mut self.bank, IDS[2], &mut self.told)?;
        report.add(&self.name(step, "zombie start"), Unit::Nanos, start);
        self.bank.wait_until_open()?;
        self.bank.wait_until_quiet(true)
    }

    /// Says what was measured last: the whole takes minutes.
    fn say(&self, report: &Report, name: &str) {
        self.context.bar.suspend(|| report.say(name));
    }

    /// Adds the throughput at this step by that at an earlier one.
    fn compare_rate(&self, report: &mut Report, step: u64, word: &str, earlier: usize) {
        let earlier = steps(self.context)[earlier];
        let (now, then) = (self.name(step, "committed"), self.name(earlier, "committed"));
        if step > earlier
            && let Some(ratio) = report.ratio(&now, &then)
        {
            report.add(&self.name(step, &format!("committed / {word}")), Unit::Ratio, ratio);
        }
    }

    /// Adds what memory and disk are taken.
    fn room(&mut self, report: &mut Report, step: u64) -> Fallible<()> {
        let most = self.bank.largest_memory()?;
        let transfers = self.transfers();
        self.memory.push((transfers, most));
        report.add(&self.name(step, "memory of a server"), Unit::Bytes, most as f64);
        let stores = self.bank.used_memory()? as f64;
        let memory = self.name(step, "memory of three stores");
        report.add(&memory, Unit::Bytes, stores);
        self.say(report, &memory);
        let total = transfers as f64;
        report.add(&self.name(step, "transfers in the chain then"), Unit::Count, total);
        let archive = bytes_in(&self.bank.archive_path("A"));
        let disk = self.bank.folder().map_or(0, bytes_in) as f64 / IDS.len() as f64;
        report.add(&self.name(step, "disk of a server"), Unit::Bytes, disk);
        report.add(&self.name(step, "disk of a server, a transfer"), Unit::Bytes, disk / total);
        if self.archive {
            let name = self.name(step, "disk of an archive, a transfer in the chain");
            report.add(&name, Unit::Bytes, archive as f64 / total);
        }
        Ok(())
    }

    /// What is measured only once: pages, and the start of all at once.
    fn end(&mut self, report: &mut Report) -> Fallible<()> {
        let Some(last) = self.reached.last().copied() else { return Ok(()) };
        if let (Some(first), Some(end)) = (self.memory.get(1), self.memory.last()) {
            let each = (end.1 as f64 - first.1 as f64) / (end.0 - first.0).max(1) as f64;
            let name = format!("{}server memory per further transfer", self.build);
            report.add(&name, Unit::Bytes, each);
        }
        self.step("pages");
        let (cold, seconds) = (newest_page(COLD), self.context.span(2.0).seconds);
        pages::forget_files(&self.bank.archive_path("A"));
        let first = pages::ask(&mut Talk::open(&self.bank.addresses["A"])?, &cold)?;
        report.add(&self.name(last, "a page, cold account, files forgotten"), Unit::Nanos, first);
        let name = self.name(last, "a page, cold account");
        pages::measure(report, &self.bank, &name, seconds, || cold.clone())?;
        let (name, busy) = (self.name(last, "a page, busy account"), newest_page("A"));
        pages::measure(report, &self.bank, &name, seconds, || busy.clone())?;
        self.step("all are killed");
        let took = self.kill_all()?;
        let name = format!("{}{KILLED}", self.build);
        report.add(&name, Unit::Nanos, took);
        self.say(report, &name);
        self.bank.wait_until_open()?;
        self.bank.wait_until_quiet(true)?;
        self.step("checking");
        report.checked(&check(&self.bank, &self.told)?);
        Ok(())
    }

    /// Kills all, and starts all: nanoseconds until a transfer is accepted.
    fn kill_all(&mut self) -> Fallible<f64> {
        let start = Instant::now();
        let mut waiting = self.bank.kill_all()?;
        let mut served = None;
        let bank = &mut self.bank;
        let (seq, took) = wait_as_long(LONG, "all serve again", || {
            if let Err(error) = bank.start_ready(&mut waiting) {
                return Some(Err(error));
            }
            let look = || Some((pay_one(bank, IDS[0])?, start.elapsed().as_nanos() as f64));
            served = served.or_else(look);
            served.filter(|_| waiting.is_empty()).map(Ok)
        })??;
        told_of_one(&mut self.told, IDS[0], seq);
        Ok(took)
    }
}

/// Kills a server, and starts it: nanoseconds until it has accepted a transfer.
fn zombie_start(bank: &mut Bank, id: &str, told: &mut Told) -> Fallible<f64> {
    bank.kill(id)?;
    let start = Instant::now();
    bank.start_server(id)?;
    let seq = accepted(bank, id)?;
    let took = start.elapsed().as_nanos() as f64;
    told_of_one(told, id, seq);
    Ok(took)
}

/// Pays a unit until that is accepted; returns its seq.
fn accepted(bank: &Bank, id: &str) -> Fallible<u64> {
    wait_for(&format!("{id} serves again"), || pay_one(bank, id))
}

/// Pays a unit; returns its seq, if it is accepted.
fn pay_one(bank: &Bank, id: &str) -> Option<u64> {
    let to = IDS.iter().find(|other| **other != id);
    let reply = bank.ask(id, &json!({"transfer": {"to": to, "amount": 1}})).ok()?;
    reply["seq"].as_u64()
}

fn told_of_one(told: &mut Told, id: &str, seq: u64) {
    let mut tally = Tally::new();
    tally.acks.push(Ack { at: 0, first: seq, count: 1 });
    told.add_one(id, &tally);
}
