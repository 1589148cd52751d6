//! `quittance keys rotate`: a new key beside the others in a key file, and the transaction that
//! registers it.
//!
//! The order is: the key is durable in the key file, then the transaction is made. Whoever was
//! interrupted, or whose transaction was never included, gives the same command again: a newest key
//! that is not registered yet is taken again.

use std::path::Path;

use quittance_crypto::digest::Digest;
use quittance_crypto::keyfile::{KeyRing, KeyUse};
use quittance_crypto::signature::Purpose;
use quittance_ledger::build::{NewKey, Terms, Unsigned};
use quittance_ledger::execute::admits;
use quittance_ledger::ids::{Height, InstitutionId};

use super::durable::Staged;
use super::{KeysError, open, passphrase, verified};
use crate::governance::chain::{Chain, Register};
use crate::governance::file::Proposal;
use crate::governance::{self, GovernanceError, describe, refusals};

/// A rotation.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// The key file, which gets the new key.
    pub file: &'a Path,
    /// The file with its passphrase.
    pub secret: &'a Path,
    /// What the key is for.
    pub key_use: KeyUse,
    /// From which height on it is current.
    pub effective: Height,
    /// Where the signed transaction is written to.
    pub out: &'a Path,
    /// The work factor of the key file.
    pub log_n: u8,
}

fn newest(ring: &KeyRing, key_use: KeyUse) -> Digest {
    match key_use {
        KeyUse::Signing(purpose) => ring.signing(purpose).verifying_key().fingerprint(),
        KeyUse::Sealing => ring.sealing().public_key().fingerprint(),
    }
}

impl Rotation<'_> {
    /// Adds the key, and makes the transaction with all its signatures. What is to be shown.
    pub async fn run(self, chain: &Chain) -> Result<String, GovernanceError> {
        if self.out.exists() {
            return Err(GovernanceError::Exists(self.out.to_owned()));
        }
        let words = passphrase::read(self.secret)?;
        let mut ring = open(self.file, &words)?;
        let nobody =
            || KeysError::Nobody { path: self.file.to_owned(), name: ring.name().to_owned() };
        let institution: InstitutionId = ring.name().parse().map_err(|_| nobody())?;
        let register = chain.register().await?;
        let signer = self.signer(&ring, institution, &register)?;
        if register.state.key_owner(&newest(&ring, self.key_use)).is_some() {
            // Found out before the key file grows.
            self.check_height(&register)?;
            self.add(&mut ring, &words)?;
        }
        let proposal = self.sign(&ring, institution, &signer, &register)?;
        governance::create(&proposal, self.out)?;
        let shown = describe::proposal(&proposal, &register);
        Ok(format!(
            "{shown}\nThe new key is in {}. Restart the process that uses this file before height {}: \
             it goes over to the key by itself.\nThe signed transaction is in {out}; submit it by\n\n  \
             quittance governance submit {out} ...\n",
            self.file.display(),
            self.effective,
            out = self.out.display(),
        ))
    }

    /// The key that signs for the institution in the next block.
    fn signer(
        &self,
        ring: &KeyRing,
        institution: InstitutionId,
        Register { state, height }: &Register,
    ) -> Result<Digest, GovernanceError> {
        let known = state.institution(&institution).ok_or_else(|| {
            GovernanceError::Refused(format!("{institution} is not registered on this chain"))
        })?;
        let key = known.signing_key(Purpose::Transaction, height.next()).ok_or_else(|| {
            GovernanceError::Refused(format!(
                "{institution} has no transaction key on this chain, and can sign nothing: its keys \
                 are replaced by a decision (replace-key)"
            ))
        })?;
        let fingerprint = key.fingerprint();
        match ring.signing_key(Purpose::Transaction, &fingerprint) {
            Some(_) => Ok(fingerprint),
            None => Err(GovernanceError::NoKey {
                path: self.file.to_owned(),
                institution,
                fingerprint: fingerprint.to_string(),
            }),
        }
    }

    fn check_height(&self, register: &Register) -> Result<(), GovernanceError> {
        let (effective, height) = (self.effective, register.height);
        match effective > height.next() {
            true => Ok(()),
            false => Err(GovernanceError::Option {
                option: "effective",
                problem: format!("must be above {}: the chain is at {height}", height.next()),
            }),
        }
    }

    /// Adds a fresh key to the file, which is whole at any moment.
    fn add(&self, ring: &mut KeyRing, words: &str) -> Result<(), KeysError> {
        let failed = |reason| KeysError::KeyFile { path: self.file.to_owned(), reason };
        let write = |reason| KeysError::Write { path: self.file.to_owned(), reason };
        ring.renew(self.key_use).map_err(failed)?;
        let bytes = ring.to_encrypted(words, self.log_n).map_err(failed)?;
        let staged = Staged::beside(self.file, &bytes).map_err(write)?;
        verified(&staged, self.file, words, ring)?;
        staged.replace(self.file).map_err(write)
    }

    fn sign(
        &self,
        ring: &KeyRing,
        institution: InstitutionId,
        signer: &Digest,
        register: &Register,
    ) -> Result<Proposal, GovernanceError> {
        self.check_height(register)?;
        let chain = register.state.chain();
        let expiry = Height(self.effective.0.saturating_sub(1));
        let terms = Terms { suite: chain.suite, chain: chain.id, expiry };
        let key = match self.key_use {
            KeyUse::Signing(purpose) => NewKey::Signing(purpose, ring.signing(purpose)),
            KeyUse::Sealing => NewKey::Sealing(ring.sealing().public_key()),
        };
        let body = terms.rotation(institution, *signer, &key, self.effective)?;
        refusals(&body.action, admits(&register.state, &body.action, register.height.next()))?;
        let mut proposal = Proposal::new(body.clone());
        let unsigned = Unsigned::new(body, Vec::new())?;
        if let Some(key) = ring.signing_key(Purpose::Transaction, signer) {
            proposal.add(unsigned.sign(institution, key)?);
        }
        Ok(proposal)
    }
}
