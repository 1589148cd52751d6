//! Joint computations over the network: an [`mpc::session::Machine`](Machine) on the service
//! `Party.Frames`.
//!
//! ```text
//! machine -> frames -> one stream to each other party  ==TLS==>  that party's handler
//! machine <- frames of its session <- handler <- the stream of each other party
//! ```
//!
//! Who sent a frame is known by the certificate of the stream; the number that the frame names must
//! be that party's. Frames of sessions that this party has not begun yet are kept for a while, so
//! that nobody has to begin first. All that is kept is bounded, by peer.
//!
//! | bound, for each peer | value | above it |
//! | --- | --- | --- |
//! | streams | 1 | the later one replaces the earlier |
//! | sessions, frames, bytes before a session begins | 16, 64, 1 MiB | refused and logged |
//! | time before a session begins | 60 s | forgotten |
//! | frames, bytes that wait in a session | 128, 128 MiB | the session ends and names the peer |
//! | bytes that wait in all sessions | 256 MiB | the same |
//! | refused frames of a stream, in a session | 64 | the stream ends; so does the session |
//! | frames that wait to be sent | 8 | the session waits |
//!
//! At most 16 sessions run at a time; ended ones are remembered, the last 1024.
//!
//! Nothing is repeated: a stream that ends may have lost frames, and ends the sessions that still
//! wait for its other end. A session that has ended never begins again. What is refused is logged
//! with the sender's name and changes nothing, unless there is very much of it.
//!
//! Buffers of HTTP/2 and TLS, through which shares travel, are not erased after use.

mod failure;
mod incoming;
mod link;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use metrics::counter;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::{Evidence, Frame, Machine, MachinePoll, Progress, Traffic};
use quittance_mpc::{ActiveSet, PartyId};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, Streaming};
use zeroize::Zeroizing;

use crate::client::Dialer;
use crate::config::Target;
use crate::identity::Process;
use crate::metrics::{PARTY_FRAME_BYTES, PARTY_FRAMES};
use crate::proto::party::v1::{FramesRequest, FramesResponse};
use crate::server::Peer;
use incoming::{Incoming, NoBeginning, Trouble};
use link::{Lease, Link};

pub use failure::{Failure, Stopped, Waiting};
pub use incoming::{EARLY_TIME, MAX_SESSIONS, Refused};

/// Refused frames after which a stream, or a session, is ended.
const MAX_REFUSALS: usize = 64;

/// The answers of `Party.Frames`: none, and a status at the end.
pub type FramesStream = Pin<Box<dyn Stream<Item = Result<FramesResponse, Status>> + Send>>;

/// One party's end of all its sessions. Cheap to clone.
#[derive(Clone)]
pub struct Frames(Arc<Hub>);

struct Hub {
    dialer: Dialer,
    links: BTreeMap<InstitutionId, Link>,
    incoming: Incoming,
    stopping: CancellationToken,
    _stop: DropGuard,
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
    /// For a party whose possible partners are `others`, called by `dialer`, until `stopping`.
    pub fn new(
        dialer: Dialer,
        others: BTreeMap<InstitutionId, Target>,
        stopping: &CancellationToken,
    ) -> Self {
        let stopping = stopping.child_token();
        let links = others.into_iter().map(|(id, target)| (id, Link::new(target))).collect();
        let _stop = stopping.clone().drop_guard();
        Self(Arc::new(Hub { dialer, links, incoming: Incoming::default(), stopping, _stop }))
    }

    /// Handles `Party.Frames`: takes in what the caller sends, until it ends the stream or opens
    /// another one.
    pub fn accept(
        &self,
        request: Request<Streaming<FramesRequest>>,
    ) -> Result<Response<FramesStream>, Status> {
        let caller = Peer::of(&request)?.require_process(Process::Party)?.institution;
        if !self.0.links.contains_key(&caller) {
            let reason = format!("{caller} is in no committee with this party");
            tracing::warn!(%caller, "refused a stream of frames: in no committee with this party");
            return Err(Status::permission_denied(reason));
        }
        let (answers, response) = mpsc::channel(1);
        let (incoming, stopping) = (Arc::downgrade(&self.0), self.0.stopping.clone());
        let stream = self.0.incoming.open(caller);
        let frames = request.into_inner();
        tokio::spawn(async move {
            let reader =
                Reader { caller, hub: incoming.clone(), stream: stream.number, refusals: 0 };
            let status = tokio::select! {
                biased;
                status = reader.read(frames) => status,
                () = stream.replaced.cancelled() => Some(Status::aborted("replaced by another stream")),
                () = stopping.cancelled() => Some(Status::unavailable("this party is stopping")),
                () = answers.closed() => None,
            };
            if let Some(hub) = incoming.upgrade() {
                hub.incoming.close(caller, stream.number);
            }
            if let Some(status) = status {
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(response))))
    }

