//! Listening to one peer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quittance_ledger::ids::{BlockId, Height};
use tokio::time::{Instant, sleep};

use super::context::Whole;
use super::hub::Hub;
use crate::transport::{Arrival, Peer};
use crate::wire::{Frame, Part, SignedPart};

/// Signatures that one peer may have verified in a second, in the long run.
const RATE: f64 = 2_000.0;

/// Signatures that one peer may have verified at once.
const BURST: f64 = 4_000.0;

/// Listens until the peer goes, says what is no frame of this chain, or has a newer connection.
pub async fn listen(hub: Arc<Hub>, arrival: Arrival) {
    let Arrival { peer, mut frames } = arrival;
    let (number, mut replaced) = hub.up(peer);
    let (mut assembly, mut budget) = (Assembly::default(), Budget::new());
    loop {
        let delivery = tokio::select! {
            delivery = frames.recv() => delivery,
            _ = &mut replaced => None,
        };
        let Some(delivery) = delivery else { break };
        let frame = match Frame::from_frame(&delivery.frame, hub.guard().chain()) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(peer = %short(peer), %error, "not listened to any more");
                break;
            }
        };
        budget.pay(frame.cost()).await;
        if let Err(refusal) = hub.hear(peer, frame, &mut assembly) {
            tracing::debug!(peer = %short(peer), %refusal, "message dropped");
        }
    }
    hub.down(peer, number);
}

fn short(peer: Peer) -> String {
    peer.0.to_string().chars().take(16).collect()
}

/// How much of this validator's time a peer may still take.
struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    fn new() -> Self {
        Self { left: BURST, at: Instant::now() }
    }

    /// Waits until the peer can afford `cost` verifications.
    async fn pay(&mut self, cost: u32) {
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * RATE;
        self.left = (self.left + earned).min(BURST) - f64::from(cost);
        self.at = now;
        if self.left < 0.0 {
            sleep(Duration::from_secs_f64(-self.left / RATE)).await;
        }
    }
}

/// The pieces of one block, until they are all there. Another block's take their place: an honest
/// peer sends one block after the other.
#[derive(Default)]
pub struct Assembly {
    of: Option<(Height, u32, BlockId, u32)>,
    pieces: Vec<Option<Bytes>>,
}

impl Assembly {
    /// Adds a piece whose signature has been verified; the block, if it was the last one missing.
    pub fn add(&mut self, signed: SignedPart) -> Option<Whole> {
        let Part { height, round, block, count, index, bytes, .. } = signed.part;
        let of = Some((height, round, block, count));
        if self.of != of {
            // A count is at most MAX_PARTS.
            *self = Self { of, pieces: vec![None; count as usize] };
        }
        *self.pieces.get_mut(index as usize)? = Some(bytes);
        if self.pieces.iter().any(Option::is_none) {
            return None;
        }
        let Self { pieces, .. } = std::mem::take(self);
        let bytes = join(pieces.into_iter().flatten().collect());
        Some(Whole { who: signed.institution, height, round, block, bytes })
    }
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.pop().unwrap_or_default(),
        _ => {
            let mut bytes = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
            pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
            bytes.freeze()
        }
    }
}
