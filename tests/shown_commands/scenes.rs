//! The banks on which pages' commands are run.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::pages::{Block, Step, is_shown, text_of};
use crate::support::cluster::{free_address, wait_until};
use crate::support::process::Bank;
use crate::support::redis::{TestRedis, say};

/// Blocks that are run one after the other on a bank, each told by its page and the beginning of its first command.
pub struct Scene {
    pub shown: &'static [(&'static str, &'static str)],
    pub play: fn(&[Block]),
}

impl Scene {
    pub fn shows(&self, block: &Block) -> bool {
        self.shown
            .iter()
            .any(|(page, first)| *page == block.page && block.first().starts_with(first))
    }
}

const USING: &str = "doc/USING.md";
const FOLLOWING: &str = "doc/FOLLOWING.md";
const OPERATING: &str = "doc/OPERATING.md";

pub const SCENES: [Scene; 12] = [
    Scene { shown: &[("README.md", "A> transfer B 60")], play: on_a_new_bank },
    Scene {
        shown: &[(USING, "A> transfer B 60"), (USING, "C> transfer B 10"), (USING, "A> tr B 1")],
        play: on_a_new_bank,
    },
    Scene { shown: &[(USING, "A> transfer B 60"), (USING, "A> transfer C 500")], play: without_b },
    Scene { shown: &[(USING, "A> open A/alice")], play: on_a_new_bank },
    Scene {
        shown: &[
            (OPERATING, "$ paxos-banking audit --redis redis://127.0.0.1:7791"),
            (OPERATING, "redis-cli --raw LINDEX"),
            (OPERATING, "$ paxos-banking export --redis redis://127.0.0.1:7791 --id A --output"),
            (OPERATING, "$ paxos-banking export --redis redis://127.0.0.1:7791 --id A --csv"),
            (OPERATING, "$ paxos-banking export --redis redis://127.0.0.1:7791 --id A --ledger"),
        ],
        play: audited,
    },
    Scene { shown: &[(OPERATING, "$ paxos-banking config check")], play: configured },
    Scene { shown: &[(OPERATING, "$ paxos-banking mend ./data")], play: torn },
    Scene { shown: &[("doc/PROTOCOL.md", "paxos-banking diagram A.jsonl")], play: drawn },
    Scene { shown: &[("doc/WIRE.md", "$ printf")], play: by_hand },
    Scene { shown: &[("doc/METRICS.md", "$ curl")], play: by_http },
    Scene { shown: &[(USING, "$ paxos-banking client --id A --session")], play: once },
    Scene {
        shown: &[
            (FOLLOWING, "A> transfer B 30"),
            (FOLLOWING, "$ paxos-banking relay --id A --connect 127.0.0.1:7781 --stream"),
            (FOLLOWING, "$ paxos-banking relay --id A --connect 127.0.0.1:7781 --json"),
        ],
        play: followed,
    },
];

/// A command line in this folder: its status, and all that it printed.
fn run(folder: &Path, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_paxos-banking")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("exec 2>&1\n{line}")]).current_dir(folder).env("PATH", path);
    bash.env("HOME", folder).env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
    // It is for the build, and looks like a flag.
    bash.env_remove("PAXOS_BANKING_COMMIT");
    String::from_utf8(bash.stdin(Stdio::null()).output().unwrap().stdout).unwrap()
}

/// Fails unless the step says what the page shows.
fn check(block: &Block, step: &Step, printed: &str) {
    assert!(
        is_shown(&step.says, printed),
        "{}: {} prints\n{printed}and the page shows\n{}",
        block.page,
        step.command,
        step.says.join("\n")
    );
}

/// Types each command of a block at its server. What heartbeats bring is looked at until it is there.
fn type_in(bank: &Bank, block: &Block) {
    const MOST: Duration = Duration::from_secs(20);
    for step in block.steps() {
        let ask = || {
            let mut client = bank.client_command(&step.prompt);
            let output = client.args(["-c", &step.command]).stdin(Stdio::null()).output().unwrap();
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
        };
        let (mut printed, begun) = (ask(), Instant::now());
        while step.command == "status" && !is_shown(&step.says, &printed) && begun.elapsed() < MOST
        {
            printed = ask();
        }
        check(block, &step, &printed);
    }
}

