//! Why a session brought no result.

use std::fmt;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::session::{Abort, Evidence};
use thiserror::Error;

use super::incoming::MAX_SESSIONS;

/// Why a session brought no result. It is over, and is never resumed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The protocol ended it.
    #[error("{abort}{}", whose(.culprit))]
    Protocol {
        /// Why, with the numbers of parties.
        abort: Abort,
        /// Whose fault it is, if one party's message shows it.
        culprit: Option<InstitutionId>,
    },
    /// The time was over.
    #[error("no result in time; waiting for {}", list(.waiting))]
    Deadline {
        /// For whom it waited; nobody, if this party itself was too slow.
        waiting: Vec<Waiting>,
    },
    /// Nothing came for too long.
    #[error("nothing came for too long; waiting for {}", list(.waiting))]
    Silent {
        /// From whom.
        waiting: Vec<Waiting>,
    },
    /// The caller ended it.
    #[error("ended from outside; waiting for {}", list(.waiting))]
    Cancelled {
        /// For whom it waited.
        waiting: Vec<Waiting>,
    },
    /// A stream to or from another party ended before its time.
    #[error("the connection with {peer} was lost: {reason}")]
    Disconnected {
        /// The other party.
        peer: InstitutionId,
        /// As far as it is known.
        reason: String,
    },
    /// A party sent what no party that follows the protocol sends, and much of it.
    #[error("{peer} has sent too much")]
    Flooded {
        /// The party.
        peer: InstitutionId,
    },
    /// A session of this name runs, or has run.
    #[error("the session {session} has begun before; none begins twice")]
    Twice {
        /// The session.
        session: Digest,
    },
    /// As many sessions run as may.
    #[error("{MAX_SESSIONS} sessions run already")]
    TooMany,
    /// It is not known where a member of the committee is.
    #[error("{0} is not among the parties that are known here")]
    Unknown(InstitutionId),
    /// The machine is not that of a member of the committee.
    #[error("a committee of {members} has no party {number}")]
    Committee {
        /// The size of the committee.
        members: usize,
        /// The number in question.
        number: u8,
    },
    /// A defect: the computation has panicked.
    #[error("the computation has panicked")]
    Panicked,
}

impl Failure {
    /// Whose messages were missing or wrong, as far as this party can tell.
    pub fn named(&self) -> Vec<InstitutionId> {
        match self {
            Self::Protocol { culprit, .. } => culprit.iter().copied().collect(),
            Self::Deadline { waiting } | Self::Silent { waiting } | Self::Cancelled { waiting } => {
                waiting.iter().map(|waiting| waiting.party).collect()
            }
            Self::Disconnected { peer, .. } | Self::Flooded { peer } => vec![*peer],
            _ => vec![],
        }
    }

    /// What proves to anybody that a party has contradicted itself.
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Protocol { abort, .. } => abort.evidence(),
            _ => None,
        }
    }
}

/// When a session has stopped, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{failure}")]
pub struct Stopped {
    /// The number of the exchange that this party was in, from 0. Honest parties' numbers differ by
    /// one at most.
    pub exchange: u32,
    /// Why.
    pub failure: Failure,
}

/// A party that was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The party.
    pub party: InstitutionId,
    /// Why it cannot be reached, if that is the case.
    pub unreachable: Option<String>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unreachable {
            None => write!(f, "{}", self.party),
            Some(reason) => write!(f, "{} ({reason})", self.party),
        }
    }
}

fn list(waiting: &[Waiting]) -> String {
    match waiting {
        [] => "nobody but this party itself".to_owned(),
        some => some.iter().map(Waiting::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn whose(culprit: &Option<InstitutionId>) -> String {
    culprit.map_or_else(String::new, |institution| format!(" (that is {institution})"))
}
