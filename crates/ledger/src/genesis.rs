//! What a chain begins with. The chain's id is the digest of its genesis.

mod format;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, Suite};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::block::{MAX_BLOCK_TRANSACTIONS, MAX_TRANSACTIONS_BYTES};
use crate::certificate::ValidatorSet;
use crate::ids::{AssetId, ChainId, CommitteeId, InstitutionId, Timestamp};
use crate::state::{Asset, Committee, Limits, MAX_DECIMALS, MAX_PARTIES, PublicKey, Role};

pub use format::GENESIS_VERSION;
pub(crate) use format::{key_by_use, keys_by_use, name as use_name};

/// Bytes of a chain's name.
pub const MAX_CHAIN_NAME: usize = 64;

pub(crate) const MAX_INSTITUTIONS: usize = 4096;
pub(crate) const MAX_ASSETS: usize = 4096;
pub(crate) const MAX_COMMITTEES: usize = 256;

/// Everything that the state of height 0 is made from. All accounts begin empty: money enters when
/// its issuer credits somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// A name for people: printable ASCII.
    pub name: String,
    /// When the chain begins: the first block is later.
    pub time: Timestamp,
    /// The algorithms of all its signatures and seals.
    #[serde(with = "crate::json::text")]
    pub suite: Suite,
    /// The register. An institution's number is its place here, by id, from 1.
    pub institutions: BTreeMap<InstitutionId, GenesisInstitution>,
    /// The assets.
    pub assets: BTreeMap<AssetId, Asset>,
    /// Who decides, until governance changes it.
    pub validators: ValidatorSet,
    /// Who computes.
    pub committees: BTreeMap<CommitteeId, Committee>,
    /// Bounds that the chain sets.
    pub limits: Limits,
}

/// An institution of the register at the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisInstitution {
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Its keys, one for each use, valid from the first block on.
    #[serde(with = "format::keys_by_use")]
    pub keys: Vec<PublicKey>,
}

