//! `accounts`: many accounts, all alike or a few of them much in use.
//!
//! They are compared with each server's own account, whose name is one letter. How much of the difference
//! is due to longer names, and not to the number of accounts, shows where only one of ten thousand pays at
//! each server.

use std::collections::BTreeMap;
use std::time::Instant;

use super::bank::{Bank, IDS, Setting};
use super::check::{Told, check};
use super::lines::Line;
use super::load::{Load, Manner};
use super::local::{MOST, all_accepted, circle, circle_of, load};
use super::report::{Bound, Report, Unit};
use super::settled::{FLAGS, FULL, watched_load_of};
use super::{Context, Fallible, Span};

/// What each account is given, by its server's own.
const ENDOWMENT: u64 = 1_000_000;
/// What the one is given that pays alone: servers may differ for long in how much they take.
const ENDOWMENT_OF_ONE: u64 = 10_000_000_000;
/// Openings and endowments a line.
const SETUP_ITEMS: usize = 5_000;
/// How they are sent.
const SETUP: Manner = Manner::Once { window: 4 };
/// Lines that are written for each server, to be sent over and over.
const LINES: usize = 200;
/// What is compared with: a bank in which each server has its own account and no other.
const OWN: &str = "one each";
/// Of ten thousand accounts, one at each server is in use.
const ONE: &str = "one of 10,000";

/// Which accounts are in use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Each server's own, and no other.
    Own,
    /// One other at each server, the one that was opened last.
    One,
    /// All the same.
    Uniform,
    /// Zipf's law: the second half as often as the first, the third a third as often.
    Zipf,
}

/// A bank, and the ways in which its accounts are used.
pub struct Town {
    /// The bank.
    pub bank: Bank,
    /// What its clients were told.
    pub told: Told,
    uses: Vec<(String, Use, usize)>,
}

/// One run of one kind of load.
type Measure = fn(&mut Town, &Context, &mut Report, usize) -> Fallible<()>;

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    // What is settled meanwhile is not local load. Servers that start anew without the habit would check
    // a long chain meanwhile, and that isn't either: so each kind has banks of its own.
    measure(context, report, &FLAGS, Town::settled)?;
    measure(context, report, &[], Town::local)?;
    ask(report);
    Ok(())
}

/// Ten thousand accounts.
fn few(context: &Context) -> usize {
    context.size(10_000, 30)
}

fn measure(
    context: &Context,
    report: &mut Report,
    flags: &[&str],
    measure: Measure,
) -> Fallible<()> {
    let many = context.size(1_000_000, 90);
    let mut towns = Vec::new();
    for (name, accounts) in [(OWN, 0), ("10,000", few(context)), ("1,000,000", many)] {
        context.step(&format!("accounts: opening {name}"));
        let town = Town::found(context, &context.setting, flags, name, accounts)?;
        if !flags.is_empty() {
            report_memory(report, towns.first(), &town, name, accounts)?;
        }
        towns.push(town);
    }
    for run in 1..=context.runs {
        for town in &mut towns {
            measure(town, context, report, run)?;
        }
    }
    for town in &towns {
        context.step("accounts: checking");
        report.checked(&check(&town.bank, &town.told)?);
    }
    Ok(())
}

/// Adds what an account costs each server, by what the largest one has more than that of the bank without others.
fn report_memory(
    report: &mut Report,
    without: Option<&Town>,
    town: &Town,
    name: &str,
    accounts: usize,
) -> Fallible<()> {
    let Some(without) = without else { return Ok(()) };
    let more = town.bank.largest_memory()?.saturating_sub(without.bank.largest_memory()?);
    let name = format!("memory of a server, each of {name}");
    report.add(&name, Unit::Bytes, more as f64 / accounts as f64);
    Ok(())
}

/// Each is compared with one account for each server, run by run.
fn ask(report: &mut Report) {
    for (accounts, least) in [("10,000", 0.8), ("1,000,000", 0.4)] {
        for how in ["uniform", "Zipf"] {
            let many = format!("{accounts} {how}");
            for what in ["local", "settled"] {
                let asked = format!("accounts, {many}, {what}");
                let figure = compare(report, what, &many, OWN, "");
                report.ask(&asked, &figure, Bound::AtLeast(least));
            }
            let asked = format!("accounts, {many}, paced p99");
            let figure = compare(report, "paced", &many, OWN, ": p99");
            report.ask(&asked, &figure, Bound::AtMost(2.0));
        }
    }
    for what in ["local", "settled"] {
        compare(report, what, ONE, OWN, "");
        for how in ["uniform", "Zipf"] {
            compare(report, what, &format!("10,000 {how}"), ONE, "");
        }
    }
}

