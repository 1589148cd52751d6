//! The engine of several validators: Malachite, with our messages, keys, network and blocks.
//!
//! ```text
//!  transport ── Inbox ──> listener (decode, bound, authenticate) ──> engine's actors
//!            <── Transport ── hub <── network actor <──────────────────┘   │
//!                                                                          v
//!  ProposalStore <── host (one thread: propose, validate, commit) <── AppMsg
//! ```
//!
//! What leaves this module are the ledger's own types: votes are [`quittance_ledger::certificate::Vote`],
//! decisions [`quittance_ledger::certificate::Certificate`], accusations
//! [`quittance_ledger::evidence::Evidence`]. See `docs/adr/0004-consensus-engine.md`.

mod codec;
mod context;
mod convert;
mod guard;
mod host;
mod hub;
mod listener;
mod network;
mod record;
mod signing;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use malachite_app_channel::app::config::{
    ConsensusConfig, NodeConfig, ValuePayload, ValueSyncConfig,
};
use malachite_app_channel::app::engine::node::NodeRef;
use malachite_app_channel::app::types::core::LinearTimeouts;
use malachite_app_channel::{
    Channels, ConsensusContext, EngineBuilder, EngineHandle, RequestContext, SyncContext,
    WalContext,
};
use quittance_crypto::signature::SigningKey;
use quittance_ledger::certificate::MAX_VALIDATORS;
use quittance_ledger::ids::{BlockId, ChainId, Height, InstitutionId};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::codec::Canonical;
use self::context::{Quittance, Who};
use self::guard::{Guard, HEIGHTS_AHEAD, ROUNDS_AHEAD};
use self::hub::{Hub, Own};
use self::network::Network;
use self::record::Record;
use self::signing::{VoteSigner, VoteVerifier};
use crate::store::ProposalStore;
use crate::transport::{Arrivals, Transport};
use crate::wire::{MAX_RESPONSE_BLOCKS, MAX_RESPONSE_BYTES};
use crate::{Application, Bell, Clock, Pace, SoloError};

/// How long the steps of a round may take before the validators go on without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the proposal of a block.
    pub propose: Duration,
    /// For votes, once more than two thirds have come that do not agree. Each kind by itself.
    pub vote: Duration,
    /// What both grow by with each round.
    pub growth: Duration,
    /// Between two statuses, by which a validator learns that it lacks blocks.
    pub status: Duration,
    /// For the answer to a request for blocks.
    pub request: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            propose: Duration::from_secs(3),
            vote: Duration::from_secs(1),
            growth: Duration::from_millis(500),
            status: Duration::from_secs(2),
            request: Duration::from_secs(10),
        }
    }
}

impl Patience {
    fn timeouts(&self) -> LinearTimeouts {
        let Self { propose, vote, growth, .. } = *self;
        LinearTimeouts {
            propose,
            propose_delta: growth,
            prevote: vote,
            prevote_delta: growth,
            precommit: vote,
            precommit_delta: growth,
            rebroadcast: propose + vote + vote,
            ..LinearTimeouts::default()
        }
    }
}

/// Whether this validator votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It proposes and votes whenever the chain's set has it.
    Voter,
    /// It follows without a word: an institution that is no validator, or a validator whose folder
    /// is lost. The latter may have voted at the heights that it has forgotten, and must not vote
    /// before it has seen one more height decided than the others have begun.
    Observer,
    /// It follows, because the chain has another vote key registered for it: a new key counts from a
    /// height on. The engine ends when that height is next ([`RunError::Registered`]).
    Waiting,
}

/// What an engine needs besides an application.
pub struct EngineConfig {
    /// The chain.
    pub chain: ChainId,
    /// The validator.
    pub institution: InstitutionId,
    /// The key that it votes with.
    pub key: Arc<SigningKey>,
    /// Whether it votes.
    pub role: Role,
    /// How fast blocks follow each other.
    pub pace: Pace,
    /// How long it waits for others.
    pub patience: Patience,
    /// What proposals are dated and measured by.
    pub clock: Clock,
    /// Where the engine keeps its log of votes, for this chain and this validator alone. Lost, the
    /// validator begins again as an [`Role::Observer`].
    pub folder: PathBuf,
    /// Where blocks are kept until they are decided.
    pub store: Box<dyn ProposalStore>,
    /// Sends frames to peers.
    pub transport: Arc<dyn Transport>,
    /// Takes in what peers send.
    pub arrivals: Arrivals,
}

