//! `branches`: how long a run takes that gathers the logs of three voters and of more and more branches, each a process
//! with a Redis of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use super::bank::{Bank, Setting};
use super::process::{Process, free_port, wait_for};
use super::redis::OwnRedis;
use super::report::{Bound, Report, Unit};
use super::talk::Talk;
use super::tally::new_histogram;
use super::{Context, Fallible};

/// How many branches there are, one size after the other.
const SIZES: [usize; 4] = [3, 10, 30, 60];
/// What each branch's account gets, and pays from.
const MONEY: u64 = 1_000;
/// How many runs are measured with each size.
const ROUNDS: usize = 30;

/// The account that the branches pay to.
const POOL: &str = "A/pool";

/// A server that was admitted as a branch.
struct Branch {
    id: String,
    address: String,
    process: Process,
    redis: OwnRedis,
}

/// A bank of three voters, and its branches.
struct Branches {
    bank: Bank,
    all: Vec<Branch>,
}

pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    let sizes = if context.small { &[1, 2][..] } else { &SIZES[..] };
    let setting = Setting { redis_each: true, ..context.setting.clone() };
    let mut branches = Branches { bank: Bank::start(&setting, &[])?, all: Vec::new() };
    is_good(&mut Talk::open(&branches.bank.addresses["A"])?, &json!({"open": {"account": POOL}}))?;
    for &size in sizes {
        context.step(&format!("branches: {size} of them"));
        branches.grow(&setting, size)?;
        branches.measure(context, report, size)?;
    }
    branches.audit(&setting.program)?;
    report.note(&format!(
        "audit: the stores of all {} servers are sound",
        branches.all.len() + branches.bank.ids().len()
    ));
    let ratio = report.ratio("a run, 30 branches: p50", "a run, 3 branches: p50");
    if let Some(ratio) = ratio {
        report.add("a run, 30 branches / 3", Unit::Ratio, ratio);
        report.ask("a run with 30 branches / with 3", "a run, 30 branches / 3", Bound::AtMost(2.0));
    }
    Ok(())
}

/// Asks; a refusal is an error.
fn is_good(talk: &mut Talk, request: &Value) -> Fallible<()> {
    let reply = talk.ask(request)?;
    let is_done = match request.get("members") {
        Some(_) => reply["error"].is_null(),
        None => reply["outcome"] == json!("accepted"),
    };
    if is_done { Ok(()) } else { Err(format!("{request} is answered with {reply}")) }
}

impl Branches {
    /// Admits branches until there are so many, and pays them something.
    fn grow(&mut self, setting: &Setting, size: usize) -> Fallible<()> {
        let folder = self.bank.folder().ok_or("branches starts a bank of its own")?.to_owned();
        let names: Vec<String> = (self.all.len()..size).map(|n| format!("N{n}")).collect();
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let stores = OwnRedis::start_all(&folder, &texts, setting.redis_conf.as_deref(), false)?;
        let begun = self.all.len();
        for (id, redis) in names.into_iter().zip(stores) {
            let address = format!("127.0.0.1:{}", free_port());
            let join = format!("A={}", self.bank.addresses["A"]);
            let words = ["server", "--id", &id, "--join", &join, "--listen", &address, "--redis"];
            let mut arguments: Vec<String> = words.map(str::to_owned).into();
            arguments.push(redis.url());
            let log = folder.join(format!("{id}.log"));
            let process = Process::start(&setting.program, &arguments, log)?;
            self.all.push(Branch { id, address, process, redis });
        }
        let mut at_a = Talk::open(&self.bank.addresses["A"])?;
        for branch in &self.all[begun..] {
            let order = json!({"admit": branch.id, "at": branch.address, "branch": true});
            is_good(&mut at_a, &json!({"members": order}))?;
        }
        for branch in &self.all[begun..] {
            // It opens its account once it holds the block; then others hear of it by a run.
            let pays = json!({"transfer": {"to": branch.id, "amount": MONEY}});
            wait_for(&format!("{} is paid", branch.id), || is_good(&mut at_a, &pays).ok())?;
        }
        self.bank.settle()
    }

    /// Each branch pays one to an account of A's, in its own log. Then that account pays all that on, which one run
    /// finds: if it has heard every branch.
    fn measure(&self, context: &Context, report: &mut Report, size: usize) -> Fallible<()> {
        let mut talks: Vec<Talk> =
            self.all.iter().map(|branch| Talk::open(&branch.address)).collect::<Fallible<_>>()?;
        let mut at_a = Talk::open(&self.bank.addresses["A"])?;
        let mut times = new_histogram();
        let (rounds, mut runs) = (context.size(ROUNDS, 3), 0);
        let pays = |from: &str, to: &str, amount: usize| json!({"transfer": {"from": from, "to": to, "amount": amount}});
        self.wait_until_all_have(self.height()?)?;
        for _ in 0..rounds {
            for (talk, branch) in talks.iter_mut().zip(&self.all) {
                is_good(talk, &pays(&branch.id, POOL, 1))?;
            }
            let (before, begun) = (self.height()?, Instant::now());
            is_good(&mut at_a, &pays(POOL, "A", size))?;
            times.record(begun.elapsed().as_nanos() as u64).map_err(|error| error.to_string())?;
            runs += self.height()? - before;
            self.wait_until_all_have(before + 1)?;
        }
        let a_round = runs as f64 / rounds as f64;
        report.add(&format!("blocks a round, {size} branches"), Unit::Ratio, a_round);
        report.add_latency(&format!("a run, {size} branches"), &times);
        let memory = |process: Option<&Process>| process.map_or(Ok(0), Process::memory);
        let of_a = memory(self.bank.process("A"))?;
        let largest = self.all.iter().map(|branch| branch.process.memory());
        let largest = largest.collect::<Fallible<Vec<u64>>>()?.into_iter().max().unwrap_or(0);
        report.add(&format!("memory of A, {size} branches"), Unit::Bytes, of_a as f64);
        report.add(
            &format!("memory of the largest of {size} branches"),
            Unit::Bytes,
            largest as f64,
        );
        Ok(())
    }

    fn height(&self) -> Fallible<u64> {
        self.bank.status("A")?["height"].as_u64().ok_or_else(|| "A holds no block".into())
    }

    /// Waits until A knows that everybody holds the chain up to this height: what one run leaves to be done is no part
    /// of the next one's time, and a run waits only for those that are known to be that far.
    fn wait_until_all_have(&self, height: u64) -> Fallible<()> {
        let others = self.bank.ids().len() - 1 + self.all.len();
        let has_it = |peer: &&Value| {
            peer["connected"] == json!(true) && peer["height"].as_u64() >= Some(height)
        };
        wait_for(&format!("A knows that all have block {height}"), || {
            let status = self.bank.status("A").ok()?;
            let here = status["peers"].as_array()?.iter().filter(has_it).count();
            (here == others).then_some(())
        })
    }

    /// All stores are one chain, and no money was made or lost.
    fn audit(&self, program: &Path) -> Fallible<()> {
        let mut command = Command::new(program);
        command.arg("audit");
        let of_voters = self.bank.redis_urls().into_values();
        for url in of_voters.chain(self.all.iter().map(|branch| branch.redis.url())) {
            command.args(["--redis", &url]);
        }
        let output = command.output().map_err(|error| format!("audit: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stdout).into_owned()),
        }
    }
}
