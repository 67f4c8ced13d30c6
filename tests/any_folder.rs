//! `redis.conf` and `run.sh` are started from any folder: what they keep is where they are, not where one stands.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use paxos_banking::play::guard::Guarded;
use support::cluster::{free_address, wait_until};
use support::run_sh::RunSh;
use tempfile::TempDir;

/// A copy of `redis.conf` with its folder for the data, and another folder to stand in.
struct Folders {
    all: TempDir,
}

impl Folders {
    fn new() -> Folders {
        let all = TempDir::new().unwrap();
        let folders = Folders { all };
        fs::create_dir_all(folders.path("bank/data")).unwrap();
        fs::create_dir(folders.path("elsewhere")).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("redis.conf");
        // By another process: one that a test beside this one forks at this moment would have the copy open for
        // writing, and what is open for writing is no program yet ("text file busy").
        let copied = Command::new("cp").arg(from).arg(folders.path("bank/redis.conf")).status();
        assert!(copied.unwrap().success());
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.all.path().join(name)
    }

    /// Starts it as a program, from elsewhere; returns the folder of its data, by its own word.
    fn data(&self, program: &Path, flags: &[&str]) -> PathBuf {
        let address = free_address();
        let port = address.rsplit_once(':').unwrap().1;
        let mut command = Command::new(program);
        command.args(["--port", port]).args(flags).current_dir(self.path("elsewhere"));
        let _redis = Guarded::start(&command, Stdio::null()).unwrap();
        let ask = || {
            let client = redis::Client::open(format!("redis://{address}")).unwrap();
            let mut link = client.get_connection().ok()?;
            redis::cmd("SET").arg("key").arg("value").query::<()>(&mut link).ok()?;
            redis::cmd("CONFIG").arg("GET").arg("dir").query::<Vec<String>>(&mut link).ok()
        };
        let mut told = None;
        wait_until("Redis answers", || {
            told = ask();
            told.is_some()
        });
        PathBuf::from(told.unwrap().pop().unwrap())
    }

    fn assert_nothing_elsewhere(&self, but: usize) {
        let found = fs::read_dir(self.path("elsewhere")).unwrap().count();
        assert_eq!(found, but, "something was put where one stood");
    }
}

#[test]
fn redis_conf_is_a_program_that_keeps_its_data_beside_it() {
    let folders = Folders::new();
    let conf = folders.path("bank/redis.conf");
    let data = folders.path("bank/data").canonicalize().unwrap();
    let found = folders.data(&conf, &[]);
    assert_eq!(found.canonicalize().unwrap(), data);
    assert!(fs::read_dir(&data).unwrap().count() > 0, "that is where the key went");
    folders.assert_nothing_elsewhere(0);
    // By a link, and by a name without its folder's.
    let link = folders.path("elsewhere/link");
    symlink(&conf, &link).unwrap();
    for program in [link.as_path(), Path::new("./link")] {
        let program = if program.is_absolute() { program.to_owned() } else { "./link".into() };
        assert_eq!(folders.data(&program, &[]).canonicalize().unwrap(), data);
    }
    folders.assert_nothing_elsewhere(1);
    // Where the data are to be elsewhere, that counts.
    let other = folders.path("other");
    fs::create_dir(&other).unwrap();
    let found = folders.data(&conf, &["--dir", other.to_str().unwrap()]);
    assert_eq!(found.canonicalize().unwrap(), other.canonicalize().unwrap());
}

/// It doesn't use a folder of the same name where one stands, which may be another program's.
#[test]
fn redis_conf_leaves_a_folder_of_the_same_name_alone() {
    let folders = Folders::new();
    fs::create_dir(folders.path("elsewhere/data")).unwrap();
    let found = folders.data(&folders.path("bank/redis.conf"), &[]);
    let data = folders.path("bank/data").canonicalize().unwrap();
    assert_eq!(found.canonicalize().unwrap(), data);
    assert_eq!(fs::read_dir(folders.path("elsewhere/data")).unwrap().count(), 0);
}

#[test]
fn run_sh_keeps_a_bank_beside_it_wherever_one_stands() {
    let elsewhere = TempDir::new().unwrap();
    fs::create_dir(elsewhere.path().join("data")).unwrap();
    let bank = RunSh::new();
    let said = bank.run_from(elsewhere.path(), &["up"]);
    assert_eq!(said.status, 0, "{}", said.text);
    for name in ["redis-A/appendonlydir", "archive-A/archive.json"] {
        wait_until(name, || bank.bank().join(name).exists());
    }
    let said = bank.run_from(elsewhere.path(), &["down"]);
    assert_eq!(said.status, 0, "{}", said.text);
    let files = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!((files(elsewhere.path()), files(&elsewhere.path().join("data"))), (1, 0));
}
