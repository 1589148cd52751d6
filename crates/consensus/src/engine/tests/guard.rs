use bytes::Bytes;
use malachite_app_channel::app::types::core::{ThresholdParams, ValidatorSet as _};
use quittance_ledger::certificate::{MAX_TOTAL_POWER, ValidatorSignature};

use super::*;
use crate::engine::context::{Members, turn};
use crate::engine::guard::{Guard, HEIGHTS_AHEAD, ROUNDS_AHEAD, Refusal};
use crate::transport::Peer;
use crate::wire::{Part, Polka, RoundChange, RoundChangeKind, RoundVote, SignedPart, parts_of};

fn guard() -> Guard {
    let guard = Guard::new(CHAIN, HEIGHT, set());
    guard.enter(1);
    guard
}

fn part(number: u8) -> SignedPart {
    let complete = Bytes::from_static(b"a block");
    parts_of(CHAIN, HEIGHT, 1, BLOCK, &complete).remove(0).sign(name(number), &key(number))
}

#[test]
fn votes_pass_that_a_validator_has_signed_for_about_now() {
    let guard = guard();
    for number in 0..4 {
        assert_eq!(guard.vote(&vote(number)), Ok(()));
    }
    assert_eq!(guard.vote(&vote(4)), Err(Refusal::Stranger(name(4))));
    let framed = SignedVote { institution: name(1), ..vote(0) };
    assert!(matches!(guard.vote(&framed), Err(Refusal::Signature(_))));

    let good = vote(0).vote;
    let check = |vote: Vote| guard.vote(&sign(vote, 0));
    let other = ChainId(Digest([8; 32]));
    assert_eq!(check(Vote { chain: other, ..good }), Err(Refusal::Chain(other)));
    let last = HEIGHT.0 + HEIGHTS_AHEAD;
    for height in [HEIGHT.0, HEIGHT.0 + 1, last] {
        assert_eq!(check(Vote { height: Height(height), ..good }), Ok(()));
    }
    for height in [0, HEIGHT.0 - 1, last + 1, u64::MAX] {
        let height = Height(height);
        assert_eq!(check(Vote { height, ..good }), Err(Refusal::Height(height)));
    }
    assert_eq!(check(Vote { round: 1 + ROUNDS_AHEAD, ..good }), Ok(()));
    for round in [2 + ROUNDS_AHEAD, u32::MAX] {
        assert_eq!(check(Vote { round, ..good }), Err(Refusal::Round(round)));
    }
    // Everything that is signed counts.
    let changed = [
        Vote { height: Height(10), ..good },
        Vote { round: 0, ..good },
        Vote { kind: VoteKind::Precommit, ..good },
        Vote { block: None, ..good },
    ];
    for changed in changed {
        let replayed = SignedVote { vote: changed, ..vote(0) };
        assert!(matches!(guard.vote(&replayed), Err(Refusal::Signature(_))));
    }
}

#[test]
fn proposals_and_parts_pass_by_the_validator_whose_turn_it_is() {
    let guard = guard();
    assert_eq!(turn(HEIGHT, 1, 4), 2);
    assert_eq!(guard.proposal(&proposal()), Ok(()));
    assert_eq!(guard.part(&part(2)), Ok(()));
    for number in [0, 1, 3] {
        let other = offer(proposal().proposal, number);
        assert_eq!(guard.proposal(&other), Err(Refusal::NotProposer(name(number))));
        assert_eq!(guard.part(&part(number)), Err(Refusal::NotProposer(name(number))));
    }
    let framed = SignedPart { institution: name(2), ..part(1) };
    assert!(matches!(guard.part(&framed), Err(Refusal::Signature(_))));
    let framed = SignedProposal { institution: name(2), ..offer(proposal().proposal, 1) };
    assert!(matches!(guard.proposal(&framed), Err(Refusal::Signature(_))));
    // A vote of the proposer for the same block is not its proposal.
    let voted = SignedProposal { signature: vote(2).signature, ..proposal() };
    assert!(matches!(guard.proposal(&voted), Err(Refusal::Signature(_))));

    // Parts are kept for one height more, no further: they are long.
    let of = |height: u64, number: u8| {
        let part = Part { height: Height(height), ..part(2).part };
        guard.part(&part.sign(name(number), &key(number)))
    };
    assert_eq!(of(HEIGHT.0 + 1, 3), Ok(()));
    assert_eq!(of(HEIGHT.0 + 2, 0), Err(Refusal::Height(Height(HEIGHT.0 + 2))));
    assert_eq!(of(HEIGHT.0 - 1, 1), Err(Refusal::Height(Height(HEIGHT.0 - 1))));
}

