//! Whom the page lets in, and from whom it takes orders.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::page::Page;
use crate::support::cluster::free_address;
use crate::support::process::Bank;

#[test]
fn only_its_own_page_may_look_and_order() {
    let bank = Bank::start(&["A"]);
    let page = Page::of(&bank, &["--allow-orders"]);
    let get =
        |path: &str, host: &str| page.said(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let own = page.address();
    let html = get("/", own);
    assert!(
        html.starts_with("HTTP/1.1 200 ")
            && html.contains("Content-Security-Policy: default-src 'none'"),
        "{html}"
    );
    assert!(!html.contains("Access-Control"), "no other page may read it");
    for path in ["/", "/events", "/search?for=A", "/page.js"] {
        assert!(
            get(path, "evil.example").starts_with("HTTP/1.1 421 "),
            "{path}: a name that was made to lead here"
        );
    }
    assert!(get("/etc/passwd", own).starts_with("HTTP/1.1 404 "));
    let token = html.split("name=\"orders\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(token.len() >= 32);
    let order = |headers: &str| {
        let body = r#"{"server":"A","command":"open A/x"}"#;
        page.said(&format!(
            "POST /order HTTP/1.1\r\nHost: {own}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    assert!(order("").starts_with("HTTP/1.1 403 "));
    assert!(order("X-Order-Token: 0123\r\n").starts_with("HTTP/1.1 403 "));
    let stolen = format!("Origin: http://evil.example\r\nX-Order-Token: {token}\r\n");
    assert!(order(&stolen).starts_with("HTTP/1.1 403 "));
    assert!(get("/order", own).starts_with("HTTP/1.1 405 "));
    assert_eq!(
        bank.ask("A", &json!({"accounts": {}})).unwrap()["accounts"].as_array().unwrap().len(),
        1
    );
    let done = order(&format!("Origin: http://{own}\r\nX-Order-Token: {token}\r\n"));
    assert!(done.contains("\"well\":true"), "{done}");
    let reading = Page::of(&bank, &[]);
    let body = r#"{"server":"A","command":"settle"}"#;
    let own = reading.address();
    let refused = reading.said(&format!("POST /order HTTP/1.1\r\nHost: {own}\r\nX-Order-Token: \r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert!(
        refused.starts_with("HTTP/1.1 403 ") && refused.contains("takes no orders"),
        "{refused}"
    );
}

#[test]
fn beyond_loopback_a_token_is_asked_for() {
    let port = free_address().rsplit_once(':').unwrap().1.to_owned();
    let bank = Bank::start(&["A"]);
    let cluster = format!("A={}", bank.address("A"));
    let page = Page::start(&["--cluster", &cluster], &format!("0.0.0.0:{port}"));
    let at = format!("127.0.0.1:{port}");
    let get = |path: &str, more: &str| {
        let mut stream = TcpStream::connect(&at).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\n{more}\r\n").unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    };
    assert!(get("/", "").starts_with("HTTP/1.1 401 "));
    let (_, query) = page.url.split_once('?').expect("the address has the token");
    let let_in = get(&format!("/?{query}"), "");
    assert!(let_in.starts_with("HTTP/1.1 200 "), "{let_in}");
    let cookie = let_in.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert!(get("/search?for=A", &cookie).starts_with("HTTP/1.1 200 "));
    let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    let output = program.args(["web", "--listen", "0.0.0.0:1", "--allow-orders"]).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && why.contains("debit every account"), "{why}");
}

#[cfg(feature = "noise")]
#[test]
fn in_a_bank_with_keys_the_page_is_an_auditor() {
    use paxos_banking::noise::create_key_file;
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let key = |name: &str| create_key_file(&folder.path().join(name)).unwrap().fingerprint();
    let (auditor, stranger) = (key("auditor"), key("stranger"));
    key("A");
    std::fs::write(place("roles"), format!("auditor {auditor} Ada\n")).unwrap();
    let mut bank = Bank::new(&["A"]);
    let flags = ["--key", &place("A"), "--access", "keys", "--authorized", &place("roles")];
    bank.start_server_with("A", &flags);
    let cluster = format!("A={}", bank.address("A"));
    // The keys of servers that a user knows are kept in the user's own folder.
    let page = |key: &str| {
        let mut program = Command::new("env");
        program.arg(format!("XDG_CONFIG_HOME={}", place("config")));
        program.arg(env!("CARGO_BIN_EXE_paxos-banking"));
        let listen = free_address();
        program.args(["web", "--listen", &listen, "--cluster", &cluster, "--key", &place(key)]);
        let program = program.stdout(Stdio::piped()).spawn().unwrap();
        Page::started(program)
    };
    // The events of a page until one has these words.
    let tells = |page: &Page, words: &str| {
        let mut stream = TcpStream::connect(page.address()).unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", page.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        // Each change is told, and there is one four times a second.
        let told: Vec<String> =
            lines.by_ref().take(400).take_while(|line| !line.contains(words)).collect();
        assert!(told.len() < 400, "{words}: {:?}", told.last());
    };
    assert_ne!(auditor, stranger);
    let seen = page("auditor");
    tells(&seen, "\"keyed\":true");
    tells(&seen, "\"height\":0");
    tells(&page("stranger"), "it owns no account, and is no operator's");
}
