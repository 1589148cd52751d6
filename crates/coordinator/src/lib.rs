//! The coordinator's process: opens rounds, says when to start, relays messages, and assembles the
//! settlement's range proof from what the banks have sent.
//!
//! ```text
//! RequestRound --> hub --RoundOpen--> node --blocks--> hub (book of rounds)
//! Attend <--> hub <--> round::coordinator, one for each round in hand
//! ```
//!
//! It holds no secrets but its own keys and nothing on disk. It is trusted with the liveness of
//! rounds and with nothing else: what it says is checked by everybody against the ledger, and what
//! a round does is signed by every bank that it touches.
//!
//! After a restart it knows from the chain which rounds it has opened. It does not resume them: it
//! tells whoever attends that they are abandoned, and opens new ones when asked. The accounts that
//! had joined an abandoned round stay locked until its deadline; their agents decline until then.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod config;
mod hub;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;

use quittance_ledger::state::StateError;
use quittance_round::book::{Book, BookError, MissingKey};
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::follow::{self, ChainChecker, FollowError};
use quittance_rpc::limits::Limits;
use quittance_rpc::nodes::Nodes;
use quittance_rpc::server::{Bound, ServeError, Server};
use quittance_rpc::submit::Submitter;
use quittance_rpc::tls::trust::Admission;
use thiserror::Error;
use tokio::sync::mpsc;

pub use config::{Config, CoordinatorFile};

use crate::hub::Hub;
use crate::service::{Admitted, Service};

/// Events that wait for the hub. Reports among them are at most 1 MiB each.
const EVENTS: usize = 64;

/// Why a coordinator did not start, or ended.
#[derive(Debug, Error)]
pub enum CoordinatorError {
    /// The genesis leads to no state.
    #[error("genesis: {0}")]
    Genesis(#[from] StateError),
    /// The node can never be called.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server could not start, or failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The chain cannot be followed any further.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The coordinator can sign nothing that others accept.
    #[error("{0}")]
    Keys(MissingKey),
    /// A certified block that cannot be: the validators have failed.
    #[error("the chain contradicts itself: {0}")]
    Book(#[from] BookError),
}

/// Runs a coordinator until `shutdown`. An error means that the process must end.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), CoordinatorError> {
    Coordinator::start(config).await?.serve(shutdown).await
}

/// A coordinator whose listener is bound.
pub struct Coordinator {
    hub: Hub,
    bound: Bound,
}

impl Coordinator {
    /// Begins to follow the chain, and binds the listener. Needs a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, CoordinatorError> {
        let Config { institution, genesis, keys, directory, rules, listen, tls, reporting: _ } =
            config;
        let book = Book::new(&genesis)?;
        let dialer = Dialer::new(tls.clone(), Limits::default());
        let nodes = Nodes::new(&dialer, &directory.nodes)?;
        let chain = follow::follow(&nodes, ChainChecker::genesis(&genesis));
        let submitter = Submitter::new(&nodes);

        let admitted = Arc::new(Admitted::new(book.registry(), rules.committee));
        let (events, inbox) = mpsc::channel(EVENTS);
        let server = Server::new(Limits::default());
        let service = Service::new(admitted.clone(), events.clone(), server.stopping());
        let known = admitted.clone();
        let admission = Admission::when(move |identity| known.admits(identity));
        let bound = server.coordinator(service).bind(&tls, &listen, admission).await?;
        // Until the chain has been read.
        bound.health().set(false).await;
        let me = hub::Me { institution, keys, rules };
        let hub = Hub::new(me, (book, admitted), chain, submitter, events, inbox, bound.health());
        tracing::info!(address = %bound.address(), %institution, "coordinator is listening");
        Ok(Self { hub, bound })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// Serves until `shutdown`. Rounds in hand end with it.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), CoordinatorError> {
        let Self { hub, bound } = self;
        let served = bound.serve(shutdown);
        tokio::pin!(served);
        tokio::select! {
            ended = hub.run() => return Err(ended),
            served = &mut served => served?,
        }
        tracing::info!("coordinator has stopped");
        Ok(())
    }
}
