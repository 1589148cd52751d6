//! The coordinator's configuration file.
//!
//! ```toml
//! institution = "COORZZ01"
//! genesis = "../genesis.json"
//! keys = "keys.age"                 # the transaction and round keys are in it
//! passphrase = "passphrase"         # opens `keys`; readable by its owner only
//! directory = "../directory.toml"
//! # nodes = ["VALDZZ02", "VALDZZ01"] # the validators that are used, in this order; default: all of
//! #                                 # the directory, first its node
//! # log = "info"                    # unless the environment says otherwise (RUST_LOG)
//! # log_format = "text"             # or "json": one object in each line
//! # committee = 1                   # who computes; default: the first of the genesis
//! # join_blocks = 200               # how long accounts may join a round
//! # deadline_blocks = 400           # until it must have settled; all locks end then
//! # gather_ms = 15000               # the longest wait for banks to join and deal
//! # compute_ms = 300000             # the longest computation
//! # prove_ms = 60000                # the longest wait for each answer after it
//! # minimum_roster = 2              # the fewest banks that settle with one another
//!
//! [listen]
//! address = "127.0.0.1:7001"
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
//!
//! There is no folder for data: what the coordinator must know after a restart is on the chain.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{CommitteeId, InstitutionId};
use quittance_ledger::state::MAX_MEMBERS;
use quittance_round::coordinator::Timing;
use quittance_rpc::config::{
    self, Check, ConfigError, Listen, ListenAddress, LogFormat, Reporting, TlsFiles,
};
use quittance_rpc::directory::Directory;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::metrics::MetricsSection;
use quittance_rpc::tls::Tls;
use serde::{Deserialize, Serialize};

/// The keys that a coordinator signs with, which the chain must have registered once all of it was
/// read.
pub(crate) const PURPOSES: [Purpose; 2] = [Purpose::Transaction, Purpose::Round];

/// What a phase of a round may last, in milliseconds.
const PHASE_MS: RangeInclusive<u64> = 1..=86_400_000;

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorFile {
    /// Which coordinator this is.
    pub institution: String,
    /// The genesis, JSON.
    pub genesis: PathBuf,
    /// The coordinator's key file.
    pub keys: PathBuf,
    /// The file with the passphrase of `keys`.
    pub passphrase: PathBuf,
    /// Where everybody is.
    pub directory: PathBuf,
    /// The validators that are used, in this order; all of the directory if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// What is logged, such as `info` or `quittance_coordinator=debug`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How log lines are written.
    #[serde(default)]
    pub log_format: LogFormat,
    /// The committee of all rounds; the first of the genesis if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committee: Option<u32>,
    /// Blocks for joining, counted from when a round is opened.
    #[serde(default = "default_join_blocks")]
    pub join_blocks: u64,
    /// Blocks until a round must have settled, counted from when it is opened.
    #[serde(default = "default_deadline_blocks")]
    pub deadline_blocks: u64,
    /// The longest wait for banks to join and to deal.
    #[serde(default = "default_gather_ms")]
    pub gather_ms: u64,
    /// The longest computation.
    #[serde(default = "default_compute_ms")]
    pub compute_ms: u64,
    /// The longest wait for each answer of the banks after it.
    #[serde(default = "default_prove_ms")]
    pub prove_ms: u64,
    /// The fewest banks that settle with one another.
    #[serde(default = "default_minimum_roster")]
    pub minimum_roster: u16,
    /// Where the coordinator listens.
    pub listen: Listen,
    /// Where metrics are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSection>,
    /// Its certificate, and whom it trusts.
    pub tls: TlsFiles,
}

fn default_join_blocks() -> u64 {
    200
}

fn default_deadline_blocks() -> u64 {
    400
}

fn default_gather_ms() -> u64 {
    15_000
}

fn default_compute_ms() -> u64 {
    300_000
}

fn default_prove_ms() -> u64 {
    60_000
}

fn default_minimum_roster() -> u16 {
    2
}

/// How rounds are opened and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) committee: CommitteeId,
    pub(crate) join_blocks: u64,
    pub(crate) deadline_blocks: u64,
    pub(crate) timing: Timing,
    pub(crate) minimum_roster: u16,
}

