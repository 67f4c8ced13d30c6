//! Who took part in a server's runs, by what the server notes down.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::bank::ids::ServerId;
use crate::trace::record::{Record, What};

/// How far a server's trace goes now.
pub(super) fn end_of(trace: &Path) -> u64 {
    fs::metadata(trace).map_or(0, |metadata| metadata.len())
}

/// Whose promises a server got since its trace went so far. A line that is not wholly written yet tells
/// of nothing that was answered yet.
pub(super) fn since(trace: &Path, end: u64) -> BTreeSet<ServerId> {
    let read = || {
        let mut file = File::open(trace)?;
        file.seek(SeekFrom::Start(end))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map(|_| text)
    };
    let text = read().unwrap_or_default();
    let records = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let record: Record = serde_json::from_slice(line).ok()?;
        Some(record.what)
    });
    let promised = |what| match what {
        What::Received { from, message, .. } if message.kind == "promise" => Some(from),
        _ => None,
    };
    records.filter_map(promised).collect()
}
