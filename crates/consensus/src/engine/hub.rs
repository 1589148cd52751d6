//! The network of validators, between the engine and a transport.
//!
//! Frames come in from one task for each peer ([`super::listener`]) and go out from the engine's
//! actor ([`super::network`]). Nothing reaches the engine that [`Guard`] has not let through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use malachite_app_channel::app::engine::network::{
    NetworkEvent, Status as EngineStatus, Subscriber,
};
use malachite_app_channel::app::streaming::{StreamContent, StreamId, StreamMessage};
use malachite_app_channel::app::types::PeerId;
use malachite_network::Channel;
use malachite_sync::{InboundRequestId, OutboundRequestId};
use quittance_crypto::planted;
use quittance_crypto::signature::SigningKey;
use quittance_ledger::ids::{BlockId, Height, InstitutionId};
use tokio::sync::{oneshot, watch};

use super::codec::{request_in, response_in};
use super::context::{Quittance, Whole};
use super::convert::{polka_in, proposal_in, round_in, vote_in};
use super::guard::{Guard, HEIGHTS_AHEAD, Refusal};
use super::listener::Assembly;
use crate::transport::{Peer, Transport};
use crate::wire::{Frame, Request, Response, parts_of};

/// Requests of one peer that are being answered.
const MAX_REQUESTS: usize = 8;

/// Whole blocks that are handed to the engine for one height: some for each round that it takes.
const MAX_BLOCKS: usize = 64;

/// SHA-256 as a multihash: its code and its length.
const MULTIHASH: [u8; 2] = [0x12, 32];

type Event = NetworkEvent<Quittance>;

/// Who this validator is.
pub struct Own {
    /// Its institution.
    pub institution: InstitutionId,
    /// The key that it votes with.
    pub key: Arc<SigningKey>,
}

/// What the tasks of the network share.
pub struct Hub {
    guard: Arc<Guard>,
    transport: Arc<dyn Transport>,
    own: Own,
    state: Mutex<State>,
    /// The greatest height that somebody has begun.
    begun: watch::Sender<Height>,
}

#[derive(Default)]
struct State {
    subscribers: Vec<Box<dyn Subscriber<Event>>>,
    /// Connected peers; dropping the sender ends an older connection.
    peers: BTreeMap<Peer, (u64, oneshot::Sender<()>)>,
    /// Requests that wait for a response.
    asked: BTreeMap<u64, (OutboundRequestId, Peer)>,
    /// Requests that wait for ours.
    answering: BTreeMap<InboundRequestId, (Peer, u64)>,
    /// Blocks that have been handed to the engine.
    whole: BTreeSet<(Height, u32, BlockId)>,
    count: u64,
}

impl State {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn emit(&self, event: &Event) {
        self.subscribers.iter().for_each(|subscriber| subscriber.send(event.clone()));
    }
}

/// The engine's name of a peer.
pub fn id_of(peer: Peer) -> PeerId {
    let bytes = [&MULTIHASH[..], peer.0.as_bytes()].concat();
    PeerId::from_bytes(&bytes).expect("32 bytes are a digest of SHA-256")
}

