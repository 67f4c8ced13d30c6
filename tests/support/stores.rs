//! The Redis and Valkey programs that a test can be run on: the system's, and those that `.ci/install-stores`
//! puts into a folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use super::redis::{Program, TestRedis, say};

/// What the system itself has.
pub const SYSTEM: &str = "the system's";

/// The store of this name; none if it was said to do without.
pub fn program(name: &str) -> Option<Program> {
    if name == SYSTEM {
        return Some(Program::default());
    }
    if std::env::var("STORES").is_ok_and(|stores| stores == "none") {
        eprintln!("NOT TRIED on {name}: STORES=none");
        return None;
    }
    let folder = installed(if name == "redis-7.4" { "all" } else { "usual" }).join(name);
    Some(Program { path: folder.join("server"), libraries: folder.join("libraries") })
}

/// The folder with the stores, which are fetched unless they are there.
fn installed(which: &'static str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    static USUAL: OnceLock<PathBuf> = OnceLock::new();
    static ALL: OnceLock<PathBuf> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |argument: &str| {
        let output = Command::new(root.join(".ci/install-stores")).arg(argument).output();
        let output = output.expect("there is bash");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let found = if which == "all" { &ALL } else { &USUAL };
    found
        .get_or_init(|| {
            run(which);
            root.join(run("where"))
        })
        .clone()
}

/// What the program says that is there.
pub fn version(redis: &TestRedis) -> String {
    let info: redis::InfoDict = say(&mut redis.connect(), &["INFO", "server"]);
    let field = |name: &str| info.get::<String>(name);
    match field("valkey_version") {
        Some(version) => format!("Valkey {version}"),
        None => format!("Redis {}", field("redis_version").unwrap_or_default()),
    }
}
