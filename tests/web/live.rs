//! The protocol as it goes on, of servers that write no trace.

use serde_json::json;

use crate::page::{Page, pay};
use crate::support::browser::Browser;
use crate::support::cluster::{Client, wait_until};
use crate::support::process::{Bank, Setup};

fn is_shown(words: &str) -> String {
    format!("story.story.events.some((event) => event.text.includes('{words}'))")
}

/// Looks on at a server until no place is free, and leaves. How many more there is room for.
fn room_at(bank: &Bank, id: &str) -> usize {
    let looks_on = |_: &usize| {
        let mut client = Client::connect(bank.address(id));
        let is_told = client.ask(&json!({"kind": "trace"}))["event"] == json!("start");
        is_told.then_some(client)
    };
    let all: Vec<Client> = (0..9).map_while(|number| looks_on(&number)).collect();
    all.len()
}

/// Whether there is room for so many more at each server. The page begins and ends at each in a time of its own.
fn has_room(bank: &Bank, room: usize) -> bool {
    ["A", "B", "C"].iter().all(|id| room_at(bank, id) == room)
}

#[test]
fn the_protocol_is_shown_as_long_as_somebody_looks() {
    let Some(mut browser) = Browser::start() else { return };
    let mut bank = Bank::set_up(&["A", "B", "C"], Setup { redis_each: true, ..Setup::default() });
    bank.start_all();
    let page = Page::of(&bank, &[]);
    wait_until("nobody looks on", || has_room(&bank, 8));
    browser.look(1280, 1000, "light");
    browser.open(&page.url);
    browser.wait_until("!document.querySelector('#protocol-part').hidden");
    browser.wait_until(&is_shown("the page looks on from here"));
    wait_until("the page looks on", || has_room(&bank, 7));
    // An overdraft: the run's steps, in their order.
    assert!(pay(&bank, "A", "transfer B 30").starts_with("accepted"));
    assert!(pay(&bank, "A", "transfer B 900").starts_with("refused"));
    browser.wait_until(&is_shown("answers: refused"));
    browser.wait_until(&is_shown("C hears A: commit 1"));
    let kinds = browser.evaluate("[...new Set(story.story.events.filter((e) => e.kind === 'sent' && e.text.includes(' 1')).map((e) => e.message))].join(' ')");
    assert_eq!(kinds, "prepare promise accept accepted commit");
    assert_eq!(browser.evaluate("story.story.events.filter((e) => e.lost).length"), json!(0));
    for phase in ["phase 1: who promises?", "majority reached", "phase 3: block 1 is chosen"] {
        browser.wait_until(&is_shown(phase));
    }
    browser.wait_until("story.following && story.at === story.rows.length");
    browser.picture("web-live");
    // A step back holds the picture while the bank goes on, and the end follows it again.
    browser.press("ArrowLeft");
    let held = browser.text("[data-part=place]");
    assert!(pay(&bank, "B", "transfer C 900").starts_with("refused"));
    browser.wait_until("story.held !== null");
    assert_eq!(browser.text("[data-part=place]"), held);
    browser.press("End");
    browser.wait_until(&is_shown("B answers: refused"));
    // A server is killed, and comes back with another life.
    bank.kill("C");
    browser.wait_until(&is_shown("C is killed"));
    bank.start_server("C");
    browser.wait_until(&is_shown("C is back"));
    browser.wait_until("document.querySelectorAll('#servers .card:not(.down)').length === 3");
    // Whoever doesn't want to see it costs the servers nothing.
    browser.evaluate("document.querySelector('#live').click()");
    wait_until("nobody looks on", || has_room(&bank, 8));
    assert!(pay(&bank, "C", "transfer A 900").starts_with("refused"));
    assert_eq!(browser.evaluate(&is_shown("C answers: refused")), json!(false));
    browser.evaluate("document.querySelector('#live').click()");
    wait_until("the page looks on", || has_room(&bank, 7));
    assert!(pay(&bank, "C", "transfer A 950").starts_with("refused"));
    browser.wait_until(&is_shown("C answers: refused"));
    browser.wait_until(&is_shown("transfer A 950"));
    for before in ["B answers: refused", "transfer A 900"] {
        assert_eq!(browser.evaluate(&is_shown(before)), json!(false), "it begins anew");
    }
    browser.look(360, 740, "dark");
    assert!(browser.fits(), "a phone's width");
    browser.evaluate("document.querySelector('#protocol-part').scrollIntoView()");
    browser.picture("web-live-360-dark");
    assert_eq!(browser.complaints, Vec::<String>::new());
}