    /// Runs a machine to its end, with what its party has sent. Computing happens on threads for
    /// blocking work. When this returns, or is dropped, the session is over.
    pub async fn drive<T: Send + 'static>(
        &self,
        machine: Machine<T>,
        assignment: Assignment,
    ) -> Result<(T, Traffic), Stopped> {
        let who = (machine.parties(), machine.me());
        let begun = Run::begin(&self.0, who, assignment);
        let mut run = begun.map_err(|failure| Stopped { exchange: 0, failure })?;
        let result = run.run(machine).await;
        // Exchanges are counted from 0.
        let exchange = run.begun.saturating_sub(1);
        result.map_err(|failure| Stopped { exchange, failure })
    }
}

/// Takes in the frames of one stream.
struct Reader {
    caller: InstitutionId,
    hub: std::sync::Weak<Hub>,
    stream: u64,
    refusals: usize,
}

impl Reader {
    /// Until the stream ends; the status that the caller gets for it.
    async fn read(mut self, mut frames: Streaming<FramesRequest>) -> Option<Status> {
        let caller = self.caller;
        loop {
            let request = match frames.message().await {
                Ok(request) => request?,
                Err(status) => {
                    let reason = status.message();
                    tracing::warn!(%caller, reason, "a stream of frames has failed");
                    return Some(status);
                }
            };
            let bytes = Zeroizing::new(request.frame);
            let frame = match Frame::from_bytes(&bytes) {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::warn!(%caller, %error, "refused what is no frame; the stream ends");
                    return Some(Status::invalid_argument(format!("frame: {error}")));
                }
            };
            counter!(PARTY_FRAMES).increment(1);
            counter!(PARTY_FRAME_BYTES).increment(bytes.len() as u64);
            let session = frame.session;
            let refused = self.hub.upgrade()?.incoming.route(caller, self.stream, frame);
            if let Err(reason) = refused {
                tracing::warn!(%caller, %session, %reason, "refused a frame");
                self.refusals += 1;
            }
            if self.refusals > MAX_REFUSALS {
                return Some(Status::resource_exhausted("too many frames were refused"));
            }
        }
    }
}

/// A session that runs.
struct Run<'a> {
    hub: &'a Hub,
    assignment: Assignment,
    changed: Arc<Notify>,
    leases: BTreeMap<InstitutionId, Lease>,
    refusals: BTreeMap<InstitutionId, usize>,
    began: Instant,
    /// How many exchanges have begun.
    begun: u32,
    /// The exchange that it is in, and since when it waits there.
    step: (u32, Instant),
    /// Spent on computing; the rest is waiting and sending.
    computing: Duration,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let (session, computing) = (self.assignment.session, self.computing);
        tracing::debug!(%session, elapsed = ?self.began.elapsed(), ?computing, "session has ended");
        self.hub.incoming.end(&self.assignment.session);
    }
}

impl<'a> Run<'a> {
    fn begin(
        hub: &'a Hub,
        (parties, me): (ActiveSet, PartyId),
        assignment: Assignment,
    ) -> Result<Self, Failure> {
        let (session, members) = (assignment.session, assignment.committee.len());
        let member = |party: PartyId| {
            let unknown = Failure::Committee { members, number: party.number() };
            assignment.committee.get(party.position()).copied().ok_or(unknown)
        };
        member(me)?;
        let others = parties.others(me).map(member).collect::<Result<Vec<_>, _>>()?;
        if let Some(unknown) = others.iter().find(|other| !hub.links.contains_key(*other)) {
            return Err(Failure::Unknown(*unknown));
        }
        let changed =
            hub.incoming.begin(session, others.into_iter()).map_err(|error| match error {
                NoBeginning::Twice => Failure::Twice { session },
                NoBeginning::TooMany => Failure::TooMany,
            })?;
        let (leases, refusals) = (BTreeMap::new(), BTreeMap::new());
        let (began, computing) = (Instant::now(), Duration::ZERO);
        let step = (0, began);
        let begun = 0;
        Ok(Self { hub, assignment, changed, leases, refusals, began, begun, step, computing })
    }

