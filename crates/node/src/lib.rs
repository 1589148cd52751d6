//! The validator's process.
//!
//! ```text
//! Submit -> pool (reserved) -> batch verification -> pool (candidate) -> proposer -> vote
//!        -> ChainStore::append (synced) -> published: status, accounts, Blocks
//! ```
//!
//! Nothing is said to be final, to anybody, before it is on the disk. A block that cannot be
//! written ends the process; after a restart the chain goes on from its last whole block, while
//! transactions that were only pending are forgotten and have to be submitted again.
//!
//! Threads of their own do what takes long. Verifiers, one for each processor, take what has arrived
//! in batches of whatever came during the last ones. The engine makes blocks: it executes, signs and
//! writes one while the verifiers are at what comes next. Neither holds a lock meanwhile. Handlers of
//! calls only look at what is there, and wait.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod application;
mod blocks;
mod config;
mod core;
mod membership;
mod pool;
mod queue;
mod receipts;
mod rejection;
mod service;
mod together;
mod watchers;

#[cfg(test)]
#[path = "../tests/common/banks.rs"]
mod banks;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quittance_consensus::{Bell, Clock, Engine, Pace, Role, RunError, Solo, SoloError, StartError};
use quittance_crypto::encoding::Decode;
use quittance_crypto::range_proof::{GeneratorError, check_generators};
use quittance_crypto::signature::SigningKey;
use quittance_ledger::block::Tip;
use quittance_ledger::certificate::{Certificate, Validator};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::limits::Limits;
use quittance_rpc::metrics;
use quittance_rpc::server::{Bound, ServeError, Server};
use quittance_rpc::tls::trust::Admission;
use quittance_storage::{ChainError, ChainStore, Recovered};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub use application::ApplicationError;
pub use config::{Config, NodeFile};

use crate::application::Proposer;
use crate::core::{Core, View};
use crate::pool::PoolLimits;
use crate::service::Service;
use crate::together::Together;

/// By how much verifiers are nicer than the rest of the process. Each step costs a fifth of the share
/// of a processor that others want as well: they keep a third of what the engine gets.
const VERIFIERS_NICENESS: i32 = 5;

