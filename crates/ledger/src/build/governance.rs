//! Decisions and new keys: bodies that need no range proof.
//!
//! **Decision.** Somebody chooses the validators who are to approve, makes the body, and sends its
//! canonical bytes around. Each of them decodes the body, reads what it decides, and signs by
//! [`super::Unsigned::sign`]; anybody assembles. All who are named must sign: if one is silent, the
//! body is made again without it.

use quittance_crypto::digest::Digest;
use quittance_crypto::seal::SealingPublicKey;
use quittance_crypto::signature::{Purpose, SigningKey};

use super::Terms;
use crate::ids::{Height, InstitutionId};
use crate::state::{PublicKey, RegisteredKey, State};
use crate::transaction::{Action, Approval, Body, Change, Governance, KeyRotation, Malformed};

/// A new key, with what it takes to show that one has it.
pub enum NewKey<'a> {
    /// Signs for this purpose, and for its own possession.
    Signing(Purpose, &'a SigningKey),
    /// Opens seals. Nothing shows that one has it; who does not harms itself.
    Sealing(&'a SealingPublicKey),
}

impl NewKey<'_> {
    fn public(&self) -> PublicKey {
        match self {
            Self::Signing(purpose, key) => PublicKey::Signing(*purpose, key.verifying_key()),
            Self::Sealing(key) => PublicKey::Sealing((*key).clone()),
        }
    }
}

impl Approval {
    /// The approval of this institution with the transaction key that is current at `height`;
    /// `None` if it has none.
    pub fn of(state: &State, institution: InstitutionId, height: Height) -> Option<Self> {
        let register = state.institution(&institution)?;
        let key = register.signing_key(Purpose::Transaction, height);
        let key_fingerprint = key.map(RegisteredKey::fingerprint)?;
        Some(Self { institution, key_fingerprint })
    }
}

impl Terms {
    /// The body of a decision, the approvals put in order of institution.
    pub fn governance(
        &self,
        number: u64,
        effective: Height,
        changes: Vec<Change>,
        mut approvals: Vec<Approval>,
    ) -> Result<Body, Malformed> {
        approvals.sort_by_key(|approval| approval.institution);
        self.act(Action::Governance(Governance { number, effective, changes, approvals }))
    }

    /// The body by which `institution` replaces a key of its own; signed with the transaction key
    /// of this fingerprint.
    pub fn rotation(
        &self,
        institution: InstitutionId,
        key_fingerprint: Digest,
        key: &NewKey<'_>,
        effective: Height,
    ) -> Result<Body, Malformed> {
        let public = key.public();
        let possession = None;
        let mut rotation =
            KeyRotation { institution, key_fingerprint, key: public, effective, possession };
        if let NewKey::Signing(purpose, key) = key {
            let digest = rotation.possession_digest(self.chain);
            rotation.possession = Some(key.sign(*purpose, &digest));
        }
        self.act(Action::KeyRotation(rotation))
    }
}
