use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Expects that loading fails with words that contain all of these.
fn expect_refused(path: &Path, words: &[&str]) {
    let error = load_key_file(path).expect_err("it must be refused").to_string();
    for word in words {
        assert!(error.contains(word), "{error:?} says nothing of {word:?}");
    }
}

fn made() -> (tempfile::TempDir, PathBuf, SecretKey) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/key");
    let key = create_key_file(&path).unwrap();
    (folder, path, key)
}

#[test]
fn a_key_comes_back_from_its_file_and_only_its_owner_may_read_it() {
    let (_folder, path, key) = made();
    assert_eq!(load_key_file(&path).unwrap(), key);
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(mode_of(path.parent().unwrap()), 0o700);
    let lines = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "# PAXOS-Banking secret key: keep it to yourself");
    assert_eq!(lines[1], format!("# {}", key.fingerprint()));
    assert_eq!((lines.len(), lines[2].len()), (3, 43));
    let public = public_file_of(&path);
    assert_eq!(read_public_file(&public).unwrap(), key.fingerprint());
    let text = fs::read_to_string(public).unwrap();
    assert!(!text.contains(lines[2]), "the public file holds the secret");
    expect_refused(
        &public_file_of(&path),
        &["it holds a public key, and the secret one is needed"],
    );
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing unfinished is left");
}

#[test]
fn no_file_is_ever_overwritten() {
    let (_folder, path, key) = made();
    let error = create_key_file(&path).expect_err("it exists").to_string();
    assert!(error.contains("exists"), "{error}");
    assert_eq!(load_or_create_key_file(&path).unwrap(), (key.clone(), false));
    fs::remove_file(&path).unwrap();
    let error = load_or_create_key_file(&path).expect_err("the public key is there").to_string();
    assert!(error.contains("bring the secret key back"), "{error}");
    assert_eq!(read_public_file(&public_file_of(&path)).unwrap(), key.fingerprint());
    fs::remove_file(public_file_of(&path)).unwrap();
    let (new, is_new) = load_or_create_key_file(&path).unwrap();
    assert!(is_new && new != key);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let (_folder, path, _) = made();
    for mode in [0o640, 0o604, 0o660, 0o644, 0o601, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        expect_refused(&path, &["others than its owner", &format!("mode {mode:03o}"), "chmod 600"]);
        assert!(load_or_create_key_file(&path).is_err());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    load_key_file(&path).expect("only its owner reads it");
}

#[test]
fn what_is_no_key_file_is_told_apart() {
    let (folder, path, key) = made();
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let other = SecretKey::random().unwrap();
    let cases = [
        (String::new(), "first line"),
        (good.replace("PAXOS", "paxos"), "first line"),
        (fs::read_to_string(public_file_of(&path)).unwrap(), "the secret one is needed"),
        (good.replace("SHA256", "MD5"), "second line"),
        (good.replace(lines[2], &lines[2][..42]), "third line"),
        (good.replace(lines[2], &format!("{}=", lines[2])), "third line"),
        (format!("{}\n{}\n", lines[0], lines[1]), "third line"),
        (good.replace(lines[2], &encode_base64(other.secret())), "second line names"),
        (format!("{good}more\n"), "more than three lines"),
        (good.repeat(40), "too long"),
    ];
    for (text, words) in cases {
        fs::write(&path, text).unwrap();
        expect_refused(&path, &[words, "key"]);
    }
    expect_refused(folder.path(), &["not a file"]);
    expect_refused(&folder.path().join("nowhere"), &["No such file"]);
    assert_ne!(key, other);
}

#[test]
fn a_public_file_names_a_key_and_may_name_its_owner() {
    let (folder, path, key) = made();
    let public = folder.path().join("alice.pub");
    let named = |text: String| {
        fs::write(&public, text).unwrap();
        read_public_file(&public).map_err(|error| error.to_string())
    };
    let (fingerprint, base64) = (key.fingerprint(), encode_base64(&key.public()));
    for text in ["{f} {k}", "{f} {k} alice\n", "# Alice's\n\n{f} alice\n", "{f}\n"] {
        let text = text.replace("{f}", &fingerprint.to_string()).replace("{k}", &base64);
        assert_eq!(named(text), Ok(fingerprint));
    }
    let other = encode_base64(&SecretKey::random().unwrap().public());
    let wrong = named(format!("{fingerprint} {other}\n")).unwrap_err();
    assert!(wrong.contains("not the one that it names"), "{wrong}");
    assert!(named(format!("{fingerprint}\n{fingerprint}\n")).is_err());
    assert!(named(fs::read_to_string(&path).unwrap()).unwrap_err().contains("ends in .pub"));
}
