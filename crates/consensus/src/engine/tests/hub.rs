use std::sync::{Arc, Mutex};

use bytes::Bytes;
use malachite_app_channel::app::engine::network::{NetworkEvent, Subscriber};
use malachite_app_channel::app::engine::util::output_port::{
    OutputPort, OutputPortSubscriberTrait,
};
use malachite_app_channel::app::streaming::StreamContent;

use super::*;
use crate::engine::context::{Quittance, Whole};
use crate::engine::guard::Guard;
use crate::engine::hub::{Hub, Own, id_of};
use crate::engine::listener::Assembly;
use crate::transport::{Peer, Transport};
use crate::wire::{Frame, PART_BYTES, Request, Response, SignedPart, Status, parts_of};

type Event = NetworkEvent<Quittance>;

/// Remembers what the engine is told.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Event>>>);

impl OutputPortSubscriberTrait<Event> for Ear {
    fn subscribe_to_port(&self, _: &OutputPort<Event>) {}
}

impl Subscriber<Event> for Ear {
    fn send(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Ear {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Remembers what is sent.
#[derive(Default)]
struct Wire(Mutex<Vec<(Option<Peer>, Frame)>>);

impl Transport for Wire {
    fn send(&self, to: Peer, frame: Bytes) {
        self.0.lock().unwrap().push((Some(to), Frame::from_frame(&frame, CHAIN).unwrap()));
    }

    fn send_to_all(&self, frame: Bytes) {
        self.0.lock().unwrap().push((None, Frame::from_frame(&frame, CHAIN).unwrap()));
    }
}

fn hub() -> (Hub, Ear, Arc<Wire>) {
    let (wire, ear) = (Arc::new(Wire::default()), Ear::default());
    let guard = Arc::new(Guard::new(CHAIN, HEIGHT, set()));
    guard.enter(1);
    let own = Own { institution: name(2), key: Arc::new(key(2)) };
    let hub = Hub::new(guard, wire.clone(), own);
    hub.subscribe(Box::new(ear.clone()));
    assert!(matches!(ear.take()[..], [NetworkEvent::Listening(_)]));
    (hub, ear, wire)
}

fn peer(number: u8) -> Peer {
    Peer::of(&key(number).verifying_key())
}

fn request(id: u64) -> Request {
    Request { id, first: Height(1), last: Height(2) }
}

fn response(id: u64) -> Frame {
    Frame::Response(Response { id, first: Height(1), blocks: vec![] })
}

/// A block of three pieces.
fn long() -> Whole {
    let bytes = Bytes::from(vec![1; 2 * PART_BYTES + 5]);
    Whole { who: name(2), height: HEIGHT, round: 1, block: BLOCK, bytes }
}

fn pieces(block: BlockId) -> Vec<SignedPart> {
    let parts = parts_of(CHAIN, HEIGHT, 1, block, &long().bytes);
    parts.into_iter().map(|part| part.sign(name(2), &key(2))).collect()
}

#[test]
fn the_engine_hears_what_is_authenticated_and_nothing_else() {
    let (hub, ear, _) = hub();
    let mut assembly = Assembly::default();
    let mut hear = |frame| hub.hear(peer(1), frame, &mut assembly);
    hear(Frame::Vote(vote(0))).unwrap();
    hear(Frame::VoteAgain(vote(1))).unwrap();
    hear(Frame::Proposal(proposal())).unwrap();
    let [NetworkEvent::Vote(from, _), NetworkEvent::Vote(..), NetworkEvent::Proposal(..)] =
        &ear.take()[..]
    else {
        panic!("three messages are emitted")
    };
    assert_eq!(*from, id_of(peer(1)));
    let framed = SignedVote { institution: name(3), ..vote(0) };
    assert!(hear(Frame::Vote(framed.clone())).is_err());
    assert!(hear(Frame::VoteAgain(framed)).is_err());
    assert!(hear(Frame::Proposal(offer(proposal().proposal, 0))).is_err());
    let mut forged = pieces(BLOCK);
    forged[0].part.index = 1;
    assert!(hear(Frame::Part(forged[0].clone())).is_err());
    assert!(ear.take().is_empty());
}

#[test]
fn a_block_comes_whole_once_and_in_any_order() {
    let (hub, ear, wire) = hub();
    hub.publish(&long());
    let sent: Vec<SignedPart> = std::mem::take(&mut *wire.0.lock().unwrap())
        .into_iter()
        .map(|(to, frame)| match (to, frame) {
            (None, Frame::Part(part)) => part,
            other => panic!("{other:?} is no piece for everybody"),
        })
        .collect();
    let mut assembly = Assembly::default();
    for part in sent.iter().rev() {
        assert!(ear.take().is_empty());
        hub.hear(peer(2), Frame::Part(part.clone()), &mut assembly).unwrap();
    }
    let [NetworkEvent::ProposalPart(_, None, message)] = &ear.take()[..] else {
        panic!("one block is emitted")
    };
    assert_eq!(message.content, StreamContent::Data(long()));
    // Again from another peer: no news.
    for part in &sent {
        hub.hear(peer(1), Frame::Part(part.clone()), &mut assembly).unwrap();
    }
    assert!(ear.take().is_empty());
}

#[test]
fn pieces_of_two_blocks_make_none() {
    let (hub, ear, _) = hub();
    let mut assembly = Assembly::default();
    let (one, other) = (pieces(BLOCK), pieces(BlockId(Digest([6; 32]))));
    for part in [&one[0], &one[1], &other[2], &other[0], &one[2], &other[1]] {
        hub.hear(peer(2), Frame::Part(part.clone()), &mut assembly).unwrap();
    }
    assert!(ear.take().is_empty());
}

#[test]
fn who_was_asked_answers_once() {
    let (hub, ear, wire) = hub();
    assert!(hub.ask(id_of(peer(0)), request).is_none());
    let (number, _replaced) = hub.up(peer(0));
    let (_, _other) = hub.up(peer(1));
    ear.take();
    hub.ask(id_of(peer(0)), request).unwrap();
    let (to, frame) = wire.0.lock().unwrap().pop().unwrap();
    let Frame::Request(Request { id, .. }) = frame else { panic!("a request is sent") };
    assert_eq!(to, Some(peer(0)));
    let mut assembly = Assembly::default();
    hub.hear(peer(1), response(id), &mut assembly).unwrap();
    hub.hear(peer(0), response(id + 1), &mut assembly).unwrap();
    assert!(ear.take().is_empty());
    hub.hear(peer(0), response(id), &mut assembly).unwrap();
    assert!(matches!(ear.take()[..], [NetworkEvent::SyncResponse(..)]));
    hub.hear(peer(0), response(id), &mut assembly).unwrap();
    assert!(ear.take().is_empty());
    // Who goes is not waited for.
    let asked = hub.ask(id_of(peer(0)), request).unwrap();
    hub.forget(&asked);
    hub.hear(peer(0), response(id + 1), &mut assembly).unwrap();
    hub.down(peer(0), number);
    assert!(matches!(ear.take()[..], [NetworkEvent::PeerDisconnected(_)]));
}

#[test]
fn requests_of_one_peer_are_bounded() {
    let (hub, ear, wire) = hub();
    let mut assembly = Assembly::default();
    for id in 0..100 {
        hub.hear(peer(0), Frame::Request(request(id)), &mut assembly).unwrap();
    }
    let heard = ear.take();
    assert_eq!(heard.len(), 8);
    hub.hear(peer(1), Frame::Request(request(1)), &mut assembly).unwrap();
    assert_eq!(ear.take().len(), 1);
    let NetworkEvent::SyncRequest(first, from, _) = &heard[0] else { panic!("a request") };
    assert_eq!(*from, id_of(peer(0)));
    let answer = |id| Response { id, first: Height(1), blocks: vec![] };
    hub.answer(first, answer);
    hub.answer(first, answer);
    let sent = std::mem::take(&mut *wire.0.lock().unwrap());
    assert_eq!(sent, [(Some(peer(0)), response(0))]);
    hub.hear(peer(0), Frame::Request(request(100)), &mut assembly).unwrap();
    assert_eq!(ear.take().len(), 1);
}

#[test]
fn a_newer_connection_takes_the_place_of_an_older() {
    let (hub, ear, _) = hub();
    let (old, mut replaced) = hub.up(peer(0));
    assert!(replaced.try_recv().is_err());
    let (new, _) = hub.up(peer(0));
    ear.take();
    hub.down(peer(0), old);
    assert!(ear.take().is_empty());
    hub.down(peer(0), new);
    assert!(matches!(ear.take()[..], [NetworkEvent::PeerDisconnected(_)]));
}

#[test]
fn what_others_have_begun_counts_for_a_few_heights_and_by_validators() {
    let (hub, _, _) = hub();
    let begun = hub.follow();
    let mut assembly = Assembly::default();
    let stranger = Peer(Digest([1; 32]));
    let far = Height(u64::MAX);
    hub.hear(stranger, Frame::Begun(far), &mut assembly).unwrap();
    hub.hear(stranger, Frame::Status(Status { tip: far, first: far }), &mut assembly).unwrap();
    assert_eq!(*begun.borrow(), Height(0));
    hub.hear(peer(1), Frame::Begun(HEIGHT), &mut assembly).unwrap();
    assert_eq!(*begun.borrow(), HEIGHT);
    hub.hear(peer(1), Frame::Begun(far), &mut assembly).unwrap();
    assert_eq!(*begun.borrow(), Height(HEIGHT.0 + crate::engine::guard::HEIGHTS_AHEAD));
}
