//! Every scenario of the benchmark, with small sizes: that it works, and that its checks find the bank
//! in order; and first that they would find out if it were not. What it measures here means nothing.

#[path = "../benches/bench/mod.rs"]
mod bench;

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bench::bank::{Bank, Setting};
use bench::chains::base_of;
use bench::check::{Checked, Told, check};
use bench::load::Manner;
use bench::local::{circle, load};
use bench::report::{Report, Unit, write_json};
use bench::tally::{Ack, Tally};
use bench::{Fallible, Span};
use serde_json::{Value, json};

fn main() -> ExitCode {
    if !bench::is_helper()
        && let Err(error) = numbers_are_for_people()
            .and_then(|()| checks_find_what_is_wrong())
            .and_then(|()| checks_read_segments())
            .and_then(|()| leftovers_are_removed())
    {
        eprintln!("the check of the benchmark: {error}");
        return ExitCode::FAILURE;
    }
    bench::smoke()
}

/// Counts of a check are whole numbers; a measured number has a decimal where it is small, and one
/// that is none is not made to look like one.
fn numbers_are_for_people() -> Fallible<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut report = Report::new("local");
    report.checked(&Checked { entries: 1_234_567, in_chain: 0, blocks: 15_575, how: "all of it" });
    write_json(&[report], "", folder.path())?;
    let json = fs::read_to_string(folder.path().join("results.json")).map_err(|e| e.to_string())?;
    let says = "1,234,567 entries are there once, 0 of them in 15,575 equal blocks; \
                total conserved (all of it)";
    assert!(json.contains(says), "{json} instead of: {says}");
    let shown =
        [0.04, 99.0, 100.4, 999.6, 2_226_562.4, f64::NAN].map(|value| Unit::Count.show(value));
    assert_eq!(shown, ["0.0", "99.0", "100", "1,000", "2,226,562", "NaN"]);
    Ok(())
}

/// Of benchmarks that were interrupted, and nobody else's.
fn leftovers_are_removed() -> Fallible<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut ended = Command::new("true").spawn().map_err(|error| error.to_string())?;
    let names = |process: u32| [format!("run-{process}-0123abcd"), format!("run-{process}-mine")];
    let own = names(std::process::id());
    let gone = names(ended.id());
    ended.wait().map_err(|error| error.to_string())?;
    for name in own.iter().chain(&gone) {
        fs::create_dir_all(folder.path().join(name).join("redis")).map_err(|e| e.to_string())?;
    }
    bench::place::remove_leftovers(folder.path());
    let is_there = |name: &String| folder.path().join(name).exists();
    assert!(own.iter().all(is_there), "this process is alive");
    assert_eq!(gone.each_ref().map(is_there), [false, true], "one of a benchmark that has ended");
    Ok(())
}

/// What clients were told, and one more entry of A.
fn and_one_more(told: &Told, first: u64) -> Told {
    let mut more = told.clone();
    let mut tally = Tally::new();
    tally.acks.push(Ack { at: 0, first, count: 1 });
    more.add_one("A", &tally);
    more
}

