//! What one peer's word can do: somebody speaks to A as C, with C's own hello, and lies.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Ground;
use super::figures::Figures;
use super::refusals::{ask_in_vain, open_empty};
use super::sessions::outcome;
use crate::bench::Fallible;
use crate::bench::bank::Bank;
use crate::bench::process::wait_for;
use crate::bench::talk::Talk;

/// The liar's name.
const LIAR: &str = "C";

/// What the liar says: changes to a good hello, and messages after it.
struct Lie {
    name: &'static str,
    hello: fn(&mut Value, &Truth),
    then: fn(&Truth) -> Vec<Value>,
}

/// What is true, to make lies of.
struct Truth {
    /// A's status before the lie.
    a: Value,
    /// What C said when it greeted A, brought up to date.
    hello: Value,
}

impl Truth {
    /// Where C stands, changed.
    fn standing(&self, change: &[(&str, Value)]) -> Value {
        let mut standing = self.hello["standing"].clone();
        change.iter().for_each(|(name, value)| standing[*name] = value.clone());
        json!({"heartbeat": standing})
    }

    /// The next block, with an entry of A's that A never had.
    fn block(&self) -> Value {
        let (height, head) = (self.a["height"].as_u64().unwrap_or(0), &self.a["head"]);
        let seq = self.a["included"]["A"]["seq"].as_u64().unwrap_or(0) + 1;
        let element = json!({"epoch": 1, "seq": seq, "entries": [["A", "C", 5]]});
        json!({"height": height + 1, "previous": head, "proposer": LIAR, "logs": {"A": [element]}})
    }
}

const LIES: [Lie; 6] = [
    Lie {
        name: "a hello that knows A as another store",
        hello: |hello, _| hello["knows_you_as"] = json!("00000000000000aa"),
        then: |_| Vec::new(),
    },
    Lie {
        name: "a hello that has seen A further",
        hello: |hello, truth| {
            let (instance, life) = (&truth.a["instance"], &truth.a["life"]);
            let position = json!({"epoch": 1, "seq": 1_000_000});
            hello["saw_you_at"] = json!({"instance": instance, "life": life,
                "turn": 1_000_000, "position": position});
        },
        then: |_| Vec::new(),
    },
    Lie {
        name: "a heartbeat of a turn that C never made",
        hello: |_, _| {},
        then: |truth| vec![truth.standing(&[("turn", json!(1_000_000_000))])],
    },
    Lie {
        name: "a block that nobody asked for",
        hello: |_, _| {},
        then: |truth| vec![json!({"blocks_response": {"blocks": [truth.block()]}})],
    },
    Lie {
        name: "a block that was asked for",
        hello: |_, _| {},
        then: |truth| {
            let height = truth.a["height"].as_u64().unwrap_or(0) + 1;
            let ack = json!({"reconcile_ack": {"height": height}});
            let blocks = json!({"blocks_response": {"blocks": [truth.block()]}});
            vec![truth.standing(&[("height", json!(height))]), ack, blocks]
        },
    },
    Lie {
        name: "a prepare of round 2^53 - 1",
        hello: |_, _| {},
        then: |truth| {
            let ballot =
                json!({"round": (1_u64 << 53) - 1, "server": LIAR, "life": truth.hello["life"]});
            let height = truth.a["height"].as_u64().unwrap_or(0) + 1;
            vec![json!({"prepare": {"height": height, "ballot": ballot,
                "previous": truth.a["head"], "known": {}}})]
        },
    },
];

pub fn run(ground: &Ground, figures: &mut Figures) -> Fallible<()> {
    for lie in LIES {
        let (hello, tap) = (Arc::new(Mutex::new(None)), free_listener()?);
        let address = tap.local_addr().map_err(|error| error.to_string())?.to_string();
        let mut bank = Bank::start_with(&ground.setting, &[], |servers| {
            listen_in(tap, servers["A"].clone(), Arc::clone(&hello));
            Ok([((LIAR.to_owned(), "A".to_owned()), address)].into())
        })?;
        open_empty(&bank)?;
        let good = hello.lock().map_err(|error| error.to_string())?.take();
        let answer = tell(&mut bank, &lie, good.ok_or("C has not greeted A")?)?;
        figures.seen(&format!("{}: answered by", lie.name), &answer);
        look_what_became(&mut bank, &lie, figures)?;
    }
    Ok(())
}

fn free_listener() -> Fallible<TcpListener> {
    TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())
}

