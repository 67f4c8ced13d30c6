//! Key files: a secret key that only its owner reads, and beside it the public key for everybody.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::bank::fingerprint::{Fingerprint, decode_base64, encode_base64};
use crate::noise::SecretKey;
use crate::noise::error::NoKey;

/// The first line of a secret key's file.
const TITLE: &str = "# PAXOS-Banking secret key: keep it to yourself";
/// More bytes than any key file has.
const TOO_LONG: u64 = 4096;

/// Returns the file of the public key that belongs to a secret key's file.
pub fn public_file_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".pub");
    PathBuf::from(name)
}

/// Reads a secret key from its file.
///
/// # Errors
/// If there is no such file, others than its owner may read it, or it holds no secret key.
pub fn load_key_file(path: &Path) -> Result<SecretKey, NoKey> {
    let (text, mode) = read(path)?;
    // A public key may be read by all, and is said to be the wrong file.
    if mode & 0o077 != 0 && parse_public(&text).is_err() {
        return Err(NoKey::Exposed { path: path.to_owned(), mode });
    }
    parse_secret(&text).map_err(|wrong| NoKey::Malformed { path: path.to_owned(), wrong })?
}

/// Makes a secret key's file, with its folders, and the public key's file beside it. Neither is overwritten.
///
/// # Errors
/// If one of the files exists, or can't be made.
pub fn create_key_file(path: &Path) -> Result<SecretKey, NoKey> {
    let key = SecretKey::random()?;
    let fingerprint = key.fingerprint();
    let text = format!("{TITLE}\n# {fingerprint}\n{}\n", encode_base64(key.secret()));
    let public = public_file_of(path);
    if fs::symlink_metadata(&public).is_ok() && fs::symlink_metadata(path).is_err() {
        let wrong = format!(
            "it is there, and the secret key {} is not; bring the secret key back, or move this file away",
            path.display()
        );
        return Err(NoKey::Malformed { path: public, wrong });
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| failed("make the folder", folder, error))?;
    }
    write_whole(path, &text, 0o600).map_err(|error| failed("make the key file", path, error))?;
    create_public_file(&public, &key)?;
    Ok(key)
}

/// Makes a key's public file, for everybody to read.
///
/// # Errors
/// If the file exists, or can't be made.
pub fn create_public_file(path: &Path, key: &SecretKey) -> Result<(), NoKey> {
    let line = format!("{} {}\n", key.fingerprint(), encode_base64(&key.public()));
    write_whole(path, &line, 0o644)
        .map_err(|error| failed("make the public key's file", path, error))
}

/// Reads a secret key from its file, which is made if there is none. True beside it if it was made.
///
/// # Errors
/// As [`load_key_file`] and [`create_key_file`].
pub fn load_or_create_key_file(path: &Path) -> Result<(SecretKey, bool), NoKey> {
    match load_key_file(path) {
        Err(NoKey::File { error, .. }) if error.kind() == ErrorKind::NotFound => {
            match create_key_file(path) {
                Ok(key) => Ok((key, true)),
                // Another process may have been quicker.
                Err(failed) => load_key_file(path).map(|key| (key, false)).map_err(|_| failed),
            }
        }
        loaded => loaded.map(|key| (key, false)),
    }
}

/// Reads the fingerprint from a public key's file: a line of the fingerprint, then, each after a blank, the
/// key itself and a name, which may both be missing.
///
/// # Errors
/// If the file can't be read, or holds no public key.
pub fn read_public_file(path: &Path) -> Result<Fingerprint, NoKey> {
    let (text, _) = read(path)?;
    parse_public(&text).map_err(|wrong| NoKey::Malformed { path: path.to_owned(), wrong })
}

fn failed(what: &'static str, path: &Path, error: io::Error) -> NoKey {
    NoKey::File { what, path: path.to_owned(), error }
}

/// Reads a small file. Returns its mode beside its text: that of the very file that was read.
fn read(path: &Path) -> Result<(String, u32), NoKey> {
    let cant_read = |error| failed("read the key file", path, error);
    // Not a pipe, where opening would wait for a writer.
    if !fs::metadata(path).map_err(cant_read)?.is_file() {
        return Err(cant_read(io::Error::other("it is not a file")));
    }
    let file = File::open(path).map_err(cant_read)?;
    let mode = file.metadata().map_err(cant_read)?.mode() & 0o777;
    let mut text = String::new();
    let length = file.take(TOO_LONG).read_to_string(&mut text).map_err(cant_read)?;
    match length as u64 == TOO_LONG {
        true => Err(cant_read(io::Error::other("it is too long for a key"))),
        false => Ok((text, mode)),
    }
}

/// Writes a file that appears whole or not at all, and never in another's place.
fn write_whole(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(format!(".{}.new", std::process::id()));
    let unfinished = PathBuf::from(name);
    // Of a process of the same number that crashed here.
    let _ = fs::remove_file(&unfinished);
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, this fails if the file exists.
        fs::hard_link(&unfinished, path)
    };
    let written = write();
    let _ = fs::remove_file(&unfinished);
    written
}

/// Parses a secret key's file.
fn parse_secret(text: &str) -> Result<Result<SecretKey, NoKey>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(match parse_public(text) {
            Ok(_) => "it holds a public key, and the secret one is needed".to_owned(),
            Err(_) => format!("it holds no secret key: its first line is not \"{TITLE}\""),
        });
    }
    let named = lines.next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
    let named: Fingerprint =
        named.parse().map_err(|error| format!("its second line is no fingerprint: {error}"))?;
    let secret = lines.next().and_then(decode_base64);
    let secret = secret.ok_or("its third line is not the secret key: 43 digits of base64")?;
    if lines.next().is_some() {
        return Err("it has more than three lines".to_owned());
    }
    Ok(match SecretKey::of(secret) {
        Ok(key) if key.fingerprint() != named => {
            return Err(format!("its key is not the one that its second line names, {named}"));
        }
        key => key,
    })
}

/// Parses a public key's file.
fn parse_public(text: &str) -> Result<Fingerprint, String> {
    if text.starts_with(TITLE) {
        return Err(
            "it holds a secret key, and the public one is needed: the file that ends in .pub"
                .into(),
        );
    }
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err("a public key's file has one line".to_owned());
    };
    let mut words = line.split_whitespace();
    let named: Fingerprint = words
        .next()
        .unwrap_or_default()
        .parse()
        .map_err(|error| format!("it holds no public key: {error}"))?;
    match words.next().and_then(decode_base64) {
        Some(public) if Fingerprint::of(&public) != named => {
            Err(format!("its key is not the one that it names, {named}"))
        }
        _ => Ok(named),
    }
}

#[cfg(all(test, feature = "noise"))]
#[path = "key_file_tests.rs"]
mod tests;
