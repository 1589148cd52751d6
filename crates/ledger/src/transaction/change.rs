//! What is wrong with a change, and the part of it that holds whatever the state.

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Suite;
use thiserror::Error;

use super::governance::Change;
use crate::certificate::ValidatorSetError;
use crate::genesis::{GenesisError, check_committee, check_institution, check_limits, check_suite};
use crate::ids::{AssetId, CommitteeId, InstitutionId};
use crate::state::Role;

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The messages say what the fields are.
pub enum ChangeError {
    /// It would not be part of a sound genesis either.
    #[error(transparent)]
    Form(#[from] GenesisError),
    /// The validators would not be a set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// Not in the register.
    #[error("{institution} is not registered")]
    UnknownInstitution { institution: InstitutionId },
    /// Admitted before.
    #[error("{institution} is registered already")]
    InstitutionExists { institution: InstitutionId },
    /// Named in a place that needs a role which it does not have.
    #[error("{institution} does not have the role {role:?}")]
    MissingRole { institution: InstitutionId, role: Role },
    /// A key that the role or the place needs.
    #[error("{institution} has no {missing} key at that height")]
    MissingKey { institution: InstitutionId, missing: &'static str },
    /// It can be named again once it is readmitted.
    #[error("{institution} is suspended")]
    Suspended { institution: InstitutionId },
    /// There is nothing to end.
    #[error("{institution} is not suspended")]
    NotSuspended { institution: InstitutionId },
    /// It decides nothing.
    #[error("{institution} is not a validator")]
    NotAValidator { institution: InstitutionId },
    /// It has to be removed from the validators first.
    #[error("{institution} is a validator")]
    IsValidator { institution: InstitutionId },
    /// It has to be replaced there first.
    #[error("{institution} is a party of committee {committee}")]
    InCommittee { institution: InstitutionId, committee: CommitteeId },
    /// Issuers are participants.
    #[error("{institution} issues {asset}")]
    IssuesAsset { institution: InstitutionId, asset: AssetId },
    /// A key is registered once.
    #[error("key {fingerprint} is registered already")]
    KeyTaken { fingerprint: Digest },
    /// More than the chain's formats have room for.
    #[error("there would be more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
    /// Not an asset of this chain.
    #[error("asset {asset} is unknown")]
    UnknownAsset { asset: AssetId },
    /// Listed, or retired with other terms.
    #[error("asset {asset} exists, and is not retired with these terms")]
    AssetExists { asset: AssetId },
    /// Retired before.
    #[error("asset {asset} is retired already")]
    AlreadyRetired { asset: AssetId },
    /// No such committee.
    #[error("committee {committee} is unknown")]
    UnknownCommittee { committee: CommitteeId },
    /// It has taken effect, was withdrawn, or never was.
    #[error("decision {number} does not wait for its height")]
    NotScheduled { number: u64 },
}

impl Change {
    /// Checks what can be seen without any state.
    pub(super) fn check(&self, suite: Suite) -> Result<(), ChangeError> {
        match self {
            Self::PutValidator { institution, power: 0 } => {
                Err(ValidatorSetError::NoPower(*institution).into())
            }
            Self::Admit { institution, roles, keys } => {
                Ok(check_institution(*institution, roles, keys, suite)?)
            }
            Self::ReplaceKey { institution, key } => Ok(check_suite(*institution, key, suite)?),
            Self::PutCommittee { id, committee } => Ok(check_committee(*id, committee)?),
            Self::SetLimits(limits) => Ok(check_limits(limits)?),
            Self::PutValidator { .. }
            | Self::RemoveValidator { .. }
            | Self::Suspend { .. }
            | Self::Readmit { .. }
            | Self::SetRoles { .. }
            | Self::ListAsset { .. }
            | Self::RetireAsset { .. }
            | Self::RemoveCommittee { .. }
            | Self::SetSettlementRule(_)
            | Self::Withdraw { .. } => Ok(()),
        }
    }
}
