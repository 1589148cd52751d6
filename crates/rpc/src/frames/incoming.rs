//! What has arrived from the other parties and was not yet taken in.
//!
//! Everything is kept under one lock, which is held for moves only. A session takes all frames of a
//! peer from one stream: that over which the first came. If the stream ends, so does, for this
//! peer, what the session can get.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::{Frame, MAX_FRAME_PAYLOAD, MAX_MESSAGE};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Sessions that run at the same time.
pub const MAX_SESSIONS: usize = 16;
/// An honest peer is at most one exchange ahead: two messages, one of them perhaps in parts.
const MAX_WAITING_BYTES: usize = 2 * MAX_MESSAGE;
const MAX_WAITING_FRAMES: usize = 2 * (MAX_MESSAGE / MAX_FRAME_PAYLOAD);
/// Of one peer, in all sessions that run.
const MAX_PEER_BYTES: usize = 2 * MAX_WAITING_BYTES;
/// Of one peer: sessions that have not begun here. It can send the first message of each, which is
/// small.
const MAX_EARLY_SESSIONS: usize = 16;
const MAX_EARLY_FRAMES: usize = 64;
const MAX_EARLY_BYTES: usize = 1 << 20;
/// How long frames of a session are kept that does not begin.
pub const EARLY_TIME: Duration = Duration::from_secs(60);
/// Ended sessions that are remembered, so that their frames are not taken for early ones.
const MAX_REMEMBERED: usize = 1024;

/// Why a frame was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    /// The session is among other parties.
    #[error("the sender is not in the committee of this session")]
    Stranger,
    /// The session has ended here.
    #[error("the session is over")]
    Over,
    /// Frames before this one may be lost.
    #[error("the session had another stream of this sender")]
    OtherStream,
    /// More than a party that follows the protocol can have sent.
    #[error("more has been sent than the session allows")]
    TooMuch,
    /// More of sessions that have not begun here than is kept of one peer.
    #[error("too much of sessions that have not begun here")]
    TooEarly,
}

/// What keeps a peer's further frames from a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Its stream has ended.
    Disconnected,
    /// It has sent too much.
    Flooded,
}

/// Why a session cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBeginning {
    Twice,
    TooMany,
}

/// A stream of one peer.
pub(super) struct Stream {
    pub(super) number: u64,
    /// Cancelled when the peer opens another one.
    pub(super) replaced: CancellationToken,
}

#[derive(Default)]
pub(super) struct Incoming(Mutex<State>);

#[derive(Default)]
struct State {
    running: BTreeMap<Digest, Running>,
    early: BTreeMap<InstitutionId, Vec<Early>>,
    over: VecDeque<Digest>,
    streams: BTreeMap<InstitutionId, Stream>,
    opened: u64,
    /// Bytes that wait in running sessions, by peer.
    waiting: BTreeMap<InstitutionId, usize>,
}

struct Running {
    peers: BTreeMap<InstitutionId, FromPeer>,
    changed: Arc<Notify>,
}

/// What one session has of one peer.
#[derive(Default)]
struct FromPeer {
    stream: Option<u64>,
    trouble: Option<Trouble>,
    frames: VecDeque<Frame>,
    bytes: usize,
}

/// What one peer has sent of a session that has not begun here.
struct Early {
    session: Digest,
    since: Instant,
    from: FromPeer,
}

/// What a frame takes of a bound.
fn cost(frame: &Frame) -> usize {
    frame.payload.len() + 64
}

impl Incoming {
    /// State is whole after each method, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer has opened a stream; its former one is replaced.
    pub(super) fn open(&self, peer: InstitutionId) -> Stream {
        let mut state = self.lock();
        state.opened += 1;
        let number = state.opened;
        let replaced = CancellationToken::new();
        let stream = Stream { number, replaced: replaced.clone() };
        if let Some(former) = state.streams.insert(peer, stream) {
            former.replaced.cancel();
            state.lose(peer, former.number);
        }
        Stream { number, replaced }
    }

    /// A stream has ended.
    pub(super) fn close(&self, peer: InstitutionId, stream: u64) {
        let mut state = self.lock();
        if state.streams.get(&peer).is_some_and(|present| present.number == stream) {
            state.streams.remove(&peer);
        }
        state.lose(peer, stream);
    }

