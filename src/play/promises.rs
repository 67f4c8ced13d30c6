//! Whose promises a server's runs got, by the server's trace.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::bank::ids::ServerId;
use crate::trace::record::{Record, What};

/// Returns the present length of a server's trace.
pub(super) fn end_of(trace: &Path) -> u64 {
    fs::metadata(trace).map_or(0, |metadata| metadata.len())
}

/// Returns the servers whose promises were noted since the trace had this length. A line that is not wholly
/// written tells of nothing that was answered yet.
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
