//! `./run.sh` with its logs and clients in panes of tmux: what is ended or closed there comes back.

#![cfg(unix)]

mod support;

use std::process::Command;

use support::cluster::wait_until;
use support::run_sh::RunSh;

const TMUX: [(&str, &str); 2] = [("TERMINALS", "tmux"), ("TERM", "xterm")];

/// Says what each pane shows, and whether that has ended.
fn panes(bank: &RunSh) -> Vec<String> {
    let list = bank.tmux(&["list-panes", "-a", "-F", "#{@shows}#{?@ended, ended,}"]);
    let mut panes: Vec<String> = list.lines().map(str::to_owned).collect();
    panes.sort();
    panes
}

/// The pane that shows this.
fn pane(bank: &RunSh, shows: &str) -> String {
    let list = bank.tmux(&["list-panes", "-a", "-F", "#{pane_id} #{@shows}"]);
    let found = list.lines().find_map(|line| line.strip_suffix(&format!(" {shows}")));
    found.unwrap_or_else(|| panic!("no pane shows {shows}: {list}")).to_owned()
}

/// Types, and waits until the pane shows a text.
fn type_and_see(bank: &RunSh, shows: &str, keys: &[&str], text: &str) {
    let pane = pane(bank, shows);
    for key in keys {
        bank.tmux(&["send-keys", "-t", &pane, key]);
    }
    wait_until(text, || bank.tmux(&["capture-pane", "-p", "-t", &pane]).contains(text));
}

#[test]
fn panes_that_were_ended_or_closed_come_back() {
    if Command::new("tmux").arg("-V").output().is_err() {
        eprintln!("there is no tmux here, so nothing is tried");
        return;
    }
    let all = ["client A", "client B", "client C", "log A", "log B", "log C"];
    let bank = RunSh::new();
    let up = || {
        let said = bank.run_with(&[], &TMUX);
        assert_eq!(said.status, 0, "{}", said.text);
        assert_eq!(panes(&bank), all, "{}", said.text);
    };
    up();
    // They say what they show, and how to leave.
    let session = bank.tmux(&["list-sessions", "-F", "=#{session_name}:"]);
    let status = bank.tmux(&["show-options", "-v", "-t", session.trim(), "status-right"]);
    assert!(status.contains("C-b d: leave") && status.contains("./run.sh down"), "{status}");
    // Links may be cut from the prompt, without any flag.
    type_and_see(&bank, "client A", &[], "A>");
    type_and_see(&bank, "client A", &["link cut B", "Enter"], "link to B: cut");
    type_and_see(&bank, "client A", &["C-c"], "quit or Ctrl-D ends the client");
    type_and_see(&bank, "log A", &["C-c"], "log A has ended: Enter brings it back");
    type_and_see(&bank, "client C", &["quit", "Enter"], "client C has ended");
    bank.tmux(&["kill-pane", "-t", &pane(&bank, "client B")]);
    let left = ["client A", "client C ended", "log A ended", "log B", "log C"];
    wait_until("two have ended", || panes(&bank) == left);
    type_and_see(&bank, "client C", &["Enter"], "C>");
    wait_until("C's client is back", || panes(&bank)[1] == "client C");
    up();
    type_and_see(&bank, "client B", &[], "B>");
    type_and_see(&bank, "log A", &[], "INFO");
    up();
    bank.must(&["down"]);
    wait_until("all is closed", || bank.processes().is_empty());
    assert!(panes(&bank).is_empty());
}
