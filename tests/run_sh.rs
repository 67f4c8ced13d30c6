//! `./run.sh` and what can have happened to its data meanwhile: what it says, what it does, and what the
//! accounts hold before and after.

#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::cluster::wait_until;
use support::redis::append_only_file_in;
use support::run_sh::{RunSh, Said, program};

/// What each account holds, as its home says, and how high the chains are; "-" where nobody answers.
fn balances(bank: &RunSh) -> String {
    let of = |id: &str| {
        let Said { status, text } =
            bank.run(&["client", id, "--json", "--give-up-after", "2s", "-c", "balance"]);
        let reply: Value =
            serde_json::from_str(text.lines().next().unwrap_or("")).unwrap_or_default();
        match status {
            0 => format!("{id} {} at {}", reply["balance"], reply["height"]),
            _ => format!("{id} -"),
        }
    };
    ["A", "B", "C"].map(of).join(", ")
}

/// Five times A pays B, and settles; and then once more A pays B.
fn with_payments() -> RunSh {
    let bank = RunSh::new();
    bank.must(&[]);
    pay(&bank);
    bank
}

fn pay(bank: &RunSh) {
    for _ in 0..5 {
        assert_eq!(bank.tell("A", "transfer B 1").status, 0);
        let settled = bank.tell("A", "settle");
        assert_eq!(settled.status, 0, "{}", settled.text);
    }
    assert_eq!(bank.tell("A", "transfer B 1").status, 0);
}

const BEFORE: &str = "A 94 at 5, B 105 at 5, C 100 at 5";

