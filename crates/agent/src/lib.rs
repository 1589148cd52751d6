//! A bank's agent: it holds the bank's keys, carries out what the bank's systems ask for, and is
//! the only one to know the bank's amounts.
//!
//! ```text
//! bank's systems --Agent--> service --+
//! other agents ---Peer----> peers ----+--> core: wallet, store, lanes --Submit--> node
//!                  node --Blocks--> follower -+
//! ```
//!
//! The [`wallet`] is made anew from the chain at every start: only what the chain does not tell is
//! kept in the store, and what is quicker to show from there. So key file and chain restore
//! everything but the bank's own requests that nobody else has seen.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

/// The tests of this crate with a node, too, say its name.
#[cfg(test)]
extern crate self as quittance_agent;

mod absorb;
mod config;
mod core;
mod count;
pub mod exchange;
mod lanes;
mod payments;
mod peers;
mod receipt;
mod rounds;
mod service;
mod show;
mod store;
mod transfers;
pub mod wallet;
mod watch;

#[cfg(test)]
#[path = "../tests/exchanges/site.rs"]
mod site;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::range_proof::{GeneratorError, check_generators};
use quittance_ledger::ids::Height;
use quittance_ledger::state::{State, StateError};
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::convert::FinalBlock;
use quittance_rpc::follow::{self, ChainChecker, FollowError, Following};
use quittance_rpc::limits::Limits;
use quittance_rpc::nodes::Nodes;
use quittance_rpc::server::{Bound, Health, ServeError, Server};
use quittance_rpc::submit::Submitter;
use quittance_rpc::tls::trust::Admission;
use quittance_storage::StorageError;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use config::{AgentFile, Config};
pub use rounds::RoundsSection;

use crate::core::{Core, Handle, OpenError, Register, Setting, View};
use crate::service::Service;
use crate::store::Store;

/// How long what is under way may take to end after the servers have.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Why an agent did not start, or ended.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The generators of range proofs are not the ones that were pinned.
    #[error("range proofs cannot be made: {0}")]
    Generators(#[from] GeneratorError),
    /// The store cannot be opened, read or written.
    #[error("the agent's store: {0}")]
    Storage(#[from] StorageError),
    /// The genesis does not make a state.
    #[error("the genesis: {0}")]
    Genesis(#[from] StateError),
    /// The keys cannot be used.
    #[error("{0}")]
    Keys(String),
    /// The node can never be called.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// All nodes serve what is not this chain.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// A server could not start, or failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The chain says something that the wallet cannot follow: a defect.
    #[error("the chain cannot be followed: {0}")]
    Block(String),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A defect: the core has panicked.
    #[error("the core has panicked")]
    Panicked,
}

impl From<OpenError> for AgentError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Storage(error) => Self::Storage(error),
            OpenError::Genesis(error) => Self::Genesis(error),
            OpenError::Keys(error) => Self::Keys(error.to_string()),
        }
    }
}

/// Runs an agent until `shutdown`. An error means that the process must end.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
    let agent = Agent::start(config).await?;
    agent.serve(shutdown).await
}

/// An agent that follows the chain, and whose listeners are bound.
pub struct Agent {
    core: Handle,
    view: View,
    bank: Bound,
    peers: Bound,
    following: Following,
    ended: oneshot::Receiver<Result<(), StorageError>>,
    stopping: CancellationToken,
}

