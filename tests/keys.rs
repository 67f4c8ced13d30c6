//! Keys as a user has them: the `key` command, and what the client does about servers' keys.
#![cfg(feature = "noise")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;

/// Runs the program with this folder as the user's home.
fn program(home: &Path, arguments: &[&str]) -> Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
    command.env_clear().env("HOME", home).args(arguments).assert()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_key_is_made_once_and_then_shown() {
    let home = tempfile::tempdir().unwrap();
    let made = program(home.path(), &["key"]).success();
    let file = home.path().join(".config/paxos-banking/key");
    let public = home.path().join(".config/paxos-banking/key.pub");
    let fingerprint = stdout(&made);
    assert!(fingerprint.starts_with("SHA256:") && fingerprint.lines().count() == 1);
    assert!(stderr(&made).contains("made a secret key") && stderr(&made).contains(&text(&file)));
    assert_eq!([mode(&file), mode(&public), mode(file.parent().unwrap())], [0o600, 0o644, 0o700]);
    let before = fs::read(&file).unwrap();
    let shown = program(home.path(), &["key"]).success();
    assert_eq!(stdout(&shown), fingerprint);
    assert!(stderr(&shown).contains("was there"), "{}", stderr(&shown));
    assert_eq!(fs::read(&file).unwrap(), before, "nothing is overwritten");
    for by_name in [&public, &file] {
        assert_eq!(stdout(&program(home.path(), &["key", &text(by_name)]).success()), fingerprint);
    }
    // A public key under another name, as somebody sent it.
    let sent = home.path().join("alice");
    fs::copy(&public, &sent).unwrap();
    assert_eq!(stdout(&program(home.path(), &["key", &text(&sent)]).success()), fingerprint);
    fs::remove_file(&public).unwrap();
    program(home.path(), &["key"]).success();
    assert!(fs::read_to_string(&public).unwrap().starts_with(fingerprint.trim()), "made anew");
}

#[test]
fn where_keys_are_is_what_xdg_says() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let key = |variables: &[(&str, &Path)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        command.env_clear().envs(variables.iter().copied()).current_dir(home.path());
        command.arg("key").assert()
    };
    let both = [("HOME", home.path()), ("XDG_CONFIG_HOME", elsewhere.path())];
    key(&both).success();
    assert!(elsewhere.path().join("paxos-banking/key").exists());
    assert!(!home.path().join(".config").exists());
    key(&[("HOME", home.path()), ("XDG_CONFIG_HOME", Path::new("not/absolute"))]).success();
    assert!(home.path().join(".config/paxos-banking/key").exists());
    let nowhere = key(&[]).code(2);
    assert!(stderr(&nowhere).contains("name the key's FILE"), "{}", stderr(&nowhere));
}

/// Whatever is wrong with a key's file, it is said, and the file stays as it is.
#[test]
fn a_file_that_is_no_good_key_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let written = |name: &str, bytes: &str| {
        fs::write(at(name), bytes).unwrap();
        fs::set_permissions(at(name), Permissions::from_mode(0o600)).unwrap();
        at(name)
    };
    program(home.path(), &["key", &text(&at("one"))]).success();
    program(home.path(), &["key", &text(&at("other"))]).success();
    let good = fs::read_to_string(at("one")).unwrap();
    let exposed = written("exposed", &good);
    fs::set_permissions(&exposed, Permissions::from_mode(0o640)).unwrap();
    let cut = written("cut", &good[..good.len() - 10]);
    let note = written("note", "pay the rent\n");
    let empty = written("empty", "");
    let mixed = written("mixed", &good);
    fs::copy(at("other.pub"), at("mixed.pub")).unwrap();
    let alone: PathBuf = at("alone");
    fs::copy(at("other.pub"), at("alone.pub")).unwrap();
    for (file, part) in [
        (exposed, "chmod 600"),
        (cut, "43 digits"),
        (note, "holds no secret key"),
        (empty, "holds no secret key"),
        (mixed, "move it away"),
        (alone, "bring the secret key back"),
        (at("none.pub"), "makes a key with this file beside it"),
        (home.path().to_owned(), "not a file"),
        (at("one/below"), "can't"),
    ] {
        let before = fs::read(&file).ok();
        let assert = program(home.path(), &["key", &text(&file)]).code(1).stdout("");
        let said = stderr(&assert);
        assert!(said.contains(part) && said.contains("error: "), "{file:?}: {said}");
        assert!(!said.contains(good.lines().last().unwrap()), "the secret is not shown");
        assert_eq!(fs::read(&file).ok(), before, "{file:?}");
    }
}

#[test]
fn a_client_without_the_key_that_it_names_says_how_one_is_made() {
    let home = tempfile::tempdir().unwrap();
    let missing = text(&home.path().join("mine"));
    let client = ["client", "--id", "A", "--connect", "127.0.0.1:9", "-c", "balance"];
    let assert = program(home.path(), &[&client[..], &["--key", &missing]].concat()).code(2);
    let expected = format!("`paxos-banking key {missing}` makes one");
    assert!(stderr(&assert).contains(&expected), "{}", stderr(&assert));
    let both = [&client[..], &["--plain", "--server-key", "SHA256:x"]].concat();
    assert!(stderr(&program(home.path(), &both).code(2)).contains("doesn't go with"));
    let short = [&client[..], &["--server-key", "SHA256:x"]].concat();
    assert!(stderr(&program(home.path(), &short).code(2)).contains("43 digits"));
}