/// Why a genesis is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// Empty, too long or not printable.
    #[error("the chain's name must have 1 to {MAX_CHAIN_NAME} printable ASCII characters")]
    Name,
    /// A list above its bound.
    #[error("{found} {what} are more than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Two keys for one use, or not in order of use.
    #[error("{0}: keys are not one for each use, in order of use")]
    Keys(InstitutionId),
    /// A key of another suite.
    #[error("{0}: a key is not of the chain's suite")]
    Suite(InstitutionId),
    /// A key registered for two uses or two institutions.
    #[error("{0}: a key is used twice")]
    SharedKey(InstitutionId),
    /// A key that a role needs.
    #[error("{institution}: role {role:?} needs a {missing} key")]
    MissingKey {
        /// Which institution.
        institution: InstitutionId,
        /// Which role.
        role: Role,
        /// Which key.
        missing: &'static str,
    },
    /// Somebody is named in a place that needs a role that it does not have.
    #[error("{institution}, named in {place}, is not an institution with role {role:?}")]
    MissingRole {
        /// Which institution.
        institution: InstitutionId,
        /// Where it is named.
        place: &'static str,
        /// The role it needs.
        role: Role,
    },
    /// A validator votes with another key than its institution has registered for votes.
    #[error("validator {0} does not vote with its institution's vote key")]
    VoteKey(InstitutionId),
    /// More decimals than 64-bit amounts can hold.
    #[error("asset {0}: too many decimals")]
    Decimals(AssetId),
    /// Too few or too many parties, one twice, or too high a threshold.
    #[error("committee {0}: must have 2t + 1 to {MAX_PARTIES} different parties, t at least 1")]
    Committee(CommitteeId),
    /// A limit under which nothing could happen.
    #[error("limit {0} must not be zero")]
    Limit(&'static str),
    /// A limit on blocks that admits blocks which the format does not.
    #[error("limit {0} is above what a block can have")]
    LimitTooHigh(&'static str),
}

impl Genesis {
    /// The chain's id.
    pub fn chain_id(&self) -> ChainId {
        ChainId(Digest::of_value("quittance/v1/genesis", self))
    }

    /// Checks that all parts fit together.
    pub fn check(&self) -> Result<(), GenesisError> {
        let printable = self.name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !printable || !(1..=MAX_CHAIN_NAME).contains(&self.name.len()) {
            return Err(GenesisError::Name);
        }
        at_most(MAX_INSTITUTIONS, self.institutions.len(), "institutions")?;
        at_most(MAX_ASSETS, self.assets.len(), "assets")?;
        at_most(MAX_COMMITTEES, self.committees.len(), "committees")?;
        self.check_keys()?;
        self.check_assets()?;
        self.check_validators()?;
        self.check_committees()?;
        check_limits(&self.limits)
    }

    fn check_keys(&self) -> Result<(), GenesisError> {
        let mut fingerprints = BTreeSet::new();
        for (id, institution) in &self.institutions {
            check_institution(*id, &institution.roles, &institution.keys, self.suite)?;
            for key in &institution.keys {
                if !fingerprints.insert(key.fingerprint()) {
                    return Err(GenesisError::SharedKey(*id));
                }
            }
        }
        Ok(())
    }

    fn check_assets(&self) -> Result<(), GenesisError> {
        for (id, asset) in &self.assets {
            self.check_role(asset.issuer, Role::Participant, "an asset")?;
            if asset.decimals > MAX_DECIMALS {
                return Err(GenesisError::Decimals(*id));
            }
        }
        Ok(())
    }

    fn check_validators(&self) -> Result<(), GenesisError> {
        for validator in self.validators.validators() {
            let id = validator.institution;
            self.check_role(id, Role::Validator, "the validators")?;
            let vote = |key: &PublicKey| match key {
                PublicKey::Signing(Purpose::Vote, key) => *key == validator.key,
                PublicKey::Signing(..) | PublicKey::Sealing(_) => false,
            };
            let institution = self.institutions.get(&id);
            if !institution.is_some_and(|institution| institution.keys.iter().any(vote)) {
                return Err(GenesisError::VoteKey(id));
            }
        }
        Ok(())
    }

    fn check_committees(&self) -> Result<(), GenesisError> {
        for (id, committee) in &self.committees {
            check_committee(*id, committee)?;
            for party in &committee.parties {
                self.check_role(*party, Role::MpcParty, "a committee")?;
            }
        }
        Ok(())
    }

    fn check_role(
        &self,
        institution: InstitutionId,
        role: Role,
        place: &'static str,
    ) -> Result<(), GenesisError> {
        let has_role = |found: &GenesisInstitution| found.roles.contains(&role);
        match self.institutions.get(&institution).is_some_and(has_role) {
            true => Ok(()),
            false => Err(GenesisError::MissingRole { institution, place, role }),
        }
    }
}

/// The keys are one for each use, in order of use, of the suite, and all that the roles need.
pub(crate) fn check_institution(
    institution: InstitutionId,
    roles: &BTreeSet<Role>,
    keys: &[PublicKey],
    suite: Suite,
) -> Result<(), GenesisError> {
    if !keys.is_sorted_by(|one, two| format::use_tag(one) < format::use_tag(two)) {
        return Err(GenesisError::Keys(institution));
    }
    keys.iter().try_for_each(|key| check_suite(institution, key, suite))?;
    for role in roles {
        let has = |needed| keys.iter().any(|key| format::name(key) == needed);
        if let Some(missing) = needed(*role).iter().find(|needed| !has(**needed)) {
            return Err(GenesisError::MissingKey { institution, role: *role, missing });
        }
    }
    Ok(())
}

pub(crate) fn check_suite(
    institution: InstitutionId,
    key: &PublicKey,
    suite: Suite,
) -> Result<(), GenesisError> {
    match format::suite(key) == suite {
        true => Ok(()),
        false => Err(GenesisError::Suite(institution)),
    }
}

/// Different parties, enough of them for the threshold.
pub(crate) fn check_committee(id: CommitteeId, committee: &Committee) -> Result<(), GenesisError> {
    let Committee { parties, threshold } = committee;
    let different = parties.iter().collect::<BTreeSet<_>>().len() == parties.len();
    let smallest = 2 * usize::from(*threshold) + 1;
    match different && *threshold > 0 && (smallest..=MAX_PARTIES).contains(&parties.len()) {
        true => Ok(()),
        false => Err(GenesisError::Committee(id)),
    }
}

/// Limits under which something can happen, and no more than the formats have room for.
pub(crate) fn check_limits(limits: &Limits) -> Result<(), GenesisError> {
    let Limits {
        pending_per_sender,
        refund_after: _,
        max_expiry,
        max_round,
        block_transactions,
        block_bytes,
    } = *limits;
    let limits = [
        (u64::from(pending_per_sender), "pending_per_sender"),
        (max_expiry, "max_expiry"),
        (max_round, "max_round"),
        (u64::from(block_transactions), "block_transactions"),
        (u64::from(block_bytes), "block_bytes"),
    ];
    if let Some((_, name)) = limits.into_iter().find(|(value, _)| *value == 0) {
        return Err(GenesisError::Limit(name));
    }
    if block_transactions as usize > MAX_BLOCK_TRANSACTIONS {
        return Err(GenesisError::LimitTooHigh("block_transactions"));
    }
    if block_bytes as usize > MAX_TRANSACTIONS_BYTES {
        return Err(GenesisError::LimitTooHigh("block_bytes"));
    }
    Ok(())
}

fn at_most(limit: usize, found: usize, what: &'static str) -> Result<(), GenesisError> {
    match found <= limit {
        true => Ok(()),
        false => Err(GenesisError::TooMany { what, found, limit }),
    }
}

/// The uses of keys that a role cannot do without.
pub(crate) fn needed(role: Role) -> &'static [&'static str] {
    match role {
        Role::Participant => &["transaction", "round", "sealing"],
        Role::Coordinator => &["transaction", "round"],
        Role::MpcParty => &["round", "receipt"],
        Role::Validator => &["vote"],
    }
}
