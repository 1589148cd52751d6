//! What a payer's agent tells a payee's agent about a payment in its queue.
//!
//! It travels between the two agents alone. With it the payee knows the amount of each payment
//! addressed to it, and can check its result of the round.

use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::merkle::{Proof, ProofError};
use thiserror::Error;

use crate::queue::{Details, FrozenQueue, Leaf, PADS, Pad};
use crate::{Joined, VERSION, expect_version};

/// A payment in a frozen queue, shown to its payee. As secret as the payment.
pub struct Announcement {
    /// In which round.
    pub round: RoundId,
    /// In whose queue.
    pub payer: InstitutionId,
    /// Where in that queue, from 0.
    pub place: u32,
    /// What the queue has there.
    pub leaf: Leaf,
    /// That it has.
    pub inclusion: Proof,
    /// Opens the leaf's amount.
    pub amount: Opening,
    /// Opens the number of the leaf's payee.
    pub payee: Opening,
    /// Opens the leaf's pads: with them the payee reads whether the payment settles.
    pub pads: [Pad; PADS],
    /// What the leaf's `details` are the digest of.
    pub details: Details,
}

/// Why a payee does not believe an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnnouncementError {
    /// Made for another round.
    #[error("the announcement is for the round {0}")]
    OtherRound(RoundId),
    /// Of another queue than that of the institution looked up on the ledger.
    #[error("the announcement is from {0}")]
    OtherPayer(InstitutionId),
    /// The proof is about another place.
    #[error("the announcement is for place {stated}, its proof for place {proven}")]
    OtherPlace {
        /// The place announced.
        stated: u32,
        /// The place proven.
        proven: u64,
    },
    /// The proof is about a queue of another length.
    #[error("the proof is for a queue of {found} leaves, the ledger has one of {expected}")]
    OtherBucket {
        /// As the ledger says.
        expected: u32,
        /// As the proof says.
        found: u64,
    },
    /// The queue on the ledger does not have the leaf there.
    #[error("the leaf is not in the queue: {0}")]
    NotInQueue(#[from] ProofError),
    /// The leaf commits to another amount.
    #[error("the amount announced is not the one in the queue")]
    Amount,
    /// The leaf commits to another payee.
    #[error("the payee announced is not the one in the queue")]
    Payee,
    /// The leaf commits to another pad.
    #[error("the pad announced for attempt {0} is not the one in the queue")]
    Pad(usize),
    /// The leaf has the digest of other details.
    #[error("the details announced are not those in the queue")]
    Details,
    /// Addressed to somebody else, or, with number 0, to nobody.
    #[error("the payment is to institution number {found}, not to number {expected}")]
    OtherPayee {
        /// The payee who checks.
        expected: u32,
        /// The payee in the queue.
        found: u64,
    },
    /// Nothing is paid.
    #[error("the payment has the amount 0")]
    NoAmount,
}

impl Announcement {
    /// The announcement of the payment at `place`; nothing where the queue has none.
    pub fn new(round: RoundId, queue: &FrozenQueue, place: u32) -> Option<Self> {
        let index = usize::try_from(place).ok()?;
        Some(Self {
            round,
            payer: queue.payer(),
            place,
            leaf: *queue.leaves().get(index)?,
            inclusion: queue.inclusion(index)?,
            amount: queue.amount(index),
            payee: queue.payee(index),
            pads: queue.pads(index),
            details: queue.details(index)?,
        })
    }

    /// Checks all that is announced against what the ledger says about the payer, as the payee
    /// with the register's number `payee`.
    pub fn check(&self, payer: &Joined, payee: u32) -> Result<(), AnnouncementError> {
        if self.round != payer.round {
            return Err(AnnouncementError::OtherRound(self.round));
        }
        if self.payer != payer.institution {
            return Err(AnnouncementError::OtherPayer(self.payer));
        }
        let (stated, proven) = (self.place, self.inclusion.index);
        if u64::from(stated) != proven {
            return Err(AnnouncementError::OtherPlace { stated, proven });
        }
        let (expected, found) = (payer.bucket, self.inclusion.length);
        if u64::from(expected) != found {
            return Err(AnnouncementError::OtherBucket { expected, found });
        }
        self.inclusion.verify(&payer.queue_root, &self.leaf.to_bytes())?;
        self.check_openings(payee)
    }

    fn check_openings(&self, expected: u32) -> Result<(), AnnouncementError> {
        if !self.amount.opens(&self.leaf.amount) {
            return Err(AnnouncementError::Amount);
        }
        if !self.payee.opens(&self.leaf.payee) {
            return Err(AnnouncementError::Payee);
        }
        let mut pads = self.pads.iter().zip(&self.leaf.pads);
        let wrong = |(pad, commitment): (&Pad, &Commitment)| !pad.opens(commitment);
        if let Some(attempt) = planted!("announced-pad-not-checked", None, pads.position(wrong)) {
            return Err(AnnouncementError::Pad(attempt));
        }
        if self.details.digest() != self.leaf.details {
            return Err(AnnouncementError::Details);
        }
        let found = self.payee.value;
        if found == 0 || found != u64::from(expected) {
            return Err(AnnouncementError::OtherPayee { expected, found });
        }
        match self.amount.value {
            0 => Err(AnnouncementError::NoAmount),
            _ => Ok(()),
        }
    }
}

/// As secret as the payment; wrap the bytes in [`zeroize::Zeroizing`].
impl Encode for Announcement {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        self.payer.encode(out);
        out.u32(self.place);
        self.leaf.encode(out);
        self.inclusion.encode(out);
        self.amount.encode(out);
        self.payee.encode(out);
        self.pads.iter().for_each(|pad| pad.encode(out));
        self.details.encode(out);
    }
}

impl Decode for Announcement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of an announcement")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            payer: InstitutionId::decode(input)?,
            place: input.u32("place in a queue")?,
            leaf: Leaf::decode(input)?,
            inclusion: Proof::decode(input)?,
            amount: Opening::decode(input)?,
            payee: Opening::decode(input)?,
            pads: [Pad::decode(input)?, Pad::decode(input)?],
            details: Details::decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests;