/// Adds the ratio of two kinds of load, run by run; returns its name.
fn compare(report: &mut Report, what: &str, these: &str, those: &str, end: &str) -> String {
    let values = |kind: &str| {
        let name = format!("{what}, {kind}{end}");
        let figure = report.figures.iter().find(|figure| figure.name == name);
        figure.map(|figure| figure.values.clone()).unwrap_or_default()
    };
    let (numerators, denominators) = (values(these), values(those));
    let name = format!("{what}, {these} / {those}{end}");
    for (numerator, denominator) in numerators.iter().zip(&denominators) {
        report.add(&name, Unit::Ratio, numerator / denominator.max(1.0));
    }
    name
}

impl Town {
    /// Founds a bank, and opens and endows so many accounts. `name` is their number for people.
    pub fn found(
        context: &Context,
        setting: &Setting,
        flags: &[&str],
        name: &str,
        accounts: usize,
    ) -> Fallible<Town> {
        let bank = Bank::start(setting, flags)?;
        let each = accounts / IDS.len();
        let mut uses = Vec::new();
        if each == 0 {
            uses.push((name.to_owned(), Use::Own, 0));
        } else {
            uses.push((format!("{name} uniform"), Use::Uniform, each));
            uses.push((format!("{name} Zipf"), Use::Zipf, each));
        }
        if accounts == few(context) {
            uses.push((ONE.to_owned(), Use::One, each));
        }
        let mut town = Town { bank, told: Told::default(), uses };
        if each > 0 {
            let items = context.size(SETUP_ITEMS, 10);
            let opened = |names: &[String], _: &str| Line::openings(names);
            let endowed = |names: &[String], id: &str| {
                let alone = account(id, each - 1);
                let gift =
                    |name: &String| if *name == alone { ENDOWMENT_OF_ONE } else { ENDOWMENT };
                let transfers: Vec<_> =
                    names.iter().map(|name| (id, name.as_str(), gift(name))).collect();
                Line::batch(&transfers)
            };
            send_once(&town.bank, &setup(each, items, opened), &mut town.told)?;
            send_once(&town.bank, &setup(each, items, endowed), &mut town.told)?;
        }
        Ok(town)
    }

    fn lines(&self, how: Use, each: usize, items: usize) -> BTreeMap<String, Vec<Line>> {
        match how {
            Use::Own => return circle(&self.bank, items),
            Use::One => return circle_of(&self.bank.ids(), items, |id| account(id, each - 1)),
            Use::Uniform | Use::Zipf => {}
        }
        let mut dice = fastrand::Rng::with_seed(6);
        let pick = Pick::new(how, each);
        let mut line = |id: &str| {
            let transfer = |dice: &mut fastrand::Rng| {
                let to = IDS[dice.usize(..IDS.len())];
                (account(id, pick.one(dice)), account(to, pick.one(dice)), 1)
            };
            let mut transfers: Vec<_> = (0..items).map(|_| transfer(&mut dice)).collect();
            // Nobody pays himself.
            while let Some(bad) = transfers.iter().position(|(from, to, _)| from == to) {
                transfers[bad] = transfer(&mut dice);
            }
            Line::batch(&transfers)
        };
        IDS.map(|id| (id.to_owned(), (0..LINES).map(|_| line(id)).collect())).into()
    }

    /// Pays so much, all accounts alike.
    pub fn pay_uniform(&mut self, context: &Context, transfers: u64) -> Fallible<()> {
        let most = transfers / IDS.len() as u64;
        let span = Span { seconds: 600.0, warm: 0.0, most };
        self.uniform(context, span).map(drop)
    }

    /// Transfers that come into the chain a second, all accounts alike.
    pub fn settled_uniform(&mut self, context: &Context) -> Fallible<f64> {
        self.uniform(context, context.span(3.0))
    }

