//! Where everybody listens: the file `directory.toml`.
//!
//! ```toml
//! [node]                            # the validator that is used first
//! address = "127.0.0.1:7000"
//! identity = "urn:quittance:VALDZZ01:node"
//!
//! [coordinator]
//! address = "127.0.0.1:7001"
//! identity = "urn:quittance:COORZZ01:coordinator"
//!
//! # [validators]                    # all of them, if there are several; the node is one, and the
//! #                                 # others take its place when it is away
//! # VALDZZ01 = "127.0.0.1:7000"
//!
//! [parties]
//! MPCPZZ01 = "127.0.0.1:7011"
//!
//! [agents]                          # as other agents reach them
//! BANKZZ01 = "127.0.0.1:7101"
//! ```
//!
//! Who answers at an address is checked by certificate, so a wrong address can delay but not
//! deceive.

use std::collections::BTreeMap;
use std::path::Path;

use quittance_ledger::ids::InstitutionId;
use serde::{Deserialize, Serialize};

use crate::config::{self, Check, ConfigError, Remote, Target};
use crate::identity::{Process, ProcessName};

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryFile {
    /// The validator that the others use first.
    pub node: Remote,
    /// The coordinator of rounds.
    pub coordinator: Remote,
    /// Addresses of all validators by institution, if there are several. They take the place of the
    /// node when it is away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub validators: BTreeMap<String, String>,
    /// Addresses of MPC parties by institution.
    #[serde(default)]
    pub parties: BTreeMap<String, String>,
    /// Addresses of agents by institution.
    #[serde(default)]
    pub agents: BTreeMap<String, String>,
}

/// The file, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The validator that the others use first.
    pub node: Target,
    /// The validators that this process uses, in this order: the node, and then the others in the
    /// order of their names, unless [`Directory::choose`] has said otherwise.
    pub nodes: Vec<Target>,
    /// The coordinator of rounds.
    pub coordinator: Target,
    /// All validators, if there are several.
    pub validators: BTreeMap<InstitutionId, Target>,
    /// The MPC parties.
    pub parties: BTreeMap<InstitutionId, Target>,
    /// Agents as other agents reach them.
    pub agents: BTreeMap<InstitutionId, Target>,
}

impl Directory {
    /// Reads the file; all that is wrong is reported at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let (read, mut check): (DirectoryFile, Check) = config::read(file)?;
        let node = of_process(&read.node, "node", Process::Node, &mut check);
        let coordinator =
            of_process(&read.coordinator, "coordinator", Process::Coordinator, &mut check);
        let validators = addresses(&read.validators, "validators", Process::Node, &mut check);
        let parties = addresses(&read.parties, "parties", Process::Party, &mut check);
        let agents = addresses(&read.agents, "agents", Process::Agent, &mut check);
        let directory = node.zip(coordinator);
        check.finish(directory.map(|(node, coordinator)| Self {
            nodes: all_from(&node, &validators),
            node,
            coordinator,
            validators,
            parties,
            agents,
        }))
    }

    /// The process uses the validators with these names, in this order. Nothing changes if there
    /// are none; a name that is wrong is noted at `key`.
    pub fn choose(mut self, key: &str, names: &[String], check: &mut Check) -> Self {
        let mut nodes: Vec<Target> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let key = format!("{key}[{index}]");
            let Some(id) = check.take(key.as_str(), name.parse::<InstitutionId>()) else {
                continue;
            };
            let own = Some(&self.node).filter(|node| node.identity.institution == id);
            match self.validators.get(&id).or(own) {
                Some(node) if nodes.contains(node) => {
                    check.problem(key, format!("{id} is named twice"))
                }
                Some(node) => nodes.push(node.clone()),
                None => check.problem(key, format!("the directory names no validator {id}")),
            }
        }
        if !nodes.is_empty() {
            self.nodes = nodes;
        }
        self
    }
}

/// A validator, and then the others: those after it, and those before.
fn all_from(first: &Target, validators: &BTreeMap<InstitutionId, Target>) -> Vec<Target> {
    let name = first.identity.institution;
    let after = validators.iter().filter(|(id, _)| **id > name);
    let before = validators.iter().filter(|(id, _)| **id < name);
    let others = after.chain(before).map(|(_, target)| target);
    std::iter::once(first).chain(others).cloned().collect()
}

impl Check {
    /// The directory in the file named at `key`, or `None` with all that is wrong noted.
    pub fn directory(&mut self, key: &str, path: &Path) -> Option<Directory> {
        match Directory::load(&self.path(path)) {
            Ok(directory) => Some(directory),
            Err(error) => {
                for problem in error.problems {
                    let reason =
                        format!("{}: {}: {}", error.file.display(), problem.key, problem.reason);
                    self.problem(key, reason);
                }
                None
            }
        }
    }
}

/// A target that must be a process of the kind `process`.
fn of_process(remote: &Remote, key: &str, process: Process, check: &mut Check) -> Option<Target> {
    let target = remote.check(key, check)?;
    if target.identity.process != process {
        let reason =
            format!("{} is not a process of the kind {}", target.identity, process.as_str());
        check.problem(format!("{key}.identity"), reason);
        return None;
    }
    Some(target)
}

/// All entries of a section that are right; what is wrong with the others is noted.
fn addresses(
    section: &BTreeMap<String, String>,
    name: &str,
    process: Process,
    check: &mut Check,
) -> BTreeMap<InstitutionId, Target> {
    let entry = |(id, address): (&String, &String)| {
        let key = format!("{name}.{id}");
        let institution: Option<InstitutionId> = check.take(key.as_str(), id.parse());
        let institution = institution?;
        let identity = ProcessName { institution, process };
        let remote = Remote { address: address.clone(), identity: identity.to_string() };
        remote.check(&key, check).map(|target| (institution, target))
    };
    section.iter().filter_map(entry).collect()
}