/// The bank of the table, with no process.
fn ended() -> RunSh {
    let bank = with_payments();
    wait_until("all have the last block", || balances(&bank) == BEFORE);
    bank.must(&["down"]);
    bank
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Where this stands for the first time.
fn first_of(bytes: &[u8], text: &[u8]) -> usize {
    bytes.windows(text.len()).position(|part| part == text).unwrap()
}

/// A kind of damage to A's Redis, and what is to be seen of it.
struct Case {
    name: &'static str,
    damage: fn(&RunSh, &Path),
    /// What `./run.sh` says, and whether all servers are open then.
    says: &'static str,
    starts: bool,
    /// What the accounts hold then.
    after: &'static str,
    /// How an audit ends then.
    audit: i32,
}

const NOBODY: &str = "A -, B -, C -";
const TORN: &[u8] =
    b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$13\r\nSERVER-TURN-A\r\n*3\r\n$5\r\nRPU";

const CASES: [Case; 10] = [
    Case {
        name: "a byte in the middle is flipped",
        damage: |_, file| {
            change(file, |bytes| {
                let half = bytes.len() / 2;
                let place = half + first_of(&bytes[half..], b"$4\r\nEXEC") + 1;
                bytes[place] ^= 1;
            });
        },
        says: "or shortly before",
        starts: false,
        after: NOBODY,
        audit: 1,
    },
    Case {
        name: "a torn tail",
        damage: |_, file| change(file, |bytes| bytes.extend(TORN)),
        says: "mended: ",
        starts: true,
        after: BEFORE,
        audit: 0,
    },
    Case {
        name: "a tail of zeros",
        damage: |_, file| change(file, |bytes| bytes.resize(bytes.len() + 4096, 0)),
        says: "holds nothing but zeros, 4096 bytes",
        starts: false,
        after: NOBODY,
        audit: 1,
    },
    Case {
        name: "a missing manifest",
        damage: |bank, _| {
            let manifest = "appendonlydir/appendonly.aof.manifest";
            fs::remove_file(bank.redis("A").join(manifest)).unwrap();
        },
        says: "appendonly.aof.manifest is missing",
        starts: false,
        after: NOBODY,
        audit: 1,
    },
    Case {
        name: "a missing file",
        damage: |_, file| fs::remove_file(file).unwrap(),
        says: "it is missing, and appendonly.aof.manifest names it",
        starts: false,
        after: NOBODY,
        audit: 1,
    },
    Case {
        name: "a damaged base",
        damage: |_, file| {
            let base = file.to_str().unwrap().replace(".incr.aof", ".base.rdb");
            change(Path::new(&base), |bytes| bytes[20] ^= 1);
        },
        says: "its snapshot is damaged",
        starts: false,
        after: NOBODY,
        audit: 1,
    },
    Case {
        name: "an empty file",
        damage: |_, file| fs::write(file, "").unwrap(),
        says: "the store of A is empty",
        starts: false,
        after: "A -, B 105 at 5, C 100 at 5",
        audit: 3,
    },
    Case {
        name: "the folder is gone",
        damage: |bank, _| fs::remove_dir_all(bank.redis("A")).unwrap(),
        says: "the store of A is empty",
        starts: false,
        after: "A -, B 105 at 5, C 100 at 5",
        audit: 3,
    },
    Case {
        name: "all folders are gone",
        damage: |bank, _| {
            for id in ["A", "B", "C"] {
                fs::remove_dir_all(bank.redis(id)).unwrap();
            }
        },
        says: "the store of A ",
        starts: false,
        after: NOBODY,
        audit: 3,
    },
    Case {
        name: "a byte within a block is flipped",
        damage: |_, file| {
            change(file, |bytes| {
                let block = first_of(bytes, b"\"height\":2,");
                let amount = block + first_of(&bytes[block..], b"[\"A\",\"B\",1") + 9;
                bytes[amount] = b'2';
            });
        },
        says: "SERVER-BLOCKCHAIN-A",
        starts: false,
        after: "A -, B 105 at 5, C 100 at 5",
        audit: 1,
    },
];

#[test]
fn what_is_damaged_is_said_and_nothing_that_was_confirmed_is_lost() {
    let bank = ended();
    println!("before, in each case: {BEFORE}");
    for case in CASES {
        let damaged = RunSh::with_data_of(&bank);
        (case.damage)(&damaged, &append_only_file_in(&damaged.redis("A")));
        let said = damaged.run(&[]);
        let after = balances(&damaged);
        println!(
            "\n── {}: ./run.sh ends with {}, and then {after}\n{}",
            case.name, said.status, said.text
        );
        assert!(said.text.contains(case.says), "{}: {}", case.says, said.text);
        assert_eq!(said.status == 0, case.starts, "{}", case.name);
        assert_eq!(after, case.after, "{}", case.name);
        let audit = damaged.run(&["audit"]);
        println!("audit ends with {}", audit.status);
        assert_eq!(audit.status, case.audit, "{}: {}", case.name, audit.text);
        damaged.must(&["down"]);
        assert_eq!(damaged.processes(), [""; 0]);
    }
}

/// One disk that dies takes one server's store, and the others go on.
#[test]
fn each_server_has_a_redis_that_can_be_killed_and_comes_back() {
    let bank = with_payments();
    let status = bank.must(&["status"]);
    for (more, id) in ["A", "B", "C"].iter().enumerate() {
        let port = bank.redis_port() + u16::try_from(more).unwrap();
        assert!(status.contains(&format!("redis-{id}: process ")), "{status}");
        assert!(status.contains(&format!("  at 127.0.0.1:{port}\n")), "{status}");
    }
    assert!(bank.must(&["kill", "redis-A"]).contains("./run.sh start A brings it back"));
    assert_eq!(bank.run(&["status"]).status, 1);
    assert_eq!(bank.tell("B", "transfer C 1").status, 0);
    let overdraft = bank.tell("B", "transfer C 104");
    assert_eq!(overdraft.status, 0, "B and C are a majority: {}", overdraft.text);
    let audit = bank.run(&["audit"]);
    assert_eq!(audit.status, 3, "A's store can't be read: {}", audit.text);
    bank.must(&["start", "A"]);
    wait_until("A has its store again", || bank.tell("A", "transfer B 1").status == 0);
    assert!(bank.must(&["audit"]).contains("sound"));
    bank.must(&["down"]);
    assert_eq!(bank.processes(), [""; 0]);
    let again = bank.must(&[]);
    assert!(!again.contains("mended"), "{again}");
    assert!(balances(&bank).starts_with("A 93 at"), "{}", balances(&bank));
    assert_eq!(bank.run(&["kill", "redis"]).status, 2);
    bank.must(&["clean"]);
    assert!(!bank.bank().exists());
    bank.must(&[]);
    assert_eq!(balances(&bank), "A 100 at 0, B 100 at 0, C 100 at 0", "a new bank");
}

/// What it had accepted and no block holds is lost with its disk; all else comes from the others.
#[test]
fn a_server_whose_redis_is_lost_for_good_rejoins() {
    let bank = ended();
    fs::remove_dir_all(bank.redis("A")).unwrap();
    let said = bank.run(&[]);
    assert_eq!(said.status, 1, "{}", said.text);
    assert!(said.text.contains("SERVER_FLAGS=--rejoin ./run.sh start A"), "{}", said.text);
    let rejoined = bank.run_with(&["start", "A"], &[("SERVER_FLAGS", "--rejoin")]);
    assert_eq!(rejoined.status, 0, "{}", rejoined.text);
    wait_until("A is back, with what the chain holds", || balances(&bank).starts_with("A 95 at"));
    bank.must(&["down"]);
    bank.must(&[]);
    assert!(bank.must(&["audit"]).contains("sound"));
}

/// So a bank was kept before each server had a Redis.
#[test]
fn a_bank_with_one_redis_for_all_keeps_it() {
    let bank = RunSh::new();
    let folder = bank.bank().join("redis");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("somebody was here"), "").unwrap();
    for after in [94, 93] {
        let said = bank.must(&[]);
        assert!(said.contains("one Redis for all servers, and keeps it"), "{said}");
        match after {
            94 => pay(&bank),
            _ => assert_eq!(bank.tell("A", "transfer B 1").status, 0),
        }
        assert!(balances(&bank).starts_with(&format!("A {after} at 5")), "{}", balances(&bank));
        let processes = bank.processes();
        assert_eq!(processes.iter().filter(|line| line.contains("redis-server")).count(), 1);
        assert!(bank.must(&["status"]).contains("redis: process "));
        assert!(bank.must(&["audit"]).contains("sound"));
        bank.must(&["down"]);
    }
    assert!(!bank.redis("A").exists());
    change(&append_only_file_in(&folder), |bytes| bytes.extend(TORN));
    assert!(bank.must(&["start", "B"]).contains("mended: "));
    bank.must(&["clean"]);
    assert_eq!(bank.processes(), [""; 0]);
}

