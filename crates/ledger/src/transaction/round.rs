//! What a round leaves on the ledger: its opening, who joins, its settlement.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};

use super::entry::Entry;
use super::limits::MAX_QUEUE_NOTE_BYTES;
use crate::ids::{AssetId, CommitteeId, Height, InstitutionId, RoundId};

/// A coordinator opens a round. The round's id is [`RoundId::of`] the body that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundOpen {
    /// Random: two openings with the same terms are two rounds.
    pub salt: [u8; 16],
    /// Who opens.
    pub opener: InstitutionId,
    /// Fingerprint of the transaction key that signs for the opener.
    pub key_fingerprint: Digest,
    /// In which asset payments are netted.
    pub asset: AssetId,
    /// Digest that names the program to be computed (the builder of the circuit and its version;
    /// the circuit itself depends on who joins).
    pub program: Digest,
    /// Who computes.
    pub committee: CommitteeId,
    /// The fewest accounts that may settle.
    pub minimum_roster: u16,
    /// How many attempts may be made, with fewer institutions each, before the round is over.
    pub attempts: u8,
    /// The last height at which an account may join.
    pub join_until: Height,
    /// The last height at which the round may settle. All locks end with it.
    pub deadline: Height,
}

/// An institution joins a round with its account in the round's asset, which is locked until the
/// round settles or its deadline has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundJoin {
    /// Which round.
    pub round: RoundId,
    /// Who joins.
    pub institution: InstitutionId,
    /// Fingerprint of the transaction key that signs for the institution.
    pub key_fingerprint: Digest,
    /// The account's sequence number after joining: its present one and 1.
    pub sequence: u64,
    /// Merkle root of the ordered and padded queue of payments.
    pub queue_root: Digest,
    /// How many leaves that queue has, padding included.
    pub bucket: u32,
    /// A note to oneself: the queue, sealed under the owner's note key, so that an agent restored
    /// from its key file finds its queue again.
    pub note: Vec<u8>,
}

/// The result of a round: one entry in which every account posts and none is credited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which round. Settling closes it.
    pub round: RoundId,
    /// Which attempt of the round, from 0.
    pub attempt: u8,
    /// The new balances. Its range proof is built by the institutions together.
    pub entry: Entry,
    /// Digest of what the roster has agreed to besides, such as a proof of the computation.
    pub attachment: Option<Digest>,
}

impl Encode for RoundOpen {
    fn encode(&self, out: &mut Writer) {
        out.array(&self.salt);
        self.opener.encode(out);
        self.key_fingerprint.encode(out);
        self.asset.encode(out);
        self.program.encode(out);
        self.committee.encode(out);
        out.u16(self.minimum_roster);
        out.u8(self.attempts);
        self.join_until.encode(out);
        self.deadline.encode(out);
    }
}

impl Decode for RoundOpen {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            salt: input.array("round salt")?,
            opener: InstitutionId::decode(input)?,
            key_fingerprint: Digest::decode(input)?,
            asset: AssetId::decode(input)?,
            program: Digest::decode(input)?,
            committee: CommitteeId::decode(input)?,
            minimum_roster: input.u16("minimum roster")?,
            attempts: input.u8("attempts")?,
            join_until: Height::decode(input)?,
            deadline: Height::decode(input)?,
        })
    }
}

impl Encode for RoundJoin {
    fn encode(&self, out: &mut Writer) {
        self.round.encode(out);
        self.institution.encode(out);
        self.key_fingerprint.encode(out);
        out.u64(self.sequence);
        self.queue_root.encode(out);
        out.u32(self.bucket);
        out.bytes(&self.note);
    }
}

impl Decode for RoundJoin {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: RoundId::decode(input)?,
            institution: InstitutionId::decode(input)?,
            key_fingerprint: Digest::decode(input)?,
            sequence: input.u64("sequence")?,
            queue_root: Digest::decode(input)?,
            bucket: input.u32("bucket")?,
            note: input.bytes(MAX_QUEUE_NOTE_BYTES, "queue note")?.to_vec(),
        })
    }
}

impl Encode for Settlement {
    fn encode(&self, out: &mut Writer) {
        self.round.encode(out);
        out.u8(self.attempt);
        self.entry.encode(out);
        out.option(self.attachment.as_ref());
    }
}

impl Decode for Settlement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            round: RoundId::decode(input)?,
            attempt: input.u8("attempt")?,
            entry: Entry::decode(input)?,
            attachment: input.option("attachment")?,
        })
    }
}
