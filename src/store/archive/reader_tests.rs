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

/// Checks what is said of a damaged segment, by its length, by its content, and by a reader.
fn check_damage(archive: &Archive, by_size: Option<&str>, by_content: &str) {
    let (segment, path) = (&archive.segments[1], archive.path(1));
    let by_content = by_size.unwrap_or(by_content);
    let size = archive.folder.check_size(segment);
    match by_size {
        None => assert_eq!(size, Ok(())),
        Some(said) => check_said(&size.unwrap_err(), &path, said),
    }
    let verified = archive.folder.verify(segment, &mut |_| true);
    check_said(&verified.unwrap_err(), &path, by_content);
    // Whichever blocks are asked for, what is returned is what was written.
    let mut damaged = 0;
    for from in segment.first..=segment.last {
        match archive.folder.reader().blocks(segment, from, segment.last, 1) {
            Ok(blocks) => assert_eq!(blocks, &archive.chain[from as usize..][..1]),
            Err(damage) => {
                check_said(&damage, &path, by_content);
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "no reader noticed");
    let all = archive.folder.reader().blocks(segment, segment.first, segment.last, usize::MAX);
    check_said(&all.unwrap_err(), &path, by_content);
    // The other segments can be read.
    let other = &archive.segments[0];
    assert!(archive.folder.reader().blocks(other, 0, 1, 1).is_ok());
}

fn check_said(damage: &Damage, path: &Path, said: &str) {
    assert_eq!(damage.file, path);
    let text = damage.to_string();
    assert!(text.starts_with(&format!("{}: {said}", path.display())), "{text}");
}

fn damaged(change: impl FnOnce(&Archive, &mut Vec<u8>)) -> Archive {
    let archive = Archive::of(&[10, 20, 10]);
    Archive::change(&archive.path(1), |bytes| change(&archive, bytes));
    archive
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let archive = Archive::of(&[10, 20]);
    fs::remove_file(archive.path(1)).unwrap();
    check_damage(&archive, Some("it is missing"), "");
}

#[test]
fn a_segment_that_is_a_folder_is_named() {
    let archive = Archive::of(&[10, 20]);
    fs::remove_file(archive.path(1)).unwrap();
    fs::create_dir(archive.path(1)).unwrap();
    check_damage(&archive, Some("it is not a file"), "");
}

#[test]
fn a_segment_that_is_empty_is_named() {
    check_damage(&damaged(|_, bytes| bytes.clear()), Some("it is empty"), "");
}

#[test]
fn a_segment_that_is_cut_in_a_line_is_named() {
    let archive = damaged(|_, bytes| bytes.truncate(bytes.len() - 20));
    check_damage(&archive, Some("it is cut short: it has "), "");
}

#[test]
fn a_segment_that_is_cut_between_lines_is_named() {
    let archive = damaged(|archive, bytes| {
        bytes.truncate(bytes.len() - archive.chain[29].text().len() - 1);
        assert!(bytes.ends_with(b"\n"));
    });
    check_damage(&archive, Some("it is cut short: it has "), "");
}

#[test]
fn a_segment_with_more_at_its_end_is_named() {
    let archive = damaged(|archive, bytes| {
        bytes.extend(format!("{}\n", archive.chain[30].text()).bytes());
    });
    check_damage(&archive, Some("something was added to it: it has "), "");
}

#[test]
fn any_bit_that_is_flipped_is_noticed() {
    let archive = Archive::of(&[10, 20, 10]);
    let segment = &archive.segments[1];
    for at in (0..segment.bytes as usize).step_by(7) {
        let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (at % 8);
        Archive::change(&archive.path(1), flip);
        let found = archive.folder.verify(segment, &mut |_| true).unwrap_err();
        check_said(&found, &archive.path(1), "it was changed: its SHA-256 is ");
        let blocks =
            archive.folder.reader().blocks(segment, segment.first, segment.last, usize::MAX);
        let damage = blocks.expect_err(&format!("the flip at {at}"));
        check_said(&damage, &archive.path(1), "it was changed: its SHA-256 is ");
        Archive::change(&archive.path(1), flip);
    }
}

#[test]
fn a_digit_that_was_changed_in_any_block_is_noticed() {
    // Each block stays a block: only its hash is another.
    for height in 10..30 {
        let archive = damaged(|_, bytes| {
            let amount = format!("\"B\",{height}]").into_bytes();
            let at = bytes.windows(amount.len()).position(|window| window == amount);
            bytes[at.expect("an amount") + 4] += 1;
        });
        check_damage(&archive, None, "it was changed: its SHA-256 is ");
        let segment = &archive.segments[1];
        let mut reader = archive.folder.reader();
        let damage = reader.blocks(segment, height, height, 1).unwrap_err();
        let line = format!("; line {}: its hash is not the one it had", height - 9);
        assert!(damage.what.ends_with(&line), "{damage}");
    }
}

#[test]
fn lines_that_were_swapped_are_noticed() {
    let archive = damaged(|_, bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(3, 4);
        *bytes = format!("{}\n", lines.join("\n")).into_bytes();
    });
    check_damage(&archive, None, "it was changed: its SHA-256 is ");
}

#[test]
fn another_segment_under_its_name_is_noticed() {
    // Of the same length, too.
    let archive = Archive::of(&[10, 20, 20]);
    fs::copy(archive.path(2), archive.path(1)).unwrap();
    fs::copy(archive.offsets(2), archive.offsets(1)).unwrap();
    let same_size = archive.segments[1].bytes == archive.segments[2].bytes;
    let by_size = (!same_size).then_some("");
    check_damage(&archive, by_size, "it was changed: its SHA-256 is ");
}

#[test]
fn line_breaks_that_were_changed_are_noticed() {
    let archive = damaged(|archive, bytes| {
        bytes[archive.chain[10].text().len()] = b' ';
    });
    check_damage(&archive, None, "it was changed: its SHA-256 is ");
}

/// Damages the places of a sound segment's lines: everything is read all the same, and they are made again.
fn check_places(damage: impl Fn(&Archive)) {
    let archive = Archive::of(&[10, 20, 30]);
    let right = fs::read(archive.offsets(1)).unwrap();
    let segment = &archive.segments[1];
    for from in segment.first..=segment.last {
        damage(&archive);
        let mut reader = archive.folder.reader();
        let blocks = reader.blocks(segment, from, segment.last, 400).expect("a sound segment");
        assert_eq!(blocks, &archive.chain[from as usize..][..blocks.len()]);
        let all = reader.blocks(segment, segment.first, segment.last, usize::MAX).expect("sound");
        assert_eq!(all, &archive.chain[10..30]);
        assert_eq!(fs::read(archive.offsets(1)).unwrap(), right, "they were not made again");
    }
    assert!(!archive.names().iter().any(|name| name.ends_with(".part") || name == "part"));
}

#[test]
fn places_that_are_missing_are_made_again() {
    check_places(|archive| fs::remove_file(archive.offsets(1)).unwrap());
}

#[test]
fn places_that_are_cut_are_made_again() {
    check_places(|archive| Archive::change(&archive.offsets(1), |bytes| bytes.truncate(100)));
    check_places(|archive| {
        Archive::change(&archive.offsets(1), |bytes| bytes.truncate(bytes.len() - 8));
    });
    check_places(|archive| Archive::change(&archive.offsets(1), Vec::clear));
}

#[test]
fn places_of_another_segment_are_made_again() {
    check_places(|archive| {
        fs::copy(archive.offsets(2), archive.offsets(1)).unwrap();
    });
    check_places(|archive| {
        // All but what says whose they are.
        let others = fs::read(archive.offsets(2)).unwrap();
        Archive::change(&archive.offsets(1), |bytes| {
            let length = bytes.len() - 128;
            bytes[128..].copy_from_slice(&others[128..][..length]);
        });
    });
}

#[test]
fn places_that_are_garbage_are_made_again() {
    check_places(|archive| {
        Archive::change(&archive.offsets(1), |bytes| {
            bytes[128..].iter_mut().for_each(|byte| *byte = fastrand::u8(..));
        });
    });
    check_places(|archive| {
        Archive::change(&archive.offsets(1), |bytes| {
            bytes.iter_mut().for_each(|byte| *byte = fastrand::u8(..));
        });
    });
    check_places(|archive| {
        Archive::change(&archive.offsets(1), |bytes| bytes[128..].fill(0));
    });
}

#[test]
fn a_hash_of_the_last_block_that_is_wrong_is_made_again() {
    let archive = Archive::of(&[10, 20]);
    let right = fs::read(archive.offsets(1)).unwrap();
    let other = BlockHash::of("other").to_string();
    Archive::change(&archive.offsets(1), |bytes| bytes[64..128].copy_from_slice(other.as_bytes()));
    let mut reader = archive.folder.reader();
    let blocks = reader.blocks(&archive.segments[1], 29, 29, 1).expect("a sound segment");
    assert_eq!(blocks, &archive.chain[29..30]);
    assert_eq!(fs::read(archive.offsets(1)).unwrap(), right);
}

#[test]
fn places_that_cant_be_written_are_kept_in_memory() {
    let archive = Archive::of(&[10, 20]);
    // Root may write into a folder that is read-only, but nobody can replace a folder by a file.
    fs::remove_file(archive.offsets(1)).unwrap();
    fs::create_dir_all(archive.offsets(1).join("in the way")).unwrap();
    let mut reader = archive.folder.reader();
    for height in 10..30 {
        let blocks = reader.blocks(&archive.segments[1], height, height, 1).expect("sound");
        assert_eq!(blocks, &archive.chain[height as usize..][..1]);
        assert!(reader.kept.as_ref().is_some_and(|kept| kept.last.is_none()));
    }
    assert!(!archive.names().iter().any(|name| name.ends_with(".part")));
}

#[test]
fn an_open_reader_notices_damage_and_repair() {
    let archive = Archive::of(&[10, 20]);
    let segment = &archive.segments[1];
    let mut reader = archive.folder.reader();
    let mut read = || reader.blocks(segment, 10, 29, usize::MAX);
    assert!(read().is_ok());
    Archive::change(&archive.path(1), |bytes| bytes[5] ^= 1);
    assert!(read().is_err());
    assert!(read().is_err());
    let mut writer = archive.claim.begin_again(segment).unwrap();
    archive.chain[10..30].iter().for_each(|block| writer.append(block.text()).unwrap());
    assert_eq!(writer.seal().unwrap(), *segment);
    assert_eq!(read().unwrap(), &archive.chain[10..30]);
    // Replaced while it is open, by something else.
    fs::remove_file(archive.path(1)).unwrap();
    assert!(read().is_ok(), "what is open is as it was written");
    assert!(archive.folder.reader().blocks(segment, 10, 29, 1).is_err());
}

#[test]
fn a_check_can_be_slowed_down_and_ended() {
    let archive = Archive::of(&[10, 20]);
    let segment = &archive.segments[1];
    let mut pieces = 0;
    let mut between = |_| {
        pieces += 1;
        true
    };
    assert_eq!(archive.folder.verify(segment, &mut between), Ok(true));
    assert_eq!(pieces, 1);
    assert_eq!(archive.folder.verify(segment, &mut |_| false), Ok(false));
}

#[test]
fn a_segment_is_hashed_in_pieces() {
    let archive = Archive::of(&[1]);
    let mut writer = archive.claim.begin(1).unwrap();
    // Blocks that are no blocks, but long.
    let line = "x".repeat(PIECE / 3);
    (0..10).for_each(|_| writer.append(&line).unwrap());
    let segment = writer.seal().unwrap();
    let mut pieces = 0;
    let mut between = |_| {
        pieces += 1;
        pieces < 5
    };
    assert_eq!(archive.folder.verify(&segment, &mut between), Ok(true));
    assert_eq!(pieces, 4);
    let damage = archive.folder.reader().blocks(&segment, 5, 5, 1).unwrap_err();
    assert!(damage.what.starts_with("line 5: expected value"), "{damage}");
}
