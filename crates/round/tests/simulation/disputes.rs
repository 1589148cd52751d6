//! Rounds in which somebody does not do as it should while banks deal.

use crate::bank::id;
use crate::world::{Misconduct, Settled, World};
use crate::{check_balances, check_receipts, compare_with_clear};

/// All four banks, or those whose dealings are settled; the round ends as it would in the clear.
fn settles(count: usize, threshold: u8, misconduct: Misconduct) -> (World, Settled) {
    let mut world = World::new(count, threshold, 6);
    world.misconduct = misconduct;
    let settled = world.run(&[1, 2, 3, 4]);
    compare_with_clear(&world, &settled);
    check_balances(&world, &settled);
    check_receipts(&world, &settled);
    (world, settled)
}

fn settled(settled: &Settled) -> Vec<u32> {
    settled.results.iter().map(|result| result.settled).collect()
}

/// A corrupt party complains of every bank. No bank is left out, and the parties compute the same.
#[test]
fn a_false_complaint_leaves_no_bank_out() {
    for liar in 1..=3 {
        let misconduct = Misconduct { complains: Some(liar), ..Misconduct::default() };
        let (world, round) = settles(3, 1, misconduct);
        assert!(world.left_out.is_empty());
        assert_eq!(settled(&round), [1, 1, 1, 0]);
    }
}

/// A bank deals one party a bad share and publishes the right one, to all or to the others only:
/// the party computes with it.
#[test]
fn a_bad_share_is_healed_by_publication() {
    for (count, threshold) in [(3, 1), (5, 2)] {
        for untold in [None, Some(2)] {
            let bad_share = Some((2, 1));
            let misconduct = Misconduct { bad_share, untold, ..Misconduct::default() };
            let (world, round) = settles(count, threshold, misconduct);
            assert!(world.left_out.is_empty());
            assert_eq!(settled(&round), [1, 1, 1, 0]);
        }
    }
}

/// It does not publish: the bank is left out, and the others settle without it.
#[test]
fn a_bad_dealer_that_does_not_publish_is_left_out_and_the_round_goes_on() {
    let (bad_share, unanswered) = (Some((4, 3)), Some(4));
    let misconduct = Misconduct { bad_share, unanswered, ..Misconduct::default() };
    let (world, round) = settles(3, 1, misconduct);
    assert_eq!(world.left_out, [id(4)]);
    assert_eq!(settled(&round), [1, 1, 1]);
}

/// A committee with a party to spare, one of which was down when the banks dealt.
#[test]
fn a_round_settles_without_a_party_that_was_down_from_the_beginning() {
    for down in 1..=4 {
        let misconduct = Misconduct { down: Some(down), ..Misconduct::default() };
        let (world, round) = settles(4, 1, misconduct);
        assert!(world.left_out.is_empty());
        assert!(!round.start.active.numbers().contains(&down));
        assert_eq!(settled(&round), [1, 1, 1, 0]);
    }
    // And another complains of good shares.
    let (down, complains) = (Some(2), Some(4));
    let (world, round) = settles(4, 1, Misconduct { down, complains, ..Misconduct::default() });
    assert!(world.left_out.is_empty());
    assert_eq!(settled(&round), [1, 1, 1, 0]);
}
