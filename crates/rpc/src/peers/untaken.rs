//! Frames of one peer that were received, until somebody takes them.
//!
//! Bytes are counted when they are read, so a frame that has come in part is counted as well. While
//! there is no room nothing more is read, and TCP holds the peer back.

use std::sync::Arc;

use bytes::Bytes;
use quittance_crypto::planted;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::MAX_FRAME_BYTES;

/// Frames that wait to be taken.
const MAX_UNTAKEN: usize = 64;
/// Bytes of a peer's frames: one of the longest while it comes in, and small ones besides. The former
/// always fits once all that waits is taken.
const MAX_UNTAKEN_BYTES: usize = 40 << 20;

const _: () = assert!(MAX_UNTAKEN_BYTES > MAX_FRAME_BYTES + super::MAX_URGENT_FRAME_BYTES);

/// What a peer sends, until its connection ends. Whoever takes none makes this peer wait, and no
/// other; dropping it ends the connection.
#[derive(Debug)]
pub struct Frames(mpsc::Receiver<Held>);

/// Where frames are put.
pub(super) struct Untaken {
    frames: mpsc::Sender<Held>,
    room: Arc<Semaphore>,
}

/// A frame that has come in part, or waits, with the room that it takes.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

/// Nobody takes frames any more.
#[derive(Debug)]
pub(super) struct Unwanted;

/// The two ends.
pub(super) fn untaken() -> (Untaken, Frames) {
    let (frames, receiver) = mpsc::channel(MAX_UNTAKEN);
    (Untaken { frames, room: Arc::new(Semaphore::new(MAX_UNTAKEN_BYTES)) }, Frames(receiver))
}

impl Frames {
    /// The next frame; none when the connection has ended.
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.0.recv().await.map(|held| Bytes::from(held.bytes))
    }
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// So many bytes more, which were not there before. The memory is at most twice what is held,
    /// and never more than the longest frame.
    fn extend(&mut self, length: usize) -> &mut [u8] {
        let start = self.bytes.len();
        let end = start + length;
        if end > self.bytes.capacity() {
            let wanted = (2 * self.bytes.capacity()).clamp(end, MAX_FRAME_BYTES.max(end));
            self.bytes.reserve_exact(wanted - start);
        }
        self.bytes.resize(end, 0);
        self.bytes.get_mut(start..).unwrap_or_default()
    }
}

impl Untaken {
    /// Makes a frame longer by a piece of this length, when there is room; the place to read it to.
    pub(super) async fn grow<'a>(
        &self,
        frame: &'a mut Held,
        piece: usize,
    ) -> Result<&'a mut [u8], Unwanted> {
        // A piece is at most 64 KiB long.
        let length = u32::try_from(planted!("untaken-bytes-not-bounded", 0, piece));
        let length = length.map_err(|_| Unwanted)?;
        let room = self.room.clone().acquire_many_owned(length).await.map_err(|_| Unwanted)?;
        match &mut frame.room {
            Some(held) => held.merge(room),
            none => *none = Some(room),
        }
        Ok(frame.extend(piece))
    }

    /// A frame has come whole.
    pub(super) async fn put(&self, frame: Held) -> Result<(), Unwanted> {
        self.frames.send(frame).await.map_err(|_| Unwanted)
    }

    /// Returns when nobody takes frames any more.
    pub(super) async fn unwanted(&self) {
        self.frames.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const WAIT: Duration = Duration::from_millis(50);
    const PIECE: usize = 64 << 10;

    /// Puts a frame of this length, piece by piece.
    async fn put(untaken: &Untaken, length: usize) {
        let mut frame = Held::default();
        while frame.len() < length {
            let piece = PIECE.min(length - frame.len());
            untaken.grow(&mut frame, piece).await.unwrap().fill(7);
        }
        untaken.put(frame).await.unwrap();
    }

    #[tokio::test]
    async fn bytes_that_nobody_takes_are_bounded() {
        let (untaken, mut frames) = untaken();
        put(&untaken, MAX_FRAME_BYTES).await;
        put(&untaken, MAX_UNTAKEN_BYTES - MAX_FRAME_BYTES).await;
        assert!(timeout(WAIT, put(&untaken, 1)).await.is_err(), "there is no room for one byte");
        assert_eq!(frames.recv().await.unwrap(), vec![7; MAX_FRAME_BYTES]);
        put(&untaken, 1).await;
        // What has come in part takes its room too, and gives it back when it is dropped.
        let mut half = Held::default();
        for _ in 0..(MAX_FRAME_BYTES - PIECE) / PIECE {
            untaken.grow(&mut half, PIECE).await.unwrap();
        }
        assert!(timeout(WAIT, put(&untaken, 2 * PIECE)).await.is_err());
        drop(half);
        put(&untaken, 2 * PIECE).await;
    }

    #[tokio::test]
    async fn the_longest_frame_comes_whatever_has_come_before() {
        let (untaken, mut frames) = untaken();
        put(&untaken, MAX_FRAME_BYTES).await;
        let coming = put(&untaken, MAX_FRAME_BYTES);
        let taking = async { (frames.recv().await.unwrap().len(), frames.recv().await) };
        let ((), (first, second)) =
            timeout(Duration::from_secs(30), async { tokio::join!(coming, taking) })
                .await
                .expect("both come");
        assert_eq!((first, second.unwrap().len()), (MAX_FRAME_BYTES, MAX_FRAME_BYTES));
    }

    #[tokio::test]
    async fn frames_are_bounded_however_small_they_are() {
        let (untaken, mut frames) = untaken();
        for _ in 0..MAX_UNTAKEN {
            put(&untaken, 1).await;
        }
        assert!(timeout(WAIT, put(&untaken, 1)).await.is_err());
        frames.recv().await.unwrap();
        put(&untaken, 1).await;
        drop(frames);
        untaken.unwanted().await;
        assert!(untaken.put(Held::default()).await.is_err());
    }

    #[test]
    fn memory_of_a_frame_is_bounded() {
        let mut frame = Held::default();
        while frame.len() + PIECE <= MAX_FRAME_BYTES {
            frame.extend(PIECE);
            let most = (2 * frame.len()).min(MAX_FRAME_BYTES);
            assert!(frame.bytes.capacity() <= most, "{} for {}", frame.bytes.capacity(), most);
        }
    }
}
