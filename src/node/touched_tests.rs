//! Tests of the index of accounts.

use super::*;
use crate::node::touched::Touching::{Block, GoOnAt};

fn account(number: u64) -> AccountId {
    format!("A/{number}").parse().unwrap()
}

/// A tail whose block 0 touches nobody, and block h > 0 all accounts whose number divides h.
fn tail(blocks: u64) -> Tail {
    let salt = 7;
    let of_block = |height: u64| {
        let divisors = (1..=height).filter(|number| height.is_multiple_of(*number));
        let mut hashes: Vec<u32> = divisors.map(|number| hash(&account(number), salt)).collect();
        hashes.sort_unstable();
        hashes.into()
    };
    Tail { first: 0, blocks: (0..blocks).map(of_block).collect(), salt }
}

fn heights(tail: &Tail, number: u64, height: u64) -> Vec<Touching> {
    tail.heights(&account(number), height).collect()
}

#[test]
fn a_block_is_found_by_each_account_that_it_touches() {
    let tail = tail(301);
    let blocks = |heights: &[u64]| heights.iter().copied().map(Block).collect::<Vec<_>>();
    assert_eq!(heights(&tail, 100, u64::MAX), blocks(&[300, 200, 100]));
    assert_eq!(heights(&tail, 100, 299), blocks(&[200, 100]));
    assert_eq!(heights(&tail, 100, 200), blocks(&[200, 100]));
    assert_eq!(heights(&tail, 7, 30), blocks(&[28, 21, 14, 7]));
    assert_eq!(heights(&tail, 1, 300), (1..=300).rev().map(Block).collect::<Vec<_>>());
    assert!(heights(&tail, 301, u64::MAX).is_empty());
}

#[test]
fn a_question_ends_for_now_after_many_blocks() {
    let blocks = BLOCKS_LOOKED_AT + 10;
    let tail = Tail { first: 5, blocks: (0..blocks).map(|_| Box::default()).collect(), salt: 7 };
    assert_eq!(heights(&tail, 1, u64::MAX), [GoOnAt(5 + 9)]);
    assert!(heights(&tail, 1, 5 + 9).is_empty());
    assert!(heights(&tail, 1, 3).is_empty());
}

#[test]
fn what_left_for_a_segment_is_forgotten() {
    let mut tail = tail(301);
    tail.forget_before(101);
    assert_eq!((tail.first, tail.next()), (101, 301));
    assert_eq!(heights(&tail, 100, u64::MAX), [Block(300), Block(200)]);
    tail.forget_before(7);
    assert_eq!(tail.first, 101);
    tail.forget_before(1_000);
    assert_eq!((tail.first, tail.next()), (1_000, 1_000));
}
