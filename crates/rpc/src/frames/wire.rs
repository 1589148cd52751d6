//! Bytes of a connection for frames, over TLS 1.3 with the application protocol
//! [`tls::FRAMES`](crate::tls::FRAMES).
//!
//! ```text
//! who has called:    frame*     frame = length (u32, big-endian) || canonical frame
//! who was called:    word*      word = one byte
//! ```
//!
//! The called side speaks first: before its [`Word::Here`] nothing is sent, so that a caller notices
//! who does not let it in. A frame of length 0 asks whether the other side is there; the answer is
//! the same word. Any other word says why the connection ends.

use std::io;

use quittance_crypto::planted;
use quittance_mpc::session::MAX_FRAME_BYTES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

/// Asks whether the other side is there.
pub(super) const PING: [u8; 4] = [0; 4];

/// What the called side says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Word {
    /// At the beginning, and as the answer to each frame of length 0.
    Here = 1,
    /// The caller is in no committee with this party.
    Stranger = 2,
    /// The caller has opened another connection.
    Replaced = 3,
    /// This party is stopping.
    Stopping = 4,
    /// What came is no frame, or larger than one may be.
    Malformed = 5,
    /// Too many frames were refused.
    Refused = 6,
    /// Nothing came for too long, or a frame was not complete in time.
    Slow = 7,
}

impl Word {
    const ALL: [Self; 7] = [
        Self::Here,
        Self::Stranger,
        Self::Replaced,
        Self::Stopping,
        Self::Malformed,
        Self::Refused,
        Self::Slow,
    ];

    /// The word that a byte stands for.
    pub fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|word| *word as u8 == byte)
    }

    /// What it means to the one who gets it.
    pub(crate) fn explain(self) -> &'static str {
        match self {
            Self::Here => "it is there",
            Self::Stranger => "we are in no committee with it",
            Self::Replaced => "replaced by another connection of ours",
            Self::Stopping => "it is stopping",
            Self::Malformed => "it got what is no frame",
            Self::Refused => "it has refused too many frames",
            Self::Slow => "it heard nothing, or half a frame, for too long",
        }
    }
}

/// The length of the next frame; `InvalidData` if none may be as long.
pub(super) async fn read_length(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<usize> {
    let length = from.read_u32().await? as usize;
    let allowed = planted!("frame-length-not-checked", true, length <= MAX_FRAME_BYTES);
    if allowed { Ok(length) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Appends a frame's length and its bytes.
pub(super) fn append(out: &mut Zeroizing<Vec<u8>>, frame: &[u8]) {
    // A frame is far shorter than 4 GiB.
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    make_room(out, 4 + frame.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(frame);
}

/// Makes room for so many bytes more. A vector that grows by itself leaves a copy of what was in it
/// in freed memory; here the old allocation is erased.
pub(super) fn make_room(buffer: &mut Zeroizing<Vec<u8>>, more: usize) {
    let needed = buffer.len() + more;
    if needed <= buffer.capacity() {
        return;
    }
    let larger = Vec::with_capacity(needed.max(2 * buffer.capacity()));
    let mut larger = Zeroizing::new(larger);
    larger.extend_from_slice(buffer);
    *buffer = larger;
}

/// Says one word.
pub(super) async fn say(to: &mut (impl AsyncWriteExt + Unpin), word: Word) -> io::Result<()> {
    to.write_all(&[word as u8]).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_buffer_survives_its_growth() {
        let (mut buffer, mut expected) = (Zeroizing::new(vec![]), vec![]);
        for length in [0, 1, 7, 4096, 3, 70_000] {
            let frame = vec![length as u8; length];
            append(&mut buffer, &frame);
            expected.extend_from_slice(&(length as u32).to_be_bytes());
            expected.extend_from_slice(&frame);
            assert_eq!(*buffer, expected);
        }
        let (capacity, length) = (buffer.capacity(), buffer.len());
        make_room(&mut buffer, capacity - length);
        assert_eq!(buffer.capacity(), capacity, "there was room");
    }
}
