//! The time between two heights.
//!
//! A height begins when there is work, when another validator has begun it, or at the heartbeat;
//! not sooner than the pace's least interval after the one before. The engine waits for the answer
//! to its last question meanwhile, which holds nothing else up.

use std::time::Instant;

use malachite_app_channel::Reply;
use malachite_app_channel::app::engine::host::Next;
use malachite_app_channel::app::types::core::HeightParams;

use crate::Pace;
use crate::engine::context::{At, Quittance};

/// The next height, which has not begun.
pub struct Idle {
    pub reply: Reply<Next<Quittance>>,
    pub height: At,
    pub params: HeightParams<Quittance>,
    /// When the one before was finished.
    pub since: Instant,
    /// Whether that one was fetched from others, who are further: there is nothing to wait for.
    pub fetched: bool,
}

impl Idle {
    /// When it is over. `started` is when the height before began; `wanted` says that there is work,
    /// or that others have begun.
    pub fn over_at(&self, started: Instant, pace: &Pace, wanted: bool) -> Instant {
        let (least, heartbeat) = (started + pace.min_interval, self.since + pace.heartbeat);
        match (self.fetched, wanted) {
            (true, _) => self.since,
            (false, true) => least,
            (false, false) => heartbeat.max(least),
        }
    }

    /// The height begins.
    pub fn end(self) {
        let Self { reply, height, params, .. } = self;
        // The engine has ended if nobody wants to know.
        let _ = reply.send(Next::Start(height, params));
    }
}
