//! Bytes of a connection between validators, over TLS 1.3 with the application protocol
//! [`tls::VALIDATORS`](crate::tls::VALIDATORS).
//!
//! ```text
//! unit = kind (1 byte) || length (u32, big-endian) || content
//! ```
//!
//! | kind | name | content |
//! | --- | --- | --- |
//! | 1 | `Hello` | a canonical [`Hello`](super::Hello) |
//! | 2 | `Accepted` | nothing: the caller's hello was accepted |
//! | 3 | `Refused` | one byte, a [`Reason`] |
//! | 4 | `Ping` | nothing: a sign of life |
//! | 5 | `Urgent` | an urgent frame |
//! | 6, 7 | `Bulk` | a piece of any other frame; 7 is the last one |
//!
//! The first three come before a connection counts, the others after. Frames go in pieces so that
//! an urgent one need not wait for the end of a block; one frame of pieces is under way.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use quittance_crypto::planted;

use super::MAX_URGENT_FRAME_BYTES;

/// The largest hello: a signature of ML-DSA-87 has 4,627 bytes.
pub(super) const MAX_HELLO_BYTES: usize = 8 << 10;
/// Of one frame in one unit. At 100 Mbit/s it takes 5 ms: an urgent frame waits no longer.
pub(super) const MAX_PIECE_BYTES: usize = 64 << 10;

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hello,
    Accepted,
    Refused,
    Ping,
    Urgent,
    Bulk { last: bool },
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Hello,
        Self::Accepted,
        Self::Refused,
        Self::Ping,
        Self::Urgent,
        Self::Bulk { last: false },
        Self::Bulk { last: true },
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }

    fn byte(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Accepted => 2,
            Self::Refused => 3,
            Self::Ping => 4,
            Self::Urgent => 5,
            Self::Bulk { last } => 6 + u8::from(last),
        }
    }

    /// Whether a unit of this kind may have so many bytes of content.
    fn allows(self, length: usize) -> bool {
        match self {
            Self::Hello => (1..=MAX_HELLO_BYTES).contains(&length),
            Self::Accepted | Self::Ping => length == 0,
            Self::Refused => length == 1,
            Self::Urgent => {
                let most =
                    planted!("urgent-frame-of-any-length", usize::MAX, MAX_URGENT_FRAME_BYTES);
                (1..=most).contains(&length)
            }
            Self::Bulk { .. } => (1..=MAX_PIECE_BYTES).contains(&length),
        }
    }
}

/// Why a caller's connection does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// It is no validator at present, or not the one that calls of the two.
    Stranger = 1,
    /// Its hello does not prove its key.
    Hello = 2,
    /// What came is no hello.
    Malformed = 3,
    /// The hello was not complete in time.
    Slow = 4,
    /// This validator is stopping.
    Stopping = 5,
}

impl Reason {
    const ALL: [Self; 5] =
        [Self::Stranger, Self::Hello, Self::Malformed, Self::Slow, Self::Stopping];

    /// The reason that a byte stands for.
    pub fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == byte)
    }

    /// What it means to the one who gets it.
    pub(super) fn explain(self) -> &'static str {
        match self {
            Self::Stranger => "we are no validator there, or should be called by it",
            Self::Hello => "it does not accept our key",
            Self::Malformed => "it got what is no hello",
            Self::Slow => "our hello took too long",
            Self::Stopping => "it is stopping",
        }
    }
}

/// The kind of the next unit and the length of its content; `InvalidData` if there is no such kind,
/// or none that long.
pub(super) async fn read_head(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<(Kind, usize)> {
    let kind = Kind::of(from.read_u8().await?).ok_or(io::ErrorKind::InvalidData)?;
    let length = from.read_u32().await? as usize;
    match kind.allows(length) {
        true => Ok((kind, length)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A whole unit, which is not large.
pub(super) async fn read_unit(
    from: &mut (impl AsyncReadExt + Unpin),
) -> io::Result<(Kind, Vec<u8>)> {
    let (kind, length) = read_head(from).await?;
    let mut content = vec![0; length];
    from.read_exact(&mut content).await?;
    Ok((kind, content))
}

/// Writes a unit, without flushing.
pub(super) async fn write_unit(
    to: &mut (impl AsyncWriteExt + Unpin),
    kind: Kind,
    content: &[u8],
) -> io::Result<()> {
    // Contents are far shorter than 4 GiB.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    to.write_u8(kind.byte()).await?;
    to.write_u32(length).await?;
    to.write_all(content).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn units_are_read_as_they_were_written_and_no_others() {
        for kind in Kind::ALL {
            for length in [0, 1, 2, MAX_HELLO_BYTES, MAX_PIECE_BYTES] {
                let (mut bytes, content) = (vec![], vec![7; length]);
                write_unit(&mut bytes, kind, &content).await.unwrap();
                let read = read_unit(&mut &bytes[..]).await;
                match kind.allows(length) {
                    true => assert_eq!(read.unwrap(), (kind, content)),
                    false => assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData),
                }
            }
            assert!(!kind.allows(MAX_PIECE_BYTES + 1) && !kind.allows(u32::MAX as usize));
        }
        for unknown in [0, 8, 255] {
            let read = read_unit(&mut &[unknown, 0, 0, 0, 0][..]).await;
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn reasons_are_what_their_bytes_say() {
        for reason in Reason::ALL {
            assert_eq!(Reason::of(reason as u8), Some(reason));
        }
        assert!([0, 6, 255].into_iter().all(|byte| Reason::of(byte).is_none()));
    }
}