    async fn run<T: Send + 'static>(
        &mut self,
        mut machine: Machine<T>,
    ) -> Result<(T, Traffic), Failure> {
        loop {
            self.deliver(&mut machine)?;
            let (polled, MachinePoll { outgoing, progress }) = self.poll(machine).await?;
            machine = polled;
            self.begun = machine.traffic().exchanges;
            let sent = self.send(outgoing).await;
            let missing: Vec<_> = match progress {
                Progress::Done(result) => {
                    if let Err(failure) = sent {
                        tracing::warn!(%failure, "the last frames of a session were not sent");
                    }
                    return Ok((result, machine.traffic()));
                }
                Progress::Aborted(abort) => {
                    let proven = abort.evidence().map(Evidence::party);
                    let named = proven.or(abort.culprit().map(PartyId::number));
                    let culprit = named.and_then(|number| self.member(number));
                    return Err(Failure::Protocol { abort, culprit });
                }
                Progress::Waiting(parties) => {
                    parties.iter().filter_map(|party| self.member(party.number())).collect()
                }
            };
            sent?;
            if self.step.0 != self.begun {
                self.step = (self.begun, Instant::now());
            }
            self.wait(&missing).await?;
        }
    }

    /// Hands over all that has arrived.
    fn deliver<T>(&mut self, machine: &mut Machine<T>) -> Result<(), Failure> {
        for (peer, frame) in self.hub.incoming.take(&self.assignment.session) {
            let position = self.assignment.committee.iter().position(|member| *member == peer);
            // Committees have at most nine members.
            let number = position.map_or(0, |position| position as u8 + 1);
            if let Err(reason) = machine.deliver(number, frame) {
                let session = self.assignment.session;
                tracing::warn!(%peer, %session, %reason, "refused a frame");
                let refusals = self.refusals.entry(peer).or_default();
                *refusals += 1;
                if *refusals > MAX_REFUSALS {
                    return Err(Failure::Flooded { peer });
                }
            }
        }
        Ok(())
    }

    /// Computes on a thread that may block.
    async fn poll<T: Send + 'static>(
        &mut self,
        mut machine: Machine<T>,
    ) -> Result<(Machine<T>, MachinePoll<T>), Failure> {
        let polling = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let poll = machine.poll();
            (machine, poll, began.elapsed())
        });
        // If the time ends, the machine is dropped as soon as it comes to a halt.
        let (machine, poll, took) = tokio::select! {
            polled = polling => polled.map_err(|_| Failure::Panicked)?,
            failure = self.ended(&[]) => return Err(failure),
        };
        self.computing += took;
        Ok((machine, poll))
    }

    async fn send(&mut self, frames: Vec<Frame>) -> Result<(), Failure> {
        for frame in frames {
            let (number, members) = (frame.to, self.assignment.committee.len());
            let unknown = Failure::Committee { members, number };
            let peer = self.member(number).ok_or(unknown)?;
            let request = FramesRequest { frame: frame.to_bytes() };
            let Hub { links, dialer, stopping, .. } = self.hub;
            let link = links.get(&peer).ok_or(Failure::Unknown(peer))?;
            let lease = || link.lease(dialer, stopping, &self.changed);
            self.leases.entry(peer).or_insert_with(lease);
            let Some(lease) = self.leases.get(&peer) else { continue };
            let receiver = [peer];
            tokio::select! {
                sent = lease.send(request) => {
                    sent.map_err(|reason| Failure::Disconnected { peer, reason })?;
                }
                failure = self.ended(&receiver) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Waits until there is something to deliver; an error if what is missing cannot come.
    async fn wait(&self, missing: &[InstitutionId]) -> Result<(), Failure> {
        loop {
            let (some, troubles) = self.hub.incoming.look(&self.assignment.session);
            if some {
                return Ok(());
            }
            for &peer in missing {
                let trouble = troubles.iter().find(|(whose, _)| *whose == peer);
                let reason = match trouble {
                    Some((_, Trouble::Flooded)) => return Err(Failure::Flooded { peer }),
                    Some((_, Trouble::Disconnected)) => Some("its stream has ended".to_owned()),
                    None => self.leases.get(&peer).and_then(Lease::ended),
                };
                if let Some(reason) = reason {
                    return Err(Failure::Disconnected { peer, reason });
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                failure = self.ended(missing) => return Err(failure),
                () = sleep_until(self.step.1 + self.assignment.patience) => {
                    return Err(Failure::Silent { waiting: self.waiting(missing) });
                }
            }
        }
    }

    /// Comes to an end when the session must.
    async fn ended(&self, missing: &[InstitutionId]) -> Failure {
        tokio::select! {
            () = self.assignment.cancel.cancelled() => {
                Failure::Cancelled { waiting: self.waiting(missing) }
            }
            () = self.hub.stopping.cancelled() => {
                Failure::Cancelled { waiting: self.waiting(missing) }
            }
            () = sleep_until(self.assignment.deadline) => {
                Failure::Deadline { waiting: self.waiting(missing) }
            }
        }
    }

    fn waiting(&self, missing: &[InstitutionId]) -> Vec<Waiting> {
        let waiting = |party: &InstitutionId| Waiting {
            party: *party,
            unreachable: self.leases.get(party).and_then(Lease::unreachable),
        };
        missing.iter().map(waiting).collect()
    }

    /// The member of the committee with a number.
    fn member(&self, number: u8) -> Option<InstitutionId> {
        self.assignment.committee.get(usize::from(number).checked_sub(1)?).copied()
    }
}
