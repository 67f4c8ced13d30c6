use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc;

use super::*;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits { connections: 2, head: 1 << 10, body: 16, time: Duration::from_millis(300) }
}

fn started(limits: Limits) -> Server {
    let answer = |request: &Request| match request.path.as_str() {
        "/long" => Reply::new(200, "text/plain", vec![b'x'; 8 << 20]),
        _ => Reply::line(200, &format!("{} {}", request.method, request.body.len())),
    };
    Server::start("127.0.0.1:0", limits, answer).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes back.
fn rest(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn asked(server: &Server, text: &str) -> String {
    let stream = connect(server);
    (&stream).write_all(text.as_bytes()).unwrap();
    rest(&stream)
}

#[test]
fn requests_are_answered_with_their_bodies_within_bounds() {
    let server = started(limits());
    let answer = asked(&server, "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("POST 3\n"), "{answer}");
    let head = asked(&server, "HEAD / HTTP/1.1\r\n\r\n");
    assert!(head.contains("Content-Length: 7\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let long = asked(&server, "POST / HTTP/1.1\r\nContent-Length: 17\r\n\r\n");
    assert!(long.starts_with("HTTP/1.1 413 "), "{long}");
    let endless = asked(&server, &format!("GET /{} HTTP/1.1\r\n", "a".repeat(4 << 10)));
    assert!(endless.starts_with("HTTP/1.1 431 "), "{endless}");
    let chunked = asked(&server, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(chunked.starts_with("HTTP/1.1 411 "), "{chunked}");
    assert!(asked(&server, "what is this\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_request_that_comes_byte_by_byte_gains_no_time() {
    let server = started(limits());
    let stream = connect(&server);
    let until = Instant::now() + PATIENCE;
    let answer = loop {
        assert!(Instant::now() < until, "it is let go on for ever");
        // Never a whole head, and never long silent.
        if (&stream).write_all(b"a").is_err() {
            break rest(&stream);
        }
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut first = [0; 12];
        if let Ok(read @ 1..) = (&stream).read(&mut first) {
            break String::from_utf8_lossy(&first[..read]).into_owned();
        }
    };
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[test]
fn who_reads_nothing_is_left_after_a_while_and_others_get_the_place() {
    let server = started(Limits { connections: 1, ..limits() });
    let slow = connect(&server);
    (&slow).write_all(b"GET /long HTTP/1.1\r\n\r\n").unwrap();
    // Turned away while the place is taken; served when the time of the slow one is over.
    let mut turned_away = false;
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "nobody else gets the place");
        let answer = asked(&server, "GET / HTTP/1.1\r\n\r\n");
        turned_away |= answer.starts_with("HTTP/1.1 503 ");
        if answer.starts_with("HTTP/1.1 200 ") && turned_away {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_stream_says_what_comes_and_ends_with_the_server() {
    struct Said(mpsc::Receiver<&'static str>);
    impl Events for Said {
        fn next(&mut self, _: Duration) -> Next {
            match self.0.recv_timeout(Duration::from_millis(10)) {
                Ok(text) => Next::Bytes(text.into()),
                Err(mpsc::RecvTimeoutError::Timeout) => Next::Nothing,
                Err(mpsc::RecvTimeoutError::Disconnected) => Next::End,
            }
        }
    }
    let (say, said) = mpsc::channel();
    let said = Mutex::new(Some(Said(said)));
    let answer = move |_: &Request| match said.lock().unwrap().take() {
        Some(said) => Reply::events(said),
        None => Reply::line(404, "once"),
    };
    let server = Server::start("127.0.0.1:0", limits(), answer).unwrap();
    let stream = connect(&server);
    (&stream).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line == "Content-Type: text/event-stream"));
    say.send("data: 1\n\n").unwrap();
    assert!(lines.by_ref().any(|line| line == "data: 1"));
    say.send("data: 2\n\n").unwrap();
    assert!(lines.by_ref().any(|line| line == "data: 2"));
    drop(server);
    assert!(lines.all(|line| !line.starts_with("data")), "it has ended");
}
