//! The result against what the participant knows.

use quittance_ledger::ids::InstitutionId;
use thiserror::Error;

use super::{BankResult, Unchecked};
use crate::queue::FrozenQueue;

/// Why a participant refuses its result. The amounts are not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckError {
    /// More payments settle than there are.
    #[error("{settled} payments settle of a queue of {queued}")]
    Queue {
        /// How many settle.
        settled: u32,
        /// How many are queued.
        queued: usize,
    },
    /// A payment settles of which its payee was told nothing, so that it cannot know the amount.
    #[error("the payment at place {place} of {payer} settles but was not announced")]
    Unannounced {
        /// Who pays.
        payer: InstitutionId,
        /// The payment's place in the payer's queue.
        place: u32,
    },
    /// The inflow is another sum.
    #[error("the inflow is not the sum of the announced payments that settle")]
    Inflow,
    /// The net is another difference.
    #[error("the net is not the inflow less the own payments that settle")]
    Net,
}

impl Unchecked {
    /// Checks `net = inflow - outflow` with the amounts that the participant knows: of its own
    /// `queue`, and of the payments that were `announced` to it, by payer and place.
    ///
    /// A payment that does not settle needs no announcement: its amount is no part of any sum.
    pub fn check(
        self,
        queue: &FrozenQueue,
        announced: impl Fn(&InstitutionId, u32) -> Option<u64>,
    ) -> Result<BankResult, CheckError> {
        let result = self.0;
        let (settled, queued) = (result.settled, queue.payments().len());
        let own = queue.payments().get(..settled as usize);
        let own = own.ok_or(CheckError::Queue { settled, queued })?;
        // Fewer than 2^32 amounts below 2^64 each: the sums fit.
        let outflow: u128 = own.iter().map(|payment| u128::from(payment.amount)).sum();
        let mut inflow = 0;
        for bit in result.received.iter().filter(|bit| bit.settles) {
            let (payer, place) = (bit.payer, bit.place);
            let amount = announced(&payer, place);
            inflow += u128::from(amount.ok_or(CheckError::Unannounced { payer, place })?);
        }
        if inflow != result.inflow {
            return Err(CheckError::Inflow);
        }
        // Both below 2^96, so the difference is exact.
        if result.net != inflow as i128 - outflow as i128 {
            return Err(CheckError::Net);
        }
        Ok(result)
    }
}