/// Why an engine did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The folder of the log of votes cannot be used.
    #[error("the folder of the log of votes, {path}: {source}", path = .path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The engine says why: of its files, it reads its log of votes.
    #[error("the consensus engine has not started with its log of votes, {}: {reason}", log.display())]
    Log {
        /// The log.
        log: PathBuf,
        /// In the engine's words.
        reason: String,
    },
    /// What this validator has said is not known any more.
    #[error(
        "{0}: it could contradict itself, and may vote again only after it has followed the others \
         without voting (votes = false) until the chain has gone on by a height"
    )]
    Signed(String),
    /// The engine says why.
    #[error("the consensus engine has not started: {0}")]
    Engine(String),
}

/// Why an engine ended. Each is a reason to end the process.
#[derive(Debug, Error)]
pub enum RunError<E: std::error::Error> {
    /// The application failed.
    #[error(transparent)]
    Application(E),
    /// A block could not be kept.
    #[error("a proposed block cannot be kept or read: {0}")]
    Store(#[from] io::Error),
    /// A block was decided that this validator has said it holds, and does not.
    #[error(
        "block {block} of height {height} is decided, and lost here: it was removed from the folder \
         of proposed blocks, consensus/proposals in the node's data"
    )]
    Missing {
        /// At which height.
        height: Height,
        /// Which block.
        block: BlockId,
    },
    /// The chain has another vote key for this validator: what it signs with the one that it has
    /// counts no more.
    #[error("from height {height} on the chain has another vote key for {institution}")]
    OtherKey {
        /// The next height.
        height: Height,
        /// The validator.
        institution: InstitutionId,
    },
    /// The chain has come to the height at which this validator's key counts: started again, it
    /// votes.
    #[error("from height {height} on the chain has the vote key that {institution} has here")]
    Registered {
        /// The next height.
        height: Height,
        /// The validator.
        institution: InstitutionId,
    },
    /// A validator that has decided alone may not do so any more.
    #[error("from height {height} on this validator does not decide alone: {source}")]
    NotAlone {
        /// The next height.
        height: Height,
        /// Why not.
        source: SoloError,
    },
    /// One of the engine's actors has ended; its log says why.
    #[error("the consensus engine has ended by itself")]
    Ended,
    /// The log of votes cannot be written or read: going on could mean to vote twice.
    #[error(
        "the consensus engine's log of votes, {}, has failed: look at its disk before a restart",
        .0.display()
    )]
    Unsafe(PathBuf),
}

/// An engine that has started, and waits to be run.
pub struct Engine {
    institution: InstitutionId,
    key: Arc<SigningKey>,
    role: Role,
    store: Box<dyn ProposalStore>,
    hub: Arc<Hub>,
    timeouts: LinearTimeouts,
    pace: Pace,
    clock: Clock,
    log: PathBuf,
    channels: Channels<Quittance>,
    actors: Actors,
    runtime: Handle,
}

/// The engine's actors, and the tasks of its network.
struct Actors {
    node: Node,
    /// Ends when the engine's supervisor does.
    ended: JoinHandle<()>,
    network: Network,
}

/// The supervisor of the engine's actors; they end when it is dropped.
struct Node(NodeRef);

impl Drop for Node {
    fn drop(&mut self) {
        self.0.get_cell().stop_children(None);
        self.0.stop(None);
    }
}

/// How long actors may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Actors {
    /// Whether the supervisor has ended, or does so soon. It does not when its children have been
    /// stopped because going on could mean to vote twice.
    async fn have_ended(&mut self) -> bool {
        timeout(LAST_WORDS, &mut self.ended).await.is_ok()
    }

    /// Ends all of them, and waits.
    async fn end(self) {
        let Self { node, ended, mut network } = self;
        network.tasks.shutdown().await;
        node.0.get_cell().stop_children_and_wait(None, Some(LAST_WORDS)).await;
        drop(node);
        // Aborted with the runtime if it takes too long.
        let _ = timeout(LAST_WORDS, ended).await;
    }
}

/// The engine's own configuration. libp2p is not started, so that nothing of its part counts.
struct Settings {
    moniker: String,
    consensus: ConsensusConfig,
    sync: ValueSyncConfig,
}

impl NodeConfig for Settings {
    fn moniker(&self) -> &str {
        &self.moniker
    }

    fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }

    fn consensus_mut(&mut self) -> &mut ConsensusConfig {
        &mut self.consensus
    }

    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }

    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}

