//! Tests of the index of the chain's end.

use super::*;

fn account(number: u64) -> AccountId {
    format!("A/{number}").parse().unwrap()
}

/// The hashes of a block that touches all accounts whose number divides its height; block 0 touches nobody.
fn divisors(height: u64, salt: u64) -> Vec<u32> {
    let divisors = (1..=height).filter(|number| height.is_multiple_of(*number));
    let mut hashes: Vec<u32> = divisors.map(|number| hash(&account(number), salt)).collect();
    hashes.sort_unstable();
    hashes
}

fn tail(blocks: u64, most: usize) -> Tail {
    let mut tail = Tail::new(7, most);
    (0..blocks).for_each(|height| tail.push(&divisors(height, 7)));
    tail
}

#[test]
fn a_block_is_found_by_each_account_that_it_touches() {
    for most in [1 << 20, 60_000] {
        let tail = tail(301, most);
        assert_eq!(tail.heights(), 0..301);
        let find = |number, heights| tail.find(&account(number), heights);
        assert_eq!(find(100, 0..301), [300, 200, 100]);
        assert_eq!(find(100, 0..300), [200, 100]);
        assert_eq!(find(100, 101..201), [200]);
        assert_eq!(find(7, 0..31), [28, 21, 14, 7]);
        assert_eq!(find(1, 0..301), (1..=300).rev().collect::<Vec<_>>());
        assert!(find(301, 0..301).is_empty() && find(1, 300..300).is_empty());
    }
}

#[test]
fn it_stays_below_its_bound_and_keeps_the_newest() {
    for most in [0, 1_000, 5_000, 20_000] {
        let mut tail = Tail::new(7, most);
        for height in 0..2_000 {
            tail.push(&divisors(height, 7));
            assert!(tail.bytes() <= most, "{} of {most}", tail.bytes());
            let counted: usize = tail.chunks.iter().map(Chunk::bytes).sum();
            assert_eq!(tail.bytes(), counted);
            let expected: Vec<u64> = tail.heights().filter(|height| *height > 0).rev().collect();
            assert_eq!(tail.find(&account(1), tail.heights()), expected);
        }
        assert_eq!(tail.heights().end, 2_000);
        // Most of the room is used.
        let held = tail.heights().count();
        assert!(held * 80 >= most / 2, "{held} blocks in {most} bytes");
    }
}

#[test]
fn a_block_that_is_larger_than_the_bound_is_given_up() {
    let mut tail = Tail::new(7, 8_000);
    tail.push(&[1, 2]);
    tail.push(&(0..10_000).collect::<Vec<u32>>());
    assert_eq!((tail.heights(), tail.bytes()), (2..2, 0));
    tail.push(&[1, 2]);
    assert_eq!(tail.heights(), 2..3);
}

#[test]
fn what_left_for_a_segment_is_forgotten() {
    let mut tail = tail(301, 60_000);
    tail.forget_before(101);
    assert_eq!(tail.heights(), 101..301);
    assert_eq!(tail.find(&account(100), 101..301), [300, 200]);
    let hashes: Vec<Vec<u32>> = tail.range(105..108).map(<[u32]>::to_vec).collect();
    assert_eq!(hashes, [divisors(105, 7), divisors(106, 7), divisors(107, 7)]);
    tail.forget_before(7);
    assert_eq!(tail.heights(), 101..301);
    tail.forget_before(1_000);
    assert_eq!((tail.heights(), tail.bytes()), (1_000..1_000, 0));
    tail.push(&divisors(1_000, 7));
    assert_eq!(tail.find(&account(100), 1_000..1_001), [1_000]);
}
