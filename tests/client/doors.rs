//! The client's side of the handshake: which server's key it accepts, and what it remembers.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::bank::request::Request;
use paxos_banking::client::Options;
use paxos_banking::client::doors::Doors;
use paxos_banking::client::known_servers::KnownServers;
use paxos_banking::client::session::{Failure, Session};
use paxos_banking::noise::{Introduction, SecretKey, Secured, answer, read_preamble};
use paxos_banking::wire::{LineRead, LineReader};
use serde_json::Value;

const BALANCE: &str = r#"{"id":ID,"account":"A","balance":70,"committed":100,"height":0}"#;

/// A server that goes through the handshake and answers every question with a balance.
struct Server {
    listener: TcpListener,
    address: String,
    /// The keys that clients proved, and the lines that they sent.
    heard: Arc<Mutex<(Vec<Fingerprint>, Vec<String>)>>,
}

impl Server {
    fn new() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Server { listener, address, heard: Arc::default() }
    }

    /// From now on it is this server with this key, for as many connections.
    fn is(&self, id: &str, key: &SecretKey, keyed: bool, connections: usize) {
        let (listener, heard) = (self.listener.try_clone().unwrap(), self.heard.clone());
        let introduction = Introduction { id: id.parse().unwrap(), bank: None, keyed };
        let key = key.clone();
        thread::spawn(move || {
            for _ in 0..connections {
                let socket = listener.accept().unwrap().0;
                // A client that refuses the key hangs up.
                let _ = serve(&socket, &key, &introduction, &heard);
            }
        });
    }

    fn keys(&self) -> Vec<Fingerprint> {
        self.heard.lock().unwrap().0.clone()
    }

    fn lines(&self) -> Vec<String> {
        self.heard.lock().unwrap().1.clone()
    }
}

fn serve(
    mut socket: &TcpStream,
    key: &SecretKey,
    introduction: &Introduction,
    heard: &Mutex<(Vec<Fingerprint>, Vec<String>)>,
) -> Result<(), Box<dyn std::error::Error>> {
    let caller = read_preamble(socket, Instant::now() + Duration::from_secs(20))?;
    let Secured { mut sealer, opener, key } = answer(caller, key, introduction)?;
    heard.lock().unwrap().0.push(key);
    let mut reader = LineReader::new(opener);
    while let LineRead::Line(line) = reader.read_line(1 << 20)? {
        let line = String::from_utf8(line.to_vec())?;
        let id = serde_json::from_str::<Value>(&line)?["id"].to_string();
        heard.lock().unwrap().1.push(line);
        let mut sealed = Vec::new();
        sealer.seal(format!("{}\n", BALANCE.replace("ID", &id)).as_bytes(), &mut sealed);
        socket.write_all(&sealed)?;
    }
    Ok(())
}

fn key() -> SecretKey {
    SecretKey::random().unwrap()
}

fn known(folder: &Path) -> KnownServers {
    KnownServers::at(folder.join("known_servers"))
}

fn options(server: &Server, own: &SecretKey, named: Option<Fingerprint>, folder: &Path) -> Options {
    let doors = Doors { key: own.clone(), server_key: named, known: Some(known(folder)) };
    Options {
        id: "A".parse().unwrap(),
        address: server.address.clone(),
        others: Default::default(),
        doors: Some(doors),
        timeout: Duration::from_secs(20),
        give_up_after: Duration::from_secs(60),
        json: true,
        session: None,
        commands: Vec::new(),
    }
}

fn ask(options: &Options) -> Result<(), Failure> {
    Session::new(options).ask(&Request::Balance(None)).map(|_| ())
}

