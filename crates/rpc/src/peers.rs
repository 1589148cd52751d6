//! Validators among themselves: frames of their consensus, over TLS.
//!
//! ```text
//! send, broadcast -> queue of each peer -> one connection  ==TLS==>  that peer's reader
//! frames of each peer, in a channel of its own <- reader <- its connection
//! ```
//!
//! Connections come to the listener of the node's gRPC service, with an application protocol of their
//! own and the certificates of nodes. A certificate says whose process it is; that it is the
//! validator is proven on top of it: both ends sign, with the key that they vote with, keying
//! material that only this connection has ([`Hello`]). So a hello can be neither repeated nor passed
//! on, and nothing that a peer sends is handed over before its own was accepted. What is on a
//! connection is in [`wire`]; why it is so, in `docs/adr/0005`.
//!
//! Of two validators the one whose institution comes first calls, and calls again until it is
//! connected. A later connection replaces an earlier one. A validator that leaves the set is cut
//! off.
//!
//! | bound, for each peer | value | above it |
//! | --- | --- | --- |
//! | connections | 1 | the later one replaces the earlier |
//! | bytes of a frame, of an urgent one | 35 MiB, 64 KiB | the connection ends |
//! | frames, bytes of urgent ones that wait to be sent | 1024, 8 MiB | the frame is dropped and counted |
//! | frames, bytes of others that wait to be sent | 1024, 76 MiB | the same |
//! | frames, bytes that were received and not taken | 64, 40 MiB | nothing more is read |
//! | time for hellos, for a piece in and out, without a word | 15 s, 15 s, 30 s | the connection ends |

mod hello;
mod link;
mod queue;
mod untaken;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use metrics::gauge;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{SigningKey, VerifyingKey};
use quittance_ledger::certificate::ValidatorSet;
use quittance_ledger::ids::{ChainId, InstitutionId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::client::Dialer;
use crate::config::Target;
use crate::metrics::VALIDATORS_CONNECTED;
use crate::server::Connections;
use queue::Queue;

pub use hello::{EXPORTER_LABEL, Hello, Refused, Side, Statement};
pub use untaken::Frames;
pub use wire::Reason;

/// The longest frame: 32 MiB of transactions, with certificates and what belongs to a block besides.
pub const MAX_FRAME_BYTES: usize = 35 << 20;

/// The longest urgent frame, which is one piece: a vote has some 4 KiB.
pub const MAX_URGENT_FRAME_BYTES: usize = 64 << 10;

/// Peers whose first frames wait to be taken.
const ARRIVALS: usize = 16;

/// A validator, and the fingerprint of the key that it votes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerName {
    /// Which institution.
    pub institution: InstitutionId,
    /// Fingerprint of its vote key.
    pub key: Digest,
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.institution.fmt(f)
    }
}

/// Who may connect: validators with the keys that they vote with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators(BTreeMap<InstitutionId, Vec<VerifyingKey>>);

impl Validators {
    /// The validators of these sets.
    pub fn of<'a>(sets: impl IntoIterator<Item = &'a ValidatorSet>) -> Self {
        let mut all = Self::default();
        for validator in sets.into_iter().flat_map(ValidatorSet::validators) {
            all.admit(validator.institution, &validator.key);
        }
        all
    }

    /// A validator may also connect with this key.
    pub fn admit(&mut self, institution: InstitutionId, key: &VerifyingKey) {
        let keys = self.0.entry(institution).or_default();
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }

    fn contains(&self, institution: InstitutionId) -> bool {
        self.0.contains_key(&institution)
    }

    /// The key of a validator that has this fingerprint.
    fn key(&self, institution: InstitutionId, fingerprint: &Digest) -> Option<&VerifyingKey> {
        let known = self.0.get(&institution)?;
        known.iter().find(|key| key.fingerprint() == *fingerprint)
    }

    fn has(&self, name: &PeerName) -> bool {
        self.key(name.institution, &name.key).is_some()
    }
}

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Votes and what is as small: before all else, also in the middle of it. A frame that is longer
    /// than [`MAX_URGENT_FRAME_BYTES`] goes with the others all the same.
    Urgent,
    /// Blocks and whatever is large, or can wait.
    Bulk,
}