/// Passes on all that is said between who dials here and A, and keeps the first line of it. It ends
/// with this program.
fn listen_in(tap: TcpListener, a: String, hello: Arc<Mutex<Option<Value>>>) {
    thread::spawn(move || {
        for near in tap.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&a) else { continue };
            let (Ok(back_from), Ok(mut back_to)) = (far.try_clone(), near.try_clone()) else {
                continue;
            };
            let hello = Arc::clone(&hello);
            thread::spawn(move || {
                let (mut near, mut far, mut line) = (BufReader::new(near), far, String::new());
                if near.read_line(&mut line).is_ok()
                    && let Ok(Value::Object(mut first)) = serde_json::from_str(&line)
                    && let Ok(mut hello) = hello.lock()
                {
                    *hello = first.remove("hello");
                }
                let _ = far.write_all(line.as_bytes());
                let _ = std::io::copy(&mut near, &mut far);
                let _ = far.shutdown(std::net::Shutdown::Both);
            });
            thread::spawn(move || {
                let mut from = back_from;
                let _ = std::io::copy(&mut from, &mut back_to);
                let _ = back_to.shutdown(std::net::Shutdown::Both);
            });
        }
    });
}

/// Kills C, and speaks to A in its place; what A answers to the hello.
fn tell(bank: &mut Bank, lie: &Lie, mut hello: Value) -> Fallible<String> {
    bank.wait_until_quiet(true)?;
    let (a, c) = (bank.status("A")?, bank.status(LIAR)?);
    bank.kill(LIAR)?;
    wait_for("A misses C", || {
        let status = bank.status("A").ok()?;
        let peers = status["peers"].as_array()?;
        peers
            .iter()
            .any(|peer| peer["id"] == json!(LIAR) && peer["connected"] == json!(false))
            .then_some(())
    })?;
    hello["standing"]["height"] = c["height"].clone();
    hello["standing"]["turn"] = c["turn"].clone();
    hello["standing"]["active"] = json!(true);
    hello["standing"]["genesis"] =
        bank.ask("A", &json!({"chain": {"from": 0, "to": 0}}))?["blocks"][0]["hash"].clone();
    let truth = Truth { a, hello: hello.clone() };
    (lie.hello)(&mut hello, &truth);
    let mut talk = Talk::open(&bank.addresses["A"])?;
    let answer = match talk.ask(&json!({"hello": hello})) {
        Ok(answer) if answer["hello"].is_object() => "a hello".to_owned(),
        Ok(answer) => answer["reject"]["reason"].as_str().unwrap_or("?").to_owned(),
        Err(_) => "nothing".to_owned(),
    };
    for message in (lie.then)(&truth) {
        // It may be refused by now. What it was asked meanwhile goes to C's own address.
        let _ = talk.say(&message);
        thread::sleep(Duration::from_millis(200));
    }
    thread::sleep(Duration::from_secs(1));
    Ok(answer)
}

fn look_what_became(bank: &mut Bank, lie: &Lie, figures: &mut Figures) -> Fallible<()> {
    let name = |what: &str| format!("{}: {what}", lie.name);
    let runs = |bank: &mut Bank, id: &str| match bank.last_words_of(id) {
        None => ("runs".to_owned(), true),
        Some(words) => {
            let why = words.split_once("stopped: ").map_or(&*words, |(_, why)| why);
            (format!("has ended: {}", why.trim()), false)
        }
    };
    let (words, so) = runs(bank, "A");
    figures.expected(&name("A then"), &words, "runs", so);
    if !so {
        return Ok(());
    }
    bank.start_server(LIAR)?;
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until && bank.last_words_of(LIAR).is_none() && !hears_c(bank) {
        thread::sleep(Duration::from_millis(20));
    }
    let (words, so) = match (runs(bank, LIAR), hears_c(bank)) {
        ((_, true), false) => ("runs, and A doesn't hear it".to_owned(), false),
        (seen, _) => seen,
    };
    figures.expected(&name("C, started again"), &words, "runs", so);
    let (_, reply) = ask_in_vain(&mut Talk::open(&bank.addresses["A"])?)?;
    let refused = reply["outcome"] == json!("refused");
    figures.expected(&name("an overdraft at A"), &outcome(&reply), "refused", refused);
    Ok(())
}

fn hears_c(bank: &Bank) -> bool {
    let Ok(status) = bank.status("A") else { return false };
    let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
    peers.iter().any(|peer| peer["id"] == json!(LIAR) && peer["connected"] == json!(true))
}
