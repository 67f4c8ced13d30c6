//! A server that does as a script says, one step a request, and keeps what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::iter::Peekable;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Answers; `ID` in the text stands for the request's id.
    Say(String),
    /// Answers after so long.
    SayLate(Duration, String),
    /// Answers, and closes the connection.
    SayAndClose(String),
    /// Closes the connection without an answer.
    Close,
    /// Does not answer; unless a session is asked for, which is always opened, since a slow machine
    /// may need more than one try for it.
    Silence,
    /// Answers one byte at a time, and comes to no end for longer than any test's patience.
    Drip,
}

/// One request, and the number of the connection on which it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub connection: usize,
    pub request: Value,
}

impl Asked {
    /// The name that a transfer, an opening or a batch came under.
    pub fn name(&self) -> (String, u64) {
        let kinds = ["transfer", "open", "batch"];
        let named = kinds.iter().find_map(|kind| self.request.get(kind)).unwrap();
        (named["session"].as_str().unwrap().into(), named["number"].as_u64().unwrap())
    }
}

#[derive(Debug, Default)]
struct Seen {
    asked: Vec<Asked>,
    /// Sessions opened in silence.
    opened: usize,
    closed: usize,
}

pub struct Fake {
    pub address: String,
    seen: Arc<Mutex<Seen>>,
}

impl Fake {
    /// Serves one connection after the other: a client that held on to an old one would wait in vain. Who it
    /// is it says by itself, as server A: the script has no step for that.
    pub fn start(script: Vec<Step>) -> Fake {
        Fake::serve(Some("A"), script)
    }

    /// The same as server B.
    pub fn start_as_b(script: Vec<Step>) -> Fake {
        Fake::serve(Some("B"), script)
    }

    /// The same, but the script has to say who it is, too.
    pub fn start_nameless(script: Vec<Step>) -> Fake {
        Fake::serve(None, script)
    }

    fn serve(id: Option<&'static str>, script: Vec<Step>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        thread::spawn(move || {
            let mut script = script.into_iter().peekable();
            for (number, stream) in listener.incoming().enumerate() {
                let more = serve(&stream.unwrap(), number, id, &mut script, &shared);
                shared.lock().unwrap().closed += 1;
                if !more {
                    return;
                }
            }
        });
        Fake { address, seen }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().asked.clone()
    }

    /// The requests without their ids.
    pub fn requests(&self) -> Vec<Value> {
        let without_id = |asked: Asked| {
            let mut request = asked.request;
            request.as_object_mut().unwrap().remove("id").expect("each request has an id");
            request
        };
        self.asked().into_iter().map(without_id).collect()
    }

    /// The transfers among the requests.
    pub fn transfers(&self) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.request.get("transfer").is_some());
        asked
    }

    /// Waits until so many connections are closed on this side.
    pub fn wait_for_closed(&self, count: usize) {
        let start = Instant::now();
        while self.seen.lock().unwrap().closed < count {
            assert!(start.elapsed() < Duration::from_secs(30), "the connection stays open");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Serves a connection; false when the script has come to its end.
fn serve(
    mut stream: &TcpStream,
    connection: usize,
    who: Option<&str>,
    script: &mut Peekable<impl Iterator<Item = Step>>,
    seen: &Mutex<Seen>,
) -> bool {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).unwrap();
        let id = request["id"].to_string();
        let opens = request.get("session").is_some();
        if let Some(who) = who.filter(|_| request.get("status").is_some()) {
            let _ = writeln!(stream, "{}", status(who).replace("ID", &id));
            continue;
        }
        seen.lock().unwrap().asked.push(Asked { connection, request });
        let step = match script.peek() {
            Some(Step::Silence) if opens => {
                let mut seen = seen.lock().unwrap();
                seen.opened += 1;
                Some(session(&format!("A.1.0.00000000000000ff.{}", seen.opened)))
            }
            _ => script.next(),
        };
        let Some(step) = step else { return false };
        match step {
            Step::Say(text) => {
                let _ = writeln!(stream, "{}", text.replace("ID", &id));
            }
            Step::SayLate(pause, text) => {
                thread::sleep(pause);
                let _ = writeln!(stream, "{}", text.replace("ID", &id));
            }
            Step::SayAndClose(text) => {
                let _ = writeln!(stream, "{}", text.replace("ID", &id));
                return true;
            }
            Step::Close => return true,
            Step::Silence => {}
            Step::Drip => {
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(40) && stream.write_all(b" ").is_ok() {
                    thread::sleep(Duration::from_millis(10));
                }
                return true;
            }
        }
    }
    true
}

pub const SESSION: &str = "A.1.0.00000000000000ff.1";
pub const NEXT_SESSION: &str = "A.1.0.00000000000000ff.2";

pub fn say(text: &str) -> Step {
    Step::Say(text.into())
}

/// What server `id` says of itself.
pub fn status(id: &str) -> String {
    let head = "0".repeat(64);
    format!(
        r#"{{"id":ID,"server":"{id}","start":"baby","instance":"0000000000000001","life":"0000000000000002","turn":3,"active":true,"waiting_for":[],"height":0,"head":"{head}","included":{{}},"log_length":0,"waiting":0,"accounts":2,"promised":null,"accepted":null,"run":"idle","ballot":null,"answered":[],"unanswered":[],"peers":[]}}"#
    )
}

/// Names the session.
pub fn session(name: &str) -> Step {
    Step::Say(format!(r#"{{"id":ID,"session":"{name}"}}"#))
}

pub const ACCEPTED: &str =
    r#"{"id":ID,"outcome":"accepted","server":"A","epoch":1,"seq":1,"balance":70,"via":"local"}"#;
/// To a batch of two.
pub const BOTH_ACCEPTED: &str = r#"{"id":ID,"server":"A","epoch":1,"outcomes":[[1,70],[2,65]]}"#;
pub const EXPIRED: &str = r#"{"id":ID,"outcome":"expired","reason":"too late"}"#;
pub const WAITS: &str =
    r#"{"id":ID,"error":"unavailable","message":"the bank is not founded yet: waiting for C"}"#;

/// An outcome without its braces: the right server is B, at this address.
pub fn wrong_server(address: &str) -> String {
    format!(r#""outcome":"wrong_server","reason":"that is B's","server":"B","address":"{address}""#)
}
