//! The log: lines for people or objects for programs, on stderr or in a file that may be replaced.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Record};
use serde::Serialize;

use crate::cli::LogFormat;

/// Starts the log on stderr (stdout is for answers). `RUST_LOG` asks for more or fewer lines.
pub fn start(who: &dyn Display, level: LevelFilter) {
    start_in(who, level, LogFormat::Text, None);
}

/// Does the same in a format, and in a file if there is one.
pub fn start_in(
    who: &dyn Display,
    level: LevelFilter,
    format: LogFormat,
    file: Option<&Arc<LogFile>>,
) {
    let (who, file) = (who.to_string(), file.map(Arc::clone));
    let mut builder = Builder::new();
    builder.filter_level(level).parse_default_env();
    if let Some(file) = &file {
        builder.target(Target::Pipe(Box::new(Handed(Arc::clone(file)))));
    }
    let write = move |to: &mut Formatter, record: &Record<'_>| {
        if let Some(lost) = file.as_ref().and_then(|file| file.lost()) {
            let note = format_args!("{lost} lines before this one could not be written to the log");
            let note =
                Record::builder().level(Level::Warn).target(module_path!()).args(note).build();
            line(to, &who, format, &note)?;
        }
        line(to, &who, format, record)
    };
    builder.format(write).init();
}

fn line(to: &mut Formatter, who: &str, format: LogFormat, record: &Record<'_>) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        server: &'a str,
        level: &'a str,
        target: &'a str,
        message: String,
    }
    let (time, level) = (to.timestamp_millis(), record.level());
    match format {
        LogFormat::Text => {
            let style = to.default_level_style(level);
            writeln!(to, "{time} {who} {style}{level:<5}{style:#} {}", record.args())
        }
        LogFormat::Json => {
            let (time, message) = (time.to_string(), record.args().to_string());
            let (level, target) = (level.as_str(), record.target());
            let line = Line { time, server: who, level, target, message };
            writeln!(to, "{}", serde_json::to_string(&line)?)
        }
    }
}

/// A file to which the log is appended.
///
/// A log that can't be written, since the disk is full, say, stops nobody: its lines are counted, and the first one
/// that can be written again says how many are missing.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// How many lines could not be written since the last one that could.
    lost: u64,
    /// True if the end of the last line is missing.
    is_torn: bool,
}

impl LogFile {
    /// Opens it, behind what it holds.
    ///
    /// # Errors
    /// Says why it can't be written.
    pub fn open(path: &Path) -> Result<Arc<LogFile>, String> {
        let file = append_to(path).map_err(|error| {
            format!("--log-file {}: it can't be written: {error}", path.display())
        })?;
        let open = Mutex::new(Open { file, lost: 0, is_torn: false });
        Ok(Arc::new(LogFile { path: path.to_owned(), open }))
    }

    fn state(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file of that name anew: who keeps logs has given the one so far another name. If that fails, the
    /// log goes on where it was.
    pub fn reopen(&self) {
        match append_to(&self.path) {
            Ok(file) => {
                self.state().file = file;
                log::info!("the log goes on in {}", self.path.display());
            }
            Err(error) => {
                log::warn!("the log goes on in the same file: {}: {error}", self.path.display());
            }
        }
    }

    /// Returns how many lines were lost since the last one that was written, if any were.
    fn lost(&self) -> Option<u64> {
        Some(self.state().lost).filter(|lost| *lost > 0)
    }

    /// Appends lines that belong together, or counts what can't be written.
    fn append(&self, text: &[u8]) {
        let mut open = self.state();
        if open.is_torn {
            // What is whole is to stay readable.
            open.is_torn = open.file.write_all(b"\n").is_err();
        }
        let written = if open.is_torn { Ok(0) } else { write_most(&mut open.file, text) };
        match written {
            Ok(written) if written == text.len() => open.lost = 0,
            partly => {
                open.is_torn |= matches!(partly, Ok(written) if written > 0);
                open.lost += 1;
                if open.lost == 1 {
                    eprintln!("{} can't be written; the server goes on", self.path.display());
                }
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

/// Writes as much as fits, and returns how much that was. An error, if nothing did.
fn write_most(file: &mut File, text: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < text.len() {
        match file.write(&text[written..]) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if written == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(written)
}

/// The file as the logger has it, which writes whole lines.
struct Handed(Arc<LogFile>);

impl Write for Handed {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.append(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_log_is_appended_and_goes_on_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, kept) = (folder.path().join("log"), folder.path().join("log.1"));
        fs::write(&path, "before\n").unwrap();
        let log = LogFile::open(&path).unwrap();
        log.append(b"one\n");
        fs::rename(&path, &kept).unwrap();
        log.append(b"two\n");
        log.reopen();
        log.append(b"three\n");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "before\none\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        log.reopen();
        log.append(b"four\n");
        let words = LogFile::open(&path).unwrap_err();
        assert!(words.contains("can't be written: Is a directory"), "{words}");
    }

    /// The kernel's `/dev/full` takes nothing, as a full disk does.
    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_until_one_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::open(Path::new("/dev/full")).unwrap();
        log.append(b"one\n");
        log.append(b"two\n");
        assert_eq!(log.lost(), Some(2));
        let path = folder.path().join("log");
        log.state().file = append_to(&path).unwrap();
        log.state().is_torn = true;
        log.append(b"three\n");
        assert_eq!(log.lost(), None);
        assert_eq!(fs::read_to_string(&path).unwrap(), "\nthree\n");
    }
}
