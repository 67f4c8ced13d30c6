//! What the page shows of a bank, and of a finished trace.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::page::{Page, pay, traced};
use crate::support::browser::Browser;
use crate::support::cluster::free_address;

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
