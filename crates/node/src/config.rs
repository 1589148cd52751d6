//! The node's configuration file.
//!
//! ```toml
//! institution = "VALDZZ01"
//! genesis = "../genesis.json"
//! data = "data"                     # the chain; made if it is missing
//! keys = "keys.age"                 # the vote key is in it
//! passphrase = "passphrase"         # opens `keys`; readable by its owner only
//! # directory = "../directory.toml" # where the other validators listen, if there are any
//! # votes = true                    # false for one that has lost its folder, for a while
//! # log = "info"                    # unless the environment says otherwise (RUST_LOG)
//! # log_format = "text"             # or "json": one object in each line
//! # min_block_interval_ms = 20
//! # heartbeat_ms = 1000
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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quittance_consensus::{Clock, Pace};
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::config::{
    self, Check, ConfigError, Listen, ListenAddress, LogFormat, Reporting, Target, TlsFiles,
};
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::metrics::MetricsSection;
use quittance_rpc::tls::Tls;
use serde::{Deserialize, Serialize};

/// The longest heartbeat: an hour.
const MAX_HEARTBEAT_MS: u64 = 3_600_000;

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// Which validator this is.
    pub institution: String,
    /// The genesis, JSON.
    pub genesis: PathBuf,
    /// The folder of the chain.
    pub data: PathBuf,
    /// The validator's key file.
    pub keys: PathBuf,
    /// The file with the passphrase of `keys`.
    pub passphrase: PathBuf,
    /// Where the other validators listen; not needed by one that decides alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Whether it votes. `false` for a validator that has lost its folder, until the chain has gone on
    /// by a height from where it stood then: it may have voted there already.
    #[serde(default = "default_votes", skip_serializing_if = "Clone::clone")]
    pub votes: bool,
    /// What is logged, such as `info` or `quittance_node=debug`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How log lines are written.
    #[serde(default)]
    pub log_format: LogFormat,
    /// The least time between two blocks; see [`Pace::min_interval`].
    #[serde(default = "default_min_block_interval_ms")]
    pub min_block_interval_ms: u64,
    /// The longest time between two blocks; see [`Pace::heartbeat`].
    #[serde(default = "default_heartbeat_ms")]
    pub heartbeat_ms: u64,
    /// Where the node listens.
    pub listen: Listen,
    /// Where metrics are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSection>,
    /// Its certificate, and whom it trusts.
    pub tls: TlsFiles,
}

fn default_votes() -> bool {
    true
}

fn default_min_block_interval_ms() -> u64 {
    20
}

fn default_heartbeat_ms() -> u64 {
    1000
}

/// The file with everything that it names, checked.
pub struct Config {
    pub(crate) institution: InstitutionId,
    pub(crate) genesis: Genesis,
    pub(crate) data: PathBuf,
    /// All that were ever in the key file, the newest last; never empty.
    pub(crate) vote_keys: Vec<SigningKey>,
    pub(crate) pace: Pace,
    pub(crate) votes: bool,
    pub(crate) others: BTreeMap<InstitutionId, Target>,
    pub(crate) listen: ListenAddress,
    pub(crate) tls: Tls,
    /// What its proposals are dated and those of others are measured by: the system's clock, if
    /// nobody sets another.
    pub clock: Clock,
    /// What the process tells about itself, from the start.
    pub reporting: Reporting,
}

impl Config {
    /// The process that this is the configuration of.
    pub fn name(&self) -> ProcessName {
        ProcessName { institution: self.institution, process: Process::Node }
    }

    /// Reads the file and what it names; all that is wrong is reported at once.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let (read, mut check): (NodeFile, Check) = config::read(file)?;
        let institution = check.take("institution", read.institution.parse::<InstitutionId>());
        let genesis = check.genesis("genesis", &read.genesis);
        let ring = check.key_ring(&read.keys, &read.passphrase, institution);
        // Which key a validator has is for the chain to say, which may have changed it since.
        if let (Some(ring), Some(genesis)) = (&ring, &genesis) {
            check.suite(ring, genesis);
        }
        let vote_keys = ring.map(|ring| {
            let keys = ring.signing_keys(Purpose::Vote).iter();
            keys.map(|key| SigningKey::from_seed(ring.suite(), key.seed())).collect()
        });
        let pace = pace(&read, &mut check);
        let directory = read.directory.as_deref().map(|file| check.directory("directory", file));
        let mut others = directory.flatten().map(|it| it.validators).unwrap_or_default();
        institution.inspect(|own| drop(others.remove(own)));
        let listen = read.listen.check("listen", &mut check);
        let expected =
            institution.map(|institution| ProcessName { institution, process: Process::Node });
        let tls = read.tls.check("tls", expected, genesis.as_ref(), &mut check);
        let data = check.folder("data", &read.data);
        let reporting = Reporting::check(
            read.log,
            read.log_format,
            read.metrics.as_ref(),
            &[("listen", listen)],
            &mut check,
        );
        let parts = institution.zip(genesis).zip(vote_keys).zip(listen).zip(tls);
        check.finish(parts.map(|((((institution, genesis), vote_keys), listen), tls)| Self {
            institution,
            genesis,
            data,
            vote_keys,
            pace,
            votes: read.votes,
            others,
            listen,
            tls,
            clock: Clock::default(),
            reporting,
        }))
    }
}

fn pace(read: &NodeFile, check: &mut Check) -> Pace {
    if !(read.min_block_interval_ms.max(1)..=MAX_HEARTBEAT_MS).contains(&read.heartbeat_ms) {
        let reason =
            format!("must be at least 1 and min_block_interval_ms, and at most {MAX_HEARTBEAT_MS}");
        check.problem("heartbeat_ms", reason);
    }
    Pace {
        min_interval: Duration::from_millis(read.min_block_interval_ms),
        heartbeat: Duration::from_millis(read.heartbeat_ms),
    }
}
