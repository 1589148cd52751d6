//! Networks for trying out: every key, certificate and configuration of one, made in one folder.
//!
//! | path | content |
//! | --- | --- |
//! | `genesis.json` | what the chain begins with |
//! | `directory.toml` | where each process listens |
//! | `ca/ca.pem`, `ca/ca.key` | the authority behind all certificates |
//! | `<process>/config.toml` | the configuration of `node`, `node-<id>`, `coordinator`, `party-<id>`, `agent-<id>` |
//! | `<process>/tls.pem`, `tls.key` | its certificate |
//! | `<process>/keys.age`, `passphrase` | its institution's secret keys, encrypted, and the passphrase |
//! | `<process>/data/` | what it stores; made by the process; the coordinator has none |
//! | `clients/<bank>.pem`, `.key` | certificate of the bank's own systems, with all roles |
//! | `auditor.pem`, `auditor.key` | certificate of an auditor |
//!
//! One machine holds the secrets of all: this is for trying out, never for money.

mod configs;
mod files;
mod keys;
pub mod names;
pub mod plan;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use quittance_crypto::keyfile::KeyFileError;
use quittance_crypto::signature::Purpose;
use quittance_ledger::certificate::{Validator, ValidatorSet, ValidatorSetError};
use quittance_ledger::genesis::{Genesis, GenesisError};
use quittance_ledger::ids::{CommitteeId, InstitutionId, Timestamp};
use quittance_ledger::state::{Committee, Limits};
use quittance_rpc::identity::{Identity, Process, Role, Roles};
use quittance_rpc::tls::issue::{Authority, IssueError, Issued};
use thiserror::Error;

use files::WriteError;
use keys::Keys;
use plan::{Member, Members, Plan, PlanError};

/// The MPC parties that may be corrupt: fewer than half of three.
const THRESHOLD: u8 = 1;

/// Why a network could not be made. What was written until then stays.
#[derive(Debug, Error)]
pub enum TestnetError {
    /// The plan makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] IssueError),
    /// A key file could not be made.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The parts do not make a chain.
    #[error("genesis: {0}")]
    Genesis(#[from] GenesisError),
    /// The validators do not make a set.
    #[error("genesis: {0}")]
    Validators(#[from] ValidatorSetError),
    /// The genesis has no text.
    #[error("genesis: {0}")]
    Json(#[from] serde_json::Error),
}

/// Makes the network of `plan` in `directory`, which must be empty or not there yet.
pub fn create(plan: &Plan, directory: &Path) -> Result<Members, TestnetError> {
    create_within(plan, Limits::default(), directory)
}

/// The same, where the ledger has these limits.
pub fn create_within(
    plan: &Plan,
    limits: Limits,
    directory: &Path,
) -> Result<Members, TestnetError> {
    let members = plan.members()?;
    files::empty_folder(directory)?;
    let mut keys = BTreeMap::new();
    for member in members.iter() {
        keys.insert(member.institution(), Keys::generate(member.institution(), plan.suite)?);
    }
    let genesis = Genesis { limits, ..genesis(plan, &members, &keys)? };
    genesis.check()?;
    files::public(&directory.join("genesis.json"), serde_json::to_string_pretty(&genesis)? + "\n")?;
    files::public(&directory.join("directory.toml"), configs::directory(&members))?;
    let authority = authority(plan, directory)?;
    for member in members.iter() {
        if let Some(keys) = keys.get(&member.institution()) {
            let config = configs::process(member, &members);
            process(directory, member, config, keys, &authority)?;
        }
    }
    clients(directory, &members, &authority)?;
    Ok(members)
}

fn genesis(
    plan: &Plan,
    members: &Members,
    keys: &BTreeMap<InstitutionId, Keys>,
) -> Result<Genesis, TestnetError> {
    let mut institutions = BTreeMap::new();
    let mut validators = Vec::new();
    for member in members.iter() {
        let institution = member.institution();
        let Some(keys) = keys.get(&institution) else { continue };
        institutions.insert(institution, keys.registered(member.name.process));
        if member.name.process == Process::Node {
            let key = keys.verifying_key(Purpose::Vote);
            validators.push(Validator { institution, key, power: 1 });
        }
    }
    let parties = members.parties.iter().map(Member::institution).collect();
    let committee = Committee { parties, threshold: THRESHOLD };
    Ok(Genesis {
        name: plan.name.clone(),
        time: now(),
        suite: plan.suite,
        institutions,
        assets: plan.ledger_assets()?.into_iter().collect(),
        validators: ValidatorSet::new(validators)?,
        committees: BTreeMap::from([(CommitteeId(1), committee)]),
        limits: Limits::default(),
    })
}

fn now() -> Timestamp {
    // A clock before 1970 makes a chain that begins in 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis().try_into().unwrap_or(u64::MAX))
}

fn authority(plan: &Plan, directory: &Path) -> Result<Authority, TestnetError> {
    let authority = Authority::create(&format!("Trial network {}", plan.name))?;
    let folder = directory.join("ca");
    files::folder(&folder)?;
    files::public(&folder.join("ca.pem"), authority.certificate_pem())?;
    files::secret(&folder.join("ca.key"), authority.key_pem().as_bytes())?;
    Ok(authority)
}

fn process(
    directory: &Path,
    member: &Member,
    config: String,
    keys: &Keys,
    authority: &Authority,
) -> Result<(), TestnetError> {
    let folder = member.path(directory);
    files::folder(&folder)?;
    files::public(&folder.join("config.toml"), config)?;
    files::secret(&folder.join("keys.age"), keys.file()?)?;
    files::secret(&folder.join("passphrase"), keys.passphrase.as_bytes())?;
    let host = member.address.ip().to_string();
    let issued = authority.issue(Identity::Process(member.name), &[&host, "localhost"])?;
    certificate(&folder, "tls", &issued)
}

/// Certificates of the banks' own systems and of an auditor.
fn clients(directory: &Path, members: &Members, authority: &Authority) -> Result<(), TestnetError> {
    let folder = directory.join("clients");
    files::folder(&folder)?;
    let client = |institution, roles: &[Role]| {
        authority.issue(Identity::Client { institution, roles: Roles::of(roles) }, &[])
    };
    for agent in &members.agents {
        let issued = client(agent.institution(), &Role::ALL)?;
        certificate(&folder, agent.institution().as_str(), &issued)?;
    }
    let auditor = names::AUDITOR.parse().map_err(PlanError::Name)?;
    certificate(directory, "auditor", &client(auditor, &[Role::Audit])?)
}

fn certificate(folder: &Path, name: &str, issued: &Issued) -> Result<(), TestnetError> {
    files::public(&folder.join(format!("{name}.pem")), &issued.certificate_pem)?;
    files::secret(&folder.join(format!("{name}.key")), issued.key_pem.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests;
