use bytes::Bytes;
use proptest::prelude::*;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{SigningKey, Suite};
use quittance_ledger::block::MAX_BLOCK_BYTES;
use quittance_ledger::certificate::{Certificate, ValidatorSignature, VoteKind};
use quittance_ledger::ids::{BlockId, ChainId, Height};

use super::*;

const CHAIN: ChainId = ChainId(Digest([7; 32]));
const BLOCK: BlockId = BlockId(Digest([5; 32]));
const HEIGHT: Height = Height(9);

fn key() -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &[1; 32])
}

fn institution() -> InstitutionId {
    "VALAXX2A".parse().unwrap()
}

fn signed_vote() -> SignedVote {
    let kind = VoteKind::Precommit;
    let vote = Vote { chain: CHAIN, height: HEIGHT, round: 1, kind, block: Some(BLOCK) };
    SignedVote { institution: institution(), vote, signature: vote.sign(&key()) }
}

fn part() -> Part {
    let complete = Bytes::from_static(b"a small block");
    parts_of(CHAIN, HEIGHT, 2, BLOCK, &complete).remove(0)
}

/// One frame of each kind.
fn frames() -> Vec<Frame> {
    let vote = signed_vote();
    let valid_round = Some(1);
    let proposal = Proposal { chain: CHAIN, height: HEIGHT, round: 2, block: BLOCK, valid_round };
    let signature = proposal.sign(&key());
    let institution = institution();
    let signed = ValidatorSignature { institution, signature: vote.signature.clone() };
    let signatures = vec![signed];
    let certificate =
        Certificate { height: HEIGHT, round: 0, block: BLOCK, signatures: signatures.clone() };
    let round_vote = RoundVote {
        institution,
        kind: VoteKind::Prevote,
        block: None,
        signature: vote.signature.clone(),
    };
    let blocks = vec![DecidedBlock { block: Bytes::from_static(b"block"), certificate }];
    vec![
        Frame::Vote(vote.clone()),
        Frame::Proposal(SignedProposal { institution, proposal, signature }),
        Frame::Part(part().sign(institution, &key())),
        Frame::VoteAgain(vote),
        Frame::Polka(Polka { height: HEIGHT, round: 1, block: BLOCK, signatures }),
        Frame::RoundChange(RoundChange {
            height: HEIGHT,
            round: 1,
            kind: RoundChangeKind::Precommit,
            votes: vec![round_vote],
        }),
        Frame::Status(Status { tip: HEIGHT, first: Height(1) }),
        Frame::Request(Request { id: 3, first: Height(1), last: HEIGHT }),
        Frame::Response(Response { id: 3, first: HEIGHT, blocks }),
        Frame::Begun(HEIGHT),
    ]
}

#[test]
fn frames_have_one_encoding() {
    for frame in frames() {
        let bytes = frame.to_frame(CHAIN);
        assert_eq!(Frame::from_frame(&bytes, CHAIN).as_ref(), Ok(&frame));
        for end in 0..bytes.len() {
            assert!(Frame::from_frame(&bytes[..end], CHAIN).is_err());
        }
        assert!(Frame::from_frame(&[&bytes[..], &[0]].concat(), CHAIN).is_err());
        let mut changed = bytes.to_vec();
        for index in 0..bytes.len() {
            changed[index] ^= 1;
            if let Ok(other) = Frame::from_frame(&changed, CHAIN) {
                assert_ne!(other, frame);
                assert_eq!(other.to_frame(CHAIN), changed);
            }
            changed[index] ^= 1;
        }
    }
}

#[test]
fn frames_of_other_chains_versions_and_kinds_are_refused() {
    let other = ChainId(Digest([8; 32]));
    for frame in frames() {
        let bytes = frame.to_frame(other);
        assert_eq!(Frame::from_frame(&bytes, CHAIN), Err(FrameError::OtherChain(other)));
        let mut bytes = frame.to_frame(CHAIN).to_vec();
        bytes[1] = 10;
        assert!(Frame::from_frame(&bytes, CHAIN).is_err());
        bytes[1] = frame.to_frame(CHAIN)[1];
        bytes[0] = WIRE_VERSION + 1;
        assert!(Frame::from_frame(&bytes, CHAIN).is_err());
    }
}

#[test]
fn each_kind_has_a_bound_that_is_looked_at_first() {
    let limits = [
        8 << 10,
        (256 << 10) + (8 << 10),
        8 << 10,
        1 << 20,
        1 << 20,
        64,
        128,
        MAX_BLOCK_BYTES + (2 << 20),
        64,
    ];
    let kinds = [0u8, 2, 3, 4, 5, 6, 7, 8, 9];
    for (kind, limit) in kinds.into_iter().zip(limits) {
        // Nothing of it can be decoded, but what is said is that it is too long.
        let mut bytes = vec![0xff; limit + 1];
        bytes[..2].copy_from_slice(&[WIRE_VERSION, kind]);
        let error = Frame::from_frame(&bytes, CHAIN).unwrap_err();
        assert_eq!(error, FrameError::TooLong { kind, found: limit + 1, limit });
        bytes.truncate(limit);
        let error = Frame::from_frame(&bytes, CHAIN).unwrap_err();
        assert!(matches!(error, FrameError::OtherChain(_)));
    }
}

