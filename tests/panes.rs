//! `./run.sh` with its logs and clients in panes of tmux, where what is ended or closed comes back; and in windows.

#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::cluster::wait_until;
use support::run_sh::{RunSh, program};

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

/// A program for windows, as xterm is: a file for each window holds what it shows.
const WINDOW: &str = r#"#!/usr/bin/env python3
import os, pty, sys
_, _, title, _, *command = sys.argv
shown = open(os.path.join(os.environ["WINDOWS"], title), "wb", buffering=0)
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
try:
    while more := os.read(terminal, 65536):
        shown.write(more)
except OSError:
    pass
"#;

/// What `./run.sh` says in an environment with a display and these programs first, with windows wanted.
fn in_windows(bank: &RunSh, programs: &Path, display: &str) -> (i32, String) {
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", programs.display());
    let said = bank.run_with(
        &[],
        &[
            ("TERMINALS", "windows"),
            ("TERM", "xterm"),
            ("DISPLAY", display),
            ("WAYLAND_DISPLAY", ""),
            ("PATH", &path),
            ("WINDOWS", programs.to_str().unwrap()),
        ],
    );
    (said.status, said.text)
}

#[test]
fn windows_open_show_and_are_closed() {
    let (bank, folder) = (RunSh::new(), tempfile::tempdir().unwrap());
    let fake = |script: &str| program(folder.path(), "x-terminal-emulator", script);
    let (status, text) = in_windows(&bank, folder.path(), "");
    assert!(status == 1 && text.contains("no display (DISPLAY,"), "{text}");
    fake("#!/bin/sh\necho \"no screen here\"\nexit 1\n");
    let (status, text) = in_windows(&bank, folder.path(), ":77");
    assert!(status == 1 && text.contains("x-terminal-emulator opens no window"), "{text}");
    let told = fs::read_to_string(bank.bank().join("logs/windows.log")).unwrap();
    assert!(told.contains("no screen here"), "{told}");
    fake(WINDOW);
    let (status, text) = in_windows(&bank, folder.path(), ":77");
    assert_eq!(status, 0, "{text}");
    for (title, shows) in
        [("client A", "A>"), ("client C", "C>"), ("log A", "INFO"), ("log B", "INFO")]
    {
        wait_until(title, || {
            let shown = fs::read(folder.path().join(title)).unwrap_or_default();
            String::from_utf8_lossy(&shown).contains(shows)
        });
    }
    let windows = |bank: &RunSh| {
        let all = bank.processes();
        all.iter().filter(|line| line.contains("python") && line.contains("window")).count()
    };
    assert_eq!(windows(&bank), 6);
    assert_eq!(in_windows(&bank, folder.path(), ":77").0, 0, "what is there is not opened again");
    assert_eq!(windows(&bank), 6);
    bank.must(&["down"]);
    wait_until("all is closed", || bank.processes().is_empty());
}
