//! What a trial network consists of: its members, their processes and addresses.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use quittance_crypto::signature::Suite;
use quittance_ledger::ids::{AssetId, InstitutionId};
use quittance_ledger::state::Asset;
use quittance_rpc::identity::{Process, ProcessName};
use thiserror::Error;

use super::names;

/// The most banks of a trial network.
pub const MAX_BANKS: usize = 40;

/// The most validators of a trial network.
pub const MAX_VALIDATORS: u8 = 16;

/// Everything that is decided before a network is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The chain's name.
    pub name: String,
    /// The algorithms.
    pub suite: Suite,
    /// The banks, without the central bank.
    pub banks: Vec<InstitutionId>,
    /// The assets with their decimals. The central bank issues them all.
    pub assets: Vec<(AssetId, u8)>,
    /// How many validators decide on blocks. One decides alone; of several, more than two thirds must
    /// run.
    pub validators: u8,
    /// The first of [`Plan::ports`] consecutive ports of 127.0.0.1.
    pub base_port: u16,
}

/// Why a plan is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Nobody to pay, or more than one machine carries.
    #[error("a network has 2 to {MAX_BANKS} banks, not {0}")]
    Banks(usize),
    /// Nobody to decide, or more than one machine carries.
    #[error("a network has 1 to {MAX_VALIDATORS} validators, not {0}")]
    Validators(u8),
    /// Listed twice.
    #[error("bank {0} is named twice")]
    BankTwice(InstitutionId),
    /// One of the network's own names.
    #[error("bank {0} has the name of one of the network's own institutions")]
    Reserved(InstitutionId),
    /// Nothing to hold.
    #[error("a network has at least one asset")]
    NoAsset,
    /// Listed twice.
    #[error("asset {0} is named twice")]
    AssetTwice(AssetId),
    /// The last port would be above 65535.
    #[error("{ports} ports from {base_port} on are too many: the last port is 65535")]
    Ports {
        /// The first port.
        base_port: u16,
        /// How many are needed.
        ports: u16,
    },
    /// A name in this program is malformed. Cannot happen.
    #[error("{0}")]
    Name(#[from] quittance_ledger::ids::IdError),
}

/// One process of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name in certificates.
    pub name: ProcessName,
    /// Its folder in the network's directory.
    pub folder: String,
    /// Where it listens: an agent for its bank, any other process for everybody.
    pub address: SocketAddr,
    /// Where an agent listens for other agents.
    pub peer_address: Option<SocketAddr>,
    /// Where it serves its metrics.
    pub metrics: SocketAddr,
}

impl Member {
    /// Its folder under `directory`.
    pub fn path(&self, directory: &Path) -> PathBuf {
        directory.join(&self.folder)
    }

    /// Its configuration under `directory`.
    pub fn config(&self, directory: &Path) -> PathBuf {
        self.path(directory).join("config.toml")
    }

    /// The institution whose process it is.
    pub fn institution(&self) -> InstitutionId {
        self.name.institution
    }
}

/// All processes of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The validator that the others use.
    pub node: Member,
    /// The other validators.
    pub validators: Vec<Member>,
    /// The coordinator.
    pub coordinator: Member,
    /// The MPC parties in committee order.
    pub parties: Vec<Member>,
    /// The central bank's agent, then the banks' in the order of the plan.
    pub agents: Vec<Member>,
}

impl Members {
    /// The validators first, then those that need them.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        let others = std::iter::once(&self.coordinator).chain(&self.parties).chain(&self.agents);
        self.nodes().chain(others)
    }

    /// The validators.
    pub fn nodes(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.node).chain(&self.validators)
    }

    /// The agent of an institution.
    pub fn agent(&self, institution: InstitutionId) -> Option<&Member> {
        self.agents.iter().find(|agent| agent.institution() == institution)
    }
}

impl Plan {
    /// How many ports the network needs: two for each agent and one for each other process, and
    /// one more for the metrics of each.
    pub fn ports(&self) -> u16 {
        let (agents, others) = self.processes();
        agents.saturating_mul(3).saturating_add(others.saturating_mul(2))
    }

