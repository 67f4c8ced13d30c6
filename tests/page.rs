//! Pages in a real browser: that of a play, which steps through what the servers told each other.

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::browser::Browser;

/// Plays a file, and returns the page that is written of it.
fn page_of(file: &str, folder: &Path) -> String {
    let page = folder.join("page.html");
    let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    let output = program.arg("play").arg(file).arg("--page").arg(&page).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    page.display().to_string()
}

fn scenario(name: &str) -> String {
    format!("{}/tests/scenarios/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_of_a_play_steps_through_all_of_it() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = page_of(&scenario("demo.txt"), folder.path());
    browser.look(1280, 900, "light");
    browser.open(&format!("file://{page}"));
    assert_eq!(browser.text("h1"), "demo.txt");
    let place = browser.text("[data-part=place]");
    let count: usize =
        place.strip_prefix("0 of ").expect("it begins at the beginning").parse().unwrap();
    assert!(count > 50, "{place}");
    // Step by step: each step has its words, and the phases of a run come in their order.
    let mut told = Vec::new();
    for step in 1..=count {
        browser.press("ArrowRight");
        assert_eq!(browser.text("[data-part=place]"), format!("{step} of {count}"));
        told.push(browser.text("[data-part=caption]"));
    }
    assert!(told.iter().all(|words| !words.is_empty()), "{told:?}");
    let after = |from: usize, what: &str| {
        let place = told[from..].iter().position(|words| words.contains(what));
        from + place.unwrap_or_else(|| panic!("{what} after {from} in {told:#?}"))
    };
    let mut place = 0;
    for what in [
        "transfer",
        ": prepare",
        ": promise",
        ": accept ",
        ": accepted",
        ": commit",
        "appends block",
    ] {
        place = after(place, what);
    }
    assert!(told.iter().any(|words| words.contains("answers: refused: ")), "{told:#?}");
    browser.picture("play-light");
    assert_eq!(browser.texts_on_texts(".paper text"), json!([]));
    // Back and forth, to the ends, and playing.
    browser.press("ArrowLeft");
    assert_eq!(browser.text("[data-part=place]"), format!("{} of {count}", count - 1));
    browser.press("Home");
    assert_eq!(browser.text("[data-part=place]"), format!("0 of {count}"));
    browser.evaluate("document.querySelector('[data-do=speed]').value = '60'");
    browser.press(" ");
    browser.wait_until("parseInt(document.querySelector('[data-part=place]').textContent) > 5");
    browser.press(" ");
    let stopped = browser.text("[data-part=place]");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(browser.text("[data-part=place]"), stopped, "it pauses");
    browser.press("End");
    assert_eq!(browser.text("[data-part=place]"), format!("{count} of {count}"));
    browser.look(1280, 900, "dark");
    browser.picture("play-dark");
    browser.look(360, 740, "light");
    assert!(browser.fits(), "a phone's width");
    assert_eq!(browser.texts_on_texts(".paper text"), json!([]));
    browser.picture("play-360");
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn a_page_is_of_one_play_and_has_a_place_before_it_is_played() {
    let play = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        let output = program.arg("play").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let demo = scenario("demo.txt");
    let (status, why) = play(&[&demo, &demo, "--page", "x.html"]);
    assert!(status == Some(2) && why.contains("--page is of one play"), "{why}");
    let (status, why) = play(&[&demo, "--page", "/no/such/folder/x.html"]);
    assert!(status == Some(3) && why.contains("--page /no/such/folder/x.html: "), "{why}");
}
