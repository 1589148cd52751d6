//! The MPC party's process: takes dealings, computes on shares with the other parties, hands each
//! bank its own result, and signs receipts when the settlement is final.
//!
//! ```text
//! node --blocks--> book of rounds            coordinator --Start, Abandoned--> session
//! agent --Deal--> checked inputs (memory)    other parties <--Frames--> session
//! agent <--Results-- shares (memory)         coordinator <--Computed, Failed-- session
//! agent <--Receipts-- signed shares (disk, after finality)
//! party 1 --Prepare--> batch of preprocessing (disk, sealed) --> session of a later round
//! ```
//!
//! Whom a round concerns, and whether it is open, settled or over, is read from certified blocks
//! alone. Shares live in memory only: inputs until no attempt can need them, results until the
//! ledger has settled or ended the round. A party that was restarted has forgotten them, says so,
//! and resumes nothing; signed receipts are what it keeps on disk.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod attend;
mod config;
mod core;
mod deal;
mod desk;
mod programs;
mod publish;
mod receipts;
mod service;
mod session;
mod stock;

use std::net::SocketAddr;
use std::sync::Arc;

use quittance_crypto::keyfile::KeyRing;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::StateError;
use quittance_round::book::{Book, BookError, MissingKey};
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::config::Target;
use quittance_rpc::follow::{self, ChainChecker, FollowError, Following};
use quittance_rpc::frames::Frames;
use quittance_rpc::identity::Process;
use quittance_rpc::limits::Limits;
use quittance_rpc::nodes::Nodes;
use quittance_rpc::server::{Bound, Health, ServeError, Server};
use quittance_rpc::tls::trust::Admission;
use quittance_storage::StorageError;
use thiserror::Error;

pub use config::{Config, PartyFile};

use crate::config::PURPOSES;
pub use stock::settings::PreprocessingSection;

use crate::core::{ApplyError, Core, Parts};
use crate::receipts::{MAX_ROUNDS, Receipts};
use crate::service::Service;
use crate::stock::Stock;
use crate::stock::making::{self, Making};
use crate::stock::settings::Settings;

/// Why a party did not start, or ended.
#[derive(Debug, Error)]
pub enum PartyError {
    /// The genesis leads to no state.
    #[error("genesis: {0}")]
    Genesis(#[from] StateError),
    /// The store cannot be opened, or not be written any more.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The stock of preprocessing cannot be opened.
    #[error(
        "stored preprocessing: {0}; it holds nothing that must be kept: move its folder away to \
         begin anew, if it is not somebody else's"
    )]
    Stock(StorageError),
    /// Node or coordinator can never be called.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server could not start, or failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The system gives no threads for sessions.
    #[error("no threads for sessions: {0}")]
    Threads(std::io::Error),
    /// The chain cannot be followed any further.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The party can sign nothing that others accept.
    #[error("{0}")]
    Keys(MissingKey),
    /// A certified block that cannot be: the validators have failed.
    #[error("the chain contradicts itself: {0}")]
    Book(#[from] BookError),
    /// A defect: a thread has panicked.
    #[error("{0}")]
    Panicked(String),
}

impl From<ApplyError> for PartyError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Book(error) => Self::Book(error),
            ApplyError::Storage(error) => Self::Storage(error),
            ApplyError::Panicked => Self::Panicked(error.to_string()),
        }
    }
}

/// Runs a party until `shutdown`. An error means that the process must end.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), PartyError> {
    Party::start(config).await?.serve(shutdown).await
}

/// A party whose listener is bound.
pub struct Party {
    core: Arc<Core>,
    chain: Following,
    coordinator: Target,
    bound: Bound,
}

impl Party {
    /// Opens the store, begins to follow the chain, and binds the listener. Needs a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, PartyError> {
        let Config { institution, genesis, data, keys, listen, tls, .. } = config;
        let Config { nodes, coordinator, others, compute, preprocessing, .. } = config;
        let book = Book::new(&genesis)?;
        let receipts = Receipts::open(&data, book.chain(), institution, MAX_ROUNDS)?;
        let making = match preprocessing {
            Some(settings) => Some(open_stock(settings, &book, &genesis, institution, &keys)?),
            None => None,
        };
        let dialer = Dialer::new(tls.clone(), Limits::default());
        let nodes = Nodes::new(&dialer, &nodes)?;
        let chain = follow::follow(&nodes, ChainChecker::genesis(&genesis));
        let (server, connections) = Server::new(Limits::default()).frames();
        let stopping = server.stopping();
        let frames = Frames::new(dialer.clone(), others.clone(), connections, &stopping)
            .map_err(PartyError::Threads)?;
        let core = Core::new(Parts {
            institution,
            keys,
            coordinator: coordinator.identity.institution,
            compute,
            frames,
            dialer,
            others,
            receipts,
            making,
            stopping,
            book,
        });
        let admission = Admission::when(|who| who.is(Process::Agent) || who.is(Process::Party));
        let bound = server.party(Service::new(core.clone())).bind(&tls, &listen, admission).await?;
        // Until the chain has been read.
        bound.health().set(false).await;
        tracing::info!(address = %bound.address(), %institution, "party is listening");
        Ok(Self { core, chain, coordinator, bound })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// Serves until `shutdown`. Sessions under way end with it, and are forgotten.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), PartyError> {
        let Self { core, chain, coordinator, bound } = self;
        // Whatever ends this future ends sessions and waiting calls.
        let _guard = core.stopping.clone().drop_guard();
        let following = follow_chain(core.clone(), chain, bound.health());
        let attending = attend::attend(core.clone(), coordinator);
        tokio::spawn(making::keep_stocked(core.clone()));
        let served = bound.serve(shutdown);
        tokio::pin!(following, attending, served);
        let mut attends = true;
        loop {
            tokio::select! {
                ended = &mut following => return ended,
                ended = &mut attending, if attends => {
                    ended?;
                    attends = false;
                }
                served = &mut served => {
                    served?;
                    tracing::info!("party has stopped");
                    return Ok(());
                }
            }
        }
    }
}

/// The stock of preprocessing for the committees that the party is in.
fn open_stock(
    settings: Settings,
    book: &Book,
    genesis: &Genesis,
    institution: InstitutionId,
    keys: &KeyRing,
) -> Result<Arc<Making>, PartyError> {
    let committees: Vec<_> = genesis.committees.values().cloned().collect();
    let places = making::Place::all(book, &committees, institution);
    let names: Vec<_> = places.iter().map(|place| *place.name()).collect();
    let whose = (book.chain(), institution);
    let stock = Stock::open(&settings.folder, whose, keys.note(), &names);
    Ok(Making::new(stock.map_err(PartyError::Stock)?, settings, places))
}

/// Takes block after block.
async fn follow_chain(
    core: Arc<Core>,
    mut chain: Following,
    health: Health,
) -> Result<(), PartyError> {
    let mut node_height = chain.watch_node_height();
    let mut ready = false;
    loop {
        tokio::select! {
            next = chain.next() => core.apply(&next?.block).await?,
            // At a chain without new blocks this is what makes us ready.
            Ok(()) = node_height.changed(), if !ready => {}
        }
        let height = core.state().book.height();
        if !ready && chain.has_caught_up(height) {
            ready = true;
            let Core { keys, institution, .. } = &*core;
            if let Some(missing) = core.state().book.missing_key(keys, institution, &PURPOSES) {
                return Err(PartyError::Keys(missing));
            }
            health.set(true).await;
            tracing::info!(%height, "party is ready");
        }
    }
}
