//! Between the network of validators and whoever carries its frames.
//!
//! A transport (TLS between processes, or memory in tests) proves who a peer is: it owns the key
//! that it votes with, or one bound to it. It hands in what peers send through an [`Inbox`], and
//! implements [`Transport`] for what is to be sent. Frames are opaque to it.
//!
//! Whom it lets in at all is the transport's to say: institutions of the chain, each a bounded number
//! of times in a while. Only validators are believed, but any peer is told and may ask for blocks.
//!
//! Memory is bounded for each peer by itself: a [`Connection`] takes [`QUEUED_FRAMES`] frames and
//! [`QUEUED_BYTES`] bytes, then makes its transport wait, which passes the wait on to the peer.
//! What a transport queues for sending it bounds as well, and drops what is too much: everything is
//! repeated or asked for again.

use std::sync::Arc;

use bytes::Bytes;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::VerifyingKey;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::wire::MAX_FRAME_BYTES;

/// Frames of one peer that wait to be looked at.
pub const QUEUED_FRAMES: usize = 256;

/// Bytes of one peer's frames that wait to be looked at.
pub const QUEUED_BYTES: usize = MAX_FRAME_BYTES + (8 << 20);

/// Connections that wait to be taken up.
const WAITING_CONNECTIONS: usize = 256;

/// A peer: the fingerprint of the key that it votes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub Digest);

impl Peer {
    /// The peer that votes with this key.
    pub fn of(key: &VerifyingKey) -> Self {
        Self(key.fingerprint())
    }
}

/// Sends frames. Neither method waits.
pub trait Transport: Send + Sync + 'static {
    /// Sends to one peer. The frame is dropped if the peer is not connected or does not keep up.
    fn send(&self, to: Peer, frame: Bytes);

    /// Sends to every connected peer.
    fn send_to_all(&self, frame: Bytes);
}

/// Where a transport announces its connections. Clones are the same inbox.
#[derive(Debug, Clone)]
pub struct Inbox(mpsc::Sender<Arrival>);

/// The other end of an [`Inbox`], for the engine.
#[derive(Debug)]
pub struct Arrivals(pub(crate) mpsc::Receiver<Arrival>);

/// A peer that has connected.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) peer: Peer,
    pub(crate) frames: mpsc::Receiver<Delivery>,
}

/// A frame, which holds its share of the peer's bytes until it is dropped.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) frame: Bytes,
    _share: OwnedSemaphorePermit,
}

/// What a connected peer sends. The peer counts as connected until this is dropped.
#[derive(Debug)]
pub struct Connection {
    frames: mpsc::Sender<Delivery>,
    budget: Arc<Semaphore>,
}

/// Why a frame was not taken: the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// Longer than any frame.
    #[error("a frame of {0} bytes, at most {MAX_FRAME_BYTES} are allowed")]
    TooLong(usize),
    /// The engine has ended, or does not want this peer any more.
    #[error("the engine does not listen to this peer any more")]
    Closed,
}

impl Inbox {
    /// An inbox, and its other end.
    pub fn new() -> (Self, Arrivals) {
        let (sender, receiver) = mpsc::channel(WAITING_CONNECTIONS);
        (Self(sender), Arrivals(receiver))
    }

    /// Announces that `peer` has connected and has proven who it is. A newer connection of the same
    /// peer replaces the older one.
    pub async fn connect(&self, peer: Peer) -> Result<Connection, DeliveryError> {
        let (frames, receiver) = mpsc::channel(QUEUED_FRAMES);
        let arrival = Arrival { peer, frames: receiver };
        self.0.send(arrival).await.map_err(|_| DeliveryError::Closed)?;
        Ok(Connection { frames, budget: Arc::new(Semaphore::new(QUEUED_BYTES)) })
    }
}

impl Connection {
    /// Hands in a frame; waits while too many of this peer wait already.
    pub async fn deliver(&self, frame: Bytes) -> Result<(), DeliveryError> {
        let length = frame.len();
        if length > MAX_FRAME_BYTES {
            return Err(DeliveryError::TooLong(length));
        }
        // At most MAX_FRAME_BYTES, so it fits, and the budget can ever be met.
        let share = self.budget.clone().acquire_many_owned(length as u32).await;
        let share = share.map_err(|_| DeliveryError::Closed)?;
        let delivery = Delivery { frame, _share: share };
        self.frames.send(delivery).await.map_err(|_| DeliveryError::Closed)
    }

    /// Waits until the engine does not listen to this peer any more.
    pub async fn closed(&self) {
        self.frames.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        Peer(Digest([1; 32]))
    }

    #[tokio::test]
    async fn a_peer_waits_for_its_own_frames_alone() {
        let (inbox, mut arrivals) = Inbox::new();
        let connection = inbox.connect(peer()).await.unwrap();
        let mut frames = arrivals.0.recv().await.unwrap().frames;
        for _ in 0..QUEUED_FRAMES {
            connection.deliver(Bytes::from_static(b"x")).await.unwrap();
        }
        let more = connection.deliver(Bytes::from_static(b"x"));
        let wait = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(wait, more).await.is_err());
        let other = inbox.connect(Peer(Digest([2; 32]))).await.unwrap();
        other.deliver(Bytes::from_static(b"y")).await.unwrap();
        drop(frames.recv().await.unwrap());
        connection.deliver(Bytes::from_static(b"x")).await.unwrap();
    }

    #[tokio::test]
    async fn bytes_are_bounded_as_well_as_frames() {
        let (inbox, mut arrivals) = Inbox::new();
        let connection = inbox.connect(peer()).await.unwrap();
        let mut frames = arrivals.0.recv().await.unwrap().frames;
        let longest = Bytes::from(vec![0; MAX_FRAME_BYTES]);
        connection.deliver(longest.clone()).await.unwrap();
        let wait = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(wait, connection.deliver(longest.clone())).await.is_err());
        drop(frames.recv().await.unwrap());
        connection.deliver(longest).await.unwrap();
        let longer = Bytes::from(vec![0; MAX_FRAME_BYTES + 1]);
        let error = connection.deliver(longer).await;
        assert_eq!(error, Err(DeliveryError::TooLong(MAX_FRAME_BYTES + 1)));
        drop(frames);
        let closed = connection.deliver(Bytes::from_static(b"x")).await;
        assert_eq!(closed, Err(DeliveryError::Closed));
    }
}