impl Agent {
    /// Opens the store, begins to follow the chain, and binds both listeners.
    pub async fn start(config: Config) -> Result<Self, AgentError> {
        let Config { institution, genesis, data, listen, listen_peers, tls, .. } = config;
        check_generators()?;
        let dialer = Dialer::new(tls.clone(), Limits::default());
        let nodes = Nodes::new(&dialer, &config.directory.nodes)?;
        let registry = State::genesis(&genesis)?;
        let store = Store::open(&data, genesis.chain_id(), institution)?;
        let setting = Arc::new(Setting {
            institution,
            register: tokio::sync::watch::Sender::new(Register {
                state: registry,
                height: Height::GENESIS,
            }),
            keys: config.keys,
            directory: config.directory,
            submitter: Submitter::new(&nodes),
            nodes,
            dialer,
            absorb_after: config.absorb_after,
            expiry_blocks: config.expiry_blocks,
            rounds: config.rounds,
            prover: config.prover,
            genesis,
        });
        let stopping = CancellationToken::new();
        let (core, state, steps) = core::spawn(stopping.clone(), {
            let setting = setting.clone();
            move |tasks| Core::open(setting, store, tasks)
        })?;
        let view = state.view();

        let server = Server::new(Limits::default());
        let service = Service::new(core.clone(), view.clone(), server.stopping());
        let clients = Admission::clients_of(institution);
        let bank =
            server.agent(service).bind(&tls.clone().of_any_suite(), &listen, clients).await?;
        bank.health().set(false).await;
        let service = peers::Service::new(core.clone(), institution);
        let peers = Server::new(Limits::default()).peer(service);
        let peers = peers.bind(&tls, &listen_peers, config::agents_only()).await?;
        peers.health().set(false).await;

        let following = follow::follow(&setting.nodes, ChainChecker::genesis(&setting.genesis));
        let ended = thread("core", move || steps.run(state))?;
        let (for_bank, for_peers) = (bank.address(), peers.address());
        tracing::info!(%institution, %for_bank, %for_peers, "agent listens");
        Ok(Self { core, view, bank, peers, following, ended, stopping })
    }

    /// The address for the bank's own systems.
    pub fn address(&self) -> SocketAddr {
        self.bank.address()
    }

    /// The address for other agents.
    pub fn peer_address(&self) -> SocketAddr {
        self.peers.address()
    }

    /// Serves until `shutdown`; then calls under way may end, and the store is closed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
        let Self { core, view, bank, peers, following, mut ended, stopping } = self;
        let _guard = stopping.clone().drop_guard();
        let health = [bank.health(), peers.health()];
        let servers = async {
            let (bank, peers) =
                tokio::join!(bank.serve(stopping.cancelled()), peers.serve(stopping.cancelled()),);
            bank.and(peers)
        };
        let mut servers = Box::pin(servers);
        let early = tokio::select! {
            () = shutdown => None,
            never = report_health(view, health) => match never {},
            served = &mut servers => Some(served.map_err(AgentError::from)),
            error = follow_chain(core, following) => Some(Err(error)),
            end = &mut ended => return Ok(end.map_err(|_| AgentError::Panicked)??),
        };
        stopping.cancel();
        let served = match early {
            None => servers.await.map_err(AgentError::from),
            Some(early) => {
                drop(servers);
                early
            }
        };
        // With the servers the last ways to the core have gone. If it has ended by itself, it says
        // why.
        if let Ok(end) = tokio::time::timeout(LAST_WORDS, ended).await {
            end.map_err(|_| AgentError::Panicked)??;
        }
        served?;
        tracing::info!("agent has stopped");
        Ok(())
    }
}

/// Says that the agent is ready once it has caught up with the chain: on both listeners.
async fn report_health(mut view: View, health: [Health; 2]) -> Infallible {
    if view.progress.wait_for(|progress| progress.caught_up).await.is_ok() {
        for listener in health {
            listener.set(true).await;
        }
    }
    std::future::pending().await
}

/// Takes each block to the core. Returns when there can be none any more.
async fn follow_chain(core: Handle, mut following: Following) -> AgentError {
    let mut node = following.watch_node_height();
    if let Err(status) = core.call(Core::keep_looking_after_lanes).await {
        return AgentError::Block(status.message().to_owned());
    }
    loop {
        let step = tokio::select! {
            next = following.next() => match next {
                Ok(FinalBlock { block, .. }) => {
                    core.call(move |core| core.apply_block(&block)).await
                }
                Err(error) => return error.into(),
            },
            Ok(()) = node.changed() => {
                let height = *node.borrow_and_update();
                core.call(move |core| height.map_or(Ok(()), |height| core.node_is_at(height))).await
            }
        };
        if let Err(status) = step {
            return AgentError::Block(status.message().to_owned());
        }
    }
}

/// A thread of its own; what it returns, or an error if it panics.
fn thread<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, AgentError> {
    let (result, returned) = oneshot::channel();
    let run = move || drop(result.send(body()));
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(|_| returned).map_err(AgentError::Thread)
}
