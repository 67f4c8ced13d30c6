//! The servers' keys that a client has seen: a file in the manner of SSH's `known_hosts`.
//!
//! Each line is `HOST:PORT ID SHA256:…`; blank lines and lines that begin with `#` say nothing. The first time
//! that a client comes to an address, it writes down the key that the server proves there. From then on only
//! this key is accepted at this address.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;

/// More bytes than a file of this kind has. Nine servers of a thousand banks are less.
const TOO_LONG: u64 = 1 << 20;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServer {
    /// The server's `HOST:PORT`, as the client is told it.
    pub address: String,
    /// The server's id.
    pub id: ServerId,
    /// The fingerprint of its key.
    pub key: Fingerprint,
    /// The number of the line, from 1.
    pub line: usize,
}

/// Why the file can't be used.
#[derive(Debug)]
pub enum BadFile {
    /// It can't be read.
    Unread(PathBuf, io::Error),
    /// It can't be written.
    Unwritten(PathBuf, io::Error),
    /// A line is wrong.
    Line(PathBuf, usize, String),
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFile::Unread(path, error) => write!(f, "can't read {}: {error}", path.display()),
            BadFile::Unwritten(path, error) => {
                write!(f, "can't write a server's key into {}: {error}", path.display())
            }
            BadFile::Line(path, line, wrong) => write!(
                f,
                "{}, line {line}: {wrong}; a line is HOST:PORT ID SHA256:…; mend it, or take it out",
                path.display()
            ),
        }
    }
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServers {
    path: PathBuf,
}

impl KnownServers {
    /// Names the file, which need not exist.
    pub fn at(path: PathBuf) -> KnownServers {
        KnownServers { path }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all lines.
    ///
    /// # Errors
    /// If the file can't be read, or a line is wrong. A client must not go on then: the wrong line may be the
    /// one that counts.
    pub fn read(&self) -> Result<Vec<KnownServer>, BadFile> {
        let unread = |error| BadFile::Unread(self.path.clone(), error);
        match self.text().map_err(unread)? {
            Some(text) => {
                parse(&text).map_err(|(line, wrong)| BadFile::Line(self.path.clone(), line, wrong))
            }
            None => Ok(Vec::new()),
        }
    }

    /// Returns the file's text; none if there is no file.
    fn text(&self) -> io::Result<Option<String>> {
        let metadata = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        match metadata.is_file() {
            true if metadata.len() <= TOO_LONG => fs::read_to_string(&self.path).map(Some),
            true => Err(io::Error::other("it is too long")),
            false => Err(io::Error::other("it is not a file")),
        }
    }

    /// Writes a server's key down, in the place of all that the file says of its address. New lines of several
    /// clients at once all get in; a new line while an old one is replaced may be lost, and then comes again.
    ///
    /// # Errors
    /// If the file can't be read or written. Then it is as it was.
    pub fn pin(&self, address: &str, id: &ServerId, key: Fingerprint) -> Result<(), BadFile> {
        let known = self.read()?;
        let of_address = || known.iter().filter(|known| known.address == address);
        if of_address().count() > 0 && of_address().all(|known| known.id == *id && known.key == key)
        {
            return Ok(());
        }
        let write = || {
            if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty())
            {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let text = self.text()?.unwrap_or_default();
            let line = format!("{address} {id} {key}\n");
            match of_address().next() {
                None => self.append(&text, &line),
                Some(_) => self.replace(&text, &known, address, &line),
            }
        };
        write().map_err(|error| BadFile::Unwritten(self.path.clone(), error))
    }

    /// Adds a line, by one write: other clients may add theirs at this moment.
    fn append(&self, text: &str, line: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let begin = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        file.write_all(format!("{begin}{line}").as_bytes())
    }

    /// Writes the file anew, with one line instead of an address's old ones. It is there all the time.
    fn replace(
        &self,
        text: &str,
        known: &[KnownServer],
        address: &str,
        line: &str,
    ) -> io::Result<()> {
        let is_old = |number: usize| {
            known.iter().any(|known| known.line == number && known.address == address)
        };
        let mut kept: String = text
            .lines()
            .zip(1..)
            .filter(|(_, number)| !is_old(*number))
            .map(|(line, _)| format!("{line}\n"))
            .collect();
        kept.push_str(line);
        let mut unfinished = self.path.clone().into_os_string();
        unfinished.push(format!(".{}.new", std::process::id()));
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(kept.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.path)
        };
        write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }
}

