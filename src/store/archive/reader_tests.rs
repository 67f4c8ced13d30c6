use std::fs;

use super::*;
use crate::store::archive::testing::Archive;

/// Heights of the blocks that are read.
fn heights(blocks: &[SealedBlock]) -> Vec<u64> {
    blocks.iter().map(SealedBlock::height).collect()
}

#[test]
fn what_is_written_is_read_in_pieces_of_any_size() {
    let archive = Archive::of(&[40, 60]);
    let mut reader = archive.folder.reader();
    for segment in &archive.segments {
        for (from, to) in [(segment.first, segment.last), (segment.first + 7, segment.first + 31)] {
            for max_bytes in [0, 1, 300, 1000, 5000, usize::MAX] {
                let mut next = from;
                while next <= to {
                    let blocks = reader.blocks(segment, next, to, max_bytes).expect("sound");
                    let wanted = &archive.chain[next as usize..][..blocks.len()];
                    assert_eq!(blocks, wanted);
                    let bytes: usize = blocks.iter().map(|block| block.text().len() + 1).sum();
                    assert!(bytes <= max_bytes || blocks.len() == 1, "{bytes} of {max_bytes}");
                    next += blocks.len() as u64;
                    if next <= to {
                        let more = archive.chain[next as usize].text().len() + 1;
                        assert!(bytes + more > max_bytes, "another one would have fitted");
                    }
                }
                assert_eq!(next, to + 1);
            }
        }
        let beyond = reader.blocks(segment, segment.last, u64::MAX, usize::MAX).expect("sound");
        assert_eq!(heights(&beyond), [segment.last]);
        assert!(reader.blocks(segment, segment.last + 1, u64::MAX, 1).expect("none").is_empty());
    }
}

#[test]
fn a_segment_is_what_export_writes() {
    let archive = Archive::of(&[3]);
    let lines: String = archive.chain[..3].iter().map(|b| format!("{}\n", b.text())).collect();
    assert_eq!(fs::read_to_string(archive.path(0)).unwrap(), lines);
    assert_eq!(archive.segments[0].bytes, lines.len() as u64);
}