impl Settings {
    fn new(config: &EngineConfig) -> Self {
        let consensus = ConsensusConfig {
            enabled: config.role == Role::Voter,
            value_payload: ValuePayload::ProposalAndParts,
            queue_capacity: HEIGHTS_AHEAD as usize,
            queue_per_height_capacity: (2 * MAX_VALIDATORS + 2) * ROUNDS_AHEAD as usize,
            ..ConsensusConfig::default()
        };
        let mut sync = ValueSyncConfig {
            enabled: true,
            status_update_interval: config.patience.status,
            request_timeout: config.patience.request,
            batch_size: MAX_RESPONSE_BLOCKS,
            ..ValueSyncConfig::default()
        };
        sync.max_response_size.0 = MAX_RESPONSE_BYTES as u64;
        Self { moniker: config.institution.to_string(), consensus, sync }
    }
}

impl Engine {
    /// Starts the engine's actors on the runtime that this is called on. They wait for
    /// [`Engine::run`].
    ///
    /// `application` says at which height, and with which validators, to begin.
    pub async fn start(
        config: EngineConfig,
        application: &impl Application,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Folder { path: config.folder.clone(), source };
        std::fs::create_dir_all(&config.folder).map_err(failed)?;
        let settings = Settings::new(&config);
        let EngineConfig {
            chain,
            institution,
            key,
            role,
            pace,
            patience,
            clock,
            folder,
            store,
            ..
        } = config;
        let log = folder.join("votes.log");
        let record = match role {
            Role::Voter | Role::Waiting => Record::open(&folder, &log, application.tip()),
            Role::Observer => Record::anew(&folder),
        };
        let record = record.map_err(StartError::Signed)?;
        let (height, validators) = (application.tip().next(), application.validators());
        let guard = Arc::new(Guard::new(chain, height, validators));
        let own = Own { institution, key: key.clone() };
        let hub = Arc::new(Hub::new(guard, config.transport, own));
        let network = network::start(hub.clone(), config.arrivals, record).await;
        let network = network.map_err(|error| StartError::Engine(error.to_string()))?;
        let (address, verifier) = (Who(institution), Box::new(VoteVerifier));
        let voter = match role {
            Role::Voter => {
                let signer = Box::new(VoteSigner(key.clone()));
                ConsensusContext::new_validator(address, verifier, signer)
            }
            Role::Observer | Role::Waiting => ConsensusContext::new_full_node(address, verifier),
        };
        let built = EngineBuilder::new(Quittance { chain }, settings)
            .with_default_wal(WalContext::new(log.clone(), Canonical))
            .with_custom_network(network.actor.clone(), network.sender.clone())
            .with_default_sync(SyncContext::new(Canonical))
            .with_default_consensus(voter)
            .with_default_request(RequestContext::new(1))
            .build()
            .await;
        let (channels, EngineHandle { actor, handle: ended }) = built
            .map_err(|error| StartError::Log { log: log.clone(), reason: error.to_string() })?;
        Ok(Self {
            institution,
            key,
            role,
            store,
            hub,
            timeouts: patience.timeouts(),
            pace,
            clock,
            log,
            channels,
            actors: Actors { node: Node(actor), ended, network },
            runtime: Handle::current(),
        })
    }

    /// Decides blocks until the bell is stopped, or until this validator cannot go on. Blocks its
    /// thread, which must not be one of the runtime's.
    pub fn run<A: Application>(
        self,
        application: &mut A,
        bell: &Bell,
    ) -> Result<(), RunError<A::Error>> {
        let Self { institution, key, role, store, hub, timeouts, pace, clock, log, .. } = self;
        let Self { mut channels, mut actors, runtime, .. } = self;
        let own = host::Own { institution, key: key.verifying_key(), role };
        let parts = host::Parts { application, own, store, hub, timeouts, pace, clock };
        let ended = match host::run(parts, &mut channels, &runtime, bell) {
            Err(RunError::Ended) if !runtime.block_on(actors.have_ended()) => {
                Err(RunError::Unsafe(log))
            }
            ended => ended,
        };
        drop(channels);
        runtime.block_on(actors.end());
        ended
    }
}

/// The metrics of all engines of this process, in the text format of Prometheus. A validator whose
/// log of votes cannot be written stands still on purpose: `node_safety_failure` says so.
pub fn metrics() -> String {
    let mut text = String::new();
    malachite_app_channel::app::metrics::export(&mut text);
    text
}
