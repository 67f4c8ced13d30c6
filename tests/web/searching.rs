//! Statements, blocks and entries are found.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::page::{Page, pay};
use crate::support::browser::Browser;
use crate::support::cluster::wait_until;
use crate::support::process::Bank;

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
    while browser.evaluate("!!document.querySelector('[data-turn=older]')") == json!(true) {
        browser.evaluate("document.querySelector('[data-turn=older]').click()");
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

/// The names of a page's entries, and their balances, newest first.
fn rows(browser: &mut Browser) -> Vec<(String, u64)> {
    let read = "[...document.querySelectorAll('#found tbody tr')].map((row) => [row.children[0].textContent, Number(row.children[3].textContent)])";
    serde_json::from_value(browser.evaluate(read)).unwrap()
}

/// Presses a button of a statement, and waits for the page of this number.
fn turn(browser: &mut Browser, way: &str, page: usize) -> Vec<(String, u64)> {
    browser.evaluate(&format!("document.querySelector('[data-turn={way}]').click()"));
    wait_for_page(browser, page);
    rows(browser)
}

fn wait_for_page(browser: &mut Browser, page: usize) {
    let words = format!("Statement of A/x, page {page}");
    browser.wait_until(&format!("document.querySelector('#found h3')?.textContent === '{words}'"));
}

/// Most entries are in blocks, and the newest in the home's log.
#[test]
fn two_hundred_pages_are_turned_to_the_end_and_back() {
    const PAGES: usize = 200;
    const EACH: usize = 25;
    const IN_LOG: usize = 40;
    let Some(mut browser) = Browser::start() else { return };
    let bank = Bank::start(&["A", "B", "C"]);
    let say = |request: &Value| bank.ask("A", request).unwrap();
    let mut left = PAGES * EACH;
    // The first entry opens the account. Then the money goes there and, in part, back.
    let mut items = vec![json!({"open": "A/x"}), json!(["A", "A/x", 50])];
    while left > 0 {
        let many = if left > IN_LOG { (left - IN_LOG).min(700) } else { left };
        for number in items.len()..many {
            items.push(match number % 2 {
                0 => json!(["A", "A/x", 1]),
                _ => json!(["A/x", "A", 1]),
            });
        }
        let reply = say(&json!({"batch": {"items": items}}));
        assert_eq!(reply["outcomes"].as_array().map(Vec::len), Some(many), "{reply}");
        left -= many;
        items.clear();
        if left > 0 {
            assert_eq!(say(&json!({"settle": {}}))["settled"], true);
        }
    }
    let page = Page::of(&bank, &[]);
    browser.open(&page.url);
    browser.wait_until("document.querySelectorAll('#servers .card').length === 3");
    browser.evaluate("document.querySelector('#for').value = 'A/x'; document.querySelector('#search button').click()");
    wait_for_page(&mut browser, 1);
    assert_eq!(browser.evaluate("document.querySelector('[data-turn=newer]')"), json!(null));
    assert!(browser.text("#found tbody tr:last-child").ends_with("in the log"));
    let mut pages = vec![rows(&mut browser)];
    while browser.evaluate("!!document.querySelector('[data-turn=older]')") == json!(true) {
        let next = turn(&mut browser, "older", pages.len() + 1);
        pages.push(next);
    }
    assert_eq!(pages.len(), PAGES);
    let all: Vec<&(String, u64)> = pages.iter().flatten().collect();
    let names: BTreeSet<&String> = all.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), PAGES * EACH, "nothing is there twice");
    for (place, (name, balance)) in all.iter().rev().enumerate() {
        let expected = if place == 0 { 0 } else { 50 + u64::from(place > 1 && place % 2 == 0) };
        assert_eq!((name, *balance), (&format!("A.1.{}", place + 1), expected));
    }
    for (number, expected) in pages.iter().enumerate().rev().skip(1) {
        assert_eq!(turn(&mut browser, "newer", number + 1), *expected, "back at {}", number + 1);
    }
    assert_eq!(browser.evaluate("document.activeElement.textContent"), json!("Older"));
    assert_eq!(browser.complaints, Vec::<String>::new());
}
