//! The demonstration's network: its files, its processes, and connections to its agents.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quittance_crypto::signature::Suite;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::Limits;
use quittance_rpc::identity::Process;
use quittance_rpc::ports;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::bank::Bank;
use super::error::DemoError;
use super::input::Input;
use super::progress::Stage;
use crate::supervisor::Supervisor;
use crate::testnet;
use crate::testnet::plan::{Member, Members, Plan};
use crate::up;

/// How long a process may take until it is ready.
const START: Duration = Duration::from_secs(120);

/// How often something is asked that is waited for.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// A network on this machine. Its processes end with it.
pub struct Network {
    directory: PathBuf,
    members: Members,
    processes: RefCell<Supervisor>,
}

impl Network {
    /// Makes the files of a network for `input`: its banks, its currencies; by the algorithms of
    /// `suite`, decided on by so many validators.
    pub fn make(
        input: &Input,
        suite: Suite,
        validators: u8,
        directory: &Path,
    ) -> Result<Self, DemoError> {
        let assets = input.currencies().into_iter().map(|currency| {
            let id = currency.code().parse().map_err(testnet::plan::PlanError::Name)?;
            Ok((id, currency.decimals()))
        });
        let assets = assets.collect::<Result<_, testnet::TestnetError>>()?;
        let plan = Plan {
            name: "demonstration".to_owned(),
            suite,
            banks: input.banks().into_iter().collect(),
            assets,
            validators,
            base_port: 0,
        };
        Self::of(plan, Limits::default(), directory)
    }

    /// Makes the files of a network by `plan`, on ports that are free, with these limits on the
    /// ledger.
    pub fn of(mut plan: Plan, limits: Limits, directory: &Path) -> Result<Self, DemoError> {
        let count = plan.ports();
        plan.base_port = ports::free_range(count).ok_or(DemoError::Ports(count))?;
        let members = testnet::create_within(&plan, limits, directory)?;
        let processes = RefCell::new(Supervisor::new(up::GRACE));
        Ok(Self { directory: directory.to_owned(), members, processes })
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its processes' names, folders and addresses.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Starts all processes, the validators first, and waits until each is ready.
    pub async fn start(&self, stage: &Stage) -> Result<(), DemoError> {
        for node in self.members.nodes() {
            self.launch(node)?;
        }
        self.wait_for(&self.members.node).await?;
        for member in self.members.iter().skip(1 + self.members.validators.len()) {
            self.launch(member)?;
        }
        for (number, member) in self.members.iter().enumerate() {
            stage.note(&format!("{number} of {} are ready", self.members.iter().count()));
            self.wait_for(member).await?;
        }
        Ok(())
    }

    /// Starts the validators alone, and waits until each is ready.
    pub async fn start_nodes(&self, stage: &Stage) -> Result<(), DemoError> {
        for node in self.members.nodes() {
            self.launch(node)?;
        }
        let count = self.members.nodes().count();
        for (number, node) in self.members.nodes().enumerate() {
            stage.note(&format!("{number} of {count} are ready"));
            self.wait_for(node).await?;
        }
        Ok(())
    }

    /// The ids of the processes under way.
    pub fn processes(&self) -> Vec<u32> {
        self.processes.borrow().ids().into_iter().map(|(_, id)| id).collect()
    }

    /// Starts one process with the command that an operator would use.
    fn launch(&self, member: &Member) -> Result<(), DemoError> {
        let command = up::command(subcommand(member.name.process), &member.config(&self.directory))
            .map_err(|reason| DemoError::File { path: "/proc/self/exe".into(), reason })?;
        let log = member.path(&self.directory).join("log");
        Ok(self.processes.borrow_mut().start(&member.folder, command, &log)?)
    }

    /// Waits until a process listens, and an agent also says that it is ready.
    async fn wait_for(&self, member: &Member) -> Result<(), DemoError> {
        let mut bank = match member.name.process {
            Process::Agent => Some(self.bank(member.institution())?),
            _ => None,
        };
        let began = Instant::now();
        loop {
            let listening = TcpStream::connect(member.address).await;
            let answer = match (listening, &mut bank) {
                (Err(error), _) => Err(error.to_string()),
                (Ok(_), None) => Ok(()),
                (Ok(_), Some(bank)) => bank.ready().await,
            };
            match answer {
                Ok(()) => return Ok(()),
                Err(reason) if began.elapsed() > START => {
                    let process = member.folder.clone();
                    return Err(DemoError::NotReady { process, seconds: START.as_secs(), reason });
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// A connection to a bank's agent.
    pub fn bank(&self, id: InstitutionId) -> Result<Bank, DemoError> {
        match self.members.agent(id) {
            Some(agent) => Bank::new(&self.directory, agent),
            None => Err(DemoError::Answer { bank: id, what: "nothing: it has no agent".into() }),
        }
    }

    /// Ends with an error as soon as a process has ended; never otherwise.
    pub async fn watch(&self) -> DemoError {
        loop {
            if let Err(error) = self.processes.borrow_mut().check() {
                return error.into();
            }
            sleep(POLL).await;
        }
    }

    /// Stops all processes. Returns the names of those that had to be killed.
    pub async fn stop(&self) -> Vec<String> {
        let mut processes = self.processes.replace(Supervisor::new(up::GRACE));
        // Elsewhere, so that connections can end here: servers wait for that.
        let stopped = tokio::task::spawn_blocking(move || processes.stop()).await;
        // It panics only by a defect of this program; then dropping it has stopped them.
        stopped.unwrap_or_default()
    }
}

/// The subcommand that runs a process.
pub fn subcommand(process: Process) -> &'static str {
    match process {
        Process::Node => "node",
        Process::Coordinator => "coordinator",
        Process::Party => "mpc-party",
        Process::Agent => "agent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_started_as_an_operator_would() {
        let words = Process::ALL.map(subcommand);
        assert_eq!(words, ["agent", "node", "mpc-party", "coordinator"]);
    }
}
