//! A whole network of real processes, each of which can be killed and started again.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use quittance_cli::client;
use quittance_cli::demo::bank::Bank;
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::network::subcommand;
use quittance_cli::demo::report::Audit;
use quittance_cli::demo::run::audit_arguments;
use quittance_cli::supervisor::Supervisor;
use quittance_cli::testnet;
use quittance_cli::testnet::names;
use quittance_cli::testnet::plan::{Member, Members, Plan};
use quittance_crypto::signature::Suite;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::identity::Process;
use quittance_rpc::limits::Limits;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::binaries::program;

/// More than any single thing takes here.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is asked that is waited for.
pub const POLL: Duration = Duration::from_millis(40);

/// How long all processes together may take to end when they are told to.
const GRACE: Duration = Duration::from_secs(15);

/// Below the ports of every other network of these tests, see [`quittance_rpc::ports`].
const FIRST_PORT: u16 = 10_000;

/// Ports that one network keeps for itself, and how many such places there are.
const SLOT: u16 = 64;
const SLOTS: u16 = 100;

/// A network on this machine, with euros. Its processes end with it.
pub struct Network {
    home: TempDir,
    /// Names, folders and addresses of its processes.
    pub members: Members,
    processes: Supervisor,
    /// A copy of the program: what is started again is the same, whatever is built meanwhile.
    program: PathBuf,
    /// What its processes log.
    log: &'static str,
    /// Listens at the first port of the network's place, so that no other network takes the place.
    _guard: TcpListener,
}

/// A place with `count` free ports, and what keeps it.
fn reserve(count: u16) -> (TcpListener, u16) {
    assert!(count < SLOT, "too many ports");
    let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
    for first in (0..SLOTS).map(|slot| FIRST_PORT + slot * SLOT) {
        let Some(guard) = listen(first) else { continue };
        if (1..=count).all(|offset| listen(first + offset).is_some()) {
            return (guard, first + 1);
        }
    }
    panic!("no free ports");
}

/// The ids of these names.
pub fn ids(names: &[&str]) -> Vec<InstitutionId> {
    names.iter().map(|name| name.parse().expect("the tests use valid names")).collect()
}

impl Network {
    /// The files of a network of these banks; nothing is started. `log` is what its processes log.
    pub fn make(name: &str, banks: &[&str], log: &'static str) -> Self {
        Self::of_suite(Suite::MlDsa65MlKem768, name, banks, log)
    }

    /// The same, by the algorithms of `suite`.
    pub fn of_suite(suite: Suite, name: &str, banks: &[&str], log: &'static str) -> Self {
        Self::planned(Self::plan(suite, name, banks), log)
    }

    /// The same, of so many validators.
    pub fn of_validators(validators: u8, name: &str, banks: &[&str], log: &'static str) -> Self {
        let plan = Self::plan(Suite::MlDsa65MlKem768, name, banks);
        Self::planned(Plan { validators, ..plan }, log)
    }

    fn plan(suite: Suite, name: &str, banks: &[&str]) -> Plan {
        Plan {
            name: name.to_owned(),
            suite,
            banks: ids(banks),
            assets: vec![("EUR".parse().expect("a code"), 2)],
            validators: 1,
            base_port: 1,
        }
    }

    fn planned(mut plan: Plan, log: &'static str) -> Self {
        let (guard, base_port) = reserve(plan.ports());
        plan.base_port = base_port;
        let home = tempfile::tempdir().expect("a folder");
        let members = testnet::create(&plan, home.path()).expect("a network");
        let copy = home.path().join("quittance");
        // By another process: a file that is open for writing here cannot be run, and a child that
        // another thread is starting just now would hold it open for a moment longer.
        let copied = Command::new("cp").arg(program("quittance")).arg(&copy).status();
        assert!(copied.expect("cp runs").success(), "no copy of the program");
        let processes = Supervisor::new(GRACE);
        Self { home, members, processes, program: copy, log, _guard: guard }
    }

