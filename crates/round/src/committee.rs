//! What a party does with checked dealings: it computes for the roster that the coordinator names,
//! tells each bank its own result, and signs receipts afterwards.
//!
//! ```text
//! Start, dealings --> Assignment --> queues, inputs, binding --> session of crate mpc
//!                          |                                           | outputs
//!                          +--------------> Outcome <------------------+
//!                                             |--> result of each bank
//!                                             '--> receipts
//! ```
//!
//! The session itself, and the circuit, are the daemon's to run: a circuit is made for the queues
//! of an [`Assignment`].

mod outcome;

pub use outcome::{BankOutputs, Computed, Outcome, OutputsError};

use std::collections::BTreeMap;

use quittance_circuit::Owner;
use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{ChainId, InstitutionId, RoundId};
use quittance_mpc::Inputs;
use quittance_mpc::session::Binding;
use quittance_mpc::vss::InputShare;
use thiserror::Error;

use crate::dealing::DealtInputs;
use crate::start::Start;

/// What this party has to compute: with whom, on which of its shares.
pub struct Assignment {
    start: Start,
    /// By place in the roster.
    seats: Vec<Seated>,
}

/// One bank of the roster, cut at its first payee outside.
struct Seated {
    liquidity: InputShare,
    payments: Vec<SeatedPayment>,
}

struct SeatedPayment {
    amount: InputShare,
    payee: Owner,
    leaf: Digest,
}

/// Why a party cannot compute what the coordinator has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AssignmentError {
    /// Nothing accepted from this bank.
    #[error("{0} has dealt nothing that was accepted")]
    NotDealt(InstitutionId),
    /// Accepted in another round.
    #[error("{dealer} has dealt in the round {found}")]
    OtherRound {
        /// Whose dealing.
        dealer: InstitutionId,
        /// In which round.
        found: RoundId,
    },
    /// Another dealing than the one of the start.
    #[error("{dealer} has dealt {found}, the start names {named}")]
    OtherDealing {
        /// Whose dealing.
        dealer: InstitutionId,
        /// The digest that the start names.
        named: Digest,
        /// The digest of what was accepted.
        found: Digest,
    },
    /// Two banks under one number of the register.
    #[error("{0} has the number of another bank")]
    SameNumber(InstitutionId),
}

impl Assignment {
    /// The computation that `start` begins, whose signature has been verified, on what has been
    /// `dealt` to this party.
    ///
    /// Each queue ends at the first payee outside the roster: queues are strictly first in, first
    /// out, so nothing behind such a payment can settle.
    pub fn new(
        start: &Start,
        dealt: &BTreeMap<InstitutionId, DealtInputs>,
    ) -> Result<Self, AssignmentError> {
        let mut owners = BTreeMap::new();
        let mut queues = Vec::with_capacity(start.roster.size());
        for (place, seat) in (0u16..).zip(start.roster.seats()) {
            let dealer = seat.institution;
            let inputs = dealt.get(&dealer).ok_or(AssignmentError::NotDealt(dealer))?;
            if inputs.round() != start.round {
                return Err(AssignmentError::OtherRound { dealer, found: inputs.round() });
            }
            if inputs.digest() != seat.dealing || inputs.dealer() != dealer {
                let (named, found) = (seat.dealing, inputs.digest());
                return Err(AssignmentError::OtherDealing { dealer, named, found });
            }
            if owners.insert(inputs.number, Owner(place)).is_some() {
                return Err(AssignmentError::SameNumber(dealer));
            }
            queues.push(inputs);
        }
        let seats = queues.into_iter().map(|inputs| Seated::new(inputs, &owners)).collect();
        Ok(Self { start: start.clone(), seats })
    }

    /// What was started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// By place in the roster: the payees of the queue, as places in the roster. The shape of the
    /// circuit.
    pub fn queues(&self) -> Vec<Vec<Owner>> {
        let payees = |seat: &Seated| seat.payments.iter().map(|payment| payment.payee).collect();
        self.seats.iter().map(payees).collect()
    }

    /// This party's shares: of each bank its liquidity, then its amounts.
    pub fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::new();
        for (place, seat) in (0u16..).zip(&self.seats) {
            let amounts = seat.payments.iter().map(|payment| payment.amount.clone());
            let shares = std::iter::once(seat.liquidity.clone()).chain(amounts).collect();
            inputs.set(Owner(place), shares);
        }
        inputs
    }

    /// What the session of the start's active parties is bound to. `circuit` is the fingerprint of the program for
    /// [`Self::queues`]; `committee` holds the fingerprints of the parties' round keys, party 1
    /// first; `threshold` is the committee's.
    pub fn binding(
        &self,
        chain: ChainId,
        circuit: Digest,
        committee: Vec<Digest>,
        threshold: u8,
    ) -> Binding {
        let Start { round, attempt, active, roster } = &self.start;
        Binding {
            chain: chain.0,
            round: round.0,
            attempt: *attempt,
            circuit,
            roster: roster.digest(),
            dealings: roster.dealings_digest(),
            committee,
            threshold,
            active: *active,
        }
    }

    /// The payments addressed to the bank at a place, by payer and place.
    fn addressed_to(&self, payee: Owner) -> impl Iterator<Item = (u16, u32)> + '_ {
        (0u16..).zip(&self.seats).flat_map(move |(payer, seat)| {
            let payments = (0u32..).zip(&seat.payments);
            let addressed = payments.filter(move |(_, payment)| payment.payee == payee);
            addressed.map(move |(place, _)| (payer, place))
        })
    }
}

impl Seated {
    /// `owners` gives the place in the roster by the number in the register.
    fn new(inputs: &DealtInputs, owners: &BTreeMap<u32, Owner>) -> Self {
        let payments = inputs.payments.iter().map_while(|payment| {
            let payee = *owners.get(&payment.payee)?;
            Some(SeatedPayment { amount: payment.amount.clone(), payee, leaf: payment.leaf })
        });
        Self { liquidity: inputs.liquidity.clone(), payments: payments.collect() }
    }
}

#[cfg(test)]
mod tests;
