//! The frames of one session at one party: strict order, bounded memory.

use std::collections::VecDeque;

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use thiserror::Error;
use zeroize::Zeroizing;

use super::Payload;
use super::frame::{Frame, Kind, MAX_FRAME_PAYLOAD};
use crate::parties::{ActiveSet, ByParty, PartyId};

/// The largest message of one party to another in one exchange.
pub const MAX_MESSAGE: usize = 64 << 20;

/// Why a frame was not accepted. A refused frame changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The frame came over the channel of somebody who is not one of the other active parties.
    #[error("frame from number {number}, which is not another party of this session")]
    Stranger {
        /// The number that the channel's peer has.
        number: u8,
    },
    /// The frame names another sender than the peer of the channel it came over.
    #[error("{peer} sent a frame in the name of number {claimed}")]
    WrongSender {
        /// The peer of the channel.
        peer: PartyId,
        /// The sender that the frame names.
        claimed: u8,
    },
    /// The frame belongs to another session.
    #[error("{peer} sent a frame of another session")]
    Foreign {
        /// The sender.
        peer: PartyId,
    },
    /// The frame is for another party.
    #[error("{peer} sent a frame that is for number {to}")]
    WrongReceiver {
        /// The sender.
        peer: PartyId,
        /// The receiver that the frame names.
        to: u8,
    },
    /// The frame repeats a place in the order that has been filled.
    #[error("{peer} repeated exchange {exchange}, part {part}")]
    Replayed {
        /// The sender.
        peer: PartyId,
        /// The exchange that the frame names.
        exchange: u32,
        /// The part that the frame names.
        part: u16,
    },
    /// The frame leaves a gap in the order.
    #[error("{peer} skipped to exchange {exchange}, part {part}")]
    Skipped {
        /// The sender.
        peer: PartyId,
        /// The exchange that the frame names.
        exchange: u32,
        /// The part that the frame names.
        part: u16,
    },
    /// The frame is further ahead than an honest party can be.
    #[error("{peer} is ahead at exchange {exchange}")]
    Ahead {
        /// The sender.
        peer: PartyId,
        /// The exchange that the frame names.
        exchange: u32,
    },
    /// Parts of one message disagree, or are not split as the format says.
    #[error("{peer} split exchange {exchange} wrongly")]
    BadSplit {
        /// The sender.
        peer: PartyId,
        /// The exchange that the frame names.
        exchange: u32,
    },
    /// The message is longer than [`MAX_MESSAGE`].
    #[error("{peer} sent too much in exchange {exchange}")]
    TooLong {
        /// The sender.
        peer: PartyId,
        /// The exchange that the frame names.
        exchange: u32,
    },
    /// The session has ended.
    #[error("the session is over")]
    Over,
}

/// How much a party has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Exchanges begun: rounds of communication.
    pub exchanges: u32,
    /// Frames sent to all other parties together.
    pub frames: u64,
    /// Payload bytes sent to all other parties together.
    pub bytes: u64,
}

impl std::ops::Sub for Traffic {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            exchanges: self.exchanges - before.exchanges,
            frames: self.frames - before.frames,
            bytes: self.bytes - before.bytes,
        }
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, more: Self) {
        self.exchanges += more.exchanges;
        self.frames += more.frames;
        self.bytes += more.bytes;
    }
}

/// What has arrived from one party and was not yet used.
#[derive(Default)]
struct Inbox {
    /// The exchange and part that its next frame must have.
    next: (u32, u16),
    kind: Option<Kind>,
    partial: Payload,
    messages: VecDeque<(Kind, Payload)>,
}

pub(super) struct Mailbox {
    session: Digest,
    parties: ActiveSet,
    me: PartyId,
    finished: u32,
    inboxes: ByParty<Inbox>,
    outbox: Vec<Frame>,
    traffic: Traffic,
    over: bool,
}

impl Mailbox {
    pub(super) fn new(session: Digest, parties: ActiveSet, me: PartyId) -> Self {
        let inboxes = ByParty::from_fn(parties, |_| Inbox::default());
        let traffic = Traffic::default();
        Self { session, parties, me, finished: 0, inboxes, outbox: vec![], traffic, over: false }
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// How many exchanges are complete; also the number of the next or current one.
    pub(super) fn finished(&self) -> u32 {
        self.finished
    }

    pub(super) fn take_outbox(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.outbox)
    }

    /// Ends the session here: nothing more is accepted or sent, what was buffered is erased.
    pub(super) fn close(&mut self) {
        self.over = true;
        self.outbox.clear();
        self.inboxes.iter_mut().for_each(|(_, inbox)| *inbox = Inbox::default());
    }

    /// Accepts no more frames, but leaves those that wait to be sent.
    pub(super) fn finish(&mut self) {
        self.over = true;
    }

    /// The other parties whose message of the current exchange is not complete.
    pub(super) fn missing(&self) -> Vec<PartyId> {
        let absent = |id: &PartyId| self.inboxes[*id].messages.is_empty();
        self.parties.others(self.me).filter(absent).collect()
    }

    /// Queues the frames of one exchange and returns its number.
    pub(super) fn send(&mut self, kind: Kind, mut outgoing: ByParty<Payload>) -> u32 {
        for to in self.parties.others(self.me) {
            self.send_to(to, kind, std::mem::take(&mut outgoing[to]));
        }
        self.traffic.exchanges += 1;
        self.finished
    }

