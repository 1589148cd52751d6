//! Joint computations over the network: an [`mpc::session::Machine`](Machine) over TLS.
//!
//! ```text
//! machine -> frames -> one connection to each other party  ==TLS==>  that party's reader
//! machine <- frames of its session <- reader <- the connection of each other party
//! ```
//!
//! What is on a connection is in [`wire`]; why it is not gRPC, in `docs/adr/0003`. Connections come
//! to the listener of the party's gRPC service, with an application protocol of their own.
//!
//! Who sent a frame is known by the certificate of the connection; the number that the frame names
//! must be that party's. Frames of sessions that this party has not begun yet are kept for a while,
//! so that nobody has to begin first. All that is kept is bounded, by peer.
//!
//! | bound, for each peer | value | above it |
//! | --- | --- | --- |
//! | connections | 1 | the later one replaces the earlier |
//! | sessions, frames, bytes before a session begins | 16, 64, 1 MiB | refused and logged |
//! | time before a session begins | 60 s | forgotten |
//! | frames, bytes that wait in a session | 128, 128 MiB | the session ends and names the peer |
//! | bytes that wait in all sessions | 256 MiB | the same |
//! | refused frames of a connection, in a session | 64 | the connection ends; so does the session |
//! | bytes that wait to be sent | 1 MiB, and a frame | the session waits |
//! | time for a frame, without a frame | 15 s, 30 s | the connection ends |
//!
//! At most 16 sessions run at a time; ended ones are remembered, the last 1024.
//!
//! Nothing is repeated: a connection that ends may have lost frames, and ends the sessions that
//! still wait for its other end. A session that has ended never begins again. What is refused is
//! logged with the sender's name and changes nothing, unless there is very much of it.
//!
//! Sessions and their connections have threads of their own, as many as there are processors, apart
//! from those that serve calls. There a session computes on the thread that has read what it waited
//! for, and writes into the sockets itself: waking threads is what an exchange would cost most.
//!
//! Buffers of TLS, through which shares travel, are not erased after use.

mod failure;
mod incoming;
mod link;
mod outgoing;
mod reader;
mod run;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::{Machine, Traffic};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::Dialer;
use crate::config::Target;
use crate::server::Connections;
use incoming::Incoming;
use link::Link;
use run::Run;

pub use failure::{Failure, Stopped, Waiting};
pub use incoming::{EARLY_TIME, MAX_SESSIONS, Refused};
pub use wire::Word;

/// Refused frames after which a session is ended; and a connection, there less those taken since.
const MAX_REFUSALS: usize = 64;

/// One party's end of all its sessions. Cheap to clone.
#[derive(Clone)]
pub struct Frames(Arc<Hub>);

struct Hub {
    dialer: Dialer,
    links: BTreeMap<InstitutionId, Link>,
    incoming: Incoming,
    stopping: CancellationToken,
    threads: Threads,
    _stop: DropGuard,
}

/// Where sessions and their connections are served.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    /// Without waiting: a runtime must not be waited for on a thread of another.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a machine is to run in.
pub struct Assignment {
    /// The name of the session; see `Binding::session`.
    pub session: Digest,
    /// The whole committee, party 1 first: those that take part and those that do not.
    pub committee: Vec<InstitutionId>,
    /// When there must be a result.
    pub deadline: Instant,
    /// How long the messages of one exchange may take to arrive. More than others need to compute
    /// between two exchanges, or to begin.
    pub patience: Duration,
    /// Ends the session from outside.
    pub cancel: CancellationToken,
}

impl Frames {
    /// For a party whose possible partners are `others`, called by `dialer`, until `stopping`. They
    /// call over `connections`. An error if the system gives no threads.
    pub fn new(
        dialer: Dialer,
        others: BTreeMap<InstitutionId, Target>,
        mut connections: Connections,
        stopping: &CancellationToken,
    ) -> io::Result<Self> {
        let stopping = stopping.child_token();
        let links = others.into_iter().map(|(id, target)| (id, Link::new(target))).collect();
        let _stop = stopping.clone().drop_guard();
        let runtime = Builder::new_multi_thread().thread_name("frames").enable_all().build()?;
        let (handle, limits) = (runtime.handle().clone(), dialer.limits().clone());
        let (incoming, threads) = (Incoming::default(), Threads(Some(runtime)));
        let hub = Arc::new(Hub { dialer, links, incoming, stopping, threads, _stop });
        let served = Arc::downgrade(&hub);
        handle.spawn(async move {
            while let Some(connection) = connections.next().await {
                tokio::spawn(reader::serve(served.clone(), connection, limits.clone()));
            }
        });
        Ok(Self(hub))
    }

    /// Runs a machine to its end, with what its party has sent. When this returns, or is dropped,
    /// the session is over.
    pub async fn drive<T: Send + 'static>(
        &self,
        machine: Machine<T>,
        assignment: Assignment,
    ) -> Result<(T, Traffic), Stopped> {
        let who = (machine.parties(), machine.me());
        let begun = Run::begin(&self.0, who, assignment);
        let run = begun.map_err(|failure| Stopped { exchange: 0, failure })?;
        let result = run.drive(machine).await;
        result.map_err(|failure| Stopped { exchange: run.exchange(), failure })
    }
}
