//! Pages of statements: how long a client waits for one, and Redis's other clients meanwhile.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Fallible;
use super::bank::Bank;
use super::report::{Bound, Report, Unit};
use super::talk::Talk;
use super::tally::new_histogram;

/// How often Redis's other client asks.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// The request for a page of an account's statement that begins before a block's end.
pub fn page_before(account: &str, height: u64, balance: u64) -> Value {
    let before = json!({"height": height, "place": 1u64 << 40, "balance": balance});
    json!({"history": {"account": account, "before": before, "limit": 20}})
}

/// The request for the newest page.
pub fn newest_page(account: &str) -> Value {
    json!({"history": {"account": account, "limit": 20}})
}

/// Asks for a page, which must have lines; returns how long that took, in nanoseconds.
pub fn ask(talk: &mut Talk, request: &Value) -> Fallible<f64> {
    let start = Instant::now();
    let reply = talk.ask(request)?;
    let took = start.elapsed().as_nanos() as f64;
    match reply["lines"].as_array().is_some_and(|lines| !lines.is_empty()) {
        true => Ok(took),
        false => Err(format!("a page without lines: {reply}")),
    }
}

/// Asks A for pages, one after the other, and watches how long its Redis's other clients wait; then the same
/// time without pages. The figures' names begin with `name`.
pub fn measure(
    report: &mut Report,
    bank: &Bank,
    name: &str,
    seconds: f64,
    mut request: impl FnMut() -> Value,
) -> Fallible<()> {
    let mut talk = Talk::open(&bank.addresses["A"])?;
    let end = |from: Instant| from.elapsed().as_secs_f64() >= seconds;
    let mut pages = new_histogram();
    let start = Instant::now();
    let busy = beside(bank, || {
        while !end(start) {
            pages.saturating_record(ask(&mut talk, &request())? as u64);
        }
        Ok(())
    })?;
    let idle = beside(bank, || {
        thread::sleep(Duration::from_secs_f64(seconds));
        Ok(())
    })?;
    report.add_latency(name, &pages);
    let p99 = |times: &Histogram<u64>| times.value_at_quantile(0.99) as f64;
    report.add(&format!("{name}: Redis's other client meanwhile: p99"), Unit::Nanos, p99(&busy));
    report.add(&format!("{name}: the same without pages: p99"), Unit::Nanos, p99(&idle));
    let ratio = p99(&busy) / p99(&idle).max(1.0);
    report.add(&format!("{name}: Redis's other client / without pages"), Unit::Ratio, ratio);
    Ok(())
}

/// Says what is asked of pages that were measured under this name.
pub fn ask_for(report: &mut Report, what: &str, name: &str, at_most: f64) {
    report.ask(what, &format!("{name}: p99"), Bound::AtMost(at_most));
    let others = format!("{name}: Redis's other client / without pages");
    report.ask(&format!("{what}: Redis's others"), &others, Bound::AtMost(2.0));
}

/// How long another client of A's Redis waits while something is done.
fn beside(bank: &Bank, work: impl FnOnce() -> Fallible<()>) -> Fallible<Histogram<u64>> {
    let mut store = bank.store_of("A")?.ok_or("A's Redis may not be looked at")?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut times = new_histogram();
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                let asked = redis::cmd("GET").arg("nothing").query::<Option<String>>(&mut store);
                asked.map_err(|error| error.to_string())?;
                times.saturating_record(start.elapsed().as_nanos() as u64);
                thread::sleep(ASK_EVERY);
            }
            Ok(times)
        });
        let worked = work();
        over.store(true, Ordering::Relaxed);
        let times = watcher.join().map_err(|_| "who watches has panicked".to_owned())?;
        worked.and(times)
    })
}

/// Has the system forget what it holds of a folder's files in memory, as far as it does that.
pub fn forget_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let mut dd = Command::new("dd");
        let file = format!("if={}", entry.path().display());
        let dd = dd.args([&file[..], "iflag=nocache", "count=0"]);
        let _ = dd.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
