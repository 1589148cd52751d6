//! What a party does with checked dealings: it computes for the roster that the coordinator names,
//! tells each bank its own result, and signs receipts afterwards.
//!
//! ```text
//! Start, dealings --> Assignment --> places, inputs, binding --> session of crate mpc
//!                          |                                           | outputs
//!                          +--------------> Outcome <------------------+
//!                                             |--> result of each bank
//!                                             '--> receipts
//! ```
//!
//! The session itself, and the circuit, are the daemon's to run: a circuit is made for the places of
//! an [`Assignment`]. No party knows who is paid, nor how many of the places are payments.

mod outcome;

pub use outcome::{BankOutputs, Computed, Outcome, OutputsError};

use std::collections::BTreeMap;

use quittance_circuit::{Fr, Owner};
use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{ChainId, InstitutionId, RoundId};
use quittance_mpc::session::{Abort, Binding};
use quittance_mpc::vss::InputShare;
use quittance_mpc::{Engine, Inputs, Shared, VectorInput};
use thiserror::Error;

use crate::dealing::{DealtInputs, DealtLeaf};
use crate::payees::Payees;
use crate::start::Start;

/// What this party has to compute: with whom, on which of its shares.
pub struct Assignment {
    start: Start,
    /// By place in the roster.
    seats: Vec<Seated>,
    /// What the entries of vectors stand for.
    labels: Vec<Fr>,
    /// By place in the roster: the place of the bank in the vectors.
    kept: Vec<usize>,
}

/// One bank of the roster.
struct Seated {
    queue_root: Digest,
    liquidity: InputShare,
    leaves: Vec<SeatedLeaf>,
}

/// What the attempt takes of a leaf.
struct SeatedLeaf {
    amount: InputShare,
    pad: InputShare,
    payee: InputShare,
    vector: Vec<InputShare>,
}

/// What this party brings into the session.
pub struct SessionInputs {
    inputs: Inputs,
    vectors: Vec<VectorInput>,
    labels: Vec<Fr>,
    /// Where the banks of the roster stand in the vectors.
    kept: Vec<usize>,
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
    /// A bank that cannot be paid, or two under one number of the register.
    #[error("{0} has a number under which nobody, or another bank, is paid")]
    Number(InstitutionId),
    /// Dealt for other payees than the first dealing.
    #[error("{0} has dealt for other payees than the bank before it")]
    OtherPayees(InstitutionId),
    /// No queue has a pad for this attempt.
    #[error("no pads are dealt for attempt {0}")]
    NoPads(u8),
}

impl Assignment {
    /// The computation that `start` begins, whose signature has been verified, on what has been
    /// `dealt` to this party.
    ///
    /// The same dealings serve for each attempt, whoever is left out; each attempt takes pads of its
    /// own.
    pub fn new(
        start: &Start,
        dealt: &BTreeMap<InstitutionId, DealtInputs>,
    ) -> Result<Self, AssignmentError> {
        let mut seats = Vec::with_capacity(start.roster.size());
        let mut kept = Vec::with_capacity(start.roster.size());
        let mut payees: Option<&Payees> = None;
        for seat in start.roster.seats() {
            let dealer = seat.institution;
            let inputs = dealt.get(&dealer).ok_or(AssignmentError::NotDealt(dealer))?;
            if inputs.round() != start.round {
                return Err(AssignmentError::OtherRound { dealer, found: inputs.round() });
            }
            if inputs.digest() != seat.dealing || inputs.dealer() != dealer {
                let (named, found) = (seat.dealing, inputs.digest());
                return Err(AssignmentError::OtherDealing { dealer, named, found });
            }
            if *payees.get_or_insert(&inputs.payees) != &inputs.payees {
                return Err(AssignmentError::OtherPayees(dealer));
            }
            match inputs.payees.place(inputs.number) {
                Some(place) if place > 0 && !kept.contains(&place) => kept.push(place),
                _ => return Err(AssignmentError::Number(dealer)),
            }
            seats.push(Seated::new(inputs, start.attempt)?);
        }
        let labels = payees.map(Payees::labels).unwrap_or_default();
        Ok(Self { start: start.clone(), seats, labels, kept })
    }

    /// What was started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// By place in the roster: how many places the queue has. The shape of the circuit.
    pub fn places(&self) -> Vec<usize> {
        self.seats.iter().map(|seat| seat.leaves.len()).collect()
    }

    /// This party's shares. Of each bank its liquidity, then amount and pad of each place: the
    /// committed inputs of netting with hidden payees. Of each place also the vector, of which the
    /// other inputs are made.
    ///
    /// Balances and amounts are not checked by the session again. The ledger has a range proof for
    /// each balance, and each party has verified those of the amounts before it accepted the
    /// dealing; the shares are bound to these commitments. An issuer, whose balance may be negative
    /// in its own asset, does not get into a round.
    pub fn inputs(&self) -> SessionInputs {
        let (mut inputs, mut vectors) = (Inputs::new(), vec![]);
        for (owner, seat) in (0u16..).map(Owner).zip(&self.seats) {
            let amounts = seat.leaves.iter().flat_map(|leaf| {
                [(leaf.amount.clone(), Some(u64::BITS)), (leaf.pad.clone(), None)]
            });
            let liquidity = (seat.liquidity.clone(), Some(u64::BITS));
            inputs.set_proven(owner, std::iter::once(liquidity).chain(amounts).collect());
            vectors.extend(seat.leaves.iter().map(|leaf| VectorInput {
                owner,
                index: leaf.payee.clone(),
                entries: leaf.vector.clone(),
            }));
        }
        SessionInputs { inputs, vectors, labels: self.labels.clone(), kept: self.kept.clone() }
    }

    /// What the session of the start's active parties is bound to. `circuit` is the fingerprint of the
    /// program for [`Self::places`]; `committee` holds the fingerprints of the parties' round keys, party 1
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
}

impl Seated {
    fn new(inputs: &DealtInputs, attempt: u8) -> Result<Self, AssignmentError> {
        let leaf = |leaf: &DealtLeaf| {
            let DealtLeaf { amount, payee, pads, vector } = leaf.clone();
            let pad = pads.get(usize::from(attempt)).cloned();
            Ok(SeatedLeaf {
                amount,
                pad: pad.ok_or(AssignmentError::NoPads(attempt))?,
                payee,
                vector,
            })
        };
        Ok(Self {
            queue_root: inputs.queue_root,
            liquidity: inputs.liquidity.clone(),
            leaves: inputs.leaves.iter().map(leaf).collect::<Result<_, _>>()?,
        })
    }
}

impl SessionInputs {
    /// Checks with the other parties that each vector says who is paid, and that this is the payee
    /// committed to. Then a program for the assignment can be run. An error names the dealer whose
    /// vectors are none.
    pub async fn check(self, engine: Engine) -> Result<Shared, Abort> {
        let mut shared = Shared::new(engine, self.inputs);
        shared.check_one_hot(&self.vectors, &self.labels, &self.kept).await?;
        Ok(shared)
    }
}

#[cfg(test)]
mod tests;