    /// Adds settings to the configuration of a process.
    pub fn configure(&self, member: &Member, settings: &str) {
        let config = member.config(self.directory());
        let text = std::fs::read_to_string(&config).expect("a configuration");
        std::fs::write(config, format!("{settings}\n{text}")).expect("a configuration");
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// Starts one process with the command that an operator would use.
    pub fn start(&mut self, member: &Member) {
        let mut command = Command::new(&self.program);
        command.arg(subcommand(member.name.process)).arg("--config");
        command.arg(member.config(self.home.path())).arg("--stop-with-parent");
        command.env("RUST_LOG", self.log);
        let log = member.path(self.home.path()).join("log");
        self.processes.start(&member.folder, command, &log).expect("a process");
    }

    /// Starts all processes, the validator first, and waits until each is ready.
    pub async fn start_all(&mut self) {
        let members: Vec<Member> = self.members.iter().cloned().collect();
        for member in &members {
            self.start(member);
            if member.name.process == Process::Node {
                self.ready(member).await;
            }
        }
        for member in &members {
            self.ready(member).await;
        }
    }

    /// Kills a process (SIGKILL).
    pub fn kill(&mut self, member: &Member) {
        assert!(self.processes.kill(&member.folder), "{} does not run", member.folder);
    }

    /// Tells a process to end, and waits until it has, as it does by itself.
    pub fn end(&mut self, member: &Member) {
        let status = self.processes.end(&member.folder);
        let well = status.is_some_and(|status| status.success());
        assert!(well, "{} ends in good order: {status:?}", member.folder);
    }

    /// Kills processes and starts them again at once, in this order. Waits until they are ready.
    pub async fn restart(&mut self, members: &[Member]) {
        members.iter().for_each(|member| self.kill(member));
        members.iter().for_each(|member| self.start(member));
        for member in members {
            self.ready(member).await;
        }
    }

    /// Panics with its last words if a process has ended by itself.
    pub fn check(&mut self) {
        if let Err(error) = self.processes.check() {
            panic!("{error}");
        }
    }

    /// Waits until a process listens, and an agent also says that it is ready.
    pub async fn ready(&mut self, member: &Member) {
        let deadline = Instant::now() + PATIENCE;
        let mut bank = match member.name.process {
            Process::Agent => Some(self.bank(member.institution())),
            _ => None,
        };
        loop {
            self.check();
            let listening = TcpStream::connect(member.address).await;
            let answer = match (listening, &mut bank) {
                (Err(error), _) => Err(error.to_string()),
                (Ok(_), None) => return,
                (Ok(_), Some(bank)) => bank.ready().await,
            };
            match answer {
                Ok(()) => return,
                Err(reason) if Instant::now() > deadline => {
                    panic!("{} is not ready: {reason}", member.folder)
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// Ids of the processes under way, with the names of their folders.
    pub fn processes(&self) -> Vec<(String, u32)> {
        self.processes.ids()
    }

    /// Tells all processes to end. All do so by themselves.
    pub fn stop(&mut self) {
        self.check();
        assert_eq!(self.processes.stop(), [""; 0], "all end when they are told to");
    }

    /// The process that serves a bank.
    pub fn agent(&self, bank: InstitutionId) -> Member {
        self.members.agent(bank).expect("a bank of the network").clone()
    }

    /// A connection to a bank's agent.
    pub fn bank(&self, bank: InstitutionId) -> Bank {
        Bank::new(self.directory(), &self.agent(bank)).expect("certificates")
    }

    /// A connection to the central bank's agent.
    pub fn central_bank(&self) -> Bank {
        self.bank(names::CENTRAL_BANK.parse().expect("a name"))
    }

    /// Calls as an auditor does.
    pub fn auditor(&self) -> Dialer {
        let file = |name: &str| self.directory().join(name);
        let tls =
            client::credentials(&file("auditor.pem"), &file("auditor.key"), &file("ca/ca.pem"));
        Dialer::new(tls.expect("certificates"), Limits::default())
    }

    /// The validator.
    pub fn node(&self) -> Target {
        let Member { name, address, .. } = &self.members.node;
        Target { address: address.to_string(), identity: *name }
    }

    /// What the chain began with.
    pub fn genesis(&self) -> Genesis {
        let text = std::fs::read(self.directory().join("genesis.json")).expect("a genesis");
        serde_json::from_slice(&text).expect("a genesis")
    }

    /// Credits each bank with euros (in minor units), and waits until the agents have absorbed them.
    pub async fn fund(&mut self, amounts: &[(InstitutionId, u64)]) {
        let mut central = self.central_bank();
        central.transfer("funding", Currency::Eur, amounts).await.expect("funding");
        for (bank, amount) in amounts {
            let expected = Currency::Eur.format(*amount);
            let mut bank = self.bank(*bank);
            let deadline = Instant::now() + PATIENCE;
            while bank.account(Currency::Eur).await.expect("an account").balance != expected {
                self.check();
                assert!(Instant::now() < deadline, "{} does not absorb", bank.id);
                sleep(POLL).await;
            }
        }
    }

    /// The auditor's program replays and verifies the whole chain.
    pub fn audit(&self) {
        let arguments = audit_arguments(self.directory(), &self.members.node.address.to_string());
        let output = Command::new(program("quittance-audit")).args(arguments).output();
        let output = output.expect("the auditor runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(Audit::parse(&said).expect("the auditor's JSON").verdict.verified, "{said}");
    }
}

/// What went wrong is in the logs: they stay when a test fails.
impl Drop for Network {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.home.disable_cleanup(true);
            eprintln!("the files of the network are kept in {}", self.home.path().display());
        }
    }
}