    /// How many agents the network has, and how many other processes.
    fn processes(&self) -> (u16, u16) {
        let agents = u16::try_from(self.banks.len()).unwrap_or(u16::MAX).saturating_add(1);
        (agents, 1 + u16::from(self.validators) + names::PARTIES.len() as u16)
    }

    /// The assets as the ledger has them.
    pub fn ledger_assets(&self) -> Result<Vec<(AssetId, Asset)>, PlanError> {
        let issuer = names::CENTRAL_BANK.parse()?;
        let asset = |(id, decimals): &(AssetId, u8)| (*id, Asset { issuer, decimals: *decimals });
        Ok(self.assets.iter().map(asset).collect())
    }

    /// Checks the plan and lays the processes out.
    pub fn members(&self) -> Result<Members, PlanError> {
        self.check()?;
        let (agents, others) = self.processes();
        let mut address = addresses(self.base_port);
        // Metrics come last, so that the others are what they are without them.
        let mut metrics = addresses(self.base_port.saturating_add(2 * agents + others));
        let mut member = |id: &str, process: Process| -> Result<Member, PlanError> {
            let institution = id.parse()?;
            let (folder, address, peer_address) = match process {
                Process::Node if id == names::VALIDATOR => ("node".to_owned(), address(), None),
                Process::Node => (format!("node-{id}"), address(), None),
                Process::Coordinator => ("coordinator".to_owned(), address(), None),
                Process::Party => (format!("party-{id}"), address(), None),
                Process::Agent => (format!("agent-{id}"), address(), Some(address())),
            };
            let name = ProcessName { institution, process };
            Ok(Member { name, folder, address, peer_address, metrics: metrics() })
        };
        let node = member(names::VALIDATOR, Process::Node)?;
        let others = names::validators(self.validators).skip(1);
        let validators = others.map(|id| member(&id, Process::Node)).collect::<Result<_, _>>()?;
        let coordinator = member(names::COORDINATOR, Process::Coordinator)?;
        let parties = names::PARTIES.iter().map(|id| member(id, Process::Party));
        let parties = parties.collect::<Result<_, _>>()?;
        let banks = self.banks.iter().map(InstitutionId::as_str);
        let agents = std::iter::once(names::CENTRAL_BANK).chain(banks);
        let agents = agents.map(|id| member(id, Process::Agent)).collect::<Result<_, _>>()?;
        Ok(Members { node, validators, coordinator, parties, agents })
    }

    fn check(&self) -> Result<(), PlanError> {
        if !(2..=MAX_BANKS).contains(&self.banks.len()) {
            return Err(PlanError::Banks(self.banks.len()));
        }
        if !(1..=MAX_VALIDATORS).contains(&self.validators) {
            return Err(PlanError::Validators(self.validators));
        }
        let mut seen = BTreeSet::new();
        if let Some(bank) = self.banks.iter().find(|bank| !seen.insert(**bank)) {
            return Err(PlanError::BankTwice(*bank));
        }
        if let Some(bank) = self.banks.iter().find(|bank| names::is_reserved(**bank)) {
            return Err(PlanError::Reserved(*bank));
        }
        if self.assets.is_empty() {
            return Err(PlanError::NoAsset);
        }
        let mut seen = BTreeSet::new();
        if let Some((asset, _)) = self.assets.iter().find(|(asset, _)| !seen.insert(*asset)) {
            return Err(PlanError::AssetTwice(*asset));
        }
        let (base_port, ports) = (self.base_port, self.ports());
        match base_port.checked_add(ports - 1) {
            Some(_) if base_port > 0 => Ok(()),
            _ => Err(PlanError::Ports { base_port, ports }),
        }
    }
}

