//! The chapters "Governance" and "KeyRotation" of the execution rules.
//!
//! Nothing is rehearsed record by record here: the books' governed part is copied, and decisions
//! are carried out on the copy.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::Purpose;
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::ids::{AssetId, CommitteeId, Height, InstitutionId};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role, SettlementRule};
use quittance_ledger::transaction::{Change, Governance, KeyRotation};

use crate::books::Books;
use crate::books::Institution;
use crate::certificate::check_power;
use crate::fault::{Fault, require};

/// Blocks between inclusion and effect, at most.
const LEAD: u64 = 1_000_000;

/// Everything that decisions change.
#[derive(Clone)]
pub(crate) struct Governed {
    pub(crate) limits: Limits,
    pub(crate) validators: ValidatorSet,
    pub(crate) institutions: BTreeMap<InstitutionId, Institution>,
    pub(crate) assets: BTreeMap<AssetId, Asset>,
    pub(crate) committees: BTreeMap<CommitteeId, Committee>,
    pub(crate) decided: u64,
    pub(crate) waiting: BTreeMap<(Height, u64), Vec<Change>>,
    pub(crate) suspended: BTreeMap<InstitutionId, Height>,
    pub(crate) retired: BTreeMap<AssetId, Height>,
    pub(crate) rule: SettlementRule,
}

pub(crate) fn decide(
    books: &mut Books,
    governance: &Governance,
    height: Height,
) -> Result<(), Fault> {
    let governed = &books.governed;
    let next = governed.decided.saturating_add(1);
    require(governance.number == next, "number of the decision", || {
        format!("{}, not {next}", governance.number)
    })?;
    check_effective(governance.effective, height)?;
    let (mut approving, mut total) = (0u128, 0u128);
    for validator in governed.validators.validators() {
        total += u128::from(validator.power);
        let approves =
            |by: &&quittance_ledger::transaction::Approval| by.institution == validator.institution;
        approving +=
            governance.approvals.iter().find(approves).map_or(0, |_| u128::from(validator.power));
    }
    for by in &governance.approvals {
        let decides = governed.validators.get(by.institution).is_some();
        require(decides, "validators approve", || by.institution.to_string())?;
    }
    let quorum = planted!("auditor-decides-without-quorum", true, 3 * approving > 2 * total);
    require(quorum, "quorum of the decision", || {
        format!("power {approving} of {total} is not more than two thirds")
    })?;
    require(governed.waiting.len() < 32, "waiting decisions", || "32 wait".to_owned())?;
    let mut after = governed.clone();
    after.decided = next;
    after.waiting.insert((governance.effective, next), governance.changes.clone());
    after.clone().carry_out(Height(u64::MAX))?;
    books.govern(after);
    Ok(())
}

pub(crate) fn rotate(
    books: &mut Books,
    rotation: &KeyRotation,
    height: Height,
) -> Result<(), Fault> {
    check_effective(rotation.effective, height)?;
    let who = rotation.institution;
    let mut after = books.governed.clone();
    let register = after.institution(who)?;
    let last = register.keys.iter().rfind(|(key, _)| key_use(key) == key_use(&rotation.key));
    require(last.is_none_or(|(_, from)| *from <= height), "one new key at a time", || {
        who.to_string()
    })?;
    require(register.keys.len() < 240, "keys of an institution", || who.to_string())?;
    after.add_key(who, &rotation.key, rotation.effective)?;
    after.clone().carry_out(Height(u64::MAX))?;
    books.govern(after);
    Ok(())
}

fn check_effective(effective: Height, height: Height) -> Result<(), Fault> {
    let in_time = effective > height && effective.0 <= height.0.saturating_add(LEAD);
    require(in_time, "height of the effect", || format!("{effective} at {height}"))
}

/// What a key serves for: the first byte of its encoding.
fn key_use(key: &PublicKey) -> u8 {
    key.to_bytes().first().copied().unwrap_or_default()
}

