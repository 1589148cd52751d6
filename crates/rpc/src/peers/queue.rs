//! Frames that wait to be sent to one peer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use metrics::counter;
use tokio::sync::Notify;

use super::wire::MAX_PIECE_BYTES;
use super::{MAX_FRAME_BYTES, MAX_URGENT_FRAME_BYTES, Priority};
use crate::metrics::{VALIDATORS_FRAME_BYTES, VALIDATORS_FRAMES, VALIDATORS_FRAMES_DROPPED};

/// Frames of one priority that wait.
const MAX_FRAMES: usize = 1024;
/// Bytes of urgent frames that wait.
const MAX_URGENT_BYTES: usize = 8 << 20;
/// Bytes of other frames that wait: two of the longest, and small ones besides.
const MAX_BULK_BYTES: usize = 2 * MAX_FRAME_BYTES + (6 << 20);

/// See the [module](self).
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Default)]
struct State {
    urgent: Lane,
    bulk: Lane,
}

/// Frames of one priority, the first perhaps sent in part.
#[derive(Default)]
struct Lane {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

/// A part of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) priority: Priority,
    pub(super) bytes: Bytes,
    pub(super) last: bool,
}

impl Lane {
    fn push(&mut self, frame: Bytes, room: usize) -> bool {
        let fits = self.frames.len() < MAX_FRAMES && self.bytes.saturating_add(frame.len()) <= room;
        if fits {
            self.bytes += frame.len();
            self.frames.push_back(frame);
        }
        fits
    }

    fn take(&mut self) -> Option<(Bytes, bool)> {
        let first = self.frames.front_mut()?;
        let piece = first.split_to(first.len().min(MAX_PIECE_BYTES));
        let last = first.is_empty();
        if last {
            self.frames.pop_front();
        }
        self.bytes -= piece.len();
        Some((piece, last))
    }
}

impl Queue {
    /// State is whole after each use, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a frame, or drops it if there is no room, if it is empty or too long.
    pub(super) fn push(&self, frame: Bytes, priority: Priority) {
        let length = frame.len();
        let priority = match priority {
            Priority::Urgent if length > MAX_URGENT_FRAME_BYTES => Priority::Bulk,
            other => other,
        };
        let taken = (1..=MAX_FRAME_BYTES).contains(&length) && {
            let mut state = self.lock();
            match priority {
                Priority::Urgent => state.urgent.push(frame, MAX_URGENT_BYTES),
                Priority::Bulk => state.bulk.push(frame, MAX_BULK_BYTES),
            }
        };
        if taken {
            counter!(VALIDATORS_FRAMES, "direction" => "out").increment(1);
            counter!(VALIDATORS_FRAME_BYTES, "direction" => "out").increment(length as u64);
            self.filled.notify_one();
        } else {
            let priority = priority.label();
            counter!(VALIDATORS_FRAMES_DROPPED, "priority" => priority).increment(1);
        }
    }

    /// What is to be written next: urgent frames before all others.
    pub(super) fn next(&self) -> Option<Piece> {
        let mut state = self.lock();
        let (priority, taken) = match state.urgent.take() {
            Some(taken) => (Priority::Urgent, taken),
            None => (Priority::Bulk, state.bulk.take()?),
        };
        let (bytes, last) = taken;
        Some(Piece { priority, bytes, last })
    }

    /// Returns when there may be something.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    #[test]
    fn urgent_frames_go_between_the_pieces_of_others() {
        let queue = Queue::default();
        queue.push(frame(2 * MAX_PIECE_BYTES + 1), Priority::Bulk);
        let lengths = |priority, length, last| Some((priority, length, last));
        let next = || queue.next().map(|piece| (piece.priority, piece.bytes.len(), piece.last));
        assert_eq!(next(), lengths(Priority::Bulk, MAX_PIECE_BYTES, false));
        queue.push(frame(10), Priority::Urgent);
        queue.push(frame(5), Priority::Bulk);
        assert_eq!(next(), lengths(Priority::Urgent, 10, true));
        assert_eq!(next(), lengths(Priority::Bulk, MAX_PIECE_BYTES, false));
        assert_eq!(next(), lengths(Priority::Bulk, 1, true));
        assert_eq!(next(), lengths(Priority::Bulk, 5, true));
        assert_eq!(next(), None);
        let state = queue.lock();
        assert_eq!((state.urgent.bytes, state.bulk.bytes), (0, 0));
    }

    #[test]
    fn what_waits_is_bounded_for_each_priority() {
        let queue = Queue::default();
        for _ in 0..MAX_FRAMES + 5 {
            queue.push(frame(1), Priority::Urgent);
        }
        assert_eq!(queue.lock().urgent.frames.len(), MAX_FRAMES);
        for _ in 0..4 {
            queue.push(frame(MAX_FRAME_BYTES), Priority::Bulk);
        }
        assert_eq!(queue.lock().bulk.frames.len(), 2);
        queue.push(frame(MAX_FRAME_BYTES + 1), Priority::Bulk);
        queue.push(frame(0), Priority::Bulk);
        assert_eq!(queue.lock().bulk.bytes, 2 * MAX_FRAME_BYTES);
        let (urgent, most) = (Queue::default(), MAX_URGENT_BYTES / MAX_URGENT_FRAME_BYTES);
        for _ in 0..most {
            urgent.push(frame(MAX_URGENT_FRAME_BYTES), Priority::Urgent);
        }
        urgent.push(frame(1), Priority::Urgent);
        assert_eq!(urgent.lock().urgent.frames.len(), most);
        // One that is too long to be urgent goes with the others.
        urgent.push(frame(MAX_URGENT_FRAME_BYTES + 1), Priority::Urgent);
        assert_eq!(urgent.lock().urgent.frames.len(), most);
        assert_eq!(urgent.lock().bulk.frames.len(), 1);
    }
}
