//! Attacks on the common randomness of a session.

use super::*;
use crate::session::{Binding, hash_of_announced};

#[test]
fn a_seed_that_was_not_committed_to_is_refused() {
    let outcome = multiply_and_open(corrupt(Kind::Reveal, 3, 2));
    let party = binding(3, 1).parties().unwrap().id(3).unwrap();
    assert_eq!(outcome.results[1], Err(Abort::SeedNotCommitted { party }));
    assert_eq!(outcome.results[1].as_ref().unwrap_err().culprit(), Some(party));
}

#[test]
fn commitments_that_differ_between_their_receivers_are_noticed_before_anything_is_revealed() {
    let results = |committee: (u8, u8), from, to| {
        let mut revealed = false;
        let mut corrupt = corrupt(Kind::Commit, from, to);
        let watch = |frame: Frame| {
            revealed |= frame.kind == Kind::Reveal && (frame.from == to || frame.from == from);
            corrupt(frame)
        };
        let binding = binding(committee.0, committee.1);
        let results = network(&binding, &[], |_, _| async { Ok(()) }).interfering(watch).run();
        assert!(!revealed);
        results.results
    };
    for committee in [(3, 1), (5, 2)] {
        let ended = results(committee, 1, 2);
        assert!(matches!(ended[1], Err(Abort::Equivocation { .. })));
        assert!(ended.iter().all(Result::is_err));
    }
}

/// A liar commits to one contribution towards one member of a set and to another towards the other,
/// shows each what it has committed to, and tells each that it has heard the same. Nobody but the two
/// members can notice, by what they tell each other.
#[test]
fn members_who_are_told_different_seeds_do_not_begin() {
    let binding = binding(5, 2);
    let session = binding.session();
    // The set of parties 1, 2 and 3 comes first in all messages between them.
    let mask = 0b111u16.to_be_bytes();
    let other = [7; 32];
    let parts: [&[u8]; 4] = [session.as_bytes(), &mask, &[1], &other];
    let commitment = Digest::of("quittance/v1/mpc-seed-commitment", &parts);
    let mut told = None;
    let lie = |mut frame: Frame| {
        match (frame.kind, frame.from, frame.to) {
            (Kind::Commit, 1, 3) => {
                frame.payload[..32].copy_from_slice(commitment.as_bytes());
                told = Some(hash_of_announced(&frame.payload));
            }
            // Of what party 1 has heard, what it says itself comes first.
            (Kind::Echo, 1, 3) => {
                let told = told.take().expect("echoes come later");
                frame.payload[..32].copy_from_slice(told.as_bytes());
            }
            (Kind::Reveal, 1, 3) => frame.payload[..32].copy_from_slice(&other),
            _ => {}
        }
        vec![frame]
    };
    let protocol = |mut engine: Engine, _| async move {
        let random = engine.random(1);
        engine.open(&[&random[0]]).await
    };
    let results = network(&binding, &[], protocol).interfering(lie).run().results;
    let parties = binding.parties().unwrap();
    // Each hears first from this one that it was told something else.
    for (member, other) in [(2, 3), (3, 2)] {
        let party = parties.id(other).unwrap();
        assert_eq!(results[member - 1], Err(Abort::Equivocation { party }));
    }
    assert!(results.iter().all(Result::is_err));
}

/// A second attempt in which all parties have the entropy of the first, as after restoring a copy,
/// and another input. If its masks were those of the first, what is opened would differ by the
/// difference of the inputs.
#[test]
fn a_second_attempt_on_the_same_tape_shows_no_difference() {
    let opened = |attempt, amount: u64| {
        let binding = Binding { attempt, ..binding(3, 1) };
        let secrets = [Fr::from(amount), Fr::from(7u64)];
        let outcome = network(&binding, &secrets, |mut engine, shares| async move {
            let (left, right) = (&shares[0], &shares[1]);
            engine.less_than(&[LessThan { left, right, bits: 64 }]).await.map(|_| ())
        })
        .recording()
        .run();
        assert!(outcome.results.iter().all(Result::is_ok));
        opened_to_first(&outcome.views[0], &[Kind::Open])
    };
    let (one, two) = (opened(0, 1000), opened(1, 3000));
    assert!(!one.is_empty() && one.len() == two.len());
    for (one, two) in one.iter().zip(&two) {
        assert_ne!(*two - one, Fr::from(2000u64));
        assert_ne!(two, one);
    }
}
