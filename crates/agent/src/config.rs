//! The agent's configuration file.
//!
//! ```toml
//! institution = "BANKZZ01"
//! genesis = "../genesis.json"
//! data = "data"                     # instructions, payments, statements; made if it is missing
//! keys = "keys.age"                 # the institution's secret keys
//! passphrase = "passphrase"         # opens `keys`; readable by its owner only
//! directory = "../directory.toml"   # where the other processes listen
//! # nodes = ["VALDZZ02", "VALDZZ01"] # the validators that are used, in this order; default: all of
//! #                                 # the directory, first its node
//! # log = "info"                    # unless the environment says otherwise (RUST_LOG)
//! # log_format = "text"             # or "json": one object in each line
//! # absorb_after_ms = 200           # how long a credit may wait for a posting to take it along
//! # expiry_blocks = 300             # how many blocks a transaction has to be included
//!
//! [listen]                          # for the bank's own systems
//! address = "127.0.0.1:7100"
//!
//! [listen_peers]                    # for other banks' agents
//! address = "127.0.0.1:7101"
//!
//! [metrics]                         # for Prometheus; none are served without it
//! listen = "127.0.0.1:9464"
//!
//! [tls]
//! certificate = "tls.pem"
//! key = "tls.key"
//!
//! [[tls.trust]]
//! file = "../ca/ca.pem"
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::config::{
    self, Check, ConfigError, Listen, ListenAddress, LogFormat, Reporting, TlsFiles,
};
use quittance_rpc::directory::Directory;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::metrics::MetricsSection;
use quittance_rpc::tls::Tls;
use quittance_rpc::tls::trust::Admission;
use serde::{Deserialize, Serialize};

use crate::lanes::{self, Prover};
use crate::rounds::{Policy, RoundsSection};

/// The longest that a credit may be left to wait: an hour.
const MAX_ABSORB_AFTER_MS: u64 = 3_600_000;

/// The keys that an agent signs with, which the chain must have registered once all of it was read.
pub(crate) const PURPOSES: [Purpose; 2] = [Purpose::Transaction, Purpose::Round];

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentFile {
    /// Whose agent this is.
    pub institution: String,
    /// The genesis, JSON.
    pub genesis: PathBuf,
    /// The folder of the agent's records.
    pub data: PathBuf,
    /// The institution's key file.
    pub keys: PathBuf,
    /// The file with the passphrase of `keys`.
    pub passphrase: PathBuf,
    /// The file with the addresses of the other processes.
    pub directory: PathBuf,
    /// The validators that are used, in this order; all of the directory if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// What is logged, such as `info` or `quittance_agent=debug`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How log lines are written.
    #[serde(default)]
    pub log_format: LogFormat,
    /// A credit that no other posting has taken along by then is absorbed by a posting of its own.
    #[serde(default = "default_absorb_after_ms")]
    pub absorb_after_ms: u64,
    /// For how many blocks a transaction may be included. The chain's own limit counts if it is
    /// lower.
    #[serde(default = "default_expiry_blocks")]
    pub expiry_blocks: u64,
    /// Which netting rounds are joined.
    #[serde(default)]
    pub rounds: RoundsSection,
    /// Where the bank's own systems reach the agent.
    pub listen: Listen,
    /// Where other agents reach it.
    pub listen_peers: Listen,
    /// Where metrics are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSection>,
    /// Its certificate, and whom it trusts.
    pub tls: TlsFiles,
}

fn default_absorb_after_ms() -> u64 {
    200
}

fn default_expiry_blocks() -> u64 {
    300
}

/// The file with everything that it names, checked.
pub struct Config {
    pub(crate) institution: InstitutionId,
    pub(crate) genesis: Genesis,
    pub(crate) data: PathBuf,
    pub(crate) keys: KeyRing,
    pub(crate) directory: Directory,
    pub(crate) absorb_after: Duration,
    pub(crate) expiry_blocks: u64,
    pub(crate) rounds: Policy,
    pub(crate) listen: ListenAddress,
    pub(crate) listen_peers: ListenAddress,
    pub(crate) tls: Tls,
    /// How drafts are proven; the file has no say in it.
    pub(crate) prover: Prover,
    /// What the process tells about itself, from the start.
    pub reporting: Reporting,
}

impl Config {
    /// The process that this is the configuration of.
    pub fn name(&self) -> ProcessName {
        ProcessName { institution: self.institution, process: Process::Agent }
    }

    /// Reads the file and what it names; all that is wrong is reported at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let (read, mut check): (AgentFile, Check) = config::read(file)?;
        let institution = check.take("institution", read.institution.parse::<InstitutionId>());
        let genesis = check.genesis("genesis", &read.genesis);
        let keys = check.key_ring(&read.keys, &read.passphrase, institution);
        if let (Some(keys), Some(genesis)) = (&keys, &genesis) {
            check.suite(keys, genesis);
        }
        let directory = check.directory("directory", &read.directory);
        let directory = directory.map(|all| all.choose("nodes", &read.nodes, &mut check));
        let listen = read.listen.check("listen", &mut check);
        let listen_peers = read.listen_peers.check("listen_peers", &mut check);
        let expected =
            institution.map(|institution| ProcessName { institution, process: Process::Agent });
        let tls = read.tls.check("tls", expected, genesis.as_ref(), &mut check);
        if read.absorb_after_ms > MAX_ABSORB_AFTER_MS {
            check.problem("absorb_after_ms", format!("must be at most {MAX_ABSORB_AFTER_MS}"));
        }
        let longest = genesis.as_ref().map_or(u64::MAX, |genesis| genesis.limits.max_expiry);
        let expiry_blocks = read.expiry_blocks.min(longest);
        if expiry_blocks < 2 {
            check.problem("expiry_blocks", "must be at least 2");
        }
        let rounds = read.rounds.check(&mut check);
        let reporting = Reporting::check(
            read.log,
            read.log_format,
            read.metrics.as_ref(),
            &[("listen", listen), ("listen_peers", listen_peers)],
            &mut check,
        );
        let parts = institution.zip(genesis).zip(keys).zip(directory);
        let data = check.folder("data", &read.data);
        let parts = parts.zip(listen).zip(listen_peers).zip(tls);
        check.finish(parts.map(|(((parts, listen), listen_peers), tls)| {
            let (((institution, genesis), keys), directory) = parts;
            Self {
                institution,
                genesis,
                data,
                keys,
                directory,
                absorb_after: Duration::from_millis(read.absorb_after_ms),
                expiry_blocks,
                rounds,
                listen,
                listen_peers,
                tls,
                prover: lanes::prove,
                reporting,
            }
        }))
    }
}

/// Who may connect to the listener for other agents.
pub(crate) fn agents_only() -> Admission {
    Admission::when(|who| who.is(Process::Agent))
}
