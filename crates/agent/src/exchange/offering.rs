//! The offering side: answers a join, and signs last.

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::{Purpose, Signature, SigningKey};
use quittance_ledger::build::Unsigned;
use quittance_ledger::state::State;
use quittance_ledger::transaction::{
    Body, InstitutionSignature, Transaction, Verified, signing_digest,
};
use rand_core::CryptoRngCore;

use super::check::{self, Leg};
use super::{Agreement, ExchangeError, Join};
use crate::wallet::{CandidateId, Wallet};

/// A join that the offering side has found correct and answered: nothing is signed yet.
pub struct Answered {
    agreement: Agreement,
    join: Digest,
    body: Body,
    proof: RangeProof,
    candidate: CandidateId,
}

impl Answered {
    /// Checks the accepting side's half, drafts this side's and proves it in the common body. The
    /// draft is under way in the wallet: whoever drops this withdraws it.
    pub fn new(
        agreement: &Agreement,
        join: &Join,
        wallet: &mut Wallet,
        register: &State,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, ExchangeError> {
        let &Agreement { uetr, accepter, offered, asked, .. } = agreement;
        check::check_expiry(join.expiry, wallet, register)?;
        let leg = Leg { giver: accepter, money: asked, uetr };
        check::check_entry(&join.entry, &leg, wallet, register)?;
        let to = (accepter, uetr);
        let draft = check::draft(wallet, register, offered, to, join.expiry, rng)?;
        let candidate = draft.id();
        let entries = vec![draft.entry().clone(), join.entry.clone()];
        let proven = draft.terms().entries(entries).map_err(ExchangeError::from).and_then(|body| {
            let proof = draft.prove(&body, rng)?;
            Ok((body, proof))
        });
        let (body, proof) = proven.inspect_err(|_| drop(wallet.withdraw(candidate)))?;
        Ok(Self { agreement: *agreement, join: digest_of(join), body, proof, candidate })
    }

    /// The body of the whole transaction.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The range proof of this side's entry.
    pub fn range_proof(&self) -> &RangeProof {
        &self.proof
    }

    /// This side's candidate in the wallet.
    pub fn candidate(&self) -> CandidateId {
        self.candidate
    }

    /// Whether this is the answer to `join`.
    pub fn answers(&self, join: &Join) -> bool {
        self.join == digest_of(join)
    }

    /// Checks the accepting side's range proof and signature, and only then signs.
    pub fn complete(
        &self,
        range_proof: &RangeProof,
        signature: &Signature,
        wallet: &Wallet,
        register: &State,
        key: &SigningKey,
    ) -> Result<Transaction<Verified>, ExchangeError> {
        let Agreement { offerer, accepter, offered, .. } = self.agreement;
        let mut numbered = (0u32..).zip(self.body.entries());
        let theirs = numbered.find(|(_, entry)| entry.asset != offered.asset);
        let theirs = theirs.ok_or(ExchangeError::NotTheTwoEntries)?;
        check::check_proof(&self.body, theirs, range_proof, register)?;
        let first = theirs.0 != 0;
        let proofs = check::in_order(self.proof.clone(), range_proof.clone(), first);
        let accepter_key = check::transaction_key(register, accepter, wallet.height())?;
        accepter_key
            .verify(Purpose::Transaction, &signing_digest(&self.body, &proofs), signature)
            .map_err(|source| ExchangeError::Signature { institution: accepter, source })?;

        let unsigned = Unsigned::new(self.body.clone(), proofs)?;
        let own = unsigned.sign(offerer, key)?;
        let other = InstitutionSignature {
            institution: accepter,
            key_fingerprint: accepter_key.fingerprint(),
            signature: signature.clone(),
        };
        Ok(unsigned.assemble(vec![own, other])?.verify(register)?)
    }
}

/// Tells one join from another.
pub(super) fn digest_of(join: &Join) -> Digest {
    Digest::of_value("quittance/v1/exchange-join", join)
}