    fn uniform(&mut self, context: &Context, span: Span) -> Fallible<f64> {
        let each = self.uses.first().map_or(0, |(_, _, each)| *each);
        let lines = self.lines(Use::Uniform, each, context.line(1_000));
        let (ran, watched) = watched_load_of(&self.bank, &lines, FULL, span, &mut self.told)?;
        Ok(watched.whole_rate(&ran))
    }

    fn settled(&mut self, context: &Context, report: &mut Report, run: usize) -> Fallible<()> {
        for (name, how, each) in self.uses.clone() {
            context.step(&format!("accounts: settled, {name}, run {run}"));
            let lines = self.lines(how, each, context.line(1_000));
            let span = context.span(1.5);
            let (ran, watched) = watched_load_of(&self.bank, &lines, FULL, span, &mut self.told)?;
            let rate = watched.whole_rate(&ran);
            report.add(&format!("settled, {name}"), Unit::PerSecond, rate);
        }
        Ok(())
    }

    fn local(&mut self, context: &Context, report: &mut Report, run: usize) -> Fallible<()> {
        let rate = context.size(300_000, 3_000) as f64;
        let (full_span, paced_span) = (context.span(0.75), context.span(1.0));
        // Both fit into the logs, however long they are.
        let paced_entries = (rate * paced_span.seconds / IDS.len() as f64) as u64;
        let most = full_span.most.min(MOST.saturating_sub(paced_entries));
        let full_span = Span { most, ..full_span };
        let paced = Manner::Paced { rate };
        for (name, how, each) in self.uses.clone() {
            for (word, items, manner, span) in
                [("local", 1_000, FULL, full_span), ("paced", 100, paced, paced_span)]
            {
                context.step(&format!("accounts: {word}, {name}, run {run}"));
                let lines = self.lines(how, each, context.line(items));
                let ran = load(&self.bank, &lines, manner, span, &mut self.told)?;
                let name = format!("{word}, {name}");
                report.add(&name, Unit::PerSecond, ran.rate());
                report.add_latency(&name, &ran.latency());
            }
            self.bank.settle()?;
        }
        Ok(())
    }
}

fn account(id: &str, number: usize) -> String {
    format!("{id}/{number}")
}

/// Opens so many accounts, spread over the servers.
pub fn open_all(bank: &Bank, accounts: usize, told: &mut Told) -> Fallible<()> {
    let lines = setup(accounts / IDS.len(), SETUP_ITEMS, |names, _| Line::openings(names));
    send_once(bank, &lines, told)
}

/// Sends each line once, and settles.
fn send_once(bank: &Bank, lines: &BTreeMap<String, Vec<Line>>, told: &mut Told) -> Fallible<()> {
    let load = Load {
        addresses: &bank.addresses,
        key: bank.key(),
        lines,
        manner: SETUP,
        start: Instant::now(),
        seconds: 600.0,
        warm: 0.0,
        most: u64::MAX,
    };
    let ran = load.run()?;
    told.add(&ran);
    all_accepted(&ran)?;
    bank.settle()
}

/// For each server lines of so many of its accounts each, all of them.
fn setup(
    each: usize,
    items: usize,
    line: impl Fn(&[String], &str) -> Line,
) -> BTreeMap<String, Vec<Line>> {
    let lines = |id: &str| {
        let names: Vec<String> = (0..each).map(|number| account(id, number)).collect();
        (id.to_owned(), names.chunks(items).map(|some| line(some, id)).collect())
    };
    IDS.map(lines).into()
}

/// Picks accounts.
struct Pick {
    accounts: usize,
    /// For Zipf's law: how often one of the first so many is picked, not yet divided by the sum.
    sums: Vec<f64>,
}

impl Pick {
    fn new(how: Use, accounts: usize) -> Pick {
        let add = |sum: &mut f64, rank: usize| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        };
        let ranks = if how == Use::Zipf { 1..accounts + 1 } else { 1..1 };
        Pick { accounts, sums: ranks.scan(0.0, add).collect() }
    }

    fn one(&self, dice: &mut fastrand::Rng) -> usize {
        match self.sums.last() {
            None => dice.usize(..self.accounts),
            Some(sum) => {
                let point = dice.f64() * sum;
                self.sums.partition_point(|sum| *sum < point).min(self.accounts - 1)
            }
        }
    }
}