    fn send_to(&mut self, to: PartyId, kind: Kind, message: Payload) {
        // A longer message is a defect of a protocol, which must split its batches.
        assert!(message.len() <= MAX_MESSAGE, "messages are bounded");
        self.traffic.bytes += message.len() as u64;
        if message.len() <= MAX_FRAME_PAYLOAD {
            return self.push(to, kind, 0, true, message);
        }
        let parts = message.len().div_ceil(MAX_FRAME_PAYLOAD);
        for (part, payload) in message.chunks(MAX_FRAME_PAYLOAD).enumerate() {
            let payload = Zeroizing::new(payload.to_vec());
            self.push(to, kind, part as u16, part + 1 == parts, payload);
        }
    }

    fn push(&mut self, to: PartyId, kind: Kind, part: u16, last: bool, payload: Payload) {
        let (session, from, to) = (self.session, self.me.number(), to.number());
        let exchange = self.finished;
        self.traffic.frames += 1;
        self.outbox.push(Frame { session, from, to, exchange, kind, part, last, payload });
    }

    /// Takes one message from each other party (`None` of the own) once all are here.
    pub(super) fn collect(&mut self) -> Option<ByParty<Option<(Kind, Payload)>>> {
        if !self.missing().is_empty() {
            return None;
        }
        self.finished += 1;
        let inboxes = &mut self.inboxes;
        Some(ByParty::from_fn(self.parties, |party| inboxes[party].messages.pop_front()))
    }

    /// Takes in a frame that arrived over the authenticated channel of the party `peer`.
    pub(super) fn accept(&mut self, peer: u8, frame: Frame) -> Result<(), Refusal> {
        if self.over {
            return Err(Refusal::Over);
        }
        let peer = self.peer(peer, &frame)?;
        let finished = self.finished;
        let inbox = &mut self.inboxes[peer];
        inbox.check_order(peer, &frame, finished)?;
        inbox.check_split(peer, &frame)?;
        inbox.append(frame);
        Ok(())
    }

    fn peer(&self, number: u8, frame: &Frame) -> Result<PartyId, Refusal> {
        let known = self.parties.id(number).filter(|&id| id != self.me);
        let peer = known.ok_or(Refusal::Stranger { number })?;
        if planted!("frame-sender-not-compared", false, frame.from != number) {
            return Err(Refusal::WrongSender { peer, claimed: frame.from });
        }
        if planted!("foreign-session-accepted", false, frame.session != self.session) {
            return Err(Refusal::Foreign { peer });
        }
        if frame.to != self.me.number() {
            return Err(Refusal::WrongReceiver { peer, to: frame.to });
        }
        Ok(peer)
    }
}

impl Inbox {
    fn check_order(&self, peer: PartyId, frame: &Frame, finished: u32) -> Result<(), Refusal> {
        let (exchange, part) = (frame.exchange, frame.part);
        if planted!("replayed-frame-accepted", false, (exchange, part) < self.next) {
            return Err(Refusal::Replayed { peer, exchange, part });
        }
        // The peer finishes an exchange only with our message of it, so it can be one ahead.
        if exchange > finished.saturating_add(1) {
            return Err(Refusal::Ahead { peer, exchange });
        }
        if (exchange, part) > self.next {
            return Err(Refusal::Skipped { peer, exchange, part });
        }
        Ok(())
    }

    /// Parts before the last are full, the last of several is not empty, all are of one kind.
    fn check_split(&self, peer: PartyId, frame: &Frame) -> Result<(), Refusal> {
        let exchange = frame.exchange;
        let length = frame.payload.len();
        let well_filled = match (frame.last, frame.part) {
            (false, _) => length == MAX_FRAME_PAYLOAD,
            (true, 0) => length <= MAX_FRAME_PAYLOAD,
            (true, _) => (1..=MAX_FRAME_PAYLOAD).contains(&length),
        };
        let same_kind = self.kind.is_none_or(|kind| kind == frame.kind);
        if !well_filled || !same_kind {
            return Err(Refusal::BadSplit { peer, exchange });
        }
        if self.partial.len() + length > MAX_MESSAGE {
            return Err(Refusal::TooLong { peer, exchange });
        }
        Ok(())
    }

    fn append(&mut self, frame: Frame) {
        if frame.part == 0 && frame.last {
            self.messages.push_back((frame.kind, frame.payload));
        } else {
            self.extend_partial(&frame.payload);
            self.kind = Some(frame.kind);
            if frame.last {
                self.kind = None;
                self.messages.push_back((frame.kind, std::mem::take(&mut self.partial)));
            }
        }
        self.next = if frame.last { (self.next.0 + 1, 0) } else { (self.next.0, self.next.1 + 1) };
    }

    /// Grows the buffer without leaving copies of shares behind in freed memory.
    fn extend_partial(&mut self, more: &[u8]) {
        let needed = self.partial.len() + more.len();
        if needed > self.partial.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * needed));
            larger.extend_from_slice(&self.partial);
            self.partial = larger;
        }
        self.partial.extend_from_slice(more);
    }
}
