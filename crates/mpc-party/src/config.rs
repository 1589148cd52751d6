//! The party's configuration file.
//!
//! ```toml
//! institution = "MPCAZZ01"
//! genesis = "../genesis.json"
//! data = "data"                     # signed receipts; made if it is missing
//! keys = "keys.age"                 # the round and receipt keys are in it
//! passphrase = "passphrase"         # opens `keys`; readable by its owner only
//! directory = "../directory.toml"   # where the other processes listen
//! # nodes = ["VALDZZ02", "VALDZZ01"] # the validators that are used, in this order; default: all of
//! #                                 # the directory, first its node
//! # log = "info"                    # unless the environment says otherwise (RUST_LOG)
//! # log_format = "text"             # or "json": one object in each line
//! # compute_ms = 240000             # the longest computation; less than at the coordinator
//!
//! # [preprocessing]                 # made ahead of rounds, with the other parties
//! # folder = "stock"                # encrypted; not to be backed up
//! # batches = 4                     # so many are kept ready; with 0, none is made or used
//! # comparisons = 1024              # in each batch; party 1 of the committee decides, as long as
//! # bits = 16384                    # no other party has set less
//!
//! [listen]
//! address = "127.0.0.1:7002"
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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::config::{
    self, Check, ConfigError, Listen, ListenAddress, LogFormat, Reporting, Target, TlsFiles,
};
use quittance_rpc::directory::Directory;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::metrics::MetricsSection;
use quittance_rpc::tls::Tls;
use serde::{Deserialize, Serialize};

use crate::stock::settings::{PreprocessingSection, Settings};

/// The longest time limit of a computation: an hour.
const MAX_COMPUTE_MS: u64 = 3_600_000;

/// The keys that a party signs with, which the chain must have registered once all of it was read.
pub(crate) const PURPOSES: [Purpose; 2] = [Purpose::Round, Purpose::Receipt];

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyFile {
    /// Which party this is.
    pub institution: String,
    /// The genesis, JSON.
    pub genesis: PathBuf,
    /// The folder of the party's records.
    pub data: PathBuf,
    /// The party's key file.
    pub keys: PathBuf,
    /// The file with the passphrase of `keys`.
    pub passphrase: PathBuf,
    /// The file with the addresses of the other processes.
    pub directory: PathBuf,
    /// The validators that are used, in this order; all of the directory if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// What is logged, such as `info` or `quittance_mpc_party=debug`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How log lines are written.
    #[serde(default)]
    pub log_format: LogFormat,
    /// After so many milliseconds a computation is given up.
    #[serde(default = "default_compute_ms")]
    pub compute_ms: u64,
    /// What is made ahead of rounds.
    #[serde(default)]
    pub preprocessing: PreprocessingSection,
    /// Where banks and the other parties reach this one.
    pub listen: Listen,
    /// Where metrics are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSection>,
    /// Its certificate, and whom it trusts.
    pub tls: TlsFiles,
}

/// Less than the coordinator's default, so that a party says whom it has waited for before the
/// coordinator's own time is over.
fn default_compute_ms() -> u64 {
    240_000
}

/// The file with everything that it names, checked.
pub struct Config {
    pub(crate) institution: InstitutionId,
    pub(crate) genesis: Genesis,
    pub(crate) data: PathBuf,
    pub(crate) keys: KeyRing,
    pub(crate) nodes: Vec<Target>,
    pub(crate) coordinator: Target,
    /// The other parties.
    pub(crate) others: BTreeMap<InstitutionId, Target>,
    pub(crate) compute: Duration,
    pub(crate) preprocessing: Option<Settings>,
    pub(crate) listen: ListenAddress,
    pub(crate) tls: Tls,
    /// What the process tells about itself, from the start.
    pub reporting: Reporting,
}

impl Config {
    /// The process that this is the configuration of.
    pub fn name(&self) -> ProcessName {
        ProcessName { institution: self.institution, process: Process::Party }
    }

    /// Reads the file and what it names; all that is wrong is reported at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let (read, mut check): (PartyFile, Check) = config::read(file)?;
        let institution = check.take("institution", read.institution.parse::<InstitutionId>());
        let genesis = check.genesis("genesis", &read.genesis);
        let keys = check.key_ring(&read.keys, &read.passphrase, institution);
        let directory = check.directory("directory", &read.directory);
        let directory = directory.map(|all| all.choose("nodes", &read.nodes, &mut check));
        let listen = read.listen.check("listen", &mut check);
        let process = Process::Party;
        let expected = institution.map(|institution| ProcessName { institution, process });
        let tls = read.tls.check("tls", expected, genesis.as_ref(), &mut check);
        if !(1..=MAX_COMPUTE_MS).contains(&read.compute_ms) {
            check.problem("compute_ms", format!("must be between 1 and {MAX_COMPUTE_MS}"));
        }
        let named = institution.zip(genesis.as_ref());
        if let (Some((_, genesis)), Some(keys)) = (named, &keys) {
            check.suite(keys, genesis);
        }
        let others = named.zip(directory.as_ref()).map(|((institution, genesis), directory)| {
            others(institution, genesis, directory, &mut check)
        });
        let reporting = Reporting::check(
            read.log,
            read.log_format,
            read.metrics.as_ref(),
            &[("listen", listen)],
            &mut check,
        );
        let data = check.folder("data", &read.data);
        let preprocessing = read.preprocessing.check("preprocessing", &mut check);
        let parts = institution.zip(genesis).zip(keys).zip(directory).zip(others);
        check.finish(parts.zip(listen).zip(tls).map(|((parts, listen), tls)| {
            let ((((institution, genesis), keys), directory), others) = parts;
            let Directory { nodes, coordinator, .. } = directory;
            let compute = Duration::from_millis(read.compute_ms);
            Self {
                institution,
                genesis,
                data,
                keys,
                nodes,
                coordinator,
                others,
                compute,
                preprocessing,
                listen,
                tls,
                reporting,
            }
        }))
    }
}

/// Where other parties are: those of this one's committees in the genesis at least. Who computes
/// later is for governance to say.
fn others(
    institution: InstitutionId,
    genesis: &Genesis,
    directory: &Directory,
    check: &mut Check,
) -> BTreeMap<InstitutionId, Target> {
    let own = genesis.committees.values().filter(|it| it.parties.contains(&institution));
    for member in own.flat_map(|it| &it.parties).collect::<BTreeSet<_>>() {
        if *member != institution && !directory.parties.contains_key(member) {
            check.problem("directory", format!("it does not say where {member} is"));
        }
    }
    let mut others = directory.parties.clone();
    others.remove(&institution);
    others
}
