//! The one place where an agent's state changes.
//!
//! A [`Core`] owns wallet, book, store and all that is under way. It lives on a thread of its own, and
//! does one thing after the other: closures that others send it through a [`Handle`], over a
//! bounded channel. So nothing here is locked, and what a closure does is one step.
//!
//! What takes long is done elsewhere, and its result comes back as a closure: calls to other
//! processes by [`Core::spawn`], proofs and signatures by [`Core::compute`], waiting by
//! [`Core::after`]. Whatever was meant for a core that has ended is dropped.
//!
//! A step that changes what must not be lost collects it in [`Changes`] and writes them with
//! [`Core::commit`], in one synced batch, before it answers anybody. If that fails the agent ends.

mod blocks;
mod changes;
mod hooks;
mod task;

use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::{SealingKey, SealingKeyError};
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::build::Unsigned;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{AssetId, Height, InstitutionId};
use quittance_ledger::state::{Asset, Role, State, StateError};
use quittance_round::book::Book;
use quittance_rpc::client::Dialer;
use quittance_rpc::directory::Directory;
use quittance_rpc::nodes::Nodes;
use quittance_rpc::submit::Submitter;
use quittance_storage::StorageError;
use thiserror::Error;
use tokio::sync::watch;
use tonic::Status;

use crate::absorb::Absorption;
use crate::lanes::{Lanes, Prover};
use crate::payments::Payments;
use crate::rounds::Policy;
use crate::store::Store;
use crate::transfers::Transfers;
use crate::wallet::{ChainFacts, Wallet, WalletKeys};

pub(crate) use changes::{Changes, now};
pub(crate) use hooks::Parts;
pub(crate) use task::{Handle, Panicked, Tasks, spawn};

/// Why a step was not done.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The caller is told why; nothing has changed.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// The agent must end.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// What governance has decided up to a block; its accounts and rounds are not those of the chain.
#[derive(Clone)]
pub(crate) struct Register {
    pub(crate) state: State,
    pub(crate) height: Height,
}

/// What stays as it is for the life of the agent, but for the register.
pub(crate) struct Setting {
    pub(crate) institution: InstitutionId,
    pub(crate) genesis: Genesis,
    /// Who is who, and which assets there are, after the last block; only the core changes it.
    pub(crate) register: watch::Sender<Register>,
    pub(crate) keys: KeyRing,
    pub(crate) directory: Directory,
    pub(crate) dialer: Dialer,
    pub(crate) nodes: Nodes,
    pub(crate) submitter: Submitter,
    pub(crate) absorb_after: Duration,
    pub(crate) expiry_blocks: u64,
    /// Which rounds are joined.
    pub(crate) rounds: Policy,
    pub(crate) prover: Prover,
}

impl Setting {
    /// What governance has decided, as it holds for the next block.
    pub(crate) fn registry(&self) -> State {
        self.register.borrow().state.clone()
    }

    /// The key with which the institution signs for `purpose` in the next block: the registered
    /// one; the newest if that is not there.
    pub(crate) fn signing(&self, purpose: Purpose) -> &SigningKey {
        let register = self.register.borrow();
        let next = register.height.next();
        let known = register.state.institution(&self.institution);
        let named = known.and_then(|known| known.signing_key(purpose, next));
        let key = named.and_then(|named| self.keys.signing_key(purpose, &named.fingerprint()));
        key.unwrap_or_else(|| self.keys.signing(purpose))
    }

    /// The key that a body names for the institution, which may have been replaced since.
    pub(crate) fn key_for(&self, unsigned: &Unsigned) -> &SigningKey {
        let named = unsigned.signers().get(&self.institution);
        let key = named.and_then(|named| self.keys.signing_key(Purpose::Transaction, named));
        key.unwrap_or_else(|| self.signing(Purpose::Transaction))
    }

    /// An asset of the chain.
    pub(crate) fn asset(&self, asset: AssetId) -> Result<Asset, Status> {
        let unknown = || Status::invalid_argument(format!("asset: {asset} is not on this chain"));
        self.register.borrow().state.asset(&asset).copied().ok_or_else(unknown)
    }

    /// Another institution that can hold accounts; `field` is where the caller named it.
    pub(crate) fn counterparty(
        &self,
        field: &str,
        institution: InstitutionId,
    ) -> Result<(), Status> {
        let refuse = |why: &str| Status::invalid_argument(format!("{field}: {institution} {why}"));
        if institution == self.institution {
            return Err(refuse("is this institution itself"));
        }
        let register = &self.register.borrow().state;
        for one in [self.institution, institution] {
            if let Some(since) = register.suspended(&one) {
                let text = format!("{field}: {one} is suspended since height {since}");
                return Err(Status::failed_precondition(text));
            }
        }
        let other = register.institution(&institution);
        let other = other.ok_or_else(|| refuse("is not registered on this chain"))?;
        match other.roles.contains(&Role::Participant) {
            true => Ok(()),
            false => Err(refuse("holds no accounts")),
        }
    }
}

