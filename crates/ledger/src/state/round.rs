//! A round as the ledger sees it: its terms, who has joined, whether it has settled.

use std::collections::BTreeMap;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};

use crate::ids::{Height, InstitutionId, TransactionId};
use crate::transaction::{MAX_POSTINGS, RoundOpen};

/// The most accounts that may join a round: as many as one settlement has room for.
pub const MAX_MEMBERS: usize = MAX_POSTINGS;

/// An opened round.
///
/// The record stays for as long as its opening might be included again: until no transaction
/// that could have been included at `opened` is unexpired. See [`Round::kept_until`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// What it was opened with.
    pub terms: RoundOpen,
    /// At which height it was opened.
    pub opened: Height,
    /// Who has joined.
    pub members: BTreeMap<InstitutionId, Member>,
    /// How it ended, once it has settled.
    pub settled: Option<Settled>,
}

/// What an institution has joined a round with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Merkle root of its queue of payments.
    pub queue_root: Digest,
    /// How many leaves that queue has, padding included.
    pub bucket: u32,
}

/// The settlement of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// In which block.
    pub height: Height,
    /// By which transaction.
    pub transaction: TransactionId,
    /// In which attempt, from 0.
    pub attempt: u8,
}

impl Round {
    /// The last height at which the record is kept, when transactions may expire at most
    /// `max_expiry` blocks after their inclusion.
    pub fn kept_until(&self, max_expiry: u64) -> Height {
        self.terms.deadline.plus(max_expiry)
    }
}

/// A member with its name, as the list of members is encoded.
struct Named(InstitutionId, Member);

impl Encode for Named {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.queue_root.encode(out);
        out.u32(self.1.bucket);
    }
}

impl Decode for Named {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let institution = InstitutionId::decode(input)?;
        let (queue_root, bucket) = (Digest::decode(input)?, input.u32("bucket")?);
        Ok(Self(institution, Member { queue_root, bucket }))
    }
}

impl Encode for Settled {
    fn encode(&self, out: &mut Writer) {
        self.height.encode(out);
        self.transaction.encode(out);
        out.u8(self.attempt);
    }
}

impl Decode for Settled {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: Height::decode(input)?,
            transaction: TransactionId::decode(input)?,
            attempt: input.u8("attempt")?,
        })
    }
}

impl Encode for Round {
    fn encode(&self, out: &mut Writer) {
        self.terms.encode(out);
        self.opened.encode(out);
        let members: Vec<_> = self.members.iter().map(|(id, member)| Named(*id, *member)).collect();
        out.list(&members);
        out.option(self.settled.as_ref());
    }
}

impl Decode for Round {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (terms, opened) = (RoundOpen::decode(input)?, Height::decode(input)?);
        let members: Vec<Named> = input.list(MAX_MEMBERS, "members")?;
        if !members.is_sorted_by(|one, two| one.0 < two.0) {
            return Err(input.invalid("members", "not in strict order"));
        }
        Ok(Self {
            terms,
            opened,
            members: members.into_iter().map(|Named(id, member)| (id, member)).collect(),
            settled: input.option("settlement")?,
        })
    }
}
