//! Deciding together with other validators, and passing transactions on to them.
//!
//! ```text
//! engine ──> Wire ──> Peers ==TLS==> the other validators
//! engine <── connection <── one task for each peer <── Peers
//! pool   <── (transactions) <──┘
//! ```
//!
//! A frame between validators is a byte and what follows: 0 for one of the engine's, 1 for the
//! canonical bytes of a transaction that the sender has verified. What a peer sends waits in that
//! peer's own queue. A transaction is passed on once, by the validator to which it was submitted; if
//! a peer misses it, it is proposed when that validator proposes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use metrics::counter;
use quittance_consensus::store::FolderStore;
use quittance_consensus::transport::{Connection, Inbox, Peer, Transport};
use quittance_consensus::{Clock, Engine, EngineConfig, Pace, Patience, Role};
use quittance_crypto::encoding::Decode;
use quittance_crypto::signature::SigningKey;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::transaction::{MAX_TRANSACTION_BYTES, Transaction, Verified};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::metrics::{NODE_RELAYED, NODE_RELAYS_REFUSED};
use quittance_rpc::peers::{Arrived, Own, Peers, Priority, Validators};
use quittance_rpc::server::Connections;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::application::Proposer;
use crate::core::{Core, PassOn};
use crate::pool::Source;

/// The first byte of a frame of the engine's.
const ENGINE: u8 = 0;
/// The first byte of a transaction.
const TRANSACTION: u8 = 1;

/// Frames of the engine up to this size go before larger ones: votes and proposals, but not blocks.
const SMALL: usize = 32 << 10;

/// What is needed to decide together with others.
pub(crate) struct Together {
    pub(crate) institution: InstitutionId,
    pub(crate) key: SigningKey,
    pub(crate) pace: Pace,
    pub(crate) clock: Clock,
    /// Whether it votes while it is a validator.
    pub(crate) role: Role,
    /// Where the engine keeps its log, and proposed blocks.
    pub(crate) folder: std::path::PathBuf,
    pub(crate) others: BTreeMap<InstitutionId, Target>,
    pub(crate) dialer: Dialer,
    pub(crate) connections: Connections,
    /// Who may connect.
    pub(crate) validators: watch::Receiver<Validators>,
    pub(crate) stopping: CancellationToken,
}

impl Together {
    /// Starts the engine, and connects to the others.
    pub(crate) async fn start(
        self,
        core: &Arc<Core>,
        proposer: &Proposer,
    ) -> Result<Engine, NodeError> {
        let Self { institution, key, pace, clock, role, folder, others, dialer, .. } = self;
        let Self { connections, validators, stopping, .. } = self;
        let key = Arc::new(key);
        let own = Own { institution, key: key.clone(), chain: core.view().state.chain().id };
        let (peers, arrived) =
            Peers::start(dialer, own, others, connections, validators, &stopping);
        let wire = Arc::new(Wire(peers));
        let (inbox, arrivals) = Inbox::new();
        tokio::spawn(listen(core.clone(), arrived, inbox));
        // Set once: there is one engine.
        drop(core.others.set(Box::new(wire.clone())));
        let store = FolderStore::open(folder.join("proposals")).map_err(NodeError::Proposals)?;
        let config = EngineConfig {
            chain: core.view().state.chain().id,
            institution,
            key,
            role,
            pace,
            patience: Patience::default(),
            clock,
            folder: folder.join("votes"),
            store: Box::new(store),
            transport: Arc::new(Sender(wire)),
            arrivals,
        };
        Ok(Engine::start(config, proposer).await?)
    }
}

/// Carries frames to the other validators.
struct Wire(Peers);

fn tagged(tag: u8, content: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + content.len());
    frame.put_u8(tag);
    frame.put_slice(content);
    frame.freeze()
}

fn priority(frame: &Bytes) -> Priority {
    match frame.len() <= SMALL {
        true => Priority::Urgent,
        false => Priority::Bulk,
    }
}

/// The engine's way to the others.
struct Sender(Arc<Wire>);

impl Transport for Sender {
    fn send(&self, to: Peer, frame: Bytes) {
        self.0.0.send(&to.0, tagged(ENGINE, &frame), priority(&frame));
    }

    fn send_to_all(&self, frame: Bytes) {
        self.0.0.broadcast(tagged(ENGINE, &frame), priority(&frame));
    }
}

impl PassOn for Arc<Wire> {
    fn pass_on(&self, transaction: &Transaction<Verified>) {
        self.0.broadcast(tagged(TRANSACTION, transaction.bytes()), Priority::Bulk);
    }
}

/// Hands over what peers send, until there are no more connections.
async fn listen(core: Arc<Core>, mut arrived: mpsc::Receiver<Arrived>, inbox: Inbox) {
    while let Some(peer) = arrived.recv().await {
        let (core, inbox) = (core.clone(), inbox.clone());
        tokio::spawn(async move {
            if let Ok(connection) = inbox.connect(Peer(peer.name.key)).await {
                hear(&core, peer, &connection).await;
            }
        });
    }
}

/// Hands over what one peer sends; returns when its connection is to end.
async fn hear(core: &Arc<Core>, mut peer: Arrived, connection: &Connection) {
    loop {
        let frame = tokio::select! {
            frame = peer.frames.recv() => frame,
            () = connection.closed() => return,
        };
        let Some(frame) = frame else { return };
        let taken = match frame.split_first() {
            Some((&ENGINE, _)) => connection.deliver(frame.slice(1..)).await.is_ok(),
            Some((&TRANSACTION, _)) => take_in(core, peer.name.institution, frame.slice(1..)).await,
            _ => false,
        };
        if !taken {
            let peer = peer.name;
            tracing::warn!(%peer, "a validator has sent what is no message; its connection ends");
            return;
        }
    }
}

/// The same, for a task. A long transaction takes milliseconds to decode, in which nothing else would
/// be done on its thread: votes of others, for one.
async fn take_in(core: &Arc<Core>, validator: InstitutionId, bytes: Bytes) -> bool {
    if bytes.len() > MAX_TRANSACTION_BYTES {
        return false;
    }
    if bytes.len() <= SMALL {
        return take(core, validator, &bytes);
    }
    let core = core.clone();
    let taking = tokio::task::spawn_blocking(move || take(&core, validator, &bytes));
    taking.await.unwrap_or(false)
}

/// Takes in a transaction that another validator has verified. `false` if it is none.
fn take(core: &Core, validator: InstitutionId, bytes: &[u8]) -> bool {
    let Ok(transaction) = Transaction::from_bytes(bytes) else { return false };
    let Some(first) = transaction.signatures().first() else { return false };
    let source = Source::Validator { validator, signer: first.institution };
    counter!(NODE_RELAYED).increment(1);
    // It is waiting at the other validator, whatever becomes of it here.
    if let Err(reason) = core.submit(transaction, source) {
        counter!(NODE_RELAYS_REFUSED).increment(1);
        tracing::debug!(%validator, %reason, "a transaction that was passed on is not taken");
    }
    true
}
