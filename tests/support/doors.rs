//! Clients that prove a key, and a proxy that listens in.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use paxos_banking::noise::{
    HandshakeError, Introduction, Opener, Preamble, Sealer, SecretKey, Secured, answer, initiate,
    read_preamble,
};
use paxos_banking::wire::{LineRead, LineReader, MAX_PEER_LINE};
use serde_json::Value;

use super::cluster::{PATIENCE, wait_until};

/// A client whose lines are sealed.
pub struct Sealed {
    sealer: Sealer,
    lines: LineReader<Opener<TcpStream>>,
    /// What the server said of itself.
    pub server: Introduction,
}

impl Sealed {
    /// A connection that proves this key, as soon as there is one to be had.
    pub fn connect(address: &str, key: &SecretKey) -> Sealed {
        let mut client = None;
        wait_until(&format!("{address} shakes hands"), || {
            client = Sealed::try_connect(address, key).ok();
            client.is_some()
        });
        client.unwrap()
    }

    /// The same, if it can be had at once.
    pub fn try_connect(address: &str, key: &SecretKey) -> Result<Sealed, HandshakeError> {
        Sealed::meaning(address, key, &Preamble::new(None, None, None))
    }

    /// The same, with this preamble.
    pub fn meaning(
        address: &str,
        key: &SecretKey,
        preamble: &Preamble,
    ) -> Result<Sealed, HandshakeError> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let accept = |_, _: &Introduction| Ok(());
        let (secured, server) = initiate(stream, Instant::now() + PATIENCE, key, preamble, accept)?;
        Sealed::over(secured, server)
    }

    /// The far end of a connection that came: it answers with this key, and calls itself `id`.
    pub fn accept(stream: TcpStream, key: &SecretKey, id: &str) -> Result<Sealed, HandshakeError> {
        let itself = Introduction { id: super::cluster::server(id), bank: None, keyed: true };
        let caller = read_preamble(stream, Instant::now() + PATIENCE)?;
        Sealed::over(answer(caller, key, &itself)?, itself)
    }

    fn over(secured: Secured<TcpStream>, server: Introduction) -> Result<Sealed, HandshakeError> {
        secured.opener.get_ref().set_read_timeout(Some(PATIENCE))?;
        Ok(Sealed { sealer: secured.sealer, lines: LineReader::new(secured.opener), server })
    }

    /// Sends these very bytes, sealed.
    pub fn send(&mut self, bytes: &[u8]) {
        let mut sealed = Vec::new();
        self.sealer.seal(bytes, &mut sealed);
        // A server that has hung up is noticed where its answer is read.
        let _ = self.lines.get_ref().get_ref().write_all(&sealed);
    }

    /// The next line that comes; None if the connection has ended.
    pub fn read(&mut self) -> Option<Value> {
        self.read_line().map(|line| serde_json::from_slice(&line).expect("JSON"))
    }

    /// The same, byte for byte: a block's hash is of its text.
    pub fn read_line(&mut self) -> Option<Vec<u8>> {
        match self.lines.read_line(MAX_PEER_LINE) {
            Ok(LineRead::Line(line)) => Some(line.to_vec()),
            Ok(LineRead::End) => None,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            other => panic!("nothing comes: {other:?}"),
        }
    }

    /// The answer to a request, unless the server hangs up.
    pub fn try_ask(&mut self, request: &Value) -> Option<Value> {
        self.send(format!("{request}\n").as_bytes());
        self.read()
    }

    /// The answer to a request.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.try_ask(request).expect("the server hung up")
    }
}

/// Passes on all that comes on the way to a server, and notes it down.
pub struct Eavesdropper {
    /// Where to connect instead.
    pub address: String,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Eavesdropper {
    /// One before this address. It ends with the test's process.
    pub fn before(address: &str) -> Eavesdropper {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (to, heard) = (address.to_owned(), Arc::new(Mutex::new(Vec::new())));
        let address = listener.local_addr().unwrap().to_string();
        let notes: Arc<Mutex<Vec<Vec<u8>>>> = Arc::clone(&heard);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&to) else { continue };
                let ways = [(&near, &far), (&far, &near)]
                    .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()));
                for (from, to) in ways {
                    let notes = Arc::clone(&notes);
                    thread::spawn(move || listen_in(from, to, &notes));
                }
            }
        });
        Eavesdropper { address, heard }
    }

    /// What passed, connection by connection and direction by direction.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }

    /// True if these bytes passed.
    pub fn has_heard(&self, what: &str) -> bool {
        let shows = |bytes: &Vec<u8>| bytes.windows(what.len()).any(|some| some == what.as_bytes());
        self.heard().iter().any(shows)
    }
}

fn listen_in(mut from: TcpStream, mut to: TcpStream, notes: &Mutex<Vec<Vec<u8>>>) {
    let place = {
        let mut notes = notes.lock().unwrap();
        notes.push(Vec::new());
        notes.len() - 1
    };
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        notes.lock().unwrap()[place].extend_from_slice(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
