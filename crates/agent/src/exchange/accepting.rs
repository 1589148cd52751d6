//! The accepting side: joins, and signs first.

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::{Signature, SigningKey};
use quittance_ledger::build::{Terms, Unsigned};
use quittance_ledger::ids::Height;
use quittance_ledger::state::State;
use quittance_ledger::transaction::{Body, Transaction, Verified, signing_digest};
use rand_core::CryptoRngCore;

use super::check::{self, Leg};
use super::{Agreement, ExchangeError, Join};
use crate::wallet::{CandidateId, Draft, Wallet};

/// The accepting side's half, on its way to the offering side: nothing is signed yet.
pub struct Joining {
    agreement: Agreement,
    draft: Draft,
}

/// The accepting side has signed. Until the expiry the transaction may land at any time.
pub struct Signed {
    candidate: CandidateId,
    expiry: Height,
    digest: Digest,
    proof: RangeProof,
    signature: Signature,
}

impl Joining {
    /// Drafts this side's half. The draft is under way in the wallet: whoever drops this before it
    /// is signed withdraws it.
    pub fn new(
        agreement: &Agreement,
        expiry: Height,
        wallet: &mut Wallet,
        register: &State,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, ExchangeError> {
        let &Agreement { uetr, offerer, asked, .. } = agreement;
        let draft = check::draft(wallet, register, asked, (offerer, uetr), expiry, rng)?;
        Ok(Self { agreement: *agreement, draft })
    }

    /// What the offering side is sent.
    pub fn join(&self) -> Join {
        Join { entry: self.draft.entry().clone(), expiry: self.draft.terms().expiry }
    }

    /// This side's candidate in the wallet.
    pub fn candidate(&self) -> CandidateId {
        self.draft.id()
    }

    /// Checks the answer of the offering side: the body has exactly two entries, this side's as it
    /// was drafted and another that credits the agreed amount, proven. Then proves and signs.
    pub fn sign(
        self,
        body: Body,
        range_proof: RangeProof,
        wallet: &Wallet,
        register: &State,
        key: &SigningKey,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Signed, ExchangeError> {
        let Agreement { uetr, offerer, accepter, offered, .. } = self.agreement;
        let Terms { suite, chain, expiry } = self.draft.terms();
        if (body.suite, body.chain, body.expiry) != (suite, chain, expiry) {
            return Err(ExchangeError::OtherTerms);
        }
        body.check()?;
        let other = check::other_entry(&body, self.draft.entry())?;
        let leg = Leg { giver: offerer, money: offered, uetr };
        check::check_entry(other.1, &leg, wallet, register)?;
        check::check_proof(&body, other, &range_proof, register)?;

        let (first, candidate) = (other.0 != 0, self.draft.id());
        let proof = self.draft.prove(&body, rng)?;
        let proofs = check::in_order(proof.clone(), range_proof, first);
        let digest = signing_digest(&body, &proofs);
        let signature = Unsigned::new(body, proofs)?.sign(accepter, key)?.signature;
        Ok(Signed { candidate, expiry, digest, proof, signature })
    }
}

impl Signed {
    /// The range proof of this side's entry.
    pub fn range_proof(&self) -> &RangeProof {
        &self.proof
    }

    /// This side's signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// This side's candidate in the wallet.
    pub fn candidate(&self) -> CandidateId {
        self.candidate
    }

    /// The last height at which the transaction may be included.
    pub fn expiry(&self) -> Height {
        self.expiry
    }

    /// Checks that the complete transaction is the one that this side has signed, and verifies it.
    pub fn check(
        &self,
        transaction: Transaction,
        register: &State,
    ) -> Result<Transaction<Verified>, ExchangeError> {
        match transaction.signing_digest() == self.digest {
            true => Ok(transaction.verify(register)?),
            false => Err(ExchangeError::OtherTransaction),
        }
    }
}
