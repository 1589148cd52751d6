//! The register alone, block after block: for those who follow the chain and do not execute it.

use quittance_crypto::digest::Digest;
use thiserror::Error;

use super::ExecutionError;
use super::registry::Registry;
use crate::block::Block;
use crate::ids::{Height, TransactionId};
use crate::state::{Changes, State, StateError};
use crate::transaction::Action;

/// Why a block does not lead from one register to another. No valid chain gets there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FollowError {
    /// A decision or a new key that the register does not admit.
    #[error("transaction {id}: {source}")]
    Transaction {
        /// Which one.
        id: TransactionId,
        /// Why not.
        source: ExecutionError,
    },
    /// The header announces other validators than the decisions lead to.
    #[error("block {height} announces validators {found}, its decisions lead to {expected}")]
    NextValidators {
        /// The block.
        height: Height,
        /// The digest of those that the decisions lead to.
        expected: Digest,
        /// What the header says.
        found: Digest,
    },
    /// The register contradicts itself.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What governance has decided after `block`: institutions with their keys, assets, committees,
/// validators, limits, and what waits. `register` is the same before the block; its accounts and
/// rounds stay as they are, so that nobody takes them for those of the chain, and neither does its
/// root count.
///
/// The rules are those by which the ledger executes. That the block is final, and its transactions
/// valid, is for the caller to know.
pub fn follow<S>(register: &State, block: &Block<S>) -> Result<State, FollowError> {
    let height = block.header.height;
    let mut registry = Registry::new(register);
    for transaction in &block.transactions {
        let (id, action) = (transaction.id(), &transaction.body().action);
        let done = act(&mut registry, action, height);
        done.map_err(|source| FollowError::Transaction { id, source })?;
    }
    registry.turn(height.next());
    let mut changes = Changes::new();
    registry.finish(&mut changes);
    let after = if changes.is_empty() { register.clone() } else { register.replay(&changes)? };
    let (expected, found) = (after.validators().digest(), block.header.next_validators);
    match expected == found {
        true => Ok(after),
        false => Err(FollowError::NextValidators { height, expected, found }),
    }
}

/// Whether a block at `height` can include this decision or this new key, as far as the register
/// says. Nothing is asked of other actions, and the signatures are for others to verify.
pub fn admits(register: &State, action: &Action, height: Height) -> Result<(), ExecutionError> {
    act(&mut Registry::new(register), action, height)
}

fn act(registry: &mut Registry<'_>, action: &Action, height: Height) -> Result<(), ExecutionError> {
    match action {
        Action::Governance(governance) => registry.schedule(governance, height),
        Action::KeyRotation(rotation) => registry.rotate(rotation, height),
        Action::Entries(_)
        | Action::Return(_)
        | Action::RoundOpen(_)
        | Action::RoundJoin(_)
        | Action::Settlement(_) => Ok(()),
    }
}
