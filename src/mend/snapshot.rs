//! Snapshots (RDB), with which an append-only file may begin: finds a snapshot's end by its checksum.
//!
//! A snapshot closes with a byte of ones and the CRC of all bytes before, in eight bytes, the lowest first. The
//! bytes between are not parsed: that the CRC fits somewhere by accident is out of the question.
//!
//! One cut can't be told from a whole snapshot without parsing it: the content ends with a byte of ones, the checksum
//! with a zero, and only this zero is missing. Everything before the checksum is there, so nothing is lost by calling
//! it whole. Redis, which misses a byte, refuses to start on the file; nothing is cut off it.

use std::io::{self, BufRead};

/// The beginnings of Redis's and Valkey's snapshots.
const BEGINNINGS: [&[u8]; 2] = [b"REDIS", b"VALKEY"];
/// The polynomial that Redis uses (Jones), mirrored.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
/// The byte before the checksum.
const CLOSING: u8 = 0xff;
/// The bytes of the checksum.
const CHECKSUM: usize = 8;

/// True if a file that begins like this begins with a snapshot.
pub fn begins(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

/// Returns the length of the snapshot with which `source` begins; none if no checksum fits.
///
/// # Errors
/// If the source can't be read.
pub fn length(source: &mut dyn BufRead) -> io::Result<Option<u64>> {
    let table = table();
    // The CRC after each of the last eight bytes, with the byte; and these bytes as a number.
    let (mut passed, mut last) = ([(0, 0); CHECKSUM], 0_u64);
    let (mut crc, mut length, mut found) = (0, 0_usize, None);
    loop {
        let there = source.fill_buf()?;
        if there.is_empty() {
            return Ok(found);
        }
        let size = there.len();
        for byte in there {
            crc = table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
            last = last >> 8 | u64::from(*byte) << (64 - 8);
            length += 1;
            let before = std::mem::replace(&mut passed[length % CHECKSUM], (crc, *byte));
            match before == (last, CLOSING) && length > CHECKSUM {
                true => found = Some(length as u64),
                // Where the last byte of the checksum is 0, the checksum may fit one byte earlier, too.
                false if found.is_some() => return Ok(found),
                false => {}
            }
        }
        source.consume(size);
    }
}

fn table() -> [u64; 256] {
    std::array::from_fn(|byte| {
        (0..8).fold(byte as u64, |crc, _| crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc_of(bytes: &[u8], table: &[u64; 256]) -> u64 {
        bytes.iter().fold(0, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
    }

    fn closed(content: &[u8], table: &[u64; 256]) -> Vec<u8> {
        let mut bytes = [content, &[CLOSING]].concat();
        bytes.extend(u64::to_le_bytes(crc_of(&bytes, table)));
        bytes
    }

    /// Checks the CRC against the check value in Redis's own sources.
    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(crc_of(b"123456789", &table()), 0xe9c6_d914_c4b8_d9ca);
    }

    /// Bug: a sound base was refused for a zero at its end. Cause: the last byte of its checksum was 0, so the
    /// checksum also fits one byte earlier. Fix: a byte of ones closes it, and the longer snapshot counts.
    #[test]
    fn a_checksum_may_end_in_a_zero() {
        let (table, mut zeros, mut ones) = (table(), 0, 0);
        for number in 0..20_000 {
            let content = format!("REDIS0010 {number}");
            for content in [content.clone().into_bytes(), [content.as_bytes(), b"\xff"].concat()] {
                let bytes = closed(&content, &table);
                zeros += usize::from(bytes.last() == Some(&0));
                ones += usize::from(content.last() == Some(&CLOSING));
                let whole = Some(bytes.len() as u64);
                assert_eq!(length(&mut bytes.as_slice()).unwrap(), whole, "{number}");
                let mut more = [bytes.as_slice(), b"*1\r\n"].concat();
                assert_eq!(length(&mut more.as_slice()).unwrap(), whole, "{number}");
                more[3] ^= 1;
                assert_eq!(length(&mut more.as_slice()).unwrap(), None, "{number}");
            }
        }
        assert!(zeros > 100 && ones > 0, "{zeros} and {ones}");
    }

    /// Shows the one cut that is not noticed, and that no other is: whatever else is missing of this snapshot, or of
    /// one whose content ends otherwise.
    #[test]
    fn only_a_zero_at_the_very_end_may_be_missing() {
        let table = table();
        let contents =
            (0..).map(|number| [format!("REDIS0010 {number}").as_bytes(), b"\xff"].concat());
        // So that the checksum which includes the closing byte begins where the other has that byte.
        let content = contents.into_iter().find(|content| crc_of(content, &table) & 0xff == 0xff);
        let bytes = closed(&content.unwrap(), &table);
        assert_eq!(bytes.last(), Some(&0));
        let all_but = |missing: usize| {
            let length = bytes.len() - missing;
            (length as u64, super::length(&mut &bytes[..length]).unwrap())
        };
        assert_eq!(all_but(0), (bytes.len() as u64, Some(bytes.len() as u64)));
        let (length, found) = all_but(1);
        assert_eq!(found, Some(length));
        for missing in 2..=bytes.len() {
            assert_eq!(all_but(missing).1, None, "{missing}");
        }
    }
}
