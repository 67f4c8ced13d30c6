//! Who stands where another server is dialled, and who is let in as one server and speaks for others.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use paxos_banking::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use paxos_banking::bank::ids::InstanceId;
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Message, Vote};
use paxos_banking::noise::SecretKey;
use paxos_banking::wire::{encode_message, parse_message};
use serde_json::{Value, json};

use crate::keyed::Keyed;
use crate::support::cluster::{PATIENCE, hears, server, wait_until};
use crate::support::doors::{Eavesdropper, Sealed};

/// A listener, and its address.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    (listener, address)
}

/// What somebody does to who dials B; they have mallory's key.
type Answer = fn(TcpStream, &SecretKey);

/// Sends all that comes back to whom it came from, after the first `left_out` lines.
fn reflect(mut stream: TcpStream, left_out: usize) {
    let mut came = Vec::new();
    let mut byte = [0];
    let mut lines = 0;
    while lines < left_out && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        lines += usize::from(byte[0] == b'\n');
    }
    came.resize(4096, 0);
    while let Ok(count @ 1..) = stream.read(&mut came) {
        if stream.write_all(&came[..count]).is_err() {
            break;
        }
    }
}

/// Who answers in B's place, and what A's log says then.
const IMPOSTORS: [(&str, Answer, &str); 5] = [
    ("a mirror", |stream, _| reflect(stream, 0), "where a handshake should be"),
    ("a mirror of the handshake alone", |stream, _| reflect(stream, 1), "is forged"),
    (
        "plain words in B's name",
        |mut stream, _| {
            let _ = stream.write_all(b"{\"hello\":{\"id\":\"B\"}}\n");
            let _ = stream.read(&mut [0; 4096]);
        },
        "nobody has proved these words",
    ),
    (
        "another key",
        |stream, mallory| drop(Sealed::accept(stream, mallory, "B")),
        "the chain names another",
    ),
    (
        "an older format",
        |mut stream, _| {
            let _ = stream.write_all(b"{\"reject\":{\"reason\":\"it speaks format 4\"}}\n");
            let _ = stream.shutdown(Shutdown::Write);
        },
        "it speaks format 4",
    ),
];

#[test]
fn who_is_dialled_and_has_not_the_servers_key_is_no_peer() {
    let mut bank = Keyed::start();
    let before = bank.books();
    let (listener, address) = listener();
    bank.bank.kill("B");
    bank.bank.kill("A");
    bank.bank.routes.insert(("A".to_owned(), "B".to_owned()), address);
    let mallory = bank.key("mallory").clone();
    thread::spawn(move || {
        let mut answers = IMPOSTORS.iter().cycle();
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let (_, answer, _) = answers.next().expect("it goes on and on");
            answer(stream, &mallory);
        }
    });
    bank.start_server("A");
    for (who, _, words) in IMPOSTORS {
        wait_until(&format!("A's log says of {who}: {words}"), || bank.log_of("A").contains(words));
    }
    // A's own words, sent to A as B's.
    let relay = Eavesdropper::before(bank.bank.address("A"));
    bank.bank.kill("A");
    bank.bank.routes.insert(("A".to_owned(), "B".to_owned()), relay.address.clone());
    bank.start_server("A");
    wait_until("A says that it heard itself", || bank.log_of("A").contains("this is server A"));
    let status = bank.status("A");
    assert!(!hears(&status, "B"), "{status}");
    assert_eq!(bank.books(), before);
}

/// What a server says when it dials A. It is then stopped, and A has not heard of this start of it.
fn hello_of(id: &str, bank: &mut Keyed) -> Value {
    let (listener, address) = listener();
    bank.bank.kill(id);
    bank.bank.routes.insert((id.to_owned(), "A".to_owned()), address);
    bank.start_server(id);
    let (stream, _) = listener.accept().expect("it dials");
    let mut as_a = Sealed::accept(stream, bank.key("A"), "A").expect("a handshake");
    let hello = as_a.read().expect("a hello");
    bank.bank.kill(id);
    hello
}

/// Somebody with B's key, at B's address, whom A takes for B.
struct Liar {
    /// What goes to A.
    to_a: Sealed,
    /// What A says to B.
    of_a: Sealed,
}

