//! One institution's position in one asset.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;

use crate::ids::{CreditId, Height, RoundId, TransactionId};
use crate::merkle;

/// An account as its leaf shows it.
///
/// After every block `balance + sum(pending) = inflow - outflow + net_settled`. The right-hand
/// side only grows, term by term, so the difference between two heights is what happened in
/// between, and nothing can be left out of a period's sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the account holds, pending credits left out. An issuer's, in its own asset, is its
    /// liability negated.
    pub balance: Commitment,
    /// How many postings and joinings it has made.
    pub sequence: u64,
    /// What keeps it from posting, if the lock's height has not passed.
    pub lock: Option<Lock>,
    /// How many credits have ever arrived, those that came back included.
    pub arrivals: u64,
    /// Root of the pending credits; see [`super::Pending`].
    pub pending_root: Digest,
    /// Sum of all credits that have ever arrived, counted at arrival.
    pub inflow: Commitment,
    /// Sum of all credits ever given, and of those received that went back.
    pub outflow: Commitment,
    /// Sum of all changes of balance without a credit: exchanges between posting parties, and
    /// settlements.
    pub net_settled: Commitment,
    /// Digest of all [`Event`]s of the account; see [`Event::extend`].
    pub log: Digest,
}

/// An account is kept from posting by a round that it has joined. The lock ends when the round
/// settles, and by itself after a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Which round.
    pub round: RoundId,
    /// The last height at which the account is locked: the round's deadline.
    pub until: Height,
}

/// Something that happened to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// In which block.
    pub height: Height,
    /// By which transaction.
    pub transaction: TransactionId,
    /// What.
    pub kind: EventKind,
}

/// The kinds of [`Event`], by tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The account posted in this entry. Tag 0.
    Posted {
        /// The entry's position in the transaction.
        entry: u32,
    },
    /// A credit arrived. Tag 1.
    Arrived {
        /// Which credit.
        credit: CreditId,
    },
    /// A credit that was pending here went back to its sender. Tag 2.
    WentBack {
        /// Which credit.
        credit: CreditId,
    },
    /// A credit that was given from here came back. Tag 3.
    CameBack {
        /// Which credit.
        credit: CreditId,
    },
    /// The account joined a round. Tag 4.
    Joined {
        /// Which round.
        round: RoundId,
    },
}

impl Default for Account {
    /// The account of whoever has never posted nor been credited.
    fn default() -> Self {
        Self {
            balance: Commitment::identity(),
            sequence: 0,
            lock: None,
            arrivals: 0,
            pending_root: merkle::root(&[]),
            inflow: Commitment::identity(),
            outflow: Commitment::identity(),
            net_settled: Commitment::identity(),
            log: Digest::ZERO,
        }
    }
}

impl Account {
    /// The lock, if it still holds at `height`.
    pub fn locked_at(&self, height: Height) -> Option<Lock> {
        self.lock.filter(|lock| {
            planted!("lock-released-early", height < lock.until, height <= lock.until)
        })
    }
}

impl Event {
    /// The log after this event: `H("quittance/v1/account-log", log, event)`, from all zeros.
    pub fn extend(&self, log: &Digest) -> Digest {
        Digest::of("quittance/v1/account-log", &[log.as_bytes(), &self.to_bytes()])
    }
}

impl Encode for Account {
    fn encode(&self, out: &mut Writer) {
        self.balance.encode(out);
        out.u64(self.sequence);
        out.option(self.lock.as_ref());
        out.u64(self.arrivals);
        self.pending_root.encode(out);
        self.inflow.encode(out);
        self.outflow.encode(out);
        self.net_settled.encode(out);
        self.log.encode(out);
    }
}

impl Decode for Account {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            balance: Commitment::decode(input)?,
            sequence: input.u64("sequence")?,
            lock: input.option("lock")?,
            arrivals: input.u64("number of arrivals")?,
            pending_root: Digest::decode(input)?,
            inflow: Commitment::decode(input)?,
            outflow: Commitment::decode(input)?,
            net_settled: Commitment::decode(input)?,
            log: Digest::decode(input)?,
        })
    }
}

impl Encode for Lock {
    fn encode(&self, out: &mut Writer) {
        self.round.encode(out);
        self.until.encode(out);
    }
}

impl Decode for Lock {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { round: RoundId::decode(input)?, until: Height::decode(input)? })
    }
}

impl Encode for Event {
    fn encode(&self, out: &mut Writer) {
        self.height.encode(out);
        self.transaction.encode(out);
        match self.kind {
            EventKind::Posted { entry } => {
                out.u8(0);
                out.u32(entry);
            }
            EventKind::Arrived { credit } => {
                out.u8(1);
                credit.encode(out);
            }
            EventKind::WentBack { credit } => {
                out.u8(2);
                credit.encode(out);
            }
            EventKind::CameBack { credit } => {
                out.u8(3);
                credit.encode(out);
            }
            EventKind::Joined { round } => {
                out.u8(4);
                round.encode(out);
            }
        }
    }
}

impl Decode for Event {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, transaction) = (Height::decode(input)?, TransactionId::decode(input)?);
        let kind = match input.tag(5, "kind of event")? {
            0 => EventKind::Posted { entry: input.u32("entry")? },
            1 => EventKind::Arrived { credit: CreditId::decode(input)? },
            2 => EventKind::WentBack { credit: CreditId::decode(input)? },
            3 => EventKind::CameBack { credit: CreditId::decode(input)? },
            _ => EventKind::Joined { round: RoundId::decode(input)? },
        };
        Ok(Self { height, transaction, kind })
    }
}
