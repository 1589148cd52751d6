//! The result against what the participant knows.

use quittance_crypto::planted;
use quittance_ledger::ids::InstitutionId;
use thiserror::Error;
use zeroize::Zeroize;

use super::{BankResult, ReceivedBit, Unchecked};
use crate::announcement::Announcement;
use crate::queue::{FrozenQueue, PADS, Pad};

/// What a participant has been told of a payment addressed to it. The caller has checked the
/// announcement. The amount is erased on drop, as pads are.
#[derive(Clone)]
pub struct Announced {
    /// Who pays.
    pub payer: InstitutionId,
    /// The payment's place in the payer's queue, from 0.
    pub place: u32,
    /// In minor units.
    pub amount: u64,
    /// The payment's pads, by attempt.
    pub pads: [Pad; PADS],
}

impl From<&Announcement> for Announced {
    fn from(told: &Announcement) -> Self {
        let (payer, place, amount) = (told.payer, told.place, told.amount.value);
        Self { payer, place, amount, pads: told.pads.clone() }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.amount.zeroize();
    }
}

/// Why a participant refuses its result. The amounts are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckError {
    /// What all are told of a payment says neither that it settles nor that it does not.
    #[error("the notice of the payment at place {place} of {payer} is missing or says neither")]
    NoNotice {
        /// Who pays.
        payer: InstitutionId,
        /// The payment's place in the payer's queue.
        place: u32,
    },
    /// An own payment settles although an earlier one does not.
    #[error("the own payment at place {place} settles, the one before it does not")]
    NotAPrefix {
        /// The place of the later payment.
        place: u32,
    },
    /// More payments settle than can: padding, or a payment to a bank that takes no part.
    #[error("{settled} payments settle of a queue of which {payments} can")]
    Queue {
        /// How many settle.
        settled: u32,
        /// How many there are up to the first payee outside the roster.
        payments: usize,
    },
    /// A payment settles although an earlier one of the same payer does not.
    #[error("the payment at place {place} of {payer} settles, an earlier one does not")]
    Overtaken {
        /// Who pays.
        payer: InstitutionId,
        /// The place of the later payment.
        place: u32,
    },
    /// The inflow is another sum. A payment that has not been announced may settle.
    #[error("the inflow is not the sum of the announced payments that settle")]
    Inflow,
    /// The net is another difference.
    #[error("the net is not the inflow less the own payments that settle")]
    Net,
}

impl Unchecked {
    /// Reads the notices of the participant's own `queue`, and of the payments that were `announced`
    /// to it by banks of the roster, and checks `net = inflow - outflow` with their amounts.
    ///
    /// A payment that does not settle needs no announcement: its amount is no part of any sum.
    pub fn check(
        mut self,
        queue: &FrozenQueue,
        mut announced: Vec<Announced>,
    ) -> Result<BankResult, CheckError> {
        let settled = self.settled(queue)?;
        announced.sort_by_key(|payment| (payment.payer, payment.place));
        announced.dedup_by_key(|payment| (payment.payer, payment.place));
        announced.retain(|payment| self.roster.place(&payment.payer).is_some());
        let received = self.received(&announced)?;
        // Fewer than 2^32 amounts below 2^64 each: the sums fit.
        let own = queue.payments().iter().take(settled as usize);
        let outflow: u128 = own.map(|payment| u128::from(payment.amount)).sum();
        let settling = announced.iter().zip(&received).filter(|(_, bit)| bit.settles);
        let inflow: u128 = settling.map(|(payment, _)| u128::from(payment.amount)).sum();
        let adds_up = inflow == self.result.inflow;
        if planted!("unannounced-inflow-accepted", false, !adds_up) {
            return Err(CheckError::Inflow);
        }
        // Both below 2^96, so the difference is exact.
        if self.result.net != self.result.inflow as i128 - outflow as i128 {
            return Err(CheckError::Net);
        }
        (self.result.settled, self.result.received) = (settled, received);
        Ok(self.result)
    }

    /// What the notice of a payment says to who has its pads.
    fn read(
        &self,
        payer: InstitutionId,
        place: u32,
        pads: &[Pad; PADS],
    ) -> Result<bool, CheckError> {
        let notices = self.roster.place(&payer).and_then(|at| self.result.notices.get(at));
        let notice = notices.and_then(|notices| notices.0.get(usize::try_from(place).ok()?));
        let pad = pads.get(usize::from(self.result.attempt));
        let says = pad.zip(notice).and_then(|(pad, notice)| pad.read(notice));
        says.ok_or(CheckError::NoNotice { payer, place })
    }

    /// How many own payments settle: those at the front.
    fn settled(&self, queue: &FrozenQueue) -> Result<u32, CheckError> {
        let mut settled = 0;
        for (place, index) in (0u32..).zip(0..queue.leaves().len()) {
            match self.read(queue.payer(), place, &queue.pads(index))? {
                true if settled == place => settled += 1,
                true => return Err(CheckError::NotAPrefix { place }),
                false => {}
            }
        }
        let payments = self.payments;
        match settled as usize <= payments {
            true => Ok(settled),
            false => Err(CheckError::Queue { settled, payments }),
        }
    }

    /// Which of the announced payments settle, which come in order of payer and place.
    fn received(&self, announced: &[Announced]) -> Result<Vec<ReceivedBit>, CheckError> {
        let mut stopped = None;
        let received = announced.iter().map(|payment| {
            let &Announced { payer, place, ref pads, .. } = payment;
            let settles = self.read(payer, place, pads)?;
            match settles {
                true if stopped == Some(payer) => {
                    return Err(CheckError::Overtaken { payer, place });
                }
                true => {}
                false => stopped = Some(payer),
            }
            Ok(ReceivedBit { payer, place, settles })
        });
        received.collect()
    }
}
