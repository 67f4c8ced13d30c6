//! Every command that README.md and doc/ show is run, and what it prints is compared with what the page shows, times
//! and hashes aside: by the test of its page, by a scene here, or else it stands on a list with the reason why not.
#![cfg(all(feature = "noise", target_os = "linux"))]

mod pages;
mod scenes;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use pages::{Block, blocks, is_shown, pages, steady};
use scenes::SCENES;

/// Pages of which another test runs each command.
const WALKED: [(&str, &str); 6] = [
    ("doc/BACKUP.md", "tests/backup_page.rs"),
    ("doc/KEYS.md", "tests/keys_page.rs"),
    ("doc/MACHINES.md", "tests/machines_page.rs"),
    ("doc/MEMBERS.md", "tests/members_page.rs"),
    ("doc/PAXOS.md", "tests/paxos_page.rs"),
    ("doc/SCENARIOS.md", "tests/scenarios_page.rs"),
];

/// Blocks that aren't run as they stand: the page, what their first command begins with, and why.
const NOT_RUN: [(&str, &str, &str); 14] = [
    (
        "README.md",
        "./run.sh ",
        "it opens terminals, and runs all tests; tests/run_sh.rs and tests/demo.rs run it",
    ),
    (
        "README.md",
        "redis-server ./redis.conf",
        "its ports are fixed, and may be taken here; doc/BACKUP.md has the same with ports of its own",
    ),
    (
        "README.md",
        "target/release/paxos-banking server --id A --bank",
        "the same; doc/MEMBERS.md has it with its own ports",
    ),
    (
        "doc/OPERATING.md",
        "$ ls data/bank/archive-A",
        "a segment takes 64 MiB of blocks; tests/archive makes small ones",
    ),
    (
        "doc/OPERATING.md",
        "ACL SETUSER",
        "tests/store_connecting.rs gives a user exactly the rights of this line",
    ),
    (
        "doc/OPERATING.md",
        "paxos-banking server --id D",
        "its ports are fixed; doc/MEMBERS.md has the same with ports of its own",
    ),
    (
        "doc/OPERATING.md",
        "paxos-banking server --id B --rejoin",
        "it is not whole; doc/KEYS.md has a whole one",
    ),
    (
        "doc/OPERATING.md",
        "10.0.0.1$ redis-server",
        "it needs two machines; tests/copies has replicas on one",
    ),
    (
        "doc/OPERATING.md",
        "10.0.0.2$ REDISCLI_AUTH",
        "it needs three machines; tests/copies promotes a replica on one",
    ),
    (
        "doc/OPERATING.md",
        "sentinel monitor",
        "it is what Sentinels on three machines are set to; tests/copies promotes a replica as they do",
    ),
    (
        "doc/OPERATING.md",
        "$ paxos-banking upgrade",
        "it needs a store of the version before; tests/upgrade has some",
    ),
    ("doc/USING.md", "A> transfer B 500", "Ctrl-C needs a terminal; tests/terminal.rs has one"),
    (
        "doc/WEB.md",
        "./run.sh web",
        "it opens a browser, and serves until it is ended; tests/web has a real browser",
    ),
    ("doc/WEB.md", "paxos-banking web", "the same; tests/web starts it over banks of its own"),
];

/// A block that is run neither here nor by its page's test.
fn excused(block: &Block) -> Option<usize> {
    NOT_RUN
        .iter()
        .position(|(page, first, _)| *page == block.page && block.first().starts_with(first))
}

fn is_played(block: &Block) -> bool {
    SCENES.iter().any(|scene| scene.shows(block))
}

#[test]
fn each_command_of_each_page_is_run_by_somebody() {
    let mut used = BTreeSet::new();
    for page in pages() {
        if let Some((_, test)) = WALKED.iter().find(|(walked, _)| *walked == page) {
            let test =
                std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(test)).unwrap();
            assert!(test.contains(&page), "the test of {page} doesn't read it");
            continue;
        }
        for block in blocks(&page) {
            match (is_played(&block), excused(&block)) {
                (true, None) => {}
                (false, Some(number)) => {
                    assert!(used.insert(number), "{:?} excuses two", NOT_RUN[number])
                }
                (true, Some(_)) => panic!("{page}: {} is run, and excused", block.first()),
                (false, None) => panic!("{page}: nobody runs {}", block.first()),
            }
        }
    }
    let idle = (0..NOT_RUN.len()).find(|number| !used.contains(number));
    assert_eq!(idle.map(|number| NOT_RUN[number]), None, "it excuses nothing");
    // The tests that reasons name are there.
    let names = NOT_RUN.iter().flat_map(|(.., why)| why.split([' ', ';', ',']));
    for name in names.filter(|word| word.starts_with("tests/") || word.starts_with("doc/")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(name).exists(), "{name} is not there");
    }
}

#[test]
fn what_the_pages_show_is_printed() {
    for scene in &SCENES {
        let shown: Vec<Block> = scene
            .shown
            .iter()
            .map(|(page, first)| {
                let mut found =
                    blocks(page).into_iter().filter(|block| block.first().starts_with(first));
                found.next().unwrap_or_else(|| panic!("{page} lacks {first}"))
            })
            .collect();
        (scene.play)(&shown);
    }
}

#[test]
fn only_times_rates_and_hashes_are_left_out_of_a_comparison() {
    for (line, left) in [
        ("block 1 73ada69e by A: 2 entries", "block 1 # by A: 2 entries"),
        ("up 7.3s", "up #"),
        ("p50 512 µs, p99 3.1 ms, of 2", "p50 #, p99 #, of 2"),
        ("log 1 (the oldest 4.0s old; 0 entries/s)", "log 1 (the oldest # old; # entries/s)"),
        ("request A.1.3.5494fe0e66645ea6#1", "request A.1.3.##1"),
        ("balance 40, as A.1.1", "balance 40, as A.1.1"),
    ] {
        assert_eq!(steady(line), left);
    }
    let lines = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    assert!(is_shown(&lines("a/…/d"), "a\nb\nc\nd") && !is_shown(&lines("balance 4"), "balance 5"));
}
