mod blocks;
mod codec;
mod guard;
mod hub;

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{SigningKey, Suite};
use quittance_ledger::certificate::{Validator, ValidatorSet, Vote, VoteKind};
use quittance_ledger::ids::{BlockId, ChainId, Height, InstitutionId};
use quittance_ledger::proposal::Proposal;

use crate::wire::{SignedProposal, SignedVote};

const SUITE: Suite = Suite::MlDsa65MlKem768;
const CHAIN: ChainId = ChainId(Digest([7; 32]));
const BLOCK: BlockId = BlockId(Digest([5; 32]));
const HEIGHT: Height = Height(9);

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[number + 1; 32])
}

fn name(number: u8) -> InstitutionId {
    format!("VAL{}XX2A", char::from(b'A' + number)).parse().unwrap()
}

fn set() -> ValidatorSet {
    let validator = |number| Validator {
        institution: name(number),
        key: key(number).verifying_key(),
        power: 1,
    };
    ValidatorSet::new((0..4).map(validator).collect()).unwrap()
}

fn vote(number: u8) -> SignedVote {
    let kind = VoteKind::Prevote;
    sign(Vote { chain: CHAIN, height: HEIGHT, round: 1, kind, block: Some(BLOCK) }, number)
}

fn sign(vote: Vote, number: u8) -> SignedVote {
    SignedVote { institution: name(number), vote, signature: vote.sign(&key(number)) }
}

fn offer(proposal: Proposal, number: u8) -> SignedProposal {
    let signature = proposal.sign(&key(number));
    SignedProposal { institution: name(number), proposal, signature }
}

/// Of the validator whose turn it is at height 9 in round 1: 9 + 1 = 2 modulo 4.
fn proposal() -> SignedProposal {
    let (height, valid_round) = (HEIGHT, Some(0));
    offer(Proposal { chain: CHAIN, height, round: 1, block: BLOCK, valid_round }, 2)
}
