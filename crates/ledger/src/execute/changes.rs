//! What each kind of change does to the register, and when it cannot be made.

use quittance_crypto::signature::Purpose;
use std::collections::BTreeSet;

use super::registry::Registry;
use crate::certificate::{Validator, ValidatorSet};
use crate::genesis::{MAX_ASSETS, MAX_COMMITTEES, MAX_INSTITUTIONS, needed, use_name};
use crate::ids::{AssetId, CommitteeId, Height, InstitutionId};
use crate::state::{
    Asset, Committee, Institution, Key, PublicKey, Record, RegisteredKey, Role, SettlementRule,
};
use crate::transaction::{Change, ChangeError};

impl Registry<'_> {
    /// Makes one change that takes effect at `effective`. After an error nothing may be relied on.
    pub(super) fn change(&mut self, change: &Change, effective: Height) -> Result<(), ChangeError> {
        match change {
            Change::PutValidator { institution, power } => {
                self.put_validator(*institution, *power, effective)
            }
            Change::RemoveValidator { institution } => self.remove_validator(*institution),
            Change::Admit { institution, roles, keys } => {
                self.admit(*institution, roles, keys, effective)
            }
            Change::Suspend { institution } => self.suspend(*institution, effective),
            Change::Readmit { institution } => self.readmit(*institution),
            Change::SetRoles { institution, roles } => {
                self.set_roles(*institution, roles, effective)
            }
            Change::ReplaceKey { institution, key } => {
                self.register(*institution, key.clone(), effective)
            }
            Change::ListAsset { asset, terms } => self.list(*asset, terms),
            Change::RetireAsset { asset } => self.retire(*asset, effective),
            Change::PutCommittee { id, committee } => self.put_committee(*id, committee),
            Change::RemoveCommittee { id } => self.remove_committee(*id),
            Change::SetLimits(limits) => {
                self.put(Record::Limits(*limits));
                Ok(())
            }
            Change::SetSettlementRule(rule) => {
                self.set_rule(rule);
                Ok(())
            }
            Change::Withdraw { number } => self.withdraw(*number),
        }
    }

    /// The institution, if it is registered, has the role and is not suspended.
    fn active(&self, id: InstitutionId, role: Role) -> Result<&Institution, ChangeError> {
        let found = self.known(id)?;
        if self.has(Key::Suspension(id)) {
            return Err(ChangeError::Suspended { institution: id });
        }
        match found.roles.contains(&role) {
            true => Ok(found),
            false => Err(ChangeError::MissingRole { institution: id, role }),
        }
    }

    fn known(&self, id: InstitutionId) -> Result<&Institution, ChangeError> {
        self.institution(id).ok_or(ChangeError::UnknownInstitution { institution: id })
    }

    /// It also needs a transaction key: without one it could approve nothing.
    fn put_validator(
        &mut self,
        institution: InstitutionId,
        power: u64,
        effective: Height,
    ) -> Result<(), ChangeError> {
        let register = self.active(institution, Role::Validator)?;
        if register.signing_key(Purpose::Transaction, effective).is_none() {
            return Err(ChangeError::MissingKey { institution, missing: "transaction" });
        }
        let vote = register.signing_key(Purpose::Vote, effective).map(RegisteredKey::key);
        let Some(PublicKey::Signing(_, key)) = vote else {
            return Err(ChangeError::MissingKey { institution, missing: "vote" });
        };
        let validator = Validator { institution, key: key.clone(), power };
        let mut all = self.validators_but(institution);
        all.push(validator);
        all.sort_by_key(|each| each.institution);
        self.put(Record::Validators(ValidatorSet::new(all)?));
        Ok(())
    }

    fn remove_validator(&mut self, institution: InstitutionId) -> Result<(), ChangeError> {
        if self.validators().get(institution).is_none() {
            return Err(ChangeError::NotAValidator { institution });
        }
        let rest = ValidatorSet::new(self.validators_but(institution))?;
        self.put(Record::Validators(rest));
        Ok(())
    }

    fn validators_but(&self, institution: InstitutionId) -> Vec<Validator> {
        let others = self.validators().validators().iter();
        others.filter(|each| each.institution != institution).cloned().collect()
    }

    fn admit(
        &mut self,
        institution: InstitutionId,
        roles: &BTreeSet<Role>,
        keys: &[PublicKey],
        effective: Height,
    ) -> Result<(), ChangeError> {
        if self.institution(institution).is_some() {
            return Err(ChangeError::InstitutionExists { institution });
        }
        // Nobody leaves the register, so the last number is how many there are.
        let last = self.last_number();
        check_room("institutions", MAX_INSTITUTIONS, last as usize)?;
        keys.iter().try_for_each(|key| self.claim(key))?;
        let keys = keys.iter().map(|key| RegisteredKey::new(key.clone(), effective)).collect();
        let number = last.saturating_add(1);
        let admitted = Institution { number, roles: roles.clone(), keys };
        self.put(Record::Institution(institution, admitted));
        Ok(())
    }

    fn suspend(&mut self, institution: InstitutionId, since: Height) -> Result<(), ChangeError> {
        self.known(institution)?;
        if self.has(Key::Suspension(institution)) {
            return Err(ChangeError::Suspended { institution });
        }
        self.check_not_validator(institution)?;
        self.check_in_no_committee(institution)?;
        self.put(Record::Suspension(institution, since));
        Ok(())
    }

    fn readmit(&mut self, institution: InstitutionId) -> Result<(), ChangeError> {
        self.known(institution)?;
        if !self.has(Key::Suspension(institution)) {
            return Err(ChangeError::NotSuspended { institution });
        }
        self.remove(Key::Suspension(institution));
        Ok(())
    }

    fn check_not_validator(&self, institution: InstitutionId) -> Result<(), ChangeError> {
        match self.validators().get(institution) {
            None => Ok(()),
            Some(_) => Err(ChangeError::IsValidator { institution }),
        }
    }

    fn check_in_no_committee(&self, institution: InstitutionId) -> Result<(), ChangeError> {
        match self.committee_of(institution) {
            None => Ok(()),
            Some(committee) => Err(ChangeError::InCommittee { institution, committee }),
        }
    }

    fn set_roles(
        &mut self,
        institution: InstitutionId,
        roles: &BTreeSet<Role>,
        effective: Height,
    ) -> Result<(), ChangeError> {
        let register = self.known(institution)?;
        for role in roles {
            if let Some(missing) = missing_key(register, *role, effective) {
                return Err(ChangeError::MissingKey { institution, missing });
            }
        }
        if !roles.contains(&Role::Validator) {
            self.check_not_validator(institution)?;
        }
        if !roles.contains(&Role::MpcParty) {
            self.check_in_no_committee(institution)?;
        }
        if let Some(asset) = self.asset_of(institution)
            && !roles.contains(&Role::Participant)
        {
            return Err(ChangeError::IssuesAsset { institution, asset });
        }
        let changed = Institution { roles: roles.clone(), ..register.clone() };
        self.put(Record::Institution(institution, changed));
        Ok(())
    }

    fn list(&mut self, asset: AssetId, terms: &Asset) -> Result<(), ChangeError> {
        let retirement = Key::Retirement(asset);
        match self.asset(asset) {
            None => {}
            Some(known) if known == terms && self.has(retirement) => {
                self.remove(retirement);
                return Ok(());
            }
            Some(_) => return Err(ChangeError::AssetExists { asset }),
        }
        self.active(terms.issuer, Role::Participant)?;
        check_room("assets", MAX_ASSETS, self.assets().len())?;
        self.put(Record::Asset(asset, *terms));
        Ok(())
    }

    fn retire(&mut self, asset: AssetId, since: Height) -> Result<(), ChangeError> {
        if self.asset(asset).is_none() {
            return Err(ChangeError::UnknownAsset { asset });
        }
        if self.has(Key::Retirement(asset)) {
            return Err(ChangeError::AlreadyRetired { asset });
        }
        self.put(Record::Retirement(asset, since));
        Ok(())
    }

    fn put_committee(&mut self, id: CommitteeId, committee: &Committee) -> Result<(), ChangeError> {
        for party in &committee.parties {
            self.active(*party, Role::MpcParty)?;
        }
        if !self.has(Key::Committee(id)) {
            check_room("committees", MAX_COMMITTEES, self.committees().len())?;
        }
        self.put(Record::Committee(id, committee.clone()));
        Ok(())
    }

    fn remove_committee(&mut self, committee: CommitteeId) -> Result<(), ChangeError> {
        if !self.has(Key::Committee(committee)) {
            return Err(ChangeError::UnknownCommittee { committee });
        }
        self.remove(Key::Committee(committee));
        Ok(())
    }

    /// The default has no record: there is one state for each rule.
    fn set_rule(&mut self, rule: &SettlementRule) {
        match *rule == SettlementRule::default() {
            true => self.remove(Key::SettlementRule),
            false => self.put(Record::SettlementRule(rule.clone())),
        }
    }

    fn withdraw(&mut self, number: u64) -> Result<(), ChangeError> {
        let found = self.scheduled().into_iter().find(|(_, other)| *other == number);
        let (effective, _) = found.ok_or(ChangeError::NotScheduled { number })?;
        self.remove(Key::Decision(effective, number));
        Ok(())
    }
}

/// One more fits.
fn check_room(what: &'static str, limit: usize, found: usize) -> Result<(), ChangeError> {
    match found < limit {
        true => Ok(()),
        false => Err(ChangeError::TooMany { what, limit }),
    }
}

/// A use of keys that the role needs, and for which the institution has no key at `height`.
fn missing_key(register: &Institution, role: Role, height: Height) -> Option<&'static str> {
    let has = |wanted: &str| {
        let mut keys = register.keys.iter();
        keys.any(|key| key.active_from() <= height && use_name(key.key()) == wanted)
    };
    needed(role).iter().copied().find(|wanted| !has(wanted))
}
