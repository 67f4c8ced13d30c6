//! The page over a running bank, in a real browser, and whom it lets in.
#![cfg(feature = "http")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use support::browser::Browser;
use support::cluster::{free_address, wait_until};
use support::process::{Bank, Setup};

/// The process of a page. It ends with this value.
struct Page {
    process: Child,
    url: String,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page {
    fn of(bank: &Bank, flags: &[&str]) -> Page {
        let servers = bank.ids().into_iter().map(|id| format!("{id}={}", bank.address(&id)));
        let cluster = servers.collect::<Vec<_>>().join(",");
        Page::start(&[&["--cluster", &cluster], flags].concat(), &free_address())
    }

    fn start(flags: &[&str], listen: &str) -> Page {
        let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        program.args(["web", "--listen", listen]).args(flags).stdout(Stdio::piped());
        Page::started(program.spawn().unwrap())
    }

    /// Waits until it says where it is.
    fn started(mut process: Child) -> Page {
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let url =
            said.trim().strip_prefix("the page is at ").expect("it says where it is").to_owned();
        Page { process, url }
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().split('/').next().unwrap()
    }

    /// What comes back to these very bytes.
    fn said(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn pay(bank: &Bank, from: &str, command: &str) -> String {
    let output = bank.client_command(from).args(["-c", command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn traced(folder: &std::path::Path) -> Bank {
    let mut bank = Bank::set_up(&["A", "B", "C"], Setup { redis_each: true, ..Setup::default() });
    for id in ["A", "B", "C"] {
        let trace = folder.join(format!("{id}.jsonl"));
        bank.start_server_with(
            id,
            &["--trace", trace.to_str().unwrap(), "--allow-fault-injection"],
        );
    }
    bank.wait_until_connected();
    bank
}

const STATE: &str = "document.querySelector('[data-server=B] h3 span')?.textContent";

#[test]
fn the_page_shows_what_happens_in_the_bank() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut bank = traced(folder.path());
    let page = Page::of(&bank, &["--trace", folder.path().to_str().unwrap(), "--allow-orders"]);
    browser.look(1280, 1000, "light");
    browser.open(&page.url);
    browser.wait_until("document.querySelectorAll('#servers .card:not(.down)').length === 3");
    // A payment at the prompt appears.
    assert!(pay(&bank, "A", "transfer B 30").starts_with("accepted"));
    browser
        .wait_until("document.querySelector('#money tbody tr')?.textContent.includes('A → B30')");
    browser
        .wait_until("document.querySelector('[data-server=A] ol').textContent.includes('A.1.1')");
    // An overdraft: the run's steps are shown, in their order.
    assert!(pay(&bank, "A", "transfer B 900").starts_with("refused"));
    browser
        .wait_until("story.story.events.some((event) => event.text.includes('answers: refused'))");
    browser.wait_until("document.querySelector('[data-part=place]').textContent.split(' of ').every((n, _, all) => n === all[0])");
    let kinds = browser.evaluate("[...new Set(story.story.events.filter((e) => e.kind === 'sent' && e.text.includes(' 1')).map((e) => e.message))].join(' ')");
    assert_eq!(kinds, "prepare promise accept accepted commit");
    browser.wait_until("document.querySelector('#blocks')?.textContent.includes('block 1')");
    browser.wait_until("document.querySelector('#money tbody').textContent.includes('in block 1')");
    assert_eq!(browser.texts_on_texts(".paper text"), json!([]));
    browser.picture("web-light");
    // A killed server is shown within two seconds, and so is its return.
    bank.kill("B");
    let killed = Instant::now();
    browser.wait_until(&format!("{STATE} === 'gives no answer'"));
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
    browser.wait_until("document.querySelector('#news').textContent.includes('B gives no answer')");
    browser.picture("web-killed");
    let trace = folder.path().join("B2.jsonl");
    bank.start_server_with("B", &["--trace", trace.to_str().unwrap(), "--allow-fault-injection"]);
    browser.wait_until(&format!("{STATE} === 'serves'"));
    // A cut link, by a button; and the others say who hears whom.
    browser.evaluate("document.querySelector('#order [name=server]').value = 'A'; document.querySelector('#order [name=server]').dispatchEvent(new Event('change'))");
    browser.evaluate("document.querySelector('#order [name=peer]').value = 'C'; document.querySelector('[data-order=cut]').click()");
    browser.wait_until("document.querySelector('#done').textContent.includes('link to C: cut')");
    browser.wait_until(
        "document.querySelectorAll('#hears tbody tr')[2].textContent.includes('C hearsno')",
    );
    browser.evaluate("document.querySelector('[data-order=heal]').click()");
    browser.wait_until("!document.querySelector('#hears').textContent.includes('no')");
    // A payment by a button.
    browser.evaluate("document.querySelector('#order [name=to]').value = 'C'; document.querySelector('#order [name=amount]').value = '7'; document.querySelector('[data-order=pay]').click()");
    browser.wait_until("document.querySelector('#done').textContent.includes('accepted: balance')");
    for scheme in ["light", "dark"] {
        browser.look(360, 740, scheme);
        assert!(browser.fits(), "a phone's width");
        browser.picture(&format!("web-360-{scheme}"));
    }
    browser.look(1280, 1000, "dark");
    browser.picture("web-dark");
    // The dead server's connections aside, nothing was wrong in the page.
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn a_statement_of_many_pages_a_block_and_an_entry_are_found() {
    let Some(mut browser) = Browser::start() else { return };
    let bank = Bank::start(&["A", "B", "C"]);
    for _ in 0..4 {
        let mut batch = String::from("batch");
        (0..50).for_each(|n| batch.push_str(if n == 0 { " A B 1" } else { ", A B 1" }));
        assert!(
            pay(&bank, "A", &batch).contains("accepted")
                || pay(&bank, "B", "transfer A 50").contains("accepted")
        );
        assert!(pay(&bank, "A", "settle").contains("settled"));
    }
    let page = Page::of(&bank, &[]);
    browser.open(&page.url);
    let look = |browser: &mut Browser, what: &str| {
        browser.evaluate(&format!("document.querySelector('#for').value = {what:?}; document.querySelector('#search button').click()"));
    };
    browser.wait_until("document.querySelectorAll('#servers .card').length === 3");
    look(&mut browser, "A");
    browser.wait_until("document.querySelectorAll('#found tbody tr').length === 25");
    let (mut pages, mut last) = (1, browser.text("#found tbody"));
    while browser.evaluate("!!document.querySelector('#found > button')") == json!(true) {
        browser.evaluate("document.querySelector('#found > button').click()");
        wait_until("the next page", || browser.text("#found tbody") != last);
        last = browser.text("#found tbody");
        pages += 1;
    }
    assert!(pages >= 4 && last.contains("A.1.1"), "{pages} pages, the last one {last}");
    look(&mut browser, "1");
    browser.wait_until("document.querySelector('#found h3')?.textContent === 'Block 1'");
    look(&mut browser, "A.1.60");
    browser.wait_until(
        "/^A.1.60 A → B 1, in block 2$/.test(document.querySelector('#found p')?.textContent)",
    );
    look(&mut browser, "<img src=x onerror=alert(1)>");
    browser.wait_until("document.querySelector('#found .bad')?.textContent.startsWith('look for')");
    assert_eq!(browser.evaluate("document.querySelectorAll('#found img').length"), json!(0));
    assert_eq!(browser.complaints, Vec::<String>::new());
}

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

#[test]
fn a_finished_trace_is_shown_without_a_bank() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let demo = format!("{}/tests/scenarios/two-proposers.txt", env!("CARGO_MANIFEST_DIR"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    program.arg("play").arg(&demo).arg("--traces").arg(folder.path());
    assert!(program.output().unwrap().status.success());
    let page = Page::start(&["--trace", folder.path().to_str().unwrap()], &free_address());
    browser.open(&page.url);
    browser.wait_until("!document.querySelector('#protocol-part').hidden");
    browser.wait_until("document.querySelectorAll('.paper line.prepare').length > 0");
    browser.press("Home");
    assert!(browser.text("[data-part=place]").starts_with("0 of "), "it steps");
    browser.press("ArrowRight");
    assert!(browser.text("[data-part=place]").starts_with("1 of "));
    assert_eq!(browser.complaints, Vec::<String>::new());
    let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    let output = program.args(["web", "--trace", "/no/such/place"]).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && why.contains("/no/such/place: "), "{why}");
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
