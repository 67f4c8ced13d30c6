//! The choice of Redis: by a flag, or by the environment, which is hidden from other users of the machine
//! as a command line isn't; and a password in a file of its own.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use paxos_banking::store::redis::target::{check_url, has_password, with_password};

/// The environment variable with the URL.
pub const VARIABLE: &str = "PAXOS_BANKING_REDIS";
/// The longest password, in bytes. Other files may be longer.
const LONGEST_PASSWORD: u64 = 4096;
/// The permissions by which others than the file's owner and group could read or change it.
const OTHERS: u32 = 0o006;

/// The flag for the file with the password. It stands here, since each command's help shows it.
#[derive(Args)]
pub struct PasswordFile {
    /// The file with Redis's password, for a URL without one: a command line shows it to everybody on the
    /// machine. It holds one line, and only its owner, or its group, may read it [default: none]
    #[arg(long, value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,
}

/// Returns the URLs of the flags, or else of the environment, and adds the file's password to URLs without
/// one.
///
/// # Errors
/// What is wrong. The message repeats no URL, which may hold a password.
pub fn urls(
    flags: Vec<String>,
    variable: Option<String>,
    file: &PasswordFile,
) -> Result<Vec<String>, String> {
    let from = if flags.is_empty() { VARIABLE } else { "--redis" };
    let urls: Vec<String> = if flags.is_empty() { variable.into_iter().collect() } else { flags };
    let Some(path) = &file.redis_password_file else {
        for url in &urls {
            check_url(url).map_err(|why| format!("{from} is not the URL of a Redis: {why}"))?;
        }
        return Ok(urls);
    };
    if urls.iter().all(|url| has_password(url)) {
        return Err(match urls.is_empty() {
            true => "--redis-password-file is for a Redis, and none is named".to_owned(),
            false => {
                format!("the password is in {from} and in --redis-password-file; one is enough")
            }
        });
    }
    let password = read_password(path)
        .map_err(|why| format!("--redis-password-file {}: {why}", path.display()))?;
    let complete = |url: String| match has_password(&url) {
        true => Ok(url),
        false => with_password(&url, &password)
            .map_err(|why| format!("{from} is not the URL of a Redis: {why}")),
    };
    urls.into_iter().map(complete).collect()
}

/// Does the same where there is at most one URL.
pub fn url(
    flag: Option<String>,
    variable: Option<String>,
    file: &PasswordFile,
) -> Result<Option<String>, String> {
    urls(flag.into_iter().collect(), variable, file).map(|urls| urls.into_iter().next())
}

/// Reads the only line of a file that is for its owner's eyes.
fn read_password(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("it can't be read: {error}");
    let metadata = fs::metadata(path).map_err(cannot)?;
    // What a shell hands over as <(…) is no file that lies about.
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & OTHERS != 0 {
        return Err(format!(
            "everybody on this machine can read or change it (its mode is {:03o}); chmod 600 keeps it \
             to its owner",
            mode & 0o777
        ));
    }
    let mut text = String::new();
    let mut file = File::open(path).map_err(cannot)?.take(LONGEST_PASSWORD + 1);
    file.read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > LONGEST_PASSWORD {
        return Err(format!("it is longer than a password ({LONGEST_PASSWORD} bytes)"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => Err("it is empty; it must hold the password, in one line".to_owned()),
        line if line.contains(['\n', '\r']) => {
            Err("it has more than one line; it must hold the password only".to_owned())
        }
        line => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn file(folder: &Path, text: &str, mode: u32) -> PasswordFile {
        let path = folder.join("password");
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        PasswordFile { redis_password_file: Some(path) }
    }

    fn none() -> PasswordFile {
        PasswordFile { redis_password_file: None }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_flag_counts_and_then_the_environment() {
        let of_both = url(some("redis://a:1"), some("redis://b:2"), &none());
        assert_eq!(of_both, Ok(some("redis://a:1")));
        assert_eq!(url(None, some("redis://:pw@b:2"), &none()), Ok(some("redis://:pw@b:2")));
        assert_eq!(url(None, None, &none()), Ok(None));
        let error = url(None, some("redis://:secret@b:2?db=1"), &none()).unwrap_err();
        assert!(error.contains(VARIABLE) && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_password_comes_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        // A % in the file is a % of the password, not the start of a character's number.
        for text in ["p@ss/w:rd#?%40", "p@ss/w:rd#?%40\n", "p@ss/w:rd#?%40\r\n"] {
            let file = file(folder.path(), text, 0o640);
            let with = |flag: &str| url(some(flag), None, &file).unwrap().unwrap();
            assert_eq!(with("redis://h:1/2"), "redis://:p%40ss%2Fw%3Ard%23%3F%2540@h:1/2");
            assert_eq!(with("redis://u@h:1"), "redis://u:p%40ss%2Fw%3Ard%23%3F%2540@h:1");
            assert!(has_password(&with("unix:///run/redis?db=1")));
        }
        let some_have = file(folder.path(), "b", 0o600);
        let flags = vec!["redis://:a@h:1".to_owned(), "redis://h:2".to_owned()];
        assert_eq!(
            urls(flags, None, &some_have).unwrap(),
            ["redis://:a@h:1".to_owned(), "redis://:b@h:2".to_owned()]
        );
    }

    #[test]
    fn a_password_s_file_that_is_unfit_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(5000);
        for (text, mode, part) in [
            ("secret", 0o644, "its mode is 644"),
            ("secret", 0o602, "chmod 600"),
            ("", 0o600, "it is empty"),
            ("\n", 0o600, "it is empty"),
            ("secret\nmore", 0o600, "more than one line"),
            (&long, 0o600, "longer than a password"),
        ] {
            let file = file(folder.path(), text, mode);
            let error = url(some("redis://h"), None, &file).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
        let missing = PasswordFile { redis_password_file: Some(folder.path().join("nowhere")) };
        assert!(url(some("redis://h"), None, &missing).unwrap_err().contains("can't be read"));
        let twice = file(folder.path(), "secret", 0o600);
        assert!(url(some("redis://:pw@h"), None, &twice).unwrap_err().contains("one is enough"));
        assert!(url(None, None, &twice).unwrap_err().contains("none is named"));
    }
}