    /// Takes in a frame of `peer`.
    pub(super) fn route(
        &self,
        peer: InstitutionId,
        stream: u64,
        frame: Frame,
    ) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.running.contains_key(&frame.session) {
            state.deliver(peer, stream, frame)
        } else if state.over.contains(&frame.session) {
            Err(Refused::Over)
        } else {
            state.keep_early(peer, stream, frame)
        }
    }

    /// A session begins, with these other parties and what they have sent already. The result tells
    /// of changes.
    pub(super) fn begin(
        &self,
        session: Digest,
        peers: impl Iterator<Item = InstitutionId>,
    ) -> Result<Arc<Notify>, NoBeginning> {
        let mut state = self.lock();
        if state.running.contains_key(&session) || state.over.contains(&session) {
            return Err(NoBeginning::Twice);
        }
        if state.running.len() >= MAX_SESSIONS {
            return Err(NoBeginning::TooMany);
        }
        let mut running = Running { peers: BTreeMap::new(), changed: Arc::new(Notify::new()) };
        let changed = running.changed.clone();
        for peer in peers {
            let from = state.take_early(peer, &session);
            *state.waiting.entry(peer).or_default() += from.bytes;
            running.peers.insert(peer, from);
        }
        // What others have sent of it is none of its frames.
        state.early.values_mut().for_each(|all| all.retain(|early| early.session != session));
        state.running.insert(session, running);
        Ok(changed)
    }

    /// The frames that wait for a session.
    pub(super) fn take(&self, session: &Digest) -> Vec<(InstitutionId, Frame)> {
        let state = &mut *self.lock();
        let mut taken = vec![];
        for (peer, from) in state.running.get_mut(session).into_iter().flat_map(|it| &mut it.peers)
        {
            if let Some(waiting) = state.waiting.get_mut(peer) {
                *waiting = waiting.saturating_sub(std::mem::take(&mut from.bytes));
            }
            taken.extend(from.frames.drain(..).map(|frame| (*peer, frame)));
        }
        taken
    }

    /// Whether frames wait for a session, and what is wrong with its peers.
    pub(super) fn look(&self, session: &Digest) -> (bool, Vec<(InstitutionId, Trouble)>) {
        let state = self.lock();
        let peers = || state.running.get(session).into_iter().flat_map(|running| &running.peers);
        let some = peers().any(|(_, from)| !from.frames.is_empty());
        (some, peers().filter_map(|(peer, from)| Some((*peer, from.trouble?))).collect())
    }

    /// A session has ended; it never begins again.
    pub(super) fn end(&self, session: &Digest) {
        let mut state = self.lock();
        let Some(running) = state.running.remove(session) else { return };
        for (peer, from) in running.peers {
            if let Some(waiting) = state.waiting.get_mut(&peer) {
                *waiting = waiting.saturating_sub(from.bytes);
            }
        }
        state.over.push_back(*session);
        if state.over.len() > MAX_REMEMBERED {
            state.over.pop_front();
        }
    }
}

impl FromPeer {
    /// All frames of a peer come over the stream of the first.
    fn check_stream(&mut self, stream: u64) -> Result<(), Refused> {
        match (self.trouble, self.stream) {
            (Some(Trouble::Flooded), _) => Err(Refused::TooMuch),
            (Some(Trouble::Disconnected), _) => Err(Refused::OtherStream),
            (None, Some(first)) if first != stream => Err(Refused::OtherStream),
            (None, _) => {
                self.stream = Some(stream);
                Ok(())
            }
        }
    }

    fn push(&mut self, frame: Frame) {
        self.bytes += cost(&frame);
        self.frames.push_back(frame);
    }
}

impl State {
    fn deliver(&mut self, peer: InstitutionId, stream: u64, frame: Frame) -> Result<(), Refused> {
        let running = self.running.get_mut(&frame.session).ok_or(Refused::Over)?;
        let from = running.peers.get_mut(&peer).ok_or(Refused::Stranger)?;
        from.check_stream(stream)?;
        let waiting = self.waiting.entry(peer).or_default();
        running.changed.notify_one();
        if from.bytes + cost(&frame) > MAX_WAITING_BYTES
            || from.frames.len() >= MAX_WAITING_FRAMES
            || *waiting + cost(&frame) > MAX_PEER_BYTES
        {
            from.trouble = Some(Trouble::Flooded);
            return Err(Refused::TooMuch);
        }
        *waiting += cost(&frame);
        from.push(frame);
        Ok(())
    }

    fn keep_early(
        &mut self,
        peer: InstitutionId,
        stream: u64,
        frame: Frame,
    ) -> Result<(), Refused> {
        let all = self.early.entry(peer).or_default();
        all.retain(|early| early.since.elapsed() < EARLY_TIME);
        let frames: usize = all.iter().map(|early| early.from.frames.len()).sum();
        let bytes: usize = all.iter().map(|early| early.from.bytes).sum();
        if frames >= MAX_EARLY_FRAMES || bytes + cost(&frame) > MAX_EARLY_BYTES {
            return Err(Refused::TooEarly);
        }
        let place = match all.iter().position(|early| early.session == frame.session) {
            Some(place) => place,
            None if all.len() >= MAX_EARLY_SESSIONS => return Err(Refused::TooEarly),
            None => {
                let (session, since) = (frame.session, Instant::now());
                all.push(Early { session, since, from: FromPeer::default() });
                all.len() - 1
            }
        };
        let early = all.get_mut(place).ok_or(Refused::TooEarly)?;
        early.from.check_stream(stream)?;
        early.from.push(frame);
        Ok(())
    }

    fn take_early(&mut self, peer: InstitutionId, session: &Digest) -> FromPeer {
        let Some(all) = self.early.get_mut(&peer) else { return FromPeer::default() };
        all.retain(|early| early.since.elapsed() < EARLY_TIME);
        let place = all.iter().position(|early| early.session == *session);
        place.map(|place| all.swap_remove(place).from).unwrap_or_default()
    }

    /// Nothing more comes over this stream.
    fn lose(&mut self, peer: InstitutionId, stream: u64) {
        let lost = |from: &mut FromPeer| {
            if from.stream == Some(stream) && from.trouble.is_none() {
                from.trouble = Some(Trouble::Disconnected);
            }
        };
        for running in self.running.values_mut() {
            running.peers.get_mut(&peer).into_iter().for_each(lost);
            running.changed.notify_one();
        }
        for early in self.early.get_mut(&peer).into_iter().flatten() {
            lost(&mut early.from);
        }
    }
}

#[cfg(test)]
mod tests;
