//! From entries and acts to bodies, from bodies to transactions.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};

use super::BuildError;
use crate::ids::{AssetId, ChainId, Height, InstitutionId, RoundId};
use crate::transaction::{
    Action, Body, Entry, InstitutionSignature, Malformed, Posting, Settlement, Transaction,
    signing_digest,
};

/// What all bodies have besides their action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The suite of the chain.
    pub suite: Suite,
    /// The chain.
    pub chain: ChainId,
    /// The last height at which the transaction may be included.
    pub expiry: Height,
}

impl Terms {
    /// A body with these entries, put in order of asset.
    pub fn entries(&self, mut entries: Vec<Entry>) -> Result<Body, Malformed> {
        entries.sort_by_key(|entry| entry.asset);
        self.act(Action::Entries(entries))
    }

    /// The body of a settlement of `round` in `asset`, the postings put in order of institution.
    pub fn settlement(
        &self,
        round: RoundId,
        attempt: u8,
        asset: AssetId,
        mut postings: Vec<Posting>,
        attachment: Option<Digest>,
    ) -> Result<Body, Malformed> {
        postings.sort_by_key(|posting| posting.institution);
        let entry = Entry { asset, postings, credits: Vec::new() };
        self.act(Action::Settlement(Settlement { round, attempt, entry, attachment }))
    }

    /// A body with any action.
    pub fn act(&self, action: Action) -> Result<Body, Malformed> {
        let Self { suite, chain, expiry } = *self;
        let body = Body { suite, chain, expiry, action };
        body.check().map(|()| body)
    }
}

/// Where in `body` the entry stands.
pub(super) fn position_of(entry: &Entry, body: &Body) -> Result<u32, BuildError> {
    let found = (0u32..).zip(body.entries()).find(|(_, other)| *other == entry);
    found.map(|(position, _)| position).ok_or(BuildError::EntryNotInBody { asset: entry.asset })
}

/// A body with its range proofs: what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    body: Body,
    proofs: Vec<RangeProof>,
    signers: BTreeMap<InstitutionId, Digest>,
}

impl Unsigned {
    /// Puts the proofs, one per entry in the body's order, beside the body.
    pub fn new(body: Body, proofs: Vec<RangeProof>) -> Result<Self, BuildError> {
        body.check()?;
        let (found, expected) = (proofs.len(), body.entries().len());
        if found != expected {
            return Err(BuildError::ProofCount { found, expected });
        }
        let signers = body.signers()?;
        Ok(Self { body, proofs, signers })
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The range proofs.
    pub fn proofs(&self) -> &[RangeProof] {
        &self.proofs
    }

    /// Who must sign, with which key.
    pub fn signers(&self) -> &BTreeMap<InstitutionId, Digest> {
        &self.signers
    }

    /// Signs for `institution`, with the key that the body names.
    pub fn sign(
        &self,
        institution: InstitutionId,
        key: &SigningKey,
    ) -> Result<InstitutionSignature, BuildError> {
        let named = self.signers.get(&institution).ok_or(BuildError::NotASigner(institution))?;
        let key_fingerprint = key.verifying_key().fingerprint();
        if *named != key_fingerprint {
            return Err(BuildError::OtherKey(institution));
        }
        let digest = signing_digest(&self.body, &self.proofs);
        let signature = key.sign(Purpose::Transaction, &digest);
        Ok(InstitutionSignature { institution, key_fingerprint, signature })
    }

    /// The transaction with these signatures, put in order of institution. They are not verified
    /// here.
    pub fn assemble(
        self,
        mut signatures: Vec<InstitutionSignature>,
    ) -> Result<Transaction, BuildError> {
        signatures.sort_by_key(|signature| signature.institution);
        let mut signed = BTreeSet::new();
        for InstitutionSignature { institution, key_fingerprint, .. } in &signatures {
            let named = self.signers.get(institution);
            if named.ok_or(BuildError::NotASigner(*institution))? != key_fingerprint {
                return Err(BuildError::OtherKey(*institution));
            }
            if !signed.insert(*institution) {
                return Err(BuildError::SignedTwice(*institution));
            }
        }
        match self.signers.into_keys().find(|institution| !signed.contains(institution)) {
            Some(institution) => Err(BuildError::NotSigned(institution)),
            None => Ok(Transaction::new(self.body, self.proofs, signatures)),
        }
    }
}