#[test]
fn collections_are_of_validators_each_once() {
    let guard = guard();
    let polka = |numbers: &[u8]| {
        let signature =
            |n: &u8| ValidatorSignature { institution: name(*n), signature: vote(*n).signature };
        let signatures = numbers.iter().map(signature).collect();
        Polka { height: HEIGHT, round: 1, block: BLOCK, signatures }
    };
    assert_eq!(guard.polka(&polka(&[0, 1, 2])), Ok(()));
    assert_eq!(guard.polka(&polka(&[0, 1, 0])), Err(Refusal::Twice(name(0))));
    assert_eq!(guard.polka(&polka(&[0, 4])), Err(Refusal::Stranger(name(4))));
    let early = Polka { height: Height(10), ..polka(&[0]) };
    assert_eq!(guard.polka(&early), Err(Refusal::Height(Height(10))));

    let vote = |number| RoundVote {
        institution: name(number),
        kind: VoteKind::Prevote,
        block: None,
        signature: vote(number).signature,
    };
    let kind = RoundChangeKind::Skip;
    let change = RoundChange { height: HEIGHT, round: 2, kind, votes: vec![vote(0), vote(1)] };
    assert_eq!(guard.round_change(&change), Ok(()));
    let twice = RoundChange { votes: vec![vote(0), vote(0)], ..change };
    assert_eq!(guard.round_change(&twice), Err(Refusal::Twice(name(0))));
}

#[test]
fn another_height_has_its_own_validators_and_begins_with_round_0() {
    let guard = guard();
    let next = set().validators()[1..].to_vec();
    guard.begin(Height(10), ValidatorSet::new(next).unwrap());
    assert_eq!(guard.height(), Height(10));
    let late = Vote { height: Height(10), round: ROUNDS_AHEAD, ..vote(0).vote };
    assert_eq!(guard.vote(&sign(late, 0)), Err(Refusal::Stranger(name(0))));
    assert_eq!(guard.vote(&sign(late, 1)), Ok(()));
    let later = Vote { round: ROUNDS_AHEAD + 1, ..late };
    assert_eq!(guard.vote(&sign(later, 1)), Err(Refusal::Round(ROUNDS_AHEAD + 1)));
    let peer = |number| Peer::of(&key(number).verifying_key());
    assert!(guard.is_validator(peer(1)) && !guard.is_validator(peer(0)));
}

#[test]
fn everybody_proposes_in_turn() {
    for height in 1..20 {
        let turns: Vec<usize> = (0..4).map(|round| turn(Height(height), round, 4)).collect();
        let mut sorted = turns.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3]);
        assert_eq!(turn(Height(height + 1), 0, 4), turns[1]);
    }
    assert!(turn(Height(u64::MAX), u32::MAX, 128) < 128);
}

#[test]
fn the_engine_counts_all_the_power_that_there_may_be() {
    let set = |powers: [u64; 2]| {
        let validator = |(number, power)| Validator {
            institution: name(number),
            key: key(number).verifying_key(),
            power,
        };
        ValidatorSet::new((0..).zip(powers).map(validator).collect()).unwrap()
    };
    let members = Members::from(&set([MAX_TOTAL_POWER - 1, 1]));
    // As the engine asks, with numbers that just fit.
    let quorum = ThresholdParams::default().quorum;
    assert!(quorum.is_met(MAX_TOTAL_POWER, members.total_voting_power()));
    assert!(!quorum.is_met(MAX_TOTAL_POWER / 3 * 2, MAX_TOTAL_POWER));
}