/// How long streams may take to end after the server has.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why a node did not start, or ended.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The generators of range proofs are not the ones that were pinned.
    #[error("range proofs cannot be verified: {0}")]
    Generators(#[from] GeneratorError),
    /// The chain on disk cannot be opened.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The certificate of the last block is damaged or missing.
    #[error("the certificate of the last block, at height {0}, cannot be read")]
    LastCertificate(u64),
    /// This validator cannot decide on its own, and nobody says where the others are.
    #[error("{0}; name a `directory` with [validators] in the configuration")]
    Alone(SoloError),
    /// A defect: a key file has one at least.
    #[error("there is no vote key")]
    NoKey,
    /// The vote key is not the one on the chain.
    #[error(transparent)]
    Solo(SoloError),
    /// The folder of proposed blocks cannot be used.
    #[error("the folder of proposed blocks, {0}")]
    Proposals(std::io::Error),
    /// The engine did not start.
    #[error(transparent)]
    Consensus(#[from] StartError),
    /// The server could not start, or failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The chain has it that this validator decides otherwise from now on.
    #[error("{source}: {advice}")]
    Changed {
        /// What has changed, and from which height on.
        source: Box<RunError<ApplicationError>>,
        /// What to do.
        advice: &'static str,
    },
    /// No block can be made, decided or stored any more.
    #[error("the chain cannot go on: {0}")]
    Engine(Box<RunError<ApplicationError>>),
    /// A defect: a thread has panicked.
    #[error("the {0} has panicked")]
    Panicked(&'static str),
}

impl From<RunError<ApplicationError>> for NodeError {
    fn from(source: RunError<ApplicationError>) -> Self {
        let advice = match &source {
            RunError::NotAlone { source: SoloError::NotAlone { .. }, .. } => {
                "name a `directory` with [validators] in the configuration, and start it again as \
                 one of several"
            }
            RunError::NotAlone { source: SoloError::NotAValidator(_), .. } => {
                "others decide; have its clients use another node"
            }
            RunError::NotAlone { source: SoloError::OtherKey(_), .. }
            | RunError::OtherKey { .. } => {
                "put the key file with the new key in the place of `keys`, and start it again"
            }
            RunError::Registered { .. } => "start it again, and it votes",
            _ => return Self::Engine(Box::new(source)),
        };
        Self::Changed { source: Box::new(source), advice }
    }
}

/// Runs a node until `shutdown`. An error means that the process must end.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
    let node = Node::start(config).await?;
    node.serve(shutdown).await
}

/// A node that makes blocks, and whose listener is bound.
pub struct Node {
    core: Arc<Core>,
    bound: Bound,
    closing: Closing,
    engine: oneshot::Receiver<Result<(), RunError<ApplicationError>>>,
    verifiers: JoinSet<Result<(), oneshot::error::RecvError>>,
    leases: mpsc::Receiver<()>,
}

/// Ends the threads, whatever ends the node.
struct Closing(Arc<Core>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Node {
    /// Opens the chain, begins to make blocks, and binds the listener.
    pub async fn start(config: Config) -> Result<Self, NodeError> {
        let Config {
            institution,
            genesis,
            data,
            vote_keys,
            pace,
            clock,
            votes,
            others,
            listen,
            tls,
            ..
        } = config;
        check_generators()?;
        let (store, view) = open(&data, &genesis)?;
        let vote_key = current(vote_keys, view.state.validators().get(institution))?;
        let way = Way::new(&view, institution, vote_key, (pace, clock, votes), &others)?;
        tracing::info!(height = %view.tip.height(), state_root = %view.state.root(), "chain is open");
        let core = Core::new(genesis, store, view, PoolLimits::default());
        core.count_evidence()?;
        metrics::append(quittance_consensus::metrics);
        let closing = Closing(core.clone());

        let (server, connections) = Server::new(Limits::default()).validators();
        let stopping = server.stopping();
        let (lease, leases) = mpsc::channel(1);
        let service = Service::new(core.clone(), stopping.clone(), lease);
        let bound = server.node(service).bind(&tls, &listen, Admission::everybody()).await?;

        let validators = membership::follow(&core, institution, bound.health());
        let proposer = Proposer::new(core.clone());
        let decider = match way {
            Way::Alone(solo) => Decider::Alone(solo),
            Way::Together(key, role) => {
                let dialer = Dialer::new(tls, Limits::default());
                let folder = data.join("consensus");
                let together = Together {
                    institution,
                    key,
                    pace,
                    clock,
                    role,
                    folder,
                    others,
                    dialer,
                    connections,
                    validators,
                    stopping,
                };
                Decider::Together(Box::new(together.start(&core, &proposer).await?))
            }
        };
        // Threads last: what fails before leaves none that has the chain open.
        let mut verifiers = JoinSet::new();
        for _ in 0..core.queue.verifiers() {
            let core = core.clone();
            let verify = move || {
                yield_to_engine();
                core.verify();
            };
            verifiers.spawn(thread("verifier", verify)?);
        }
        let bell = core.bell.clone();
        let engine = thread("engine", move || decider.run(proposer, &bell))?;
        bound.health().set(true).await;
        tracing::info!(address = %bound.address(), %institution, "node is ready");
        Ok(Self { core, bound, closing, engine, verifiers, leases })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// Serves until `shutdown`; then calls under way may end, and the chain is closed. Its threads have
    /// ended when this returns, with an error as well: RocksDB does not survive that a process ends
    /// while one of them closes a database.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
        let Self { core, bound, closing, mut engine, mut verifiers, mut leases } = self;
        let panicked = |who| move |_| NodeError::Panicked(who);
        let mut decided = None;
        let served = tokio::select! {
            // Never before the bell is stopped, but by an error.
            ended = &mut engine => {
                decided = Some(ended);
                Ok(())
            }
            // Never before the queue is closed, but by a panic.
            _ = verifiers.join_next() => Err(NodeError::Panicked("verifier")),
            served = bound.serve(shutdown) => served.map_err(NodeError::from),
        };
        drop(closing);
        let decided = match decided {
            Some(ended) => ended,
            None => engine.await,
        };
        let verified: Result<(), _> = verifiers.join_all().await.into_iter().collect();
        served?;
        decided.map_err(panicked("engine"))??;
        verified.map_err(panicked("verifier"))?;
        // Whoever still holds the chain holds a lease: none is ever sent, all are dropped.
        let _ = tokio::time::timeout(LAST_WORDS, leases.recv()).await;
        tracing::info!(height = %core.view().tip.height(), "node has stopped");
        Ok(())
    }
}

/// How this validator decides.
enum Way {
    Alone(Solo),
    Together(SigningKey, Role),
}

impl Way {
    /// Alone if no others are known. One that is no validator, or has another key than the chain has
    /// for it, follows the others: it may become one, or be about to learn of the key.
    fn new(
        view: &View,
        institution: InstitutionId,
        key: SigningKey,
        (pace, clock, votes): (Pace, Clock, bool),
        others: &BTreeMap<InstitutionId, Target>,
    ) -> Result<Self, NodeError> {
        let validators = view.state.validators();
        if others.is_empty() {
            let solo = Solo::new(validators, institution, key, pace, clock);
            return Ok(Self::Alone(solo.map_err(|error| match error {
                SoloError::OtherKey(_) => NodeError::Solo(error),
                SoloError::NotAValidator(_) | SoloError::NotAlone { .. } => NodeError::Alone(error),
            })?));
        }
        let own = validators.get(institution);
        let role = match own.map(|own| own.key == key.verifying_key()) {
            _ if !votes => Role::Observer,
            Some(false) => {
                let height = view.tip.height().next();
                tracing::warn!(
                    %institution,
                    %height,
                    "the chain has another vote key than the key file: this validator follows, and \
                     votes from the height on at which the chain has this key"
                );
                Role::Waiting
            }
            Some(true) | None => Role::Voter,
        };
        Ok(Self::Together(key, role))
    }
}

/// What decides on blocks.
enum Decider {
    Alone(Solo),
    Together(Box<Engine>),
}

impl Decider {
    fn run(self, mut proposer: Proposer, bell: &Bell) -> Result<(), RunError<ApplicationError>> {
        match self {
            Self::Alone(solo) => solo.run(&mut proposer, bell),
            Self::Together(engine) => engine.run(&mut proposer, bell),
        }
    }
}

/// The key that the chain has for this validator, or the newest: the file also has those of before,
/// and one whose height has not come.
fn current(mut keys: Vec<SigningKey>, own: Option<&Validator>) -> Result<SigningKey, NodeError> {
    let registered =
        keys.iter().position(|key| own.is_some_and(|it| it.key == key.verifying_key()));
    match registered {
        Some(place) => Ok(keys.swap_remove(place)),
        None => keys.pop().ok_or(NodeError::NoKey),
    }
}

/// Opens the chain, and finds its end.
fn open(data: &std::path::Path, genesis: &Genesis) -> Result<(ChainStore, View), NodeError> {
    let (store, Recovered { state, tip: header }) = ChainStore::open(data, genesis)?;
    let Some(header) = header else {
        return Ok((store, View { tip: Tip::genesis(genesis), last: None, state }));
    };
    let stored = store.block(header.height)?;
    let certificate = stored.and_then(|stored| Certificate::from_bytes(&stored.certificate).ok());
    let certificate = certificate.ok_or(NodeError::LastCertificate(header.height.0))?;
    let tip = Tip::after(&header);
    Ok((store, View { tip, last: Some((header, certificate)), state }))
}

/// Lets the engine's threads go before this one when there are not processors enough for all: blocks
/// that others wait for help more than a transaction that is verified earlier.
///
/// On Linux each thread has a niceness of its own (sched(7)).
fn yield_to_engine() {
    if let Err(error) = rustix::process::nice(VERIFIERS_NICENESS) {
        tracing::warn!(%error, "verifiers run with the same priority as the engine");
    }
}

/// A thread of its own; what it returns, or an error if it panics.
fn thread<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, NodeError> {
    let (result, returned) = oneshot::channel();
    let run = move || drop(result.send(body()));
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(|_| returned).map_err(NodeError::Thread)
}
