//! What can be wrong with the parties' shares of a result.

use std::fmt;

use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::PartyId;
use quittance_mpc::output::OutputError;
use thiserror::Error;

/// A part of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What all are told of a payment.
    Notice {
        /// In whose queue.
        payer: InstitutionId,
        /// At which place there.
        place: u32,
    },
    /// The sum of the settled payments addressed to it.
    Inflow,
    /// Its net.
    Net,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notice { payer, place } => {
                write!(f, "the notice of the payment at place {place} of {payer}")
            }
            Self::Inflow => f.write_str("the inflow"),
            Self::Net => f.write_str("the net"),
        }
    }
}

/// Why the shares of the parties are no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResultError {
    /// With fewer than all `2t + 1` shares a wrong one would not be noticed.
    #[error("results of {found} parties where {needed} are needed")]
    TooFew {
        /// How many parties have answered.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// Two results of one party.
    #[error("{0} gave two results")]
    Repeated(PartyId),
    /// A party that takes no part in the computation.
    #[error("{0} does not take part")]
    Unknown(PartyId),
    /// A result of another round.
    #[error("{party} gave a result of the round {found}")]
    OtherRound {
        /// Who gave it.
        party: PartyId,
        /// Its round.
        found: RoundId,
    },
    /// A result of another attempt.
    #[error("{party} gave a result of attempt {found}")]
    OtherAttempt {
        /// Who gave it.
        party: PartyId,
        /// Its attempt.
        found: u8,
    },
    /// What all should say alike they do not. Named are those who differ from more than t others
    /// that agree, or else all.
    #[error("{what}: not the same from all parties; disputed: {}", list(.parties))]
    Differ {
        /// What is public to all parties.
        what: &'static str,
        /// Who says something else.
        parties: Vec<PartyId>,
    },
    /// Another number of notices than the own queue has places.
    #[error("{found} notices where the own queue has {expected} places")]
    Queue {
        /// How many places it has.
        expected: usize,
        /// How many notices there are.
        found: usize,
    },
    /// Another number of nets or queues than the roster has members.
    #[error("{found} {what} for a roster of {expected}")]
    Roster {
        /// What was counted.
        what: &'static str,
        /// The size of the roster.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Nets that others than the active parties have computed.
    #[error("the nets are those of other parties")]
    Parties,
    /// The nets do not sum to the identity: money would come from nowhere.
    #[error("the nets do not sum to zero")]
    NotBalanced,
    /// The net's shares are not what these parties have published commitments to.
    #[error("the share of the net is not what was published by {}", list(.parties))]
    NetShare {
        /// Who gave another share than it published.
        parties: Vec<PartyId>,
    },
    /// The shares do not open the result in a way that has no other name here.
    #[error(transparent)]
    Output(OutputError),
    /// The shares lie on no polynomial of degree t; disputed: all parties.
    #[error("the shares of {0} do not fit together; disputed: all parties")]
    Disputed(Part),
    /// No sum of so many amounts.
    #[error("{0} is no sum of amounts")]
    OutOfRange(Part),
}

impl ResultError {
    /// Whose shares are wrong, where that can be told. Others of them may lie as well.
    pub fn named(&self) -> Vec<PartyId> {
        match self {
            Self::Repeated(party) | Self::Unknown(party) => vec![*party],
            Self::OtherRound { party, .. } | Self::OtherAttempt { party, .. } => vec![*party],
            Self::Differ { parties, .. } | Self::NetShare { parties } => parties.clone(),
            _ => vec![],
        }
    }
}

fn list(parties: &[PartyId]) -> String {
    parties.iter().map(PartyId::to_string).collect::<Vec<_>>().join(", ")
}