/// Redis 6 would begin with an empty store beside what Redis 7 wrote.
#[test]
fn an_older_redis_is_not_started_on_what_a_newer_one_wrote() {
    let bank = RunSh::new();
    bank.must(&[]);
    bank.must(&["down"]);
    let programs = tempfile::tempdir().unwrap();
    let older =
        "#!/bin/sh\necho 'Redis server v=6.2.5 sha=00000000:0 malloc=libc bits=64 build=0'\n";
    program(programs.path(), "redis-server", older);
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let said = bank.run_with(&[], &[("PATH", &path)]);
    assert_eq!(said.status, 1);
    assert!(said.text.contains("this is Redis 6, which would take it for empty"), "{}", said.text);
    assert_eq!(bank.processes(), [""; 0]);
    bank.must(&[]);
}

#[test]
fn servers_are_added_and_removed_and_all_that_are_there_come_back() {
    let bank = RunSh::new();
    bank.must(&[]);
    assert!(bank.must(&["add"]).contains("D: votes"));
    // It opens its account once it has read that it is a member.
    wait_until("D can be paid", || bank.tell("A", "transfer D 30").status == 0);
    assert_eq!(bank.tell("A", "settle").status, 0);
    wait_until("D has it", || bank.tell("D", "balance").text.starts_with("D: 30"));
    let refused = bank.run(&["remove", "D"]);
    assert_eq!(refused.status, 1, "{}", refused.text);
    for part in ["D still holds money: D 30", "./run.sh client D -c 'transfer TO AMOUNT'"] {
        assert!(refused.text.contains(part), "{part} is not in {}", refused.text);
    }
    assert_eq!(bank.tell("D", "transfer B 30").status, 0);
    bank.must(&["remove", "D"]);
    assert!(bank.redis("D").join("appendonlydir").exists(), "its data stay");
    assert_eq!(bank.run(&["client", "D", "-c", "balance"]).status, 2, "there is no D any more");
    // The next letter; and a founder goes.
    assert!(bank.must(&["add", "--branch"]).contains("E: branch, no vote"));
    wait_until("E can be paid", || bank.tell("A", "transfer E 70").status == 0);
    bank.must(&["remove", "A"]);
    bank.must(&["down"]);
    let other = bank.run_with(&[], &[("SERVERS", "5")]);
    assert!(other.status == 1 && other.text.contains("founded with A B C"), "{}", other.text);
    bank.must(&[]);
    let balances = bank.tell("E", "balances --all").text;
    for line in ["A: 0 (0 in the chain); its home A is no member", "E: 70", "300 in all"] {
        assert!(balances.contains(line), "{balances}");
    }
    assert!(bank.must(&["audit"]).ends_with("sound\n"));
}