/// The file with everything that it names, checked.
pub struct Config {
    pub(crate) institution: InstitutionId,
    pub(crate) genesis: Genesis,
    pub(crate) keys: KeyRing,
    pub(crate) directory: Directory,
    pub(crate) rules: Rules,
    pub(crate) listen: ListenAddress,
    pub(crate) tls: Tls,
    /// What the process tells about itself, from the start.
    pub reporting: Reporting,
}

impl Config {
    /// The process that this is the configuration of.
    pub fn name(&self) -> ProcessName {
        ProcessName { institution: self.institution, process: Process::Coordinator }
    }

    /// Reads the file and what it names; all that is wrong is reported at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let (read, mut check): (CoordinatorFile, Check) = config::read(file)?;
        let institution = check.take("institution", read.institution.parse::<InstitutionId>());
        let genesis = check.genesis("genesis", &read.genesis);
        let keys = check.key_ring(&read.keys, &read.passphrase, institution);
        let directory = check.directory("directory", &read.directory);
        let directory = directory.map(|all| all.choose("nodes", &read.nodes, &mut check));
        let rules = genesis.as_ref().and_then(|genesis| rules(&read, genesis, &mut check));
        let listen = read.listen.check("listen", &mut check);
        let process = Process::Coordinator;
        let expected = institution.map(|institution| ProcessName { institution, process });
        let tls = read.tls.check("tls", expected, genesis.as_ref(), &mut check);
        if let (Some(genesis), Some(keys)) = (&genesis, &keys) {
            check.suite(keys, genesis);
        }
        let reporting = Reporting::check(
            read.log,
            read.log_format,
            read.metrics.as_ref(),
            &[("listen", listen)],
            &mut check,
        );
        let parts = institution.zip(genesis).zip(keys).zip(directory).zip(rules);
        let parts = parts.zip(listen).zip(tls);
        check.finish(parts.map(
            |((((((institution, genesis), keys), directory), rules), listen), tls)| Self {
                institution,
                genesis,
                keys,
                directory,
                rules,
                listen,
                tls,
                reporting,
            },
        ))
    }
}

fn rules(read: &CoordinatorFile, genesis: &Genesis, check: &mut Check) -> Option<Rules> {
    let committee = match read.committee.map(CommitteeId) {
        // Whether the chain has it is seen when a round is opened: governance may put it there.
        Some(id) => Some(id),
        None => {
            let first = genesis.committees.keys().next().copied();
            check.take("committee", first.ok_or("the genesis has no committee"))
        }
    };
    let longest = genesis.limits.max_round;
    if !(1..longest).contains(&read.join_blocks) {
        check.problem("join_blocks", format!("must be at least 1 and less than {longest}"));
    }
    if !(read.join_blocks.saturating_add(1)..=longest).contains(&read.deadline_blocks) {
        let reason = format!("must be more than join_blocks, and at most {longest} on this chain");
        check.problem("deadline_blocks", reason);
    }
    let phases = [
        ("gather_ms", read.gather_ms),
        ("compute_ms", read.compute_ms),
        ("prove_ms", read.prove_ms),
    ];
    for (key, milliseconds) in phases {
        if !PHASE_MS.contains(&milliseconds) {
            let (least, most) = (PHASE_MS.start(), PHASE_MS.end());
            check.problem(key, format!("must be between {least} and {most}"));
        }
    }
    if !(2..=MAX_MEMBERS).contains(&usize::from(read.minimum_roster)) {
        check.problem("minimum_roster", format!("must be between 2 and {MAX_MEMBERS}"));
    }
    Some(Rules {
        committee: committee?,
        join_blocks: read.join_blocks,
        deadline_blocks: read.deadline_blocks,
        timing: Timing {
            gather_ms: read.gather_ms,
            compute_ms: read.compute_ms,
            postings_ms: read.prove_ms,
            proof_ms: read.prove_ms,
            signatures_ms: read.prove_ms,
            ..Timing::default()
        },
        minimum_roster: read.minimum_roster,
    })
}