impl Governed {
    /// The state in which the block at `next` is executed and decided.
    pub(crate) fn turn(&mut self, next: Height) {
        let due: Vec<_> = self.waiting.range(..=(next, u64::MAX)).map(|(at, _)| *at).collect();
        for at in due {
            drop(self.carry_out_one(at));
        }
        let renew = |validator: &Validator| {
            let register = self.institutions.get(&validator.institution);
            match register.and_then(|register| register.key(Purpose::Vote, next)) {
                Some(PublicKey::Signing(_, key)) => {
                    Validator { key: key.clone(), ..validator.clone() }
                }
                _ => validator.clone(),
            }
        };
        let set = ValidatorSet::new(self.validators.validators().iter().map(renew).collect());
        if let Ok(set) = set {
            self.validators = set;
        }
    }

    /// Everything that waits for at most this height, one after the other.
    fn carry_out(mut self, until: Height) -> Result<(), Fault> {
        while let Some(at) = self.waiting.keys().next().copied().filter(|at| at.0 <= until) {
            self.carry_out_one(at)?;
        }
        Ok(())
    }

    fn carry_out_one(&mut self, at: (Height, u64)) -> Result<(), Fault> {
        let changes = self.waiting.remove(&at).unwrap_or_default();
        let mut after = self.clone();
        for (index, change) in changes.iter().enumerate() {
            let place = |fault: Fault| {
                let detail = format!("decision {}, change {index}: {}", at.1, fault.detail);
                Fault { detail, ..fault }
            };
            after.make(change, at.0).map_err(place)?;
        }
        *self = after;
        Ok(())
    }

    fn make(&mut self, change: &Change, from: Height) -> Result<(), Fault> {
        match change {
            Change::PutValidator { institution, power } => {
                let register = self.serving(*institution, Role::Validator)?;
                let votes = register.key(Purpose::Vote, from).cloned();
                let approves = register.key(Purpose::Transaction, from).is_some();
                let (Some(PublicKey::Signing(_, key)), true) = (votes, approves) else {
                    return Err(refuse("keys of a validator", institution));
                };
                let validator = Validator { institution: *institution, key, power: *power };
                self.set_validators(*institution, Some(validator))
            }
            Change::RemoveValidator { institution } => {
                let known = self.validators.get(*institution).is_some();
                require(known, "known validator", || institution.to_string())?;
                self.set_validators(*institution, None)
            }
            Change::Admit { institution, roles, keys } => {
                let known = self.institutions.contains_key(institution);
                require(!known, "admitted once", || institution.to_string())?;
                require(self.institutions.len() < 4096, "institutions", String::new)?;
                let number = self.institutions.values().map(|one| one.number).max();
                let number = number.unwrap_or(0) + 1;
                let register = Institution { number, roles: roles.clone(), keys: Vec::new() };
                self.institutions.insert(*institution, register);
                keys.iter().try_for_each(|key| self.add_key(*institution, key, from))
            }
            Change::Suspend { institution } => {
                self.institution(*institution)?;
                self.check_spare(*institution)?;
                let before = self.suspended.insert(*institution, from);
                require(before.is_none(), "suspended once", || institution.to_string())
            }
            Change::Readmit { institution } => {
                let before = self.suspended.remove(institution);
                require(before.is_some(), "readmitted", || institution.to_string())
            }
            Change::SetRoles { institution, roles } => self.set_roles(*institution, roles, from),
            Change::ReplaceKey { institution, key } => self.add_key(*institution, key, from),
            Change::ListAsset { asset, terms } => self.list(*asset, terms),
            Change::RetireAsset { asset } => {
                require(self.assets.contains_key(asset), "known asset", || asset.to_string())?;
                let before = self.retired.insert(*asset, from);
                require(before.is_none(), "retired once", || asset.to_string())
            }
            Change::PutCommittee { id, committee } => {
                for party in &committee.parties {
                    self.serving(*party, Role::MpcParty)?;
                }
                self.committees.insert(*id, committee.clone());
                require(self.committees.len() <= 256, "committees", String::new)
            }
            Change::RemoveCommittee { id } => {
                let before = self.committees.remove(id);
                require(before.is_some(), "known committee", || id.to_string())
            }
            Change::SetLimits(limits) => {
                self.limits = *limits;
                Ok(())
            }
            Change::SetSettlementRule(rule) => {
                self.rule = rule.clone();
                Ok(())
            }
            Change::Withdraw { number } => {
                let before = self.waiting.len();
                self.waiting.retain(|(_, other), _| other != number);
                require(self.waiting.len() < before, "waiting decision", || number.to_string())
            }
        }
    }

