//! One aggregated proof built by several provers, each of whom knows one opening only.
//!
//! The protocol is that of the module `range_proof_mpc` of the crate `bulletproofs`, on the
//! statement and transcript of [`prove`](super::prove()); the result is an ordinary [`RangeProof`].
//! Between provers stands an [`Aggregator`], trusted with nothing:
//!
//! ```text
//! prover j                                      aggregator
//! Prover::start       -- BitMessage_j ------->  Aggregator::receive
//!                     <-- all BitMessages ----  (its own for the padding added)
//! AwaitingBits::receive
//!                     -- PolynomialMessage_j ->  AggregatorAwaitingPolynomials::receive
//!                     <-- all of them ---------
//! AwaitingPolynomials::receive
//!                     -- ShareMessage_j ------>  AggregatorAwaitingShares::receive -> proof
//! ```
//!
//! A prover takes no challenge from anybody: it recomputes each from all messages, after it has
//! found its own unchanged, every `V_j` as the statement says, and padding that is empty. Its
//! share then reveals nothing about its value, whatever the others do: `l` and `r` are masked by
//! fresh uniform vectors, and each state answers one challenge and is consumed. An interrupted
//! proof is dropped and started afresh; no state can be stored.
//!
//! The aggregator verifies the assembled proof. If it fails, each share is checked against its
//! prover's earlier messages, and those that do not fit are named.

mod aggregator;
mod messages;
mod prover;

#[cfg(test)]
mod tests;

pub use aggregator::{Aggregator, AggregatorAwaitingPolynomials, AggregatorAwaitingShares};
pub use messages::{BitMessage, PolynomialMessage, ShareMessage};
pub use prover::{AwaitingBits, AwaitingPolynomials, Prover};

use super::{Element, RangeProofError, padded};
use crate::commitment::Commitment;
use crate::group::Point;

#[cfg(doc)]
use super::RangeProof;

/// Why a joint proof stopped. Positions are counted from 0 in the statement, then the padding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JointError {
    /// The statement itself is not possible.
    #[error(transparent)]
    Statement(#[from] RangeProofError),
    /// The position is not in the statement.
    #[error("position {position} is not among the {count} of the statement")]
    Position {
        /// The position asked for.
        position: usize,
        /// The number of commitments.
        count: usize,
    },
    /// The opening given does not open the statement's commitment at this position.
    #[error("the opening does not open commitment {position} of the statement")]
    Opening {
        /// The position.
        position: usize,
    },
    /// A list does not have one message for each position.
    #[error("{found} messages for {expected} positions")]
    Count {
        /// The number of messages.
        found: usize,
        /// The number of positions.
        expected: usize,
    },
    /// The list has another message at the prover's position than it sent: the aggregator lies.
    #[error("the aggregator changed the message of position {position}")]
    OwnMessageChanged {
        /// The position of the prover that says so.
        position: usize,
    },
    /// A message is about another commitment than the statement (or about a padding that is not
    /// empty).
    #[error("position {position} is about another commitment than the statement's")]
    WrongCommitment {
        /// The position.
        position: usize,
    },
    /// A message has the identity for an element.
    #[error("position {position} sent the identity for its {element}")]
    IdentityPoint {
        /// The position.
        position: usize,
        /// The element.
        element: Element,
    },
    /// Shares that do not fit the earlier messages of the same positions.
    #[error("the shares of positions {positions:?} do not fit their earlier messages")]
    BadShares {
        /// The positions, in ascending order.
        positions: Vec<usize>,
    },
    /// The points of all positions add up to the identity: several collude, which ones is unknown.
    #[error("the messages for {element} cancel; no single position can be blamed")]
    Cancelled {
        /// The element.
        element: Element,
    },
    /// The proof fails though every share fits: several collude, which ones is unknown.
    #[error("the proof does not verify, and no single position can be blamed")]
    Unattributed,
    /// The `bulletproofs` crate refused what this module had checked: a defect here.
    #[error("unexpected: {0}")]
    Defect(&'static str),
}

/// Checks that `messages` are one for each position, each about the statement's commitment there
/// (the identity for padding) and with points other than the identity.
fn check_bits(statement: &[Commitment], messages: &[BitMessage]) -> Result<(), JointError> {
    check_count(messages.len(), padded(statement.len()))?;
    for (position, message) in messages.iter().enumerate() {
        let expected = statement.get(position).copied().unwrap_or(Commitment::identity());
        if message.commitment != expected {
            return Err(JointError::WrongCommitment { position });
        }
        check_points(position, [(Element::A, &message.a), (Element::S, &message.s)])?;
    }
    Ok(())
}

/// The same for the second messages.
fn check_polynomials(count: usize, messages: &[PolynomialMessage]) -> Result<(), JointError> {
    check_count(messages.len(), padded(count))?;
    for (position, message) in messages.iter().enumerate() {
        check_points(position, [(Element::T1, &message.t1), (Element::T2, &message.t2)])?;
    }
    Ok(())
}

fn check_count(found: usize, expected: usize) -> Result<(), JointError> {
    match found == expected {
        true => Ok(()),
        false => Err(JointError::Count { found, expected }),
    }
}

fn check_points(position: usize, points: [(Element, &Commitment); 2]) -> Result<(), JointError> {
    match points.into_iter().find(|(_, point)| point.is_identity()) {
        Some((element, _)) => Err(JointError::IdentityPoint { position, element }),
        None => Ok(()),
    }
}

/// The proof's element: the sum of what the positions sent. The identity is never valid there.
fn sum<'a>(
    element: Element,
    points: impl Iterator<Item = &'a Commitment>,
) -> Result<Commitment, JointError> {
    let sum: Point = points.map(Commitment::point).sum();
    match sum.is_identity() {
        true => Err(JointError::Cancelled { element }),
        false => Ok(sum.into()),
    }
}