/// Parses a file's lines. The error is a line's number, and what is wrong with it.
fn parse(text: &str) -> Result<Vec<KnownServer>, (usize, String)> {
    let mut all: Vec<KnownServer> = Vec::new();
    for (text, line) in text.lines().zip(1..) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let known = parse_line(text, line).map_err(|wrong| (line, wrong))?;
        let other = all.iter().find(|other| other.address == known.address);
        if let Some(other) = other.filter(|other| other.key != known.key) {
            let wrong = format!("line {} has another key for {}", other.line, known.address);
            return Err((line, wrong));
        }
        all.push(known);
    }
    Ok(all)
}

fn parse_line(text: &str, line: usize) -> Result<KnownServer, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [address, id, key] = words[..] else {
        return Err(format!("it has {} words", words.len()));
    };
    if !address.contains(':') {
        return Err(format!("{address:?} has no port"));
    }
    let id = id.parse().map_err(|error| format!("{error}"))?;
    let key = key.parse().map_err(|error| format!("{key:?}: {error}"))?;
    Ok(KnownServer { address: address.to_owned(), id, key, line })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(of: &str) -> Fingerprint {
        Fingerprint::of(of.as_bytes())
    }

    fn id(id: &str) -> ServerId {
        id.parse().unwrap()
    }

    fn with(text: &str) -> (tempfile::TempDir, KnownServers) {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::at(folder.path().join("known_servers"));
        fs::write(known.path(), text).unwrap();
        (folder, known)
    }

    #[test]
    fn what_was_pinned_comes_back_and_only_the_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::at(folder.path().join("deep/er/known_servers"));
        assert_eq!(known.read().unwrap(), []);
        known.pin("h:1", &id("A"), key("a")).unwrap();
        known.pin("[::1]:2", &id("B"), key("b")).unwrap();
        let found = known.read().unwrap();
        let expected = [("h:1", "A", "a"), ("[::1]:2", "B", "b")];
        for ((found, (address, server, of)), line) in found.iter().zip(expected).zip(1..) {
            let (id, key) = (id(server), key(of));
            assert_eq!(*found, KnownServer { address: address.into(), id, key, line });
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(known.path()), 0o600);
        assert_eq!(mode(known.path().parent().unwrap()), 0o700);
    }

    #[test]
    fn a_file_written_by_hand_keeps_its_comments_and_gets_its_newline() {
        let (_folder, known) = with(&format!("# ours\n\n  h:1   A {} ", key("a")));
        known.pin("h:2", &id("B"), key("b")).unwrap();
        let lines: Vec<_> = known.read().unwrap().into_iter().map(|known| known.line).collect();
        assert_eq!(lines, [3, 4]);
        known.pin("h:1", &id("A"), key("new")).unwrap();
        let text = fs::read_to_string(known.path()).unwrap();
        let expected = format!("# ours\n\nh:2 B {}\nh:1 A {}\n", key("b"), key("new"));
        assert_eq!(text, expected, "the old key is gone");
        let beside = fs::read_dir(known.path().parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing unfinished stays");
    }

    #[test]
    fn a_line_that_is_wrong_is_named_and_nothing_is_written() {
        let good = key("a").to_string();
        for (line, part) in [
            ("h:1 A".to_owned(), "it has 2 words"),
            (format!("h:1 A {good} x"), "it has 4 words"),
            (format!("h A {good}"), "\"h\" has no port"),
            (format!("h:1 A/x {good}"), "is not a server id"),
            (format!("h:1 A {}", &good[..20]), "fingerprint is SHA256: and 43 digits"),
            (format!("h:1 A {good}\nh:1 A {}", key("b")), "line 2 has another key for h:1"),
        ] {
            let (_folder, known) = with(&format!("# first\n{line}\n"));
            let error = known.read().unwrap_err().to_string();
            let number = 1 + line.lines().count();
            assert!(error.contains(&format!("known_servers, line {number}: ")), "{error}");
            assert!(error.contains(part), "{error}");
            known.pin("h:9", &id("A"), key("a")).unwrap_err();
            assert_eq!(fs::read_to_string(known.path()).unwrap(), format!("# first\n{line}\n"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_empty_file() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::at(folder.path().to_owned());
        assert!(known.read().unwrap_err().to_string().contains("it is not a file"));
        assert!(known.pin("h:1", &id("A"), key("a")).is_err());
        let (_folder, known) = with("");
        fs::write(known.path(), b"\xff").unwrap();
        assert!(matches!(known.read(), Err(BadFile::Unread(..))));
    }

    #[test]
    fn clients_that_pin_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::at(folder.path().join("known_servers"));
        std::thread::scope(|scope| {
            for number in 0..20 {
                let known = known.clone();
                scope.spawn(move || {
                    known.pin(&format!("h:{}", number + 1), &id("A"), key("a")).unwrap();
                    known.pin("h:99", &id("B"), key("b")).unwrap();
                });
            }
        });
        let mut addresses: Vec<_> =
            known.read().unwrap().into_iter().map(|known| known.address).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 21);
    }
}
