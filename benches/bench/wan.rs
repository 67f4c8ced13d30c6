//! `wan`: servers that are far from each other.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::bank::{Bank, IDS};
use super::check::{Told, check};
use super::lines::Line;
use super::load::{Manner, Wire, wait_until};
use super::local::{SLICES, Slices, circle, load};
use super::overdraft::{ask, hear, open_poor_accounts, poor, send};
use super::report::{Bound, Report, Unit};
use super::tally::Tally;
use super::{Context, Fallible};

/// From one server to another.
const DELAY: Duration = Duration::from_millis(50);
/// The same everywhere, each with one transfer in flight.
const CLIENTS: usize = 64;

/// What is near and what is far is compared in slices that take turns: a machine that is shared is not the
/// same from one second to the next.
pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    for run in 1..=context.runs.min(3) {
        context.step(&format!("wan: near and far, run {run}"));
        let (mut near, mut far) = (Place::new(context, false)?, Place::new(context, true)?);
        for _ in 0..SLICES {
            near.load(context)?;
            far.load(context)?;
        }
        near.end(report, "near")?;
        far.end(report, "far")?;
        context.step(&format!("wan: far, always Paxos, run {run}"));
        always_paxos(context, report)?;
        context.step(&format!("wan: the same server again, run {run}"));
        same_again(context, report)?;
        let slowed = report.last("far: p50") / report.last("near: p50");
        report.add("p50, far / near", Unit::Ratio, slowed);
        let gain = report.last("far") / report.last(ALWAYS);
        report.add("throughput, far / always Paxos", Unit::Ratio, gain);
    }
    report.ask("wan, p50 far / near", "p50, far / near", Bound::AtMost(1.1));
    report.ask("wan, overdraft of the last winner / round trip", AGAIN_TRIPS, Bound::AtMost(1.2));
    report.ask("wan, local / always Paxos", "throughput, far / always Paxos", Bound::AtLeast(18.0));
    Ok(())
}

const ALWAYS: &str = "far, always Paxos";
const AGAIN: &str = "far, the same server again, the money known";
const AGAIN_TRIPS: &str = "far, the same server again, the money known: p50 / round trip of a link";

/// A bank near or far, and what was measured there.
struct Place {
    bank: Bank,
    told: Told,
    slices: Slices,
}

impl Place {
    fn new(context: &Context, far: bool) -> Fallible<Place> {
        let bank = start(context, &[], far)?;
        Ok(Place { bank, told: Told::default(), slices: Slices::default() })
    }

    fn load(&mut self, context: &Context) -> Fallible<()> {
        self.slices.add(context.span(4.5), &self.bank, CLIENTS, &mut self.told)?;
        Ok(())
    }

    fn end(self, report: &mut Report, name: &str) -> Fallible<()> {
        self.bank.wait_until_quiet(false)?;
        report.checked(&check(&self.bank, &self.told)?);
        self.slices.report(report, name);
        Ok(())
    }
}

fn start(context: &Context, flags: &[&str], far: bool) -> Fallible<Bank> {
    let views = |servers: &BTreeMap<String, String>| {
        if far { proxies(servers) } else { Ok(BTreeMap::new()) }
    };
    Bank::start_with(&context.setting, flags, views)
}

fn always_paxos(context: &Context, report: &mut Report) -> Fallible<()> {
    let bank = start(context, &["--always-paxos"], true)?;
    let mut told = Told::default();
    let mut span = context.span(3.0);
    // A run takes two round trips, and two more may be in its way.
    span.seconds = span.seconds.max(1.5);
    let clients = Manner::Single { clients: CLIENTS };
    let ran = load(&bank, &circle(&bank, 1), clients, span, &mut told)?;
    bank.wait_until_quiet(true)?;
    report.checked(&check(&bank, &told)?);
    report.add(ALWAYS, Unit::PerSecond, ran.rate());
    report.add_latency(ALWAYS, &ran.latency());
    report.add_timeline(ALWAYS, &ran);
    Ok(())
}

/// A payer who has nothing pays back, again and again, what it is given at another server while the payment before is
/// under way: so its home hears of the gift with what was accepted there last. The first gift is asked for, and would have
/// the second one in its block if that came earlier.
fn same_again(context: &Context, report: &mut Report) -> Fallible<()> {
    let bank = start(context, &[], true)?;
    let (mut told, mut own, mut donor) = (Told::default(), Tally::new(), Tally::new());
    open_poor_accounts(&bank, &mut told)?;
    let payer = poor("A", 0);
    let (give, pay_back) = (Line::single("B", &payer, 1), Line::single(&payer, "B", 1));
    let mut at_home = Wire::open(&bank.addresses["A"])?;
    let mut at_donor = Wire::open(&bank.addresses["B"])?;
    ask(&mut at_donor, &give, &mut donor, false)?;
    let until = Instant::now() + Duration::from_secs_f64(context.span(4.0).seconds.max(1.0));
    let since = send(&mut at_home, &pay_back)?;
    wait_until(since + 2 * DELAY);
    ask(&mut at_donor, &give, &mut donor, false)?;
    hear(&mut at_home, &pay_back, &mut own, None)?;
    // The first ones find out who goes on.
    for count in 0.. {
        let since = send(&mut at_home, &pay_back)?;
        ask(&mut at_donor, &give, &mut donor, false)?;
        hear(&mut at_home, &pay_back, &mut own, (count > 2).then_some(since))?;
        if Instant::now() > until {
            break;
        }
    }
    let trip = 2 * DELAY.as_nanos() as u64;
    report.add_latency(AGAIN, &own.latency);
    let p50 = report.last(&format!("{AGAIN}: p50"));
    report.add(AGAIN_TRIPS, Unit::Ratio, p50 / trip as f64);
    if let Some((reason, _)) = own.others.iter().chain(&donor.others).next() {
        return Err(format!("{AGAIN}: {reason}"));
    }
    told.add_one("A", &own);
    told.add_one("B", &donor);
    bank.settle()?;
    report.checked(&check(&bank, &told)?);
    Ok(())
}

/// For each server and each other one an address of its own, from which all takes [`DELAY`] there and
/// back.
fn proxies(servers: &BTreeMap<String, String>) -> Fallible<BTreeMap<(String, String), String>> {
    let mut found = BTreeMap::new();
    for from in IDS {
        for to in IDS.into_iter().filter(|to| *to != from) {
            let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
            let address = listener.local_addr().map_err(|error| error.to_string())?.to_string();
            let target = servers[to].clone();
            // It ends with this program; nobody dials it once its servers are gone.
            thread::spawn(move || {
                for near in listener.incoming().flatten() {
                    connect(near, &target);
                }
            });
            found.insert((from.to_owned(), to.to_owned()), address);
        }
    }
    Ok(found)
}

fn connect(near: TcpStream, target: &str) {
    let Ok(far) = TcpStream::connect(target) else { return };
    let _ = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
    if let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) {
        delay(near, far);
        delay(far_too, near_too);
    }
}

/// Passes on what comes, each piece when its time has come, however much is on its way.
fn delay(mut from: TcpStream, mut to: TcpStream) {
    let (on_its_way, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if on_its_way.send((Instant::now() + DELAY, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Read);
    });
    thread::spawn(move || {
        for (then, piece) in arriving {
            wait_until(then);
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
