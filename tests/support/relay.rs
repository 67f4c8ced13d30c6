//! A relay before a Redis, for what happens between two commands that come in one write.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::cluster::wait_until;
use super::redis::{TestRedis, say};

/// What is done between an `EXEC` and what follows it, once.
pub type Between = Box<dyn FnOnce() + Send>;

/// Passes on all that comes, but stops once behind an `EXEC`.
pub struct Relay {
    port: u16,
    redis: u16,
    armed: Arc<Mutex<Option<(usize, Between)>>>,
}

/// The command, as it is sent.
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

impl Relay {
    /// One before this Redis. It ends with the test's process.
    pub fn before(redis: &TestRedis) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = Relay { port, redis: redis.port(), armed: Arc::default() };
        let (armed, redis) = (Arc::clone(&relay.armed), relay.redis);
        thread::spawn(move || {
            for server in listener.incoming().map_while(Result::ok) {
                let redis = TcpStream::connect(("127.0.0.1", redis)).unwrap();
                let (mut replies, mut back) =
                    (redis.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = io::copy(&mut replies, &mut back);
                    let _ = back.shutdown(Shutdown::Both);
                });
                let armed = Arc::clone(&armed);
                thread::spawn(move || {
                    let _ = pass_on(server, &redis, &armed);
                    let _ = redis.shutdown(Shutdown::Both);
                });
            }
        });
        relay
    }

    /// Where it is, as a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// When the `EXEC` comes that is the one of this number from now on, from 1, has Redis execute that
    /// transaction; then does this; then lets through what came in the same write.
    pub fn between(&self, number: usize, between: impl FnOnce() + Send + 'static) {
        *self.armed.lock().unwrap() = Some((number, Box::new(between)));
    }

    /// Whether what was to be done has been done.
    pub fn is_done(&self) -> bool {
        self.armed.lock().unwrap().is_none()
    }
}

/// Passes on what the server sends. While what is armed is done, no other connection's `EXEC` comes through:
/// the reply goes its own way, and whoever has it may go on at once elsewhere.
fn pass_on(
    mut server: TcpStream,
    mut redis: &TcpStream,
    armed: &Mutex<Option<(usize, Between)>>,
) -> io::Result<()> {
    let port = redis.peer_addr()?.port();
    let mut bytes = vec![0; 1 << 20];
    loop {
        let count = server.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &bytes[..count];
        while let Some(place) = rest.windows(EXEC.len()).position(|window| window == EXEC) {
            let (first, others) = rest.split_at(place + EXEC.len());
            let mut armed = armed.lock().unwrap();
            match due(&mut armed) {
                None => redis.write_all(first)?,
                Some(between) => {
                    let before = executed(port);
                    redis.write_all(first)?;
                    // What comes on another connection may be executed before what was sent here.
                    wait_until("a transaction is executed", || executed(port) > before);
                    between();
                }
            }
            rest = others;
        }
        redis.write_all(rest)?;
    }
}

/// What is to be done behind the `EXEC` that comes now, if anything is.
fn due(armed: &mut Option<(usize, Between)>) -> Option<Between> {
    let (number, _) = armed.as_mut()?;
    *number -= 1;
    let is_due = *number == 0;
    armed.take_if(|_| is_due).map(|(_, between)| between)
}

/// How many transactions this Redis has executed.
fn executed(port: u16) -> u64 {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
    let mut connection = client.get_connection().unwrap();
    let statistics: String = say(&mut connection, &["INFO", "commandstats"]);
    let calls = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_exec:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}