#[test]
fn a_bank_may_be_founded_by_more_or_fewer_than_three() {
    let bank = RunSh::new();
    for (servers, wrong) in [("0", "1 to 9"), ("10", "1 to 9"), ("x", "1 to 9")] {
        let said = bank.run_with(&[], &[("SERVERS", servers)]);
        assert!(said.status == 2 && said.text.contains(wrong), "{servers}: {}", said.text);
    }
    let said = bank.run_with(&[], &[("SERVERS", "2")]);
    assert_eq!(said.status, 0, "{}", said.text);
    assert_eq!(bank.tell("B", "transfer A 1").status, 0);
    assert_eq!(bank.run(&["start", "C"]).status, 2, "there is no C");
    bank.must(&["clean"]);
}

#[test]
fn a_bank_may_be_founded_to_issue_money_and_stays_so() {
    let bank = RunSh::new();
    let said = bank.run_with(&[], &[("ISSUING", "maybe")]);
    assert!(said.status == 2 && said.text.contains("yes founds a bank that issues money"));
    let said = bank.run_with(&[], &[("ISSUING", "yes"), ("SERVERS", "2")]);
    assert_eq!(said.status, 0, "{}", said.text);
    assert_eq!(bank.tell("A", "mint 50").status, 0);
    bank.must(&["down"]);
    let said = bank.run_with(&[], &[("ISSUING", "no")]);
    assert!(said.status == 1 && said.text.contains("stays so for ever"), "{}", said.text);
    // It needs no word any more.
    bank.must(&[]);
    assert_eq!(bank.tell("A", "burn 20").status, 0);
    let balances = bank.tell("A", "balances --all").text;
    assert!(balances.contains("230 in all"), "{balances}");
    bank.must(&["clean"]);
}

#[test]
fn who_names_a_server_wrongly_or_one_that_is_down_hears_what_to_do() {
    let bank = with_payments();
    let said = |arguments: &[&str]| bank.run(arguments);
    let Said { status, text } = said(&["kill", "b"]);
    assert!(status == 2 && text.contains("did you mean B?"), "{text}");
    let Said { status, text } = said(&["client", "x", "balance"]);
    assert!(status == 2 && text.contains("One of: A B C; not x"), "{text}");
    assert_eq!(said(&["kill", "B"]).status, 0);
    let Said { status, text } = said(&["client", "B", "--give-up-after", "1s", "balance"]);
    assert!(
        status != 0 && text.contains("server B doesn't run; ./run.sh start B starts it"),
        "{text}"
    );
}
