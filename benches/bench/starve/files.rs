//! Servers that may open few files, and clients that take all of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Ground;
use super::figures::Figures;
use super::idle::connect_many;
use crate::bench::Fallible;
use crate::bench::bank::{Bank, Setting};
use crate::bench::talk::Talk;

/// How many files a server may open.
const FILES: u32 = 256;

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    let setting = Setting { open_files: Some(FILES), ..ground.setting.clone() };
    let mut bank = Bank::start(&setting, &[])?;
    let said = bank.process("A").ok_or("A doesn't run")?.said();
    let line = said.lines().find(|line| line.contains("files") || line.contains("descriptors"));
    figures.expected("said at the start", line.unwrap_or("nothing"), "something", line.is_some());
    let mut talk = Talk::open(&bank.addresses["A"])?;
    talk.ask(&json!({"balance": {}}))?;
    let idle = connect_many(&bank, 300, b"")?;
    bank.kill("B")?;
    bank.start_server("B")?;
    let heard = within(Duration::from_secs(10), || {
        hears(&talk.ask(&json!({"status": {}})).ok()?, "B").then_some(())
    });
    figures.is_so("A hears B, started again", heard);
    let heard =
        within(Duration::from_secs(10), || hears(&bank.status("B").ok()?, "A").then_some(()));
    figures.is_so("B hears A", heard);
    let mut redis = bank.store_of("A")?.ok_or("this needs a Redis of its own")?;
    let killed =
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut redis);
    killed.map_err(|error| format!("CLIENT KILL: {error}"))?;
    let pay = json!({"transfer": {"to": "B", "amount": 1}});
    let pays = within(Duration::from_secs(10), || {
        (talk.ask(&pay).ok()?["outcome"] == json!("accepted")).then_some(())
    });
    let again = pays
        || within(Duration::from_secs(5), || {
            let reply = Talk::open(&bank.addresses["A"]).ok()?.ask(&pay).ok()?;
            (reply["outcome"] == json!("accepted")).then_some(())
        });
    figures.is_so("A pays after it has lost its connections to Redis", again);
    drop(idle);
    Ok(())
}

fn hears(status: &Value, id: &str) -> bool {
    let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
    peers.iter().any(|peer| peer["id"] == json!(id) && peer["connected"] == json!(true))
}

/// Whether it comes about in time.
fn within(time: Duration, mut poll: impl FnMut() -> Option<()>) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if poll().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