fn on_a_new_bank(blocks: &[Block]) {
    let bank = Bank::start(&["A", "B", "C"]);
    blocks.iter().for_each(|block| type_in(&bank, block));
}

fn without_b(blocks: &[Block]) {
    let mut bank = Bank::start(&["A", "B", "C"]);
    type_in(&bank, &blocks[0]);
    bank.kill("B");
    wait_until("A hears that B is gone", || {
        let status = bank.ask("A", &json!({"status": {}})).unwrap();
        let peers = status["peers"].as_array().unwrap();
        peers.iter().any(|peer| peer["id"] == "B" && peer["connected"] == json!(false))
    });
    type_in(&bank, &blocks[1]);
}

/// Runs each command of a block in a folder, where the page's Redis is this one.
fn type_at_shell(folder: &Path, block: &Block, redis: &TestRedis) {
    let here = |text: &str| text.replace(":7791", &format!(":{}", redis.port()));
    for mut step in block.steps() {
        step.says.iter_mut().for_each(|line| *line = here(line));
        check(block, &step, &run(folder, &here(&step.command)));
    }
}

/// The bank of the chapter on audits: what was paid before its first line.
fn audited(blocks: &[Block]) {
    let folder = TempDir::new().unwrap();
    let bank = Bank::start(&["A", "B", "C"]);
    let [audit, by_hand, export, table, journal] = blocks else { panic!("five blocks") };
    let orders = [
        ("A", "open A/alice"),
        ("A", "transfer A/alice 50"),
        ("A", "transfer B 30"),
        ("A", "settle"),
        ("B", "transfer C 110"),
        ("A", "settle"),
        ("A", "transfer C 5"),
    ];
    for (id, order) in orders {
        let output = bank.client_command(id).args(["-c", order]).stdin(Stdio::null()).output();
        assert!(output.unwrap().status.success(), "{order}");
    }
    let redis = &bank.stores[0];
    for block in [audit, export, table, journal] {
        type_at_shell(folder.path(), block, redis);
    }
    let [hash, next] = &by_hand.steps()[..] else { panic!("two commands") };
    let at = |step: &Step| {
        let command = step.command.split("  #").next().unwrap();
        run(folder.path(), &command.replace("redis-cli", &format!("redis-cli -p {}", redis.port())))
    };
    let (hash, next) = (at(hash), at(next));
    let hash = hash.split(' ').next().unwrap();
    assert!(next.contains(&format!("\"previous\":\"{hash}\"")), "{hash}: {next}");
    // Then somebody makes the 30 in B's block 1 a 31.
    let mut connection = redis.connect();
    let key = "SERVER-BLOCKCHAIN-B";
    let text: String = say(&mut connection, &["LINDEX", key, "1"]);
    let changed = text.replace("[\"A\",\"B\",30", "[\"A\",\"B\",31");
    assert_ne!(text, changed);
    say::<()>(&mut connection, &["LSET", key, "1", &changed]);
    let mut second =
        crate::pages::blocks(OPERATING).into_iter().filter(|block| block.first() == audit.first());
    type_at_shell(folder.path(), &second.next_back().unwrap(), redis);
}

/// The file is the block before.
fn configured(blocks: &[Block]) {
    let folder = TempDir::new().unwrap();
    let page = text_of(OPERATING);
    let file = page.split("    # bank.toml\n").nth(1).unwrap();
    let lines = file.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let text: String = lines.map(|line| format!("{}\n", line.trim_start())).collect();
    fs::write(folder.path().join("bank.toml"), text).unwrap();
    for step in blocks[0].steps() {
        check(&blocks[0], &step, &run(folder.path(), &step.command));
    }
}

