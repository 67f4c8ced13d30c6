use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::store::archive::accounts::writer::AccountsWriter;
use crate::store::archive::segment::FileHash;

const FIRST: u64 = 1000;

fn segment(blocks: usize) -> Segment {
    let sha256 = FileHash::of(Sha256::new_with_prefix(blocks.to_string()));
    Segment { first: FIRST, last: FIRST + blocks as u64 - 1, bytes: 1 << 20, sha256 }
}

/// Writes the index of blocks that touch accounts of these hashes.
fn write(blocks: &[Vec<u32>], most_pairs: usize) -> (TempDir, Segment) {
    let folder = tempfile::tempdir().unwrap();
    let segment = segment(blocks.len());
    let mut writer = AccountsWriter::begin(folder.path(), FIRST, 77, 0).unwrap();
    writer.most_pairs = most_pairs;
    blocks.iter().for_each(|hashes| writer.add(hashes).unwrap());
    writer.finish(&segment).unwrap();
    (folder, segment)
}

fn index(folder: &TempDir, segment: &Segment) -> PathBuf {
    segment.path_of(Kind::Accounts, folder.path())
}

fn found(accounts: &Accounts, hash: u32, height: u64) -> Vec<u64> {
    accounts.heights(hash, height).map(|height| height.expect("sound")).collect()
}

/// What a look at all blocks finds.
fn naive(blocks: &[Vec<u32>], hash: u32, height: u64) -> Vec<u64> {
    let touching = (FIRST..).zip(blocks).filter(|(_, hashes)| hashes.contains(&hash));
    let mut heights: Vec<u64> = touching.map(|(at, _)| at).filter(|at| *at <= height).collect();
    heights.reverse();
    heights
}

fn hashes() -> impl Strategy<Value = u32> {
    prop_oneof![0..20u32, 100_000..100_300u32, any::<u32>(), Just(u32::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_finds_what_a_look_at_all_blocks_finds(
        blocks in prop::collection::vec(prop::collection::vec(hashes(), 0..40), 1..120),
        most_pairs in prop_oneof![Just(1usize), 2..500usize, Just(1 << 20)],
        asked in prop::collection::vec((hashes(), 0..250u64), 0..50),
    ) {
        let (folder, segment) = write(&blocks, most_pairs);
        let accounts = Accounts::open(folder.path(), &segment).expect("sound");
        prop_assert_eq!(accounts.salt(), 77);
        let some = blocks.iter().flatten().step_by(23).map(|hash| (*hash, 1000));
        for (hash, height) in some.chain(asked) {
            let height = FIRST - 20 + height;
            prop_assert_eq!(found(&accounts, hash, height), naive(&blocks, hash, height));
        }
    }
}

#[test]
fn an_account_in_most_blocks_fills_many_pages() {
    // 20,000 blocks, account 5 in all of them, 6 in every third, 4 and 7 in one each.
    let blocks: Vec<Vec<u32>> = (0..20_000)
        .map(|block| {
            let others = [(6, block % 3 == 0), (4, block == 9), (7, block == 19_999)];
            let others = others.into_iter().filter(|(_, touched)| *touched);
            [5].into_iter().chain(others.map(|(hash, _)| hash)).collect()
        })
        .collect();
    for most_pairs in [1 << 20, 5000] {
        let (folder, segment) = write(&blocks, most_pairs);
        let accounts = Accounts::open(folder.path(), &segment).unwrap();
        for hash in 3..=8 {
            for height in [0, FIRST - 1, FIRST, FIRST + 4095, FIRST + 12_345, u64::MAX] {
                assert_eq!(found(&accounts, hash, height), naive(&blocks, hash, height));
            }
        }
        // A page of a statement reads a little of it.
        let mut heights = accounts.heights(5, FIRST + 15_000);
        assert_eq!(heights.next(), Some(Ok(FIRST + 15_000)));
        assert!(heights.found.len() <= PAGE);
        let bytes = fs::metadata(index(&folder, &segment)).unwrap().len();
        assert!(bytes < 2 * (20_000 + 6_668), "{bytes} bytes");
    }
}

#[test]
fn an_index_without_accounts_is_one() {
    let (folder, segment) = write(&[vec![], vec![]], 10);
    let accounts = Accounts::open(folder.path(), &segment).unwrap();
    assert!(found(&accounts, 0, u64::MAX).is_empty());
}

#[test]
fn blocks_have_to_be_those_of_the_segment() {
    let folder = tempfile::tempdir().unwrap();
    for (first, blocks) in [(FIRST, 2), (FIRST, 4), (FIRST + 1, 2), (FIRST + 1, 3)] {
        let mut writer = AccountsWriter::begin(folder.path(), first, 77, 0).unwrap();
        (0..blocks).for_each(|_| writer.add(&[1]).unwrap());
        assert!(writer.finish(&segment(3)).is_err());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was left");
}

#[test]
fn a_missing_or_foreign_index_is_named() {
    let (folder, here) = write(&[vec![1], vec![2]], 10);
    let other = segment(3);
    let missing = Accounts::open(folder.path(), &other).unwrap_err();
    assert_eq!(missing, Damage::new(index(&folder, &other), "it is missing"));
    fs::copy(index(&folder, &here), index(&folder, &other)).unwrap();
    let foreign = Accounts::open(folder.path(), &other).unwrap_err();
    assert_eq!(foreign.what, "it is not of this segment");
}

#[test]
fn any_damage_is_noticed_where_it_matters() {
    let blocks: Vec<Vec<u32>> =
        (0..300).map(|block| (0..40).map(|n| n * 7 + block).collect()).collect();
    let (folder, segment) = write(&blocks, 4000);
    let path = index(&folder, &segment);
    let right = fs::read(&path).unwrap();
    let said = |bytes: &[u8]| -> BTreeMap<&'static str, u32> {
        fs::write(&path, bytes).unwrap();
        let Ok(accounts) = Accounts::open(folder.path(), &segment) else {
            return BTreeMap::from([("refused", 1)]);
        };
        let mut counts = BTreeMap::new();
        for hash in 0..600 {
            let heights: Result<Vec<u64>, _> = accounts.heights(hash, u64::MAX).collect();
            let kind = match heights {
                Ok(heights) => {
                    assert_eq!(heights, naive(&blocks, hash, u64::MAX));
                    "right"
                }
                Err(_) => "noticed",
            };
            *counts.entry(kind).or_default() += 1;
        }
        counts
    };
    assert_eq!(said(&right), BTreeMap::from([("right", 600)]));
    for at in (0..right.len()).step_by(293) {
        let mut wrong = right.clone();
        wrong[at] ^= 1 << (at % 8);
        let counts = said(&wrong);
        assert!(counts.keys().any(|kind| *kind != "right"), "the flip at {at}: {counts:?}");
    }
    for length in [0, 1, PAGE - 1, PAGE, right.len() - PAGE, right.len() - 1] {
        assert_eq!(said(&right[..length]), BTreeMap::from([("refused", 1)]), "{length}");
    }
    // Pages in each other's places.
    let mut swapped = right.clone();
    let (one, two) = swapped[..2 * PAGE].split_at_mut(PAGE);
    one.swap_with_slice(two);
    assert!(said(&swapped).contains_key("noticed"));
    let longer = [&right[..], &right[right.len() - PAGE..]].concat();
    assert_eq!(said(&longer), BTreeMap::from([("refused", 1)]));
}
