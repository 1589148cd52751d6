//! Exchanges of two assets between two institutions: both legs settle in one transaction or
//! neither does.
//!
//! The offering side `O` gives one asset, the accepting side `A` the other:
//!
//! ```text
//! O                                                                A
//! | -- OfferExchange: reference, both amounts, end of the offer --> |
//! |                                                                 | its bank accepts
//! | <------------ JoinExchange: A's entry and the expiry ---------- | drafts its entry
//! | checks A's entry, drafts its own, proves it in the body         |
//! | ------------- body of both entries, O's range proof ----------> |
//! |                             checks body and proof, proves, signs |
//! | <--------- CompleteExchange: A's range proof, signature ------- |
//! | checks both, signs                                              |
//! | ------------- the complete transaction -----------------------> |
//! ```
//!
//! Both then submit it. An entry shows nobody an amount; the other side reads the amount that is
//! credited to it from the payload sealed to it, before it signs anything.
//!
//! # Who can be left hanging
//!
//! Until A has signed nothing can land, and either side may walk away: O withdraws its draft when A
//! does not complete in [`TALK_MS`]. Once A has signed, O alone decides until the expiry whether the
//! transaction lands, as whoever signs last always can. A keeps its account for it, unless it gets
//! no transaction within [`KEEP_MS`]: then it uses the sequence number up, and whatever is included
//! first decides.
//!
//! Each side signs **at most once** for a reference: what it has signed is stored before the
//! signature leaves, and afterwards the exchange can only become final or fail. So however often
//! either side is restarted, an exchange lands once or nothing has moved, and the [`Record`] says
//! which.
//!
//! - [`Answered`] is O's part of one attempt, [`Joining`] and [`Signed`] are A's: pure, with all
//!   checks.
//! - [`Desk`] is the state machine of all exchanges of one institution: it is told what happens and
//!   says what is to be stored, sent and submitted.

mod accepting;
mod check;
mod desk;
mod error;
mod offering;
mod record;
mod service;
mod show;
#[cfg(test)]
mod tests;
mod work;

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{AssetId, Height, InstitutionId, Uetr};
use quittance_ledger::transaction::Entry;

pub use accepting::{Joining, Signed};
pub use desk::{CallError, Desk, Effect, KEEP_MS, Means, Offer, Proposal, Refusal, TALK_MS};
pub use error::ExchangeError;
pub use offering::Answered;
pub use record::{Record, Stage};
pub(crate) use service::{accept, list, propose};
pub(crate) use work::Exchanges;

/// An amount of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Of what.
    pub asset: AssetId,
    /// In minor units.
    pub amount: u64,
}

/// What two institutions exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The reference of the offer, and of the instruction on either side.
    pub uetr: Uetr,
    /// Who has offered.
    pub offerer: InstitutionId,
    /// Who accepts.
    pub accepter: InstitutionId,
    /// What the offering side gives.
    pub offered: Money,
    /// What the accepting side gives for it.
    pub asked: Money,
}

/// The accepting side's half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Its posting, and its credit to the offering side.
    pub entry: Entry,
    /// The expiry of the body: the candidate on its account ends with that height.
    pub expiry: Height,
}

impl Encode for Money {
    fn encode(&self, out: &mut Writer) {
        self.asset.encode(out);
        out.u64(self.amount);
    }
}

impl Decode for Money {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { asset: AssetId::decode(input)?, amount: input.u64("amount")? })
    }
}

impl Encode for Agreement {
    fn encode(&self, out: &mut Writer) {
        self.uetr.encode(out);
        self.offerer.encode(out);
        self.accepter.encode(out);
        self.offered.encode(out);
        self.asked.encode(out);
    }
}

impl Decode for Agreement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            uetr: Uetr::decode(input)?,
            offerer: InstitutionId::decode(input)?,
            accepter: InstitutionId::decode(input)?,
            offered: Money::decode(input)?,
            asked: Money::decode(input)?,
        })
    }
}

impl Encode for Join {
    fn encode(&self, out: &mut Writer) {
        self.entry.encode(out);
        self.expiry.encode(out);
    }
}