/// Addresses of this machine, one after the other; [`Plan::check`] has made sure that there are
/// enough.
fn addresses(first: u16) -> impl FnMut() -> SocketAddr {
    let mut ports = first..=u16::MAX;
    move || SocketAddr::from((Ipv4Addr::LOCALHOST, ports.next().unwrap_or(u16::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn plan() -> Plan {
        Plan {
            name: "trial".to_owned(),
            suite: Suite::MlDsa65MlKem768,
            banks: ["AAAAZZ01", "BBBBZZ01"].map(|id| id.parse().unwrap()).into(),
            assets: vec![("EUR".parse().unwrap(), 2), ("JPY".parse().unwrap(), 0)],
            validators: 1,
            base_port: 7000,
        }
    }

    #[test]
    fn members_are_laid_out_on_consecutive_ports() {
        let members = plan().members().unwrap();
        let lines: Vec<String> = members
            .iter()
            .map(|member| {
                let peers = member.peer_address.map_or(String::new(), |peer| format!(" {peer}"));
                let Member { name, folder, address, metrics, .. } = member;
                format!("{name} {folder} {address}{peers} {}", metrics.port())
            })
            .collect();
        assert_eq!(
            lines,
            [
                "urn:quittance:VALDZZ01:node node 127.0.0.1:7000 7011",
                "urn:quittance:CORDZZ01:coordinator coordinator 127.0.0.1:7001 7012",
                "urn:quittance:MPCAZZ01:party party-MPCAZZ01 127.0.0.1:7002 7013",
                "urn:quittance:MPCBZZ01:party party-MPCBZZ01 127.0.0.1:7003 7014",
                "urn:quittance:MPCCZZ01:party party-MPCCZZ01 127.0.0.1:7004 7015",
                "urn:quittance:CBNKZZ01:agent agent-CBNKZZ01 127.0.0.1:7005 127.0.0.1:7006 7016",
                "urn:quittance:AAAAZZ01:agent agent-AAAAZZ01 127.0.0.1:7007 127.0.0.1:7008 7017",
                "urn:quittance:BBBBZZ01:agent agent-BBBBZZ01 127.0.0.1:7009 127.0.0.1:7010 7018",
            ]
        );
        assert_eq!(plan().ports(), 19);
        let bank = "BBBBZZ01".parse().unwrap();
        assert_eq!(members.agent(bank).unwrap().folder, "agent-BBBBZZ01");
    }

    #[test]
    fn further_validators_follow_the_first() {
        let plan = Plan { validators: 3, ..plan() };
        let members = plan.members().unwrap();
        let of = |member: &Member| format!("{} {}", member.folder, member.address.port());
        let nodes: Vec<_> = members.nodes().map(of).collect();
        assert_eq!(nodes, ["node 7000", "node-VALDZZ02 7001", "node-VALDZZ03 7002"]);
        assert_eq!((members.coordinator.address.port(), plan.ports()), (7003, 23));
    }

    #[test]
    fn impossible_plans_are_refused() {
        let refused = |change: &dyn Fn(&mut Plan)| {
            let mut plan = plan();
            change(&mut plan);
            plan.members().unwrap_err().to_string()
        };
        assert_eq!(refused(&|p| p.banks.truncate(1)), "a network has 2 to 40 banks, not 1");
        assert_eq!(refused(&|p| p.banks.push(p.banks[0])), "bank AAAAZZ01 is named twice");
        assert_eq!(
            refused(&|p| p.banks[1] = names::PARTIES[2].parse().unwrap()),
            "bank MPCCZZ01 has the name of one of the network's own institutions"
        );
        assert_eq!(refused(&|p| p.validators = 0), "a network has 1 to 16 validators, not 0");
        assert_eq!(
            refused(&|p| p.banks[0] = "VALDZZ07".parse().unwrap()),
            "bank VALDZZ07 has the name of one of the network's own institutions"
        );
        assert_eq!(refused(&|p| p.assets.clear()), "a network has at least one asset");
        assert_eq!(refused(&|p| p.assets.push(p.assets[0])), "asset EUR is named twice");
        assert_eq!(
            refused(&|p| p.base_port = 65518),
            "19 ports from 65518 on are too many: the last port is 65535"
        );
        let mut highest = plan();
        highest.base_port = 65517;
        assert_eq!(highest.members().unwrap().agents[2].metrics.port(), 65535);
    }

    #[test]
    fn the_most_banks_have_names() {
        let mut plan = plan();
        plan.banks = names::banks(MAX_BANKS as u8).map(|id| id.parse().unwrap()).collect();
        assert_eq!(plan.members().unwrap().agents.len(), 41);
        assert_eq!(plan.banks[39].as_str(), "BANKZZ40");
    }
}