    fn institution(&self, id: InstitutionId) -> Result<&Institution, Fault> {
        self.institutions.get(&id).ok_or_else(|| Fault::new("known institution", id))
    }

    /// Registered with the role, and not suspended.
    fn serving(&self, id: InstitutionId, role: Role) -> Result<&Institution, Fault> {
        let register = self.institution(id)?;
        require(!self.suspended.contains_key(&id), "not suspended", || id.to_string())?;
        require(register.roles.contains(&role), "role", || format!("{id}: {role:?}"))?;
        Ok(register)
    }

    fn add_key(&mut self, id: InstitutionId, key: &PublicKey, from: Height) -> Result<(), Fault> {
        let taken = |register: &Institution| register.keys.iter().any(|(other, _)| other == key);
        let print = key.fingerprint();
        let known = self.institutions.values().any(|register| {
            taken(register) || register.keys.iter().any(|(other, _)| other.fingerprint() == print)
        });
        require(!known, "a key is registered once", || print.to_string())?;
        let register = self.institutions.get_mut(&id);
        let register = register.ok_or_else(|| Fault::new("known institution", id))?;
        register.keys.push((key.clone(), from));
        require(register.keys.len() <= 256, "keys of an institution", || id.to_string())
    }

    fn set_validators(&mut self, id: InstitutionId, with: Option<Validator>) -> Result<(), Fault> {
        let others = self.validators.validators().iter().filter(|one| one.institution != id);
        let mut all: Vec<_> = others.cloned().chain(with).collect();
        all.sort_by_key(|one| one.institution);
        check_power(&all)?;
        self.validators = ValidatorSet::new(all).map_err(|why| Fault::new("validator set", why))?;
        Ok(())
    }

    /// Neither a validator nor a party of any committee.
    fn check_spare(&self, id: InstitutionId) -> Result<(), Fault> {
        require(self.validators.get(id).is_none(), "no validator", || id.to_string())?;
        let mut committees = self.committees.values();
        let serves = committees.any(|committee| committee.parties.contains(&id));
        require(!serves, "in no committee", || id.to_string())
    }

    fn set_roles(
        &mut self,
        id: InstitutionId,
        roles: &BTreeSet<Role>,
        from: Height,
    ) -> Result<(), Fault> {
        let register = self.institution(id)?;
        let signs = |purpose| register.key(purpose, from).is_some();
        let seals = register
            .keys
            .iter()
            .any(|(key, active)| *active <= from && matches!(key, PublicKey::Sealing(_)));
        for role in roles {
            let fits = match role {
                Role::Participant => signs(Purpose::Transaction) && signs(Purpose::Round) && seals,
                Role::Coordinator => signs(Purpose::Transaction) && signs(Purpose::Round),
                Role::MpcParty => signs(Purpose::Round) && signs(Purpose::Receipt),
                Role::Validator => signs(Purpose::Vote),
            };
            require(fits, "keys of a role", || format!("{id}: {role:?}"))?;
        }
        let free = |role: Role, named: bool| roles.contains(&role) || !named;
        let decides = self.validators.get(id).is_some();
        let computes = self.committees.values().any(|one| one.parties.contains(&id));
        let issues = self.assets.values().any(|asset| asset.issuer == id);
        let fits = free(Role::Validator, decides)
            && free(Role::MpcParty, computes)
            && free(Role::Participant, issues);
        require(fits, "role in use", || id.to_string())?;
        if let Some(register) = self.institutions.get_mut(&id) {
            register.roles = roles.clone();
        }
        Ok(())
    }

    fn list(&mut self, asset: AssetId, terms: &Asset) -> Result<(), Fault> {
        if let Some(known) = self.assets.get(&asset) {
            let same = known == terms;
            let was_retired = self.retired.remove(&asset).is_some();
            return require(same && was_retired, "listed once", || asset.to_string());
        }
        self.serving(terms.issuer, Role::Participant)?;
        self.assets.insert(asset, *terms);
        require(self.assets.len() <= 4096, "assets", String::new)
    }
}

fn refuse(rule: &'static str, who: &InstitutionId) -> Fault {
    Fault::new(rule, who)
}

/// A list of changes as a record holds it.
pub(crate) fn decision_bytes(changes: &[Change]) -> Vec<u8> {
    let mut out = Writer::new();
    out.list(changes);
    out.into_bytes()
}
