//! Proposed blocks in pieces.

use bytes::Bytes;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::signature::{Purpose, Signature, SignatureError, SigningKey, VerifyingKey};
use quittance_ledger::block::MAX_BLOCK_BYTES;
use quittance_ledger::ids::{BlockId, ChainId, Height, InstitutionId};

/// Bytes of a block in each piece but the last, which has at least one.
pub const PART_BYTES: usize = 256 << 10;

/// Pieces of one block.
pub const MAX_PARTS: u32 = MAX_BLOCK_BYTES.div_ceil(PART_BYTES) as u32;

/// A piece of a proposed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// On which chain.
    pub chain: ChainId,
    /// At which height.
    pub height: Height,
    /// In which round it is proposed.
    pub round: u32,
    /// Which block it is a piece of.
    pub block: BlockId,
    /// How many pieces there are.
    pub count: u32,
    /// Which one this is, from 0.
    pub index: u32,
    /// The piece.
    pub bytes: Bytes,
}

/// A piece with the signature of who proposes the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPart {
    /// By which validator.
    pub institution: InstitutionId,
    /// The piece.
    pub part: Part,
    /// Over [`Part::digest`], for the purpose `Vote`.
    pub signature: Signature,
}

impl Part {
    /// What is signed, for the purpose `Vote`: the piece included.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/part-content", self)
    }

    /// Signs the piece.
    pub fn sign(self, institution: InstitutionId, key: &SigningKey) -> SignedPart {
        let signature = key.sign(Purpose::Vote, &self.digest());
        SignedPart { institution, part: self, signature }
    }
}

impl SignedPart {
    /// Checks the signature.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), SignatureError> {
        key.verify(Purpose::Vote, &self.part.digest(), &self.signature)
    }
}

/// The pieces of the block with these complete bytes, not more than [`MAX_BLOCK_BYTES`].
pub fn parts_of(
    chain: ChainId,
    height: Height,
    round: u32,
    block: BlockId,
    complete: &Bytes,
) -> Vec<Part> {
    let count = complete.len().div_ceil(PART_BYTES);
    let part = |index: usize| {
        let start = index * PART_BYTES;
        let bytes = complete.slice(start..complete.len().min(start + PART_BYTES));
        // Both are at most MAX_PARTS.
        let (count, index) = (count as u32, index as u32);
        Part { chain, height, round, block, count, index, bytes }
    };
    (0..count).map(part).collect()
}

impl Encode for Part {
    fn encode(&self, out: &mut Writer) {
        self.chain.encode(out);
        self.height.encode(out);
        out.u32(self.round);
        self.block.encode(out);
        out.u32(self.count);
        out.u32(self.index);
        out.bytes(&self.bytes);
    }
}

impl Decode for Part {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let chain = ChainId::decode(input)?;
        let height = Height::decode(input)?;
        let round = input.u32("round of consensus")?;
        let block = BlockId::decode(input)?;
        let count = input.u32("count of parts")?;
        if !(1..=MAX_PARTS).contains(&count) {
            return Err(input.invalid("count of parts", "none, or too many"));
        }
        let index = input.u32("index of a part")?;
        if index >= count {
            return Err(input.invalid("index of a part", "beyond the last"));
        }
        let bytes = input.bytes(PART_BYTES, "part")?;
        let fits = match index + 1 == count {
            true => !bytes.is_empty(),
            false => bytes.len() == PART_BYTES,
        };
        match fits {
            true => {
                let bytes = Bytes::copy_from_slice(bytes);
                Ok(Self { chain, height, round, block, count, index, bytes })
            }
            false => Err(input.invalid("part", "not the length that its index has")),
        }
    }
}

impl Encode for SignedPart {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.part.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedPart {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            part: Part::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}
