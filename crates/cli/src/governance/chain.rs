//! The chain that a proposal is for: its genesis, and what was decided since, as far as a node
//! serves its blocks. They are verified from the genesis on, so that the node is not trusted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{ArgGroup, Args};
use quittance_ledger::execute::follow as carry_out;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{ChainId, Height, TransactionId};
use quittance_ledger::receipt::Checkpoint;
use quittance_ledger::state::State;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{self, Listen, Target, TlsFiles};
use quittance_rpc::follow::{self, ChainChecker};
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::limits::Limits;
use quittance_rpc::nodes::Nodes;
use quittance_rpc::receipt::{self, Query, Subject};
use serde::Deserialize;

use super::GovernanceError;
use crate::client;
use crate::status::subject::reachable;

/// How often somebody who waits for a long chain is told how far it is.
const REPORT: Duration = Duration::from_secs(5);

/// Which chain, and which of its nodes.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["dir", "config", "genesis"])))]
pub struct ChainArguments {
    /// The folder of a network made by `quittance testnet` or `quittance demo`.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The configuration of a process on this machine: its chain, its certificate, and itself if it
    /// is a validator, else the node that it uses.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The chain's genesis (JSON). Without a node, the register is taken as the genesis has it.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Host and port of a node of the chain, with the four that follow.
    #[arg(long, value_name = "HOST:PORT", requires = "genesis")]
    #[arg(requires_all = ["identity", "certificate", "key", "ca"])]
    node: Option<String>,
    /// Who the node must be: urn:quittance:<institution>:node.
    #[arg(long, value_name = "URN", requires = "node")]
    identity: Option<ProcessName>,
    /// Your certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "node")]
    certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "node")]
    key: Option<PathBuf>,
    /// The certification authority of the network (PEM).
    #[arg(long, value_name = "FILE", requires = "node")]
    ca: Option<PathBuf>,
}

/// A chain with the node that is asked about it, if there is one.
pub struct Chain {
    genesis: Genesis,
    node: Option<(Dialer, Target)>,
}

/// What governance has decided up to a block.
pub struct Register {
    /// Institutions, keys, assets, committees, validators, limits; accounts and rounds are not
    /// those of the chain.
    pub state: State,
    /// The height of the last block that was read; 0 for the genesis.
    pub height: Height,
}

/// What configurations of all kinds have, as far as it matters here.
#[derive(Deserialize)]
struct ProcessFile {
    genesis: PathBuf,
    listen: Listen,
    tls: TlsFiles,
    directory: Option<PathBuf>,
}

impl ChainArguments {
    /// Reads the files that are named.
    pub fn resolve(self) -> Result<Chain, GovernanceError> {
        let Self { dir, config, genesis, node, identity, certificate, key, ca } = self;
        if let Some(config) = config {
            return Chain::of_process(&config);
        }
        let Some(path) = genesis else {
            return Chain::of_process(&node_in(&dir.unwrap_or_default()));
        };
        let genesis = read_genesis(&path)?;
        let node = match (node, identity, certificate, key, ca) {
            (Some(address), Some(identity), Some(certificate), Some(key), Some(ca)) => {
                let tls = client::credentials(&certificate, &key, &ca)?.of_suite(genesis.suite);
                Some((Dialer::new(tls, Limits::default()), target(address, identity)?))
            }
            // The parser lets nothing else pass than none of them.
            _ => None,
        };
        Ok(Chain { genesis, node })
    }
}

/// The configuration of the first validator in a network's folder.
fn node_in(directory: &Path) -> PathBuf {
    let alone = directory.join("node").join("config.toml");
    if alone.exists() {
        return alone;
    }
    let folders = crate::up::folders(directory).unwrap_or_default();
    let first = folders.into_iter().find(|(folder, _)| folder.starts_with("node"));
    first.map_or(alone, |(folder, _)| directory.join(folder).join("config.toml"))
}

fn read_genesis(path: &Path) -> Result<Genesis, GovernanceError> {
    let failed = |problem: String| GovernanceError::Option {
        option: "genesis",
        problem: format!("{}: {problem}", path.display()),
    };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let genesis: Genesis =
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    genesis.check().map_err(|error| failed(error.to_string()))?;
    Ok(genesis)
}

fn target(address: String, identity: ProcessName) -> Result<Target, GovernanceError> {
    match identity.process {
        Process::Node => Ok(Target { address, identity }),
        _ => Err(GovernanceError::Option {
            option: "identity",
            problem: format!("{identity} is not a node"),
        }),
    }
}

impl Chain {
    /// The chain of a process on this machine.
    fn of_process(file: &Path) -> Result<Self, GovernanceError> {
        let (read, mut check): (ProcessFile, _) = config::read(file)?;
        let genesis = check.genesis("genesis", &read.genesis);
        let tls = read.tls.check("tls", None, genesis.as_ref(), &mut check);
        let listen = read.listen.check("listen", &mut check);
        let directory = read.directory.and_then(|path| check.directory("directory", &path));
        let parts = genesis.zip(tls).zip(listen);
        let ((genesis, tls), listen) = check.finish(parts)?;
        let node = match (tls.identity(), directory) {
            (Identity::Process(identity), _) if identity.process == Process::Node => {
                Some(Target { address: reachable(listen.socket).to_string(), identity })
            }
            (_, directory) => directory.map(|directory| directory.node),
        };
        Ok(Self { genesis, node: node.map(|node| (Dialer::new(tls, Limits::default()), node)) })
    }

    /// Its id.
    pub fn id(&self) -> ChainId {
        self.genesis.chain_id()
    }

    /// The node to submit to.
    pub fn node(&self) -> Result<Nodes, GovernanceError> {
        let (dialer, node) = self.node.as_ref().ok_or(GovernanceError::NoNode)?;
        Ok(Nodes::new(dialer, std::slice::from_ref(node))?)
    }

    /// The height of the block with this transaction, by a receipt that is verified from the genesis.
    pub async fn proven(&self, id: TransactionId) -> Result<Height, GovernanceError> {
        let subject = Subject::Transaction { id, complete: false };
        let query = Query { subject, from: Height::GENESIS };
        let root = Checkpoint::genesis(&self.genesis);
        let receipt = receipt::fetch_verified(&self.node()?, query, root).await;
        Ok(receipt.map_err(Box::new)?.header.height)
    }

    /// The register after the last block that the node has; that of the genesis if there is none.
    pub async fn register(&self) -> Result<Register, GovernanceError> {
        let failed = |error: &dyn std::fmt::Display| GovernanceError::Chain(error.to_string());
        let mut state = State::genesis(&self.genesis).map_err(|error| failed(&error))?;
        let mut height = Height::GENESIS;
        let Some((dialer, node)) = &self.node else { return Ok(Register { state, height }) };
        // What is wrong with the connection shows here, in words.
        dialer.connect(node).await?;
        let mut chain = follow::follow(&self.node()?, ChainChecker::genesis(&self.genesis));
        let mut node_height = chain.watch_node_height();
        let mut reported = Instant::now();
        while !chain.has_caught_up(height) {
            tokio::select! {
                next = chain.next() => {
                    let block = next?.block;
                    state = carry_out(&state, &block).map_err(|error| failed(&error))?;
                    height = block.header.height;
                }
                Ok(()) = node_height.changed() => {}
            }
            if reported.elapsed() > REPORT {
                let all = chain.node_height().unwrap_or_default();
                eprintln!("reading the chain: block {height} of {all}");
                reported = Instant::now();
            }
        }
        Ok(Register { state, height })
    }
}