/// A Redis that lost its power while it wrote a turn. How long a file is differs each time.
fn torn(blocks: &[Block]) {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let turn: [&[&str]; 2] = [&["INCR", "SERVER-TURN-A"], &["RPUSH", "SERVER-LOG-A", "x"]];
    bank.redis("A").kill_while_writing(&turn, 3);
    let folder = bank.redis("A").data();
    let without_numbers = |text: &str| -> String {
        let digit = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let mut text: Vec<char> = text.chars().map(digit).collect();
        text.dedup_by(|a, b| *a == '0' && *b == '0');
        text.into_iter().collect::<String>().replace("0 command ", "0 commands ")
    };
    for step in blocks[0].steps() {
        let printed = run(&folder, &step.command.replace("./data", "."));
        let printed = printed.replace("./", "./data/");
        let says: Vec<String> = step.says.iter().map(|line| without_numbers(line)).collect();
        assert!(is_shown(&says, &without_numbers(&printed)), "{printed}\n{says:#?}");
    }
}

/// The traces of three servers, and a file to be played.
fn drawn(blocks: &[Block]) {
    let folder = TempDir::new().unwrap();
    let mut bank = Bank::new(&["A", "B", "C"]);
    for id in ["A", "B", "C"] {
        let trace = folder.path().join(format!("{id}.jsonl"));
        bank.start_server_with(id, &["--trace", trace.to_str().unwrap()]);
    }
    bank.wait_until_connected();
    let settled = bank.client_command("A").args(["-c", "transfer B 5 --settled"]).output().unwrap();
    assert!(settled.status.success());
    std::os::unix::fs::symlink(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"),
        folder.path().join("tests"),
    )
    .unwrap();
    for step in blocks[0].steps() {
        let picture = folder.path().join("run.svg");
        let _ = fs::remove_file(&picture);
        check(&blocks[0], &step, &run(folder.path(), &step.command));
        let drawn = fs::read_to_string(&picture).unwrap();
        assert!(drawn.starts_with("<svg") || drawn.contains("<svg"), "{}", step.command);
    }
}

/// Lines of JSON from a shell. What stands for `nc` reads as many lines as were sent.
fn by_hand(blocks: &[Block]) {
    const NC: &str = "nc() { exec 3<>\"/dev/tcp/$3/$4\"; cat >&3; head -n 2 <&3; }\n";
    let (folder, bank) = (TempDir::new().unwrap(), Bank::start(&["A", "B", "C"]));
    for step in blocks[0].steps() {
        let at = bank.address("A").replace(':', " ");
        let command = step.command.replace("127.0.0.1 8001", &at);
        check(&blocks[0], &step, &run(folder.path(), &format!("{NC}{command}")));
    }
}

/// A client whose session has a name, run again.
fn once(blocks: &[Block]) {
    let (folder, bank) = (TempDir::new().unwrap(), Bank::start(&["A", "B", "C"]));
    for step in blocks[0].steps() {
        let at = format!("--id A --connect {}", bank.address("A"));
        check(&blocks[0], &step, &run(folder.path(), &step.command.replace("--id A", &at)));
    }
}

/// A bank that is followed, and relayed into its own Redis.
fn followed(blocks: &[Block]) {
    let (folder, bank) = (TempDir::new().unwrap(), Bank::start(&["A", "B", "C"]));
    type_in(&bank, &blocks[0]);
    for block in &blocks[1..] {
        for step in block.steps() {
            let port = format!(":{}", bank.stores[0].port());
            let command = step.command.replace("127.0.0.1:7781", bank.address("A"));
            let command =
                command.replace(":7791", &port).replace("-p 7791", &port.replace(':', "-p "));
            check(block, &step, &run(folder.path(), &command));
        }
    }
}

/// What a server tells by HTTP.
fn by_http(blocks: &[Block]) {
    let (folder, mut bank, http) = (TempDir::new().unwrap(), Bank::new(&["A"]), free_address());
    bank.start_server_with("A", &["--http", &http]);
    bank.wait_until_connected();
    for step in blocks[0].steps() {
        let command = step.command.replace("127.0.0.1:8101", &http);
        check(&blocks[0], &step, &run(folder.path(), &command));
    }
}