impl Liar {
    /// Greets A by B's hello, and answers A's with it; each is welcomed.
    fn greet(bank: &Keyed, hello: &Value, place_of_b: &TcpListener) -> Liar {
        let line = format!("{hello}\n");
        let mut to_a = Sealed::connect(bank.bank.address("A"), bank.key("B"));
        to_a.send(line.as_bytes());
        assert!(to_a.read().is_some_and(|said| said["hello"].is_object()));
        loop {
            let (stream, _) = place_of_b.accept().expect("A dials");
            // What A gave up meanwhile is no use.
            let Ok(mut of_a) = Sealed::accept(stream, bank.key("B"), "B") else { continue };
            if of_a.read().is_some_and(|said| said["hello"].is_object()) {
                of_a.send(line.as_bytes());
                // By now A has taken the answer in, and speaks to B.
                of_a.read().expect("a heartbeat, or the like");
                return Liar { to_a, of_a };
            }
        }
    }

    fn say(&mut self, message: &Message) {
        self.to_a.send(encode_message(message).as_bytes());
    }

    /// The next thing that A says.
    fn hear(&mut self) -> Message {
        let line = self.of_a.read_line().expect("A goes on");
        parse_message(&line).expect("a message")
    }

    /// Waits for what is found in one of A's messages.
    fn await_what<T>(&mut self, find: impl Fn(Message) -> Option<T>) -> T {
        loop {
            if let Some(found) = find(self.hear()) {
                return found;
            }
        }
    }

    /// Waits until A has taken in all that was said. Returns the names of what A said before.
    fn is_heard(&mut self) -> Vec<&'static str> {
        self.say(&Message::ReconcileRequest);
        let mut names = Vec::new();
        loop {
            match self.hear() {
                Message::ReconcileAck { .. } => return names,
                other => names.push(other.name()),
            }
        }
    }
}

/// B's key is good, and what is said by it in C's name, or unasked, counts for nothing.
#[test]
fn who_has_one_servers_key_votes_for_no_other_and_brings_no_block() {
    let mut bank = Keyed::start();
    let hello = hello_of("B", &mut bank);
    let of_b: InstanceId = serde_json::from_value(hello["hello"]["instance"].clone()).expect("one");
    let of_c: InstanceId =
        serde_json::from_value(bank.status("C")["instance"].clone()).expect("one");
    bank.bank.kill("C");
    wait_until("C is gone", || !hears(&bank.status("A"), "C"));
    let before = bank.books();
    let genesis: BlockHash =
        bank.status("A")["bank"].as_str().expect("a hash").parse().expect("a hash");
    let place_of_b = TcpListener::bind(bank.bank.address("B")).expect("B is gone");
    let mut liar = Liar::greet(&bank, &hello, &place_of_b);
    let logs = ["A", "B", "C"].map(|id| (server(id), Vec::new())).into();
    let (previous, proposer) = (genesis, Some(server("B")));
    let block = SealedBlock::seal(Block {
        height: 1,
        previous,
        proposer,
        genesis: None,
        opening: None,
        logs,
    });
    // A block that nobody asked for, and nobody chose.
    liar.say(&Message::BlocksResponse { blocks: vec![block.clone()] });
    liar.say(&Message::Commit { height: 1, hash: block.hash() });
    // A run of C's.
    let of_cs =
        Ballot { round: 9, server: server("C"), life: "00000000000000cc".parse().expect("a life") };
    liar.say(&Message::Accept { height: 1, ballot: of_cs, block });
    liar.is_heard();
    assert_eq!(bank.books(), before);
    // A's own run, in which C's votes would be a majority.
    let mut operator = bank.client("operator", "A");
    operator.send(b"{\"settle\":{}}\n");
    let ballot = liar.await_what(|message| match message {
        Message::Prepare { ballot, .. } => Some(ballot),
        _ => None,
    });
    let promise = |instance| Message::Promise {
        height: 1,
        ballot: ballot.clone(),
        instance,
        waiting: false,
        vote: Vote::Log { elements: Vec::new(), cut: false, whole: None },
    };
    liar.say(&promise(of_c));
    assert!(!liar.is_heard().contains(&"accept"), "C has promised nothing");
    liar.say(&promise(of_b));
    let hash = liar.await_what(|message| match message {
        Message::Accept { block, .. } => Some(block.hash()),
        _ => None,
    });
    let accepted = |instance| Message::Accepted {
        height: 1,
        ballot: ballot.clone(),
        hash,
        instance,
        waiting: false,
        beyond: None,
    };
    liar.say(&accepted(of_c));
    assert!(!liar.is_heard().contains(&"commit"), "C has accepted nothing");
    assert_eq!(bank.books(), before);
    // By its own name B is heard.
    liar.say(&accepted(of_b));
    liar.await_what(|message| matches!(message, Message::Commit { .. }).then_some(()));
    assert_eq!(operator.read().expect("an answer")["settled"], json!(true));
}
