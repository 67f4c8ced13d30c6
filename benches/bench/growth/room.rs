//! Whether there is room for more.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::Fallible;
use crate::bench::bank::Bank;

/// What stays free of memory and disk: others use this machine, too.
const RESERVE: u64 = 3_000_000_000;

/// Why no more is paid, if there is not enough room. Redis needs as much disk again to rewrite its file, and
/// for what is written meanwhile some memory.
pub fn lack(bank: &Bank) -> Fallible<Option<String>> {
    let stores = bank.used_memory()?;
    let held = stores as f64 / 1e9;
    let disk = bank.folder().map(free_disk).transpose()?;
    let (need_memory, need_disk) = (RESERVE + stores / 2, RESERVE + stores);
    let lacks = |what: &str, free: Option<u64>, needed: u64| {
        let free = free.filter(|free| *free < needed)? as f64 / 1e9;
        let needed = needed as f64 / 1e9;
        Some(format!(
            "{free:.1} GB of {what} are free, {needed:.1} are needed beside the {held:.1} GB in stores"
        ))
    };
    Ok(lacks("memory", free_memory(), need_memory).or_else(|| lacks("disk", disk, need_disk)))
}

/// Bytes of memory that programs can still get; none if this system doesn't tell.
fn free_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Bytes that are free where a folder is.
fn free_disk(folder: &Path) -> Fallible<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output();
    let output = output.map_err(|error| format!("df: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let free = text.lines().last().and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    let kilobytes: u64 = free.ok_or_else(|| format!("df says {text:?}"))?;
    Ok(kilobytes * 1024)
}