fn untrusted(options: &Options) -> String {
    match ask(options) {
        Err(Failure::Untrusted(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The pinned keys, in the order of the file.
fn pinned(folder: &Path) -> Vec<Fingerprint> {
    known(folder).read().unwrap().into_iter().map(|known| known.key).collect()
}

#[test]
fn the_first_key_at_an_address_is_remembered_and_no_other_one_accepted() {
    let (server, folder, own) = (Server::new(), tempfile::tempdir().unwrap(), key());
    let (first, second) = (key(), key());
    let options = options(&server, &own, None, folder.path());
    server.is("A", &first, true, 2);
    ask(&options).unwrap();
    ask(&options).unwrap();
    assert_eq!(server.keys(), [own.fingerprint(); 2], "the server knows whose questions these are");
    assert_eq!(server.lines().len(), 2, "and who it is was told by the handshake");
    assert_eq!(pinned(folder.path()), [first.fingerprint()], "once");
    for keyed in [true, false] {
        server.is("A", &second, keyed, 1);
        let said = untrusted(&options);
        let file = known(folder.path()).path().display().to_string();
        let (old, new) = (first.fingerprint().to_string(), second.fingerprint().to_string());
        let way_out = if keyed { "--server-key" } else { "take line 1 out" };
        for part in [&old, &new, &file, "line 1", "HAS CHANGED", way_out, "ask an operator"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    assert_eq!(server.keys().len(), 2, "the client did not even say who it is");
    assert_eq!((server.lines().len(), pinned(folder.path())), (2, vec![first.fingerprint()]));
}

#[test]
fn a_key_that_the_user_names_takes_the_place_of_the_old_one() {
    let (server, folder, own) = (Server::new(), tempfile::tempdir().unwrap(), key());
    let (old, new) = (key(), key());
    known(folder.path()).pin(&server.address, &"A".parse().unwrap(), old.fingerprint()).unwrap();
    let named = |key: &SecretKey| options(&server, &own, Some(key.fingerprint()), folder.path());
    server.is("A", &new, true, 3);
    let said = untrusted(&named(&old));
    let both = [new.fingerprint().to_string(), old.fingerprint().to_string()];
    assert!(both.iter().all(|key| said.contains(key)) && said.contains("--server-key"), "{said}");
    assert_eq!(pinned(folder.path()), [old.fingerprint()]);
    ask(&named(&new)).unwrap();
    assert_eq!(pinned(folder.path()), [new.fingerprint()]);
    ask(&options(&server, &own, None, folder.path())).unwrap();
}

#[test]
fn a_key_that_was_made_for_one_run_is_not_remembered() {
    let (server, folder, own) = (Server::new(), tempfile::tempdir().unwrap(), key());
    for passing in [key(), key()] {
        server.is("A", &passing, false, 1);
        ask(&options(&server, &own, None, folder.path())).unwrap();
    }
    assert_eq!(pinned(folder.path()), []);
    server.is("A", &key(), false, 1);
    let said = untrusted(&options(&server, &own, Some(own.fingerprint()), folder.path()));
    assert!(said.contains("--server-key says"), "{said}");
}

#[test]
fn another_server_is_not_asked_though_its_key_is_good() {
    let (server, folder, own) = (Server::new(), tempfile::tempdir().unwrap(), key());
    server.is("B", &key(), true, 1);
    let failure = ask(&options(&server, &own, None, folder.path())).unwrap_err();
    let Failure::WrongServer(said) = &failure else { panic!("{failure:?}") };
    assert!(said.contains("is B, not A"), "{said}");
    assert!(server.lines().is_empty() && server.keys().is_empty());
    assert_eq!(pinned(folder.path()), [], "nothing is remembered of a mistake");
}

#[test]
fn without_a_place_to_remember_it_a_key_has_to_be_named() {
    let (server, folder, own) = (Server::new(), tempfile::tempdir().unwrap(), key());
    let theirs = key();
    server.is("A", &theirs, true, 2);
    let nowhere = |named| {
        let mut options = options(&server, &own, named, folder.path());
        options.doors = options.doors.map(|doors| Doors { known: None, ..doors });
        options
    };
    let said = untrusted(&nowhere(None));
    assert!(said.contains(&format!("--server-key {}", theirs.fingerprint())), "{said}");
    ask(&nowhere(Some(theirs.fingerprint()))).unwrap();
}

#[test]
fn known_servers_with_a_wrong_line_stop_the_client() {
    let (server, folder, own) = (Server::new(), tempfile::tempdir().unwrap(), key());
    std::fs::write(known(folder.path()).path(), "# mine\nhere be dragons\n").unwrap();
    server.is("A", &key(), true, 1);
    let said = untrusted(&options(&server, &own, None, folder.path()));
    assert!(said.contains("known_servers, line 2: ") && said.contains("mend it"), "{said}");
    assert!(server.keys().is_empty());
}

/// A server that knows of no keys answers the preamble as it would any line that is no JSON.
#[test]
fn a_refusal_in_the_clear_is_shown_as_unproved() {
    let (listener, folder) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let address = listener.local_addr().unwrap().to_string();
    let server = Server { listener, address, heard: Arc::default() };
    let listener = server.listener.try_clone().unwrap();
    let held = thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        writeln!(socket, r#"{{"error":"not_json","message":"not JSON: \u001b[31mexpected"}}"#)
            .unwrap();
        socket
    });
    let said = untrusted(&options(&server, &key(), None, folder.path()));
    assert!(said.contains("nobody has proved these words") && said.contains("--plain"), "{said}");
    assert!(said.contains("not JSON") && !said.contains('\u{1b}'), "{said}");
    held.join().unwrap();
}
