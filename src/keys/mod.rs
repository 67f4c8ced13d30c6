//! The `key` command: makes a key, or shows the fingerprint of one that is there. It overwrites nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::bank::fingerprint::Fingerprint;
use crate::noise::{
    NoKey, create_key_file, create_public_file, load_key_file, public_file_of, read_public_file,
};

/// The status if there is no key, and none could be made.
const NO_KEY: u8 = 1;

/// Makes or shows the key in `file`. Prints its fingerprint to `out` and all else to `errors`, and returns
/// the exit status.
pub fn run(file: &Path, out: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let result = match is_public(file) {
        true => read_public_file(file).map(|key| (key, None)),
        false => make_or_show(file).map(|(key, words)| (key, Some(words))),
    };
    let (key, words) = match result {
        Ok(found) => found,
        Err(error) => {
            // If the error can't be written, there is nobody left to tell.
            let _ = writeln!(errors, "error: {error}{}", advice(file, &error));
            return NO_KEY;
        }
    };
    let said = words.map_or(Ok(()), |words| writeln!(errors, "{words}"));
    match said.and_then(|()| writeln!(out, "{key}")) {
        Ok(()) => 0,
        Err(_) => NO_KEY,
    }
}

fn is_public(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "pub")
}

fn make_or_show(file: &Path) -> Result<(Fingerprint, String), NoKey> {
    // A broken link is there, too.
    if file.symlink_metadata().is_err() {
        let key = create_key_file(file)?;
        return Ok((key.fingerprint(), said("made a secret key", file)));
    }
    let key = match load_key_file(file) {
        Ok(key) => key,
        // A public key may have any name, and any mode.
        Err(error @ (NoKey::Malformed { .. } | NoKey::Exposed { .. })) => {
            return match read_public_file(file) {
                Ok(key) => Ok((key, format!("{} is a public key", file.display()))),
                Err(_) => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let public = public_file_of(file);
    if public.symlink_metadata().is_err() {
        create_public_file(&public, &key)?;
    }
    match read_public_file(&public)? {
        found if found == key.fingerprint() => Ok((found, said("this secret key was there", file))),
        found => Err(NoKey::Malformed {
            path: public,
            wrong: format!(
                "it is the public key {found}, and the secret key beside it is that of {}; move it away, and \
                 it is made anew",
                key.fingerprint()
            ),
        }),
    }
}

fn said(what: &str, file: &Path) -> String {
    let (public, file) = (public_file_of(file), file.display());
    format!(
        "{what}: {file} (keep it to yourself)\n\
         its public key is in {} (for anybody), and this is its fingerprint:",
        public.display()
    )
}

/// Says what to do about an error that doesn't say it.
fn advice(file: &Path, error: &NoKey) -> String {
    match error {
        NoKey::File { .. } if is_public(file) && file.symlink_metadata().is_err() => {
            let secret = PathBuf::from(file).with_extension("");
            format!(
                "; `paxos-banking key {}` makes a key with this file beside it",
                secret.display()
            )
        }
        _ => String::new(),
    }
}