fn checks_find_what_is_wrong() -> Fallible<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let setting = Setting::new(bench::program(), folder.path().to_owned());
    let mut bank = Bank::start(&setting, &[])?;
    let mut told = Told::default();
    let span = Span { seconds: 60.0, warm: 0.0, most: 200 };
    let manner = Manner::Pipelined { connections: 1, window: 2 };
    let lines = circle(&bank, 20);
    load(&bank, &lines, manner, span, &mut told)?;
    bank.settle()?;
    load(&bank, &lines, manner, span, &mut told)?;
    bank.wait_until_quiet(false)?;
    bank.stop_servers();
    let in_order = check(&bank, &told)?;
    assert!(in_order.entries >= 1_200 && in_order.in_chain >= 600, "something was checked");

    let all = told.count("A");
    let wrong = |told: &Told, words: &str| match check(&bank, told) {
        Ok(_) => panic!("not noticed: {words}"),
        Err(error) => assert!(error.contains(words), "{error} instead of: {words}"),
    };
    wrong(&and_one_more(&told, all + 1), "its last one is");
    wrong(&and_one_more(&told, all), "two clients were told of the same entry");
    wrong(&Told::default(), "holds");

    let mut store = bank.store_of("A")?.expect("it is there");
    let mut meddle = |words: &[&str]| {
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut store).expect("Redis does it");
    };
    let (balances, state) = ("SERVER-BALANCES-B", "SERVER-STATE-B");
    let mut of_b = bank.store_of("B")?.expect("it is there");
    let mut field = |key: &str, field: &str| -> String {
        redis::cmd("HGET").arg(&[key, field]).query(&mut of_b).expect("it is there")
    };
    let (page, checkpoint) = (field(balances, "0"), field(state, "checkpoint"));
    let spoilt = |spoil: fn(&mut Value)| {
        let mut page = serde_json::from_str(&page).expect("a page");
        spoil(&mut page);
        page.to_string()
    };
    let more = spoilt(|page| {
        page["balances"][2][1] = (page["balances"][2][1].as_u64().unwrap() + 1).into()
    });
    let less = spoilt(|page| drop(page["balances"].as_array_mut().unwrap().pop()));
    let later = spoilt(|page| page["height"] = 1_000_000.into());
    for (page, words) in
        [(more, "B holds"), (less, "B lacks accounts"), (later, "page 0 of B needs block 1000000")]
    {
        meddle(&["HSET", balances, "0", &page]);
        wrong(&told, words);
    }
    // What a page was at an older block is right as well, if no later one is said to be in it.
    let opening = bank.opening;
    let founded = json!([["A", opening], ["B", opening], ["C", opening]]);
    let founded = json!({"height": 0, "balances": founded}).to_string();
    meddle(&["HSET", balances, "0", &founded]);
    meddle(&["HSET", state, "checkpoint", "0"]);
    check(&bank, &told)?;
    meddle(&["HSET", balances, "0", &founded.replacen("[\"A\",", "[\"A\",1", 1)]);
    wrong(&told, "says of block 0");
    meddle(&["HSET", balances, "0", &page]);
    check(&bank, &told)?;
    meddle(&["HSET", state, "checkpoint", "1000000"]);
    wrong(&told, "needs block 1000000");
    meddle(&["HSET", state, "checkpoint", &checkpoint]);
    meddle(&["LMOVE", "SERVER-BLOCKCHAIN-C", "ASIDE", "RIGHT", "RIGHT"]);
    wrong(&told, "differ from block");
    meddle(&["LMOVE", "ASIDE", "SERVER-BLOCKCHAIN-C", "RIGHT", "RIGHT"]);
    meddle(&["LMOVE", "SERVER-LOG-B", "ASIDE", "LEFT", "LEFT"]);
    wrong(&told, "comes after (B, 1,");
    meddle(&["LMOVE", "ASIDE", "SERVER-LOG-B", "LEFT", "LEFT"]);
    check(&bank, &told)?;
    meddle(&["RPOP", "SERVER-LOG-B"]);
    wrong(&told, "B told of entry");
    Ok(())
}

/// Blocks that are in segments only are checked like others.
fn checks_read_segments() -> Fallible<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let setting = Setting::new(bench::program(), folder.path().to_owned());
    let setting = Setting { archive: true, redis_each: true, ..setting };
    let mut bank = Bank::start(&setting, &["--keep", "4KiB", "--segment", "4KiB"])?;
    let mut told = Told::default();
    let span = Span { seconds: 60.0, warm: 0.0, most: 200 };
    let manner = Manner::Pipelined { connections: 1, window: 2 };
    let lines = circle(&bank, 20);
    let until = Instant::now() + Duration::from_secs(60);
    while base_of(&bank, "B")? < 3 {
        assert!(Instant::now() < until, "no blocks go to segments");
        load(&bank, &lines, manner, span, &mut told)?;
        bank.settle()?;
    }
    bank.stop_servers();
    let in_order = check(&bank, &told)?;
    assert_eq!(in_order.in_chain, in_order.entries, "all is settled");
    let files = fs::read_dir(bank.archive_path("B")).map_err(|error| error.to_string())?;
    let is_segment = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "jsonl");
    let segments = files.filter_map(|file| file.ok().map(|file| file.path()).filter(is_segment));
    // The first by height. Of the last, which Redis doesn't note yet, nobody reads.
    let segment = segments.min().expect("its blocks are in segments");
    let text = fs::read_to_string(&segment).expect("it is a text");
    let spoil = |text: String, words: &str| {
        fs::write(&segment, text).expect("it can be written");
        match check(&bank, &told) {
            Ok(_) => panic!("not noticed: {words}"),
            Err(error) => assert!(error.contains(words), "{error} instead of: {words}"),
        }
    };
    spoil(text.replacen(",1]", ",2]", 1), "it was changed");
    spoil(text[..text.len() / 2].to_owned(), "it is cut short");
    fs::write(&segment, text).expect("it can be written");
    check(&bank, &told).map(drop)
}
