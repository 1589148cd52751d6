//! Signing and verifying for the engine.
//!
//! A vote is signed as [`quittance_ledger::certificate::Vote`], a proposal as
//! [`quittance_ledger::proposal::Proposal`]: digests under labels of their own, with the chain's id
//! inside. Nothing else is ever signed for the engine: there are no vote extensions, and the proof
//! of being a validator is the transport's.

use std::sync::Arc;

use async_trait::async_trait;
use malachite_app_channel::app::types::core::{
    SignedMessage, SignedProposal, SignedVote, ValidatorProof, VoteExtensionScope,
};
use malachite_signing::{Error, Signer, VerificationResult, Verifier};
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, SigningKey, VerifyingKey};

use super::context::{Ballot, Offer, Quittance, Seal};

/// Signs with the key that votes.
pub struct VoteSigner(pub Arc<SigningKey>);

/// Verifies with what validators verify with.
pub struct VoteVerifier;

fn verdict(key: &VerifyingKey, digest: &Digest, seal: &Seal) -> VerificationResult {
    VerificationResult::from_bool(key.verify(Purpose::Vote, digest, &seal.0).is_ok())
}

#[async_trait]
impl Verifier<Quittance> for VoteVerifier {
    async fn verify_signed_vote(
        &self,
        ballot: &Ballot,
        signature: &Seal,
        key: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        Ok(verdict(key, &ballot.vote().digest(), signature))
    }

    async fn verify_signed_proposal(
        &self,
        offer: &Offer,
        signature: &Seal,
        key: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        Ok(verdict(key, &offer.proposal().digest(), signature))
    }

    async fn verify_signed_vote_extension(
        &self,
        _: &VoteExtensionScope<Quittance>,
        (): &(),
        _: &Seal,
        _: &VerifyingKey,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }

    async fn verify_validator_proof(
        &self,
        _: &ValidatorProof<Quittance>,
    ) -> Result<VerificationResult, Error> {
        Ok(VerificationResult::Invalid)
    }
}

#[async_trait]
impl Signer<Quittance> for VoteSigner {
    async fn sign_vote(&self, ballot: Ballot) -> Result<SignedVote<Quittance>, Error> {
        let signature = Seal(ballot.vote().sign(&self.0));
        Ok(SignedMessage::new(ballot, signature))
    }

    async fn sign_proposal(&self, offer: Offer) -> Result<SignedProposal<Quittance>, Error> {
        let signature = Seal(offer.proposal().sign(&self.0));
        Ok(SignedMessage::new(offer, signature))
    }

    async fn sign_vote_extension(
        &self,
        _: VoteExtensionScope<Quittance>,
        (): (),
    ) -> Result<SignedMessage<Quittance, ()>, Error> {
        Err(Error::new())
    }

    async fn sign_validator_proof(
        &self,
        _: Vec<u8>,
        _: Vec<u8>,
    ) -> Result<ValidatorProof<Quittance>, Error> {
        Err(Error::new())
    }
}