impl Priority {
    fn label(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Bulk => "bulk",
        }
    }
}

/// The validator at this end.
pub struct Own {
    /// Which institution.
    pub institution: InstitutionId,
    /// The key that it votes with.
    pub key: Arc<SigningKey>,
    /// The chain that it is a validator of.
    pub chain: ChainId,
}

/// A peer that has connected and has proven its key.
pub struct Arrived {
    /// Who.
    pub name: PeerName,
    /// Its frames, until its connection ends.
    pub frames: Frames,
}

/// One validator's connections with all others. Cheap to clone.
#[derive(Clone)]
pub struct Peers(Arc<Hub>);

struct Hub {
    own: Own,
    dialer: Dialer,
    validators: watch::Receiver<Validators>,
    arrived: mpsc::Sender<Arrived>,
    present: Mutex<Present>,
    stopping: CancellationToken,
}

#[derive(Default)]
struct Present {
    opened: u64,
    by_key: BTreeMap<Digest, Open>,
}

/// A connection that stands.
struct Open {
    number: u64,
    queue: Arc<Queue>,
    replaced: CancellationToken,
}

/// A connection's place among those that stand; gone when dropped.
struct Place {
    hub: Arc<Hub>,
    name: PeerName,
    number: u64,
    queue: Arc<Queue>,
    replaced: CancellationToken,
}

impl Peers {
    /// Takes `connections`, calls those of the others in `book` that are to be called, and goes on
    /// until `stopping`. Needs a runtime. `validators` says who may connect; the receiver tells of
    /// everybody who has.
    pub fn start(
        dialer: Dialer,
        own: Own,
        book: BTreeMap<InstitutionId, Target>,
        mut connections: Connections,
        validators: watch::Receiver<Validators>,
        stopping: &CancellationToken,
    ) -> (Self, mpsc::Receiver<Arrived>) {
        let (arrived, arrivals) = mpsc::channel(ARRIVALS);
        let (stopping, present) = (stopping.child_token(), Mutex::default());
        let hub = Arc::new(Hub { own, dialer, validators, arrived, present, stopping });
        let accepting = hub.clone();
        tokio::spawn(async move {
            while let Some(connection) = connections.next().await {
                tokio::spawn(link::accepted(accepting.clone(), connection));
            }
        });
        for (institution, target) in book {
            if hub.own.institution < institution {
                tokio::spawn(link::call(hub.clone(), institution, target));
            }
        }
        (Self(hub), arrivals)
    }

    /// Sends a frame to the peer that votes with the key of this fingerprint. It is dropped if that
    /// peer is not connected or does not keep up. Never waits.
    pub fn send(&self, to: &Digest, frame: Bytes, priority: Priority) {
        let queue = self.0.lock().by_key.get(to).map(|open| open.queue.clone());
        queue.inspect(|queue| queue.push(frame, priority));
    }

    /// Sends a frame to every connected peer, as [`Peers::send`] does.
    pub fn broadcast(&self, frame: Bytes, priority: Priority) {
        let queues: Vec<_> = self.0.lock().by_key.values().map(|open| open.queue.clone()).collect();
        queues.iter().for_each(|queue| queue.push(frame.clone(), priority));
    }

    /// Who is connected now.
    pub fn connected(&self) -> usize {
        self.0.lock().by_key.len()
    }
}

impl Hub {
    /// State is whole after each use, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of this peer stands; a former one is replaced.
    fn open(self: &Arc<Self>, name: PeerName) -> Place {
        let (queue, replaced) = (Arc::new(Queue::default()), self.stopping.child_token());
        let mut present = self.lock();
        present.opened += 1;
        let number = present.opened;
        let open = Open { number, queue: queue.clone(), replaced: replaced.clone() };
        if let Some(former) = present.by_key.insert(name.key, open) {
            former.replaced.cancel();
        }
        gauge!(VALIDATORS_CONNECTED).set(present.by_key.len() as f64);
        Place { hub: self.clone(), name, number, queue, replaced }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.hub.lock();
        if present.by_key.get(&self.name.key).is_some_and(|open| open.number == self.number) {
            present.by_key.remove(&self.name.key);
        }
        gauge!(VALIDATORS_CONNECTED).set(present.by_key.len() as f64);
    }
}
