//! What a participant gets from the parties, and what it checks.
//!
//! Each party sends each participant a [`ResultShare`]: all notices, which are public; shares of the
//! participant's inflow and of its net; and for everybody's net the commitments to all parties'
//! shares. [`combine`] makes the result of the shares of at least `2t + 1` parties and refuses what
//! any of them has changed. [`Unchecked::check`] reads the notices of the participant's own payments
//! and of those that were announced to it, by their pads, and holds the result against them:
//!
//! `net = inflow - outflow`, `inflow` the sum of the settled payments addressed to it, `outflow`
//! that of its own settled ones.
//!
//! So no committee can settle a net that its bank does not accept as the sum of payments it knows:
//! a payee whose inflow is not the sum of payments announced to it refuses. While at most t parties
//! are corrupt, payer and payee are told the same of each payment, for both read it from one notice.
//! More of them can tell the two different things of payments whose sums agree: receipts bring that
//! to light, after the settlement.

mod check;
mod combine;
mod error;

pub use check::{Announced, CheckError};
pub use combine::{Expected, Unchecked, combine};
pub use error::{Part, ResultError};

use quittance_circuit::Fr;
use quittance_crypto::commitment::{Blinding, Commitment};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::state::MAX_MEMBERS;
use quittance_mpc::Share;
use quittance_mpc::output::{CommittedOutput, CommittedShare};
use zeroize::Zeroize;

use crate::queue::MAX_BUCKET;
use crate::{VERSION, expect_version};

/// The most payments that can be addressed to one participant.
pub const MAX_RECEIVED: usize = (MAX_MEMBERS - 1) * MAX_BUCKET;

/// What one party knows of one participant's result. For that participant alone: its shares are
/// erased on drop, never printed.
#[derive(Clone)]
pub struct ResultShare {
    /// In which round.
    pub round: RoundId,
    /// In which attempt of it.
    pub attempt: u8,
    /// The name of the parties' session, which binds everything that they agreed on.
    pub session: Digest,
    /// How many steps the program took.
    pub steps: u32,
    /// What this party sent to the others.
    pub bytes_sent: u64,
    /// How long this party computed.
    pub milliseconds: u64,
    /// By place in the roster: the notices of that bank's queue.
    pub notices: Vec<Notices>,
    /// The sum of the settled payments addressed to it.
    pub inflow: Share,
    /// Its inflow less its outflow, with the blinding.
    pub net: CommittedShare,
    /// By place in the roster: the commitments of all parties to their shares of the net.
    pub nets: Vec<CommittedOutput>,
}

/// What all are told of the payments of one queue, by place: for each `x + w`, see
/// [`Pad`](crate::queue::Pad).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices(pub Vec<Fr>);

/// The result of one participant. As secret as its payments: amounts are erased on drop, never
/// printed.
pub struct BankResult {
    /// In which round.
    pub round: RoundId,
    /// In which attempt of it.
    pub attempt: u8,
    /// The name of the parties' session.
    pub session: Digest,
    /// How many steps the program took.
    pub steps: u32,
    /// What all parties that answered sent to each other.
    pub bytes_sent: u64,
    /// How long the slowest of them computed.
    pub milliseconds: u64,
    /// So many payments settle, from the front of the queue.
    pub settled: u32,
    /// The payments that were announced to this participant, by payer and place.
    pub received: Vec<ReceivedBit>,
    /// The sum of those that settle, in minor units.
    pub inflow: u128,
    /// Inflow less outflow, in minor units.
    pub net: i128,
    /// With the net it opens this participant's commitment among `nets`.
    pub blinding: Blinding,
    /// By place in the roster: `N_j`. They sum to the identity.
    pub nets: Vec<Commitment>,
    /// By place in the roster: what all were told. The parties sign it when the round has settled.
    pub notices: Vec<Notices>,
}

/// Whether a payment settles that is addressed to this participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedBit {
    /// Who pays.
    pub payer: InstitutionId,
    /// The payment's place in the payer's queue, from 0.
    pub place: u32,
    /// Whether it settles.
    pub settles: bool,
}

impl BankResult {
    /// The sum of the participant's own payments that settle, in minor units.
    pub fn outflow(&self) -> u128 {
        // Not negative: `check` has found net + outflow = inflow.
        self.inflow.wrapping_sub(self.net as u128)
    }
}

impl Drop for BankResult {
    fn drop(&mut self) {
        self.settled.zeroize();
        self.received.iter_mut().for_each(|bit| bit.settles.zeroize());
        self.inflow.zeroize();
        self.net.zeroize();
    }
}

/// As secret as the shares; wrap the bytes in [`zeroize::Zeroizing`].
impl Encode for ResultShare {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        out.u8(self.attempt);
        self.session.encode(out);
        out.u32(self.steps);
        out.u64(self.bytes_sent);
        out.u64(self.milliseconds);
        out.list(&self.notices);
        self.inflow.encode(out);
        self.net.encode(out);
        out.list(&self.nets);
    }
}

impl Decode for ResultShare {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a result")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            attempt: input.u8("attempt")?,
            session: Digest::decode(input)?,
            steps: input.u32("steps")?,
            bytes_sent: input.u64("bytes sent")?,
            milliseconds: input.u64("milliseconds")?,
            notices: input.list(MAX_MEMBERS, "queues")?,
            inflow: Share::decode(input)?,
            net: CommittedShare::decode(input)?,
            nets: input.list(MAX_MEMBERS, "nets")?,
        })
    }
}

impl Encode for Notices {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.0);
    }
}

impl Decode for Notices {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.list(MAX_BUCKET, "notices of a queue")?))
    }
}

/// For the participant's own storage; as secret as its payments, so wrap the bytes in
/// [`zeroize::Zeroizing`].
impl Encode for BankResult {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        out.u8(self.attempt);
        self.session.encode(out);
        out.u32(self.steps);
        out.u64(self.bytes_sent);
        out.u64(self.milliseconds);
        out.u32(self.settled);
        out.list(&self.received);
        out.array(&self.inflow.to_be_bytes());
        out.array(&self.net.to_be_bytes());
        self.blinding.encode(out);
        out.list(&self.nets);
        out.list(&self.notices);
    }
}

impl Decode for BankResult {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a stored result")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            attempt: input.u8("attempt")?,
            session: Digest::decode(input)?,
            steps: input.u32("steps")?,
            bytes_sent: input.u64("bytes sent")?,
            milliseconds: input.u64("milliseconds")?,
            settled: input.u32("settled payments")?,
            received: input.list(MAX_RECEIVED, "payments addressed here")?,
            inflow: u128::from_be_bytes(input.array("inflow")?),
            net: i128::from_be_bytes(input.array("net")?),
            blinding: Blinding::decode(input)?,
            nets: input.list(MAX_MEMBERS, "nets")?,
            notices: input.list(MAX_MEMBERS, "queues")?,
        })
    }
}

impl Encode for ReceivedBit {
    fn encode(&self, out: &mut Writer) {
        self.payer.encode(out);
        out.u32(self.place);
        out.u8(u8::from(self.settles));
    }
}

impl Decode for ReceivedBit {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            payer: InstitutionId::decode(input)?,
            place: input.u32("place in the payer's queue")?,
            settles: input.tag(2, "whether it settles")? == 1,
        })
    }
}

#[cfg(test)]
mod tests;