/// How far the agent has read the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last block processed.
    pub(crate) height: Height,
    /// How far the node was when it was last connected; `None` before it has ever been.
    pub(crate) node: Option<Height>,
    /// Whether the wallet has ever been up to date since the start.
    pub(crate) caught_up: bool,
}

/// All state of an agent.
pub(crate) struct Core {
    pub(crate) setting: Arc<Setting>,
    pub(crate) store: Arc<Store>,
    pub(crate) wallet: Wallet,
    pub(crate) tasks: Tasks,
    pub(crate) transfers: Transfers,
    pub(crate) lanes: Lanes,
    pub(crate) absorption: Absorption,
    pub(crate) payments: Payments,
    /// Rounds and balances of all institutions, as the ledger has them.
    pub(crate) book: Book,
    /// What other modules keep here.
    pub(crate) parts: Parts,
    /// The position of the last event that is on the disk.
    events: watch::Sender<u64>,
    progress: watch::Sender<Progress>,
    /// Lines and events of blocks up to here are on the disk.
    processed: Height,
}

/// What others see of a core without asking it.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) setting: Arc<Setting>,
    pub(crate) store: Arc<Store>,
    pub(crate) events: watch::Receiver<u64>,
    pub(crate) progress: watch::Receiver<Progress>,
}

/// Why a core could not be made.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Genesis(#[from] StateError),
    #[error("the sealing key cannot be used: {0}")]
    Keys(#[from] SealingKeyError),
}

impl Core {
    /// The core of an institution, from its store and with an empty wallet: the chain fills it.
    pub(crate) fn open(
        setting: Arc<Setting>,
        store: Store,
        tasks: Tasks,
    ) -> Result<Self, OpenError> {
        let (wallet, book) = (wallet(&setting)?, Book::new(&setting.genesis)?);
        let processed = store.processed()?;
        let (place, payment_place) = store.next_places()?;
        let transfers = Transfers::new(store.open_instructions()?, place);
        let open = store.payments(|payment| payment.state.is_open(), usize::MAX)?;
        let payments = Payments::new(open, payment_place);
        let events = watch::Sender::new(store.last_event()?);
        let progress = Progress { height: Height::GENESIS, node: None, caught_up: false };
        let parts = Parts::open(&setting, &store)?;
        Ok(Self {
            setting,
            store: Arc::new(store),
            wallet,
            book,
            tasks,
            transfers,
            lanes: Lanes::default(),
            absorption: Absorption::default(),
            payments,
            parts,
            events,
            progress: watch::Sender::new(progress),
            processed,
        })
    }

    pub(crate) fn view(&self) -> View {
        View {
            setting: self.setting.clone(),
            store: self.store.clone(),
            events: self.events.subscribe(),
            progress: self.progress.subscribe(),
        }
    }

    /// Refuses as long as the wallet may not know all that has happened.
    pub(crate) fn check_caught_up(&self) -> Result<(), Failure> {
        Ok(self.progress.borrow().check_caught_up()?)
    }

    /// The last height at which a transaction made now may be included.
    pub(crate) fn expiry(&self) -> Height {
        let longest = self.book.registry().limits().max_expiry;
        self.wallet.height().plus(self.setting.expiry_blocks.min(longest))
    }
}

impl Progress {
    /// `UNAVAILABLE` as long as the wallet may not know all that has happened.
    pub(crate) fn check_caught_up(&self) -> Result<(), Status> {
        let height = self.height;
        match (self.caught_up, self.node) {
            (true, _) => Ok(()),
            (false, Some(node)) => {
                Err(Status::unavailable(format!("catching up: height {height} of {node}")))
            }
            (false, None) => Err(Status::unavailable(format!(
                "catching up: height {height}; the node has not answered yet"
            ))),
        }
    }
}

/// The wallet at height 0.
fn wallet(setting: &Setting) -> Result<Wallet, SealingKeyError> {
    let Setting { institution, genesis, keys, .. } = setting;
    let issuers = genesis.assets.iter().map(|(asset, about)| (*asset, about.issuer)).collect();
    let facts = ChainFacts { chain: genesis.chain_id(), suite: genesis.suite, issuers };
    let copy =
        |key: &SealingKey| SealingKey::from_secret_bytes(keys.suite(), &key.to_secret_bytes());
    let keys = WalletKeys {
        transaction_key: setting.signing(Purpose::Transaction).verifying_key().fingerprint(),
        sealing: keys.sealing_keys().iter().map(copy).collect::<Result<_, _>>()?,
        note: NoteKey::from_bytes(keys.note().as_bytes()),
    };
    Ok(Wallet::new(*institution, facts, keys))
}