#[test]
fn rounds_end_far_before_numbers_do() {
    let mut vote = signed_vote();
    vote.vote.round = MAX_ROUND;
    let frame = Frame::Vote(vote.clone());
    assert_eq!(Frame::from_frame(&frame.to_frame(CHAIN), CHAIN), Ok(frame));
    for round in [MAX_ROUND + 1, u32::MAX] {
        vote.vote.round = round;
        let bytes = Frame::Vote(vote.clone()).to_frame(CHAIN);
        assert_eq!(Frame::from_frame(&bytes, CHAIN), Err(FrameError::Round(round)));
    }
}

#[test]
fn the_greatest_honest_frames_fit_their_bounds() {
    let key = SigningKey::from_seed(Suite::MlDsa87MlKem1024, &[1; 32]);
    let signature = key.sign(quittance_crypto::signature::Purpose::Vote, &Digest::ZERO);
    let institution: InstitutionId = "VALAXX2AXXX".parse().unwrap();
    let votes = RoundVote {
        institution,
        kind: VoteKind::Prevote,
        block: Some(BLOCK),
        signature: signature.clone(),
    };
    let count = quittance_ledger::certificate::MAX_VALIDATORS;
    let kind = RoundChangeKind::Skip;
    let change = RoundChange { height: HEIGHT, round: 0, kind, votes: vec![votes; count] };
    let signatures = vec![ValidatorSignature { institution, signature }; count];
    let certificate = Certificate { height: HEIGHT, round: 0, block: BLOCK, signatures };
    let complete = Bytes::from(vec![1; MAX_BLOCK_BYTES]);
    let blocks = vec![DecidedBlock { block: complete.clone(), certificate }];
    let mut frames = vec![
        Frame::RoundChange(change),
        Frame::Response(Response { id: 1, first: HEIGHT, blocks }),
    ];
    let parts = parts_of(CHAIN, HEIGHT, 0, BLOCK, &complete);
    assert_eq!(parts.len(), MAX_PARTS as usize);
    let ends = [parts[0].clone(), parts[parts.len() - 1].clone()];
    frames.extend(ends.map(|part| Frame::Part(part.sign(institution, &key))));
    for frame in frames {
        let bytes = frame.to_frame(CHAIN);
        assert!(bytes.len() <= MAX_FRAME_BYTES);
        assert_eq!(Frame::from_frame(&bytes, CHAIN), Ok(frame));
    }
}

#[test]
fn parts_are_cut_in_one_way() {
    let complete = Bytes::from(vec![3; 2 * PART_BYTES + 1]);
    let parts = parts_of(CHAIN, HEIGHT, 0, BLOCK, &complete);
    assert_eq!(parts.iter().map(|part| part.bytes.len()).sum::<usize>(), complete.len());
    assert_eq!(parts.len(), 3);
    let wrong = [
        Part { count: 0, ..part() },
        Part { index: 1, ..part() },
        Part { count: MAX_PARTS + 1, ..part() },
        Part { count: 2, ..part() },
        Part { bytes: Bytes::new(), ..part() },
        Part { bytes: complete, ..part() },
    ];
    for wrong in wrong {
        assert!(Part::from_bytes(&wrong.to_bytes()).is_err());
    }
}

#[test]
fn a_part_is_signed_with_all_that_it_says() {
    let honest = part().sign(institution(), &key());
    assert_eq!(honest.verify(&key().verifying_key()), Ok(()));
    let changed = [
        Part { chain: ChainId(Digest([8; 32])), ..part() },
        Part { height: Height(10), ..part() },
        Part { round: 3, ..part() },
        Part { block: BlockId(Digest([6; 32])), ..part() },
        Part { count: 2, ..part() },
        Part { index: 1, ..part() },
        Part { bytes: Bytes::from_static(b"A small block"), ..part() },
    ];
    for part in changed {
        let forged = SignedPart { part, ..honest.clone() };
        assert!(forged.verify(&key().verifying_key()).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_in_one_way(
        kind in 0u8..12,
        tail in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [&[WIRE_VERSION, kind][..], CHAIN.0.as_bytes(), &tail].concat();
        if let Ok(frame) = Frame::from_frame(&bytes, CHAIN) {
            prop_assert_eq!(frame.to_frame(CHAIN), bytes);
        }
    }
}
