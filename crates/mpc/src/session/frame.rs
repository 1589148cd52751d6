//! What travels between two parties.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use zeroize::Zeroizing;

/// The largest payload of one frame. A longer message travels in several frames.
pub const MAX_FRAME_PAYLOAD: usize = 1 << 20;

/// Of the largest frame in its canonical encoding: its payload, and 46 bytes for all else.
pub const MAX_FRAME_BYTES: usize = MAX_FRAME_PAYLOAD + 46;

/// What an exchange is for. Both sides state it, so that parties which have come to disagree about
/// the program notice at once instead of computing nonsense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Commitments to contributions to common seeds.
    Commit = 0,
    /// Hashes of what was received, with their senders' signatures.
    Echo = 1,
    /// Contributions to common seeds, and pairwise keys.
    Reveal = 2,
    /// Sub-shares of products.
    Multiply = 3,
    /// Shares of a value that everybody learns.
    Open = 4,
    /// Nothing: a confirmation that everything sent before has been received.
    Confirm = 5,
    /// Commitments to output shares.
    Publish = 6,
    /// Components of products over Z_2.
    BinaryProduct = 7,
    /// Components of bits that everybody learns.
    BinaryOpen = 8,
    /// What is computed to check products: sub-shares, then components over GF(2^128).
    CheckProduct = 9,
    /// What everybody learns in a check of products: shares, then components over GF(2^128).
    CheckOpen = 10,
    /// The hash of all that was opened and published in the session.
    Transcript = 11,
    /// Which stored preprocessing there is, and which of it is to be used.
    Stock = 12,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::Commit,
        Self::Echo,
        Self::Reveal,
        Self::Multiply,
        Self::Open,
        Self::Confirm,
        Self::Publish,
        Self::BinaryProduct,
        Self::BinaryOpen,
        Self::CheckProduct,
        Self::CheckOpen,
        Self::Transcript,
        Self::Stock,
    ];
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Commit => "seed commitments",
            Self::Echo => "echo",
            Self::Reveal => "seed contributions",
            Self::Multiply => "sub-shares",
            Self::Open => "opening",
            Self::Confirm => "confirmation",
            Self::Publish => "commitments to outputs",
            Self::BinaryProduct => "components of binary products",
            Self::BinaryOpen => "binary opening",
            Self::CheckProduct => "products of a check",
            Self::CheckOpen => "opening of a check",
            Self::Transcript => "transcript",
            Self::Stock => "stored preprocessing",
        })
    }
}

/// One part of a message of one exchange, from one party to another.
///
/// Payloads hold shares: they are erased when dropped and never printed. Frames must travel over
/// a channel that is confidential and authenticated in both directions.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The session, which binds everything that the parties agreed on beforehand.
    pub session: Digest,
    /// The number of the sending party, from 1.
    pub from: u8,
    /// The number of the receiving party, from 1.
    pub to: u8,
    /// The number of the exchange within the session, from 0.
    pub exchange: u32,
    /// What the exchange is for.
    pub kind: Kind,
    /// The place of this part in the message, from 0.
    pub part: u16,
    /// Whether this is the last part.
    pub last: bool,
    /// At most [`MAX_FRAME_PAYLOAD`] bytes.
    pub payload: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to, exchange, kind, part, payload, .. } = self;
        write!(f, "frame {from} -> {to}, exchange {exchange} ({kind}), part {part}")?;
        write!(f, ", {} bytes", payload.len())
    }
}

impl Encode for Frame {
    fn encode(&self, out: &mut Writer) {
        self.session.encode(out);
        out.u8(self.from);
        out.u8(self.to);
        out.u32(self.exchange);
        out.u8(self.kind as u8);
        out.u16(self.part);
        out.u8(u8::from(self.last));
        out.bytes(&self.payload);
    }
}

impl Decode for Frame {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            session: Digest::decode(input)?,
            from: input.u8("sender")?,
            to: input.u8("receiver")?,
            exchange: input.u32("exchange")?,
            kind: decode_kind(input)?,
            part: input.u16("part")?,
            last: input.tag(2, "last part")? == 1,
            payload: Zeroizing::new(input.bytes(MAX_FRAME_PAYLOAD, "payload")?.to_vec()),
        })
    }
}

pub(super) fn decode_kind(input: &mut Reader<'_>) -> Result<Kind, DecodeError> {
    let offset = input.offset();
    let tag = input.u8("kind of exchange")?;
    let kind = Kind::ALL.get(usize::from(tag)).copied();
    kind.ok_or_else(|| input.error_at(offset, "kind of exchange", Problem::UnknownTag(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Frame {
        Frame {
            session: Digest::of("test", &[]),
            from: 1,
            to: 3,
            exchange: 7,
            kind: Kind::Open,
            part: 0,
            last: true,
            payload: Zeroizing::new(vec![9; 64]),
        }
    }

    #[test]
    fn kinds_are_numbered_by_their_place() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }

    #[test]
    fn frames_survive_encoding() {
        let bytes = sample().to_bytes();
        assert_eq!(Frame::from_bytes(&bytes).unwrap(), sample());
        for end in 0..bytes.len() {
            assert!(Frame::from_bytes(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn oversized_payloads_and_unknown_tags_are_refused() {
        let mut frame = sample();
        frame.payload = Zeroizing::new(vec![0; MAX_FRAME_PAYLOAD]);
        assert_eq!(frame.to_bytes().len(), MAX_FRAME_BYTES);
        frame.payload = Zeroizing::new(vec![0; MAX_FRAME_PAYLOAD + 1]);
        let error = Frame::from_bytes(&frame.to_bytes()).unwrap_err();
        let (found, limit) = (MAX_FRAME_PAYLOAD + 1, MAX_FRAME_PAYLOAD);
        assert_eq!(error.problem, Problem::TooLong { found, limit });

        let mut bytes = sample().to_bytes();
        bytes[38] = 13;
        assert_eq!(Frame::from_bytes(&bytes).unwrap_err().problem, Problem::UnknownTag(13));
        bytes[38] = 4;
        bytes[41] = 2;
        assert_eq!(Frame::from_bytes(&bytes).unwrap_err().problem, Problem::UnknownTag(2));
    }

    #[test]
    fn payloads_are_not_printed() {
        assert_eq!(
            format!("{:?}", sample()),
            "frame 1 -> 3, exchange 7 (opening), part 0, 64 bytes"
        );
    }
}
