//! Decisions of the validators, and keys that institutions replace themselves.

use quittance_crypto::planted;

use super::ExecutionError;
use super::registry::{Obstacle, Registry};
use crate::ids::Height;
use crate::state::{Decision, MAX_KEYS, MAX_SCHEDULED, RESERVED_KEYS, Record};
use crate::transaction::{ChangeError, Governance, KeyRotation, MAX_LEAD};

impl Registry<'_> {
    /// Puts a decision of the block at `height` on the schedule. It takes effect at the end of the
    /// block before its own height: so that block's header announces the validators whom it decides
    /// on.
    pub(super) fn schedule(
        &mut self,
        governance: &Governance,
        height: Height,
    ) -> Result<(), ExecutionError> {
        let Governance { number, effective, changes, approvals: _ } = governance;
        let (number, effective) = (*number, *effective);
        let expected = self.last_decision().saturating_add(1);
        if planted!("decision-replayed", false, number != expected) {
            return Err(ExecutionError::DecisionNumber { expected, found: number });
        }
        check_effective(effective, height)?;
        self.check_quorum(governance)?;
        if self.scheduled().len() >= MAX_SCHEDULED {
            return Err(ExecutionError::TooManyDecisions { limit: MAX_SCHEDULED });
        }
        let mut after = self.clone();
        let decision = Box::new(Decision { changes: changes.clone() });
        after.put(Record::Decision(effective, number, decision));
        after.put(Record::Governance(number));
        after.rehearse().map_err(|obstacle| match obstacle {
            Obstacle { number: of, index, source } if of == number => {
                ExecutionError::ChangeRefused { index, source }
            }
            obstacle => conflict(obstacle),
        })?;
        *self = after;
        Ok(())
    }

    /// Those who approve are validators of this block, with more than two thirds of all power.
    fn check_quorum(&self, governance: &Governance) -> Result<(), ExecutionError> {
        let validators = self.deciding();
        let mut power = 0u64;
        for approval in &governance.approvals {
            let institution = approval.institution;
            let validator = validators.get(institution);
            let validator = validator.ok_or(ExecutionError::NotAValidator { institution })?;
            // At most the total of the set, which fits: nobody approves twice.
            power = power.saturating_add(validator.power);
        }
        match planted!("decision-without-quorum", true, validators.is_quorum(power)) {
            true => Ok(()),
            false => Err(ExecutionError::NoQuorum { power, total: validators.total_power() }),
        }
    }

    /// Registers a key that an institution replaces itself, in the block at `height`.
    pub(super) fn rotate(
        &mut self,
        rotation: &KeyRotation,
        height: Height,
    ) -> Result<(), ExecutionError> {
        let &KeyRotation { institution, ref key, effective, .. } = rotation;
        check_effective(effective, height)?;
        let register = self.institution(institution);
        let register = register.ok_or(ExecutionError::UnknownInstitution { institution })?;
        let mut versions = register.keys.iter().rev().filter(|one| one.key().same_use(key));
        if let Some(last) = versions.next()
            && last.active_from() > height
        {
            let from = last.active_from();
            return Err(ExecutionError::RotationPending { institution, from });
        }
        let limit = MAX_KEYS - RESERVED_KEYS;
        if register.keys.len() >= limit {
            return Err(ExecutionError::TooManyKeys { institution, limit });
        }
        let fingerprint = key.fingerprint();
        let mut after = self.clone();
        after.register(institution, key.clone(), effective).map_err(|error| match error {
            ChangeError::UnknownInstitution { institution } => {
                ExecutionError::UnknownInstitution { institution }
            }
            _ => ExecutionError::KeyTaken { fingerprint },
        })?;
        after.rehearse().map_err(conflict)?;
        *self = after;
        Ok(())
    }
}

/// Later than the block that includes it, but not by too much.
fn check_effective(effective: Height, height: Height) -> Result<(), ExecutionError> {
    if effective <= height {
        return Err(ExecutionError::EffectiveInThePast { effective, height });
    }
    let latest = height.plus(MAX_LEAD);
    match effective <= latest {
        true => Ok(()),
        false => Err(ExecutionError::EffectiveTooFar { effective, latest }),
    }
}

fn conflict(obstacle: Obstacle) -> ExecutionError {
    let Obstacle { number, index, source } = obstacle;
    ExecutionError::DecisionConflict { number, index, source }
}