impl Hub {
    pub fn new(guard: Arc<Guard>, transport: Arc<dyn Transport>, own: Own) -> Self {
        let (state, begun) = (Mutex::default(), watch::Sender::new(Height::GENESIS));
        Self { guard, transport, own, state, begun }
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Follows the greatest height that others have begun.
    pub fn follow(&self) -> watch::Receiver<Height> {
        self.begun.subscribe()
    }

    /// The engine wants to hear what happens: first, who is there.
    pub fn subscribe(&self, subscriber: Box<dyn Subscriber<Event>>) {
        let mut state = self.lock();
        subscriber.send(NetworkEvent::Listening(
            malachite_app_channel::app::engine::network::Multiaddr::empty(),
        ));
        for peer in state.peers.keys() {
            subscriber.send(NetworkEvent::PeerConnected(id_of(*peer)));
            subscriber.send(NetworkEvent::PeerSubscribed(id_of(*peer), Channel::Sync));
        }
        state.subscribers.push(subscriber);
    }

    /// A peer has connected; the receiver ends when a newer connection takes its place.
    pub fn up(&self, peer: Peer) -> (u64, oneshot::Receiver<()>) {
        let mut state = self.lock();
        let number = state.next();
        let (sender, replaced) = oneshot::channel();
        state.peers.insert(peer, (number, sender));
        state.emit(&NetworkEvent::PeerConnected(id_of(peer)));
        state.emit(&NetworkEvent::PeerSubscribed(id_of(peer), Channel::Sync));
        (number, replaced)
    }

    /// A connection has ended; the peer is gone unless it has a newer one.
    pub fn down(&self, peer: Peer, number: u64) {
        let mut state = self.lock();
        if state.peers.get(&peer).is_some_and(|(current, _)| *current == number) {
            state.peers.remove(&peer);
            state.asked.retain(|_, (_, of)| *of != peer);
            state.answering.retain(|_, (of, _)| *of != peer);
            state.emit(&NetworkEvent::PeerDisconnected(id_of(peer)));
        }
    }

    /// Takes in what a peer says.
    pub fn hear(&self, peer: Peer, frame: Frame, assembly: &mut Assembly) -> Result<(), Refusal> {
        let from = id_of(peer);
        match frame {
            Frame::Vote(vote) | Frame::VoteAgain(vote) => {
                self.guard.vote(&vote)?;
                self.note(vote.vote.height);
                self.emit(NetworkEvent::Vote(from, vote_in(vote)));
            }
            Frame::Proposal(proposal) => {
                self.guard.proposal(&proposal)?;
                self.note(proposal.proposal.height);
                self.emit(NetworkEvent::Proposal(from, proposal_in(proposal)));
            }
            Frame::Part(part) => {
                self.guard.part(&part)?;
                self.note(part.part.height);
                if let Some(whole) = assembly.add(part) {
                    self.hand_in(from, whole);
                }
            }
            Frame::Polka(polka) => {
                self.guard.polka(&polka)?;
                self.emit(NetworkEvent::PolkaCertificate(from, polka_in(polka)));
            }
            Frame::RoundChange(change) => {
                self.guard.round_change(&change)?;
                self.emit(NetworkEvent::RoundCertificate(from, round_in(change)));
            }
            Frame::Status(status) => {
                if self.guard.is_validator(peer) {
                    self.note(status.tip);
                }
                let status = EngineStatus::new(status.tip.into(), status.first.into());
                self.emit(NetworkEvent::Status(from, status));
            }
            Frame::Begun(height) => {
                if self.guard.is_validator(peer) {
                    self.note(height);
                }
            }
            Frame::Request(request) => self.requested(peer, request),
            Frame::Response(response) => self.responded(peer, response),
        }
        Ok(())
    }

    /// Somebody is at `height` already. However far that is, it counts for a few heights at most.
    fn note(&self, height: Height) {
        let last = Height(self.guard.height().0.saturating_add(HEIGHTS_AHEAD));
        let height = height.min(last);
        self.begun.send_if_modified(|begun| {
            let news = *begun < height;
            *begun = height.max(*begun);
            news
        });
    }

    fn hand_in(&self, from: PeerId, whole: Whole) {
        let mut state = self.lock();
        let now = self.guard.height();
        state.whole.retain(|(height, ..)| *height >= now);
        let name = (whole.height, whole.round, whole.block);
        if state.whole.len() < MAX_BLOCKS && state.whole.insert(name) {
            state.emit(&NetworkEvent::ProposalPart(from, None, message(whole)));
        }
    }

    fn requested(&self, peer: Peer, request: Request) {
        let mut state = self.lock();
        let waiting = state.answering.values().filter(|(of, _)| *of == peer).count();
        if planted!("requests-not-bounded", true, waiting < MAX_REQUESTS) {
            let id = InboundRequestId::new(state.next());
            state.answering.insert(id.clone(), (peer, request.id));
            state.emit(&NetworkEvent::SyncRequest(id, id_of(peer), request_in(request)));
        }
    }

    /// Only the peer that was asked answers, and once.
    fn responded(&self, peer: Peer, response: Response) {
        let mut state = self.lock();
        let other = state.asked.get(&response.id).is_none_or(|(_, of)| *of != peer);
        if planted!("answer-by-anybody", false, other) {
            return;
        }
        if let Some((id, _)) = state.asked.remove(&response.id) {
            let response = Some(response_in(response));
            state.emit(&NetworkEvent::SyncResponse(id, id_of(peer), response));
        }
    }

    /// Asks a peer; the number that the request is known by.
    pub fn ask(
        &self,
        to: PeerId,
        request: impl FnOnce(u64) -> Request,
    ) -> Option<OutboundRequestId> {
        let mut state = self.lock();
        let peer = *state.peers.keys().find(|peer| id_of(**peer) == to)?;
        let number = state.next();
        let id = OutboundRequestId::new(number);
        state.asked.insert(number, (id.clone(), peer));
        drop(state);
        self.send(peer, &Frame::Request(request(number)));
        Some(id)
    }

    /// A request is not waited for any more.
    pub fn forget(&self, id: &OutboundRequestId) {
        self.lock().asked.retain(|_, (asked, _)| asked != id);
    }

    /// Answers a request, if its peer is still there.
    pub fn answer(&self, id: &InboundRequestId, response: impl FnOnce(u64) -> Response) {
        let asker = self.lock().answering.remove(id);
        if let Some((peer, number)) = asker {
            self.send(peer, &Frame::Response(response(number)));
        }
    }

    /// A request will not be answered.
    pub fn ignore(&self, id: &InboundRequestId) {
        self.lock().answering.remove(id);
    }

    /// Cuts a proposed block into pieces, signs them, and sends them to everybody.
    pub fn publish(&self, whole: &Whole) {
        let Whole { height, round, block, bytes, .. } = whole;
        for part in parts_of(self.guard.chain(), *height, *round, *block, bytes) {
            self.publish_frame(&Frame::Part(part.sign(self.own.institution, &self.own.key)));
        }
    }

    /// Sends to everybody.
    pub fn publish_frame(&self, frame: &Frame) {
        self.transport.send_to_all(frame.to_frame(self.guard.chain()));
    }

    fn send(&self, to: Peer, frame: &Frame) {
        self.transport.send(to, frame.to_frame(self.guard.chain()));
    }

    fn emit(&self, event: Event) {
        self.lock().emit(&event);
    }

    /// Each change is complete, so what another thread's panic leaves is sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A whole block as the engine carries it to the application and from there.
pub fn message(whole: Whole) -> StreamMessage<Whole> {
    let stream = StreamId::new(bytes::Bytes::copy_from_slice(whole.block.0.as_bytes()));
    StreamMessage::new(stream, 0, StreamContent::Data(whole))
}
