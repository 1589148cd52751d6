//! A whole block against a state: what every validator does with a proposal.

use quittance_crypto::digest::Digest;
use thiserror::Error;

use super::{BlockContext, ExecutionError, Executor, Outcome};
use crate::block::{Block, transactions_root};
use crate::ids::{ChainId, TransactionId};
use crate::state::{State, StateError};
use crate::transaction::Verified;

/// Why a block does not follow from a state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The header is of another chain.
    #[error("the header names chain {found}, not {expected}")]
    Chain {
        /// The state's chain.
        expected: ChainId,
        /// What the header says.
        found: ChainId,
    },
    /// The header names another suite.
    #[error("the header names another suite than the chain's")]
    Suite,
    /// The header names other validators than the state before the block.
    #[error("the header names validators {found}, not {expected}")]
    Validators {
        /// The digest of the state's validators.
        expected: Digest,
        /// What the header says.
        found: Digest,
    },
    /// The header names other next validators than the state after the block.
    #[error("the header names next validators {found}, not {expected}")]
    NextValidators {
        /// The digest of the new state's validators.
        expected: Digest,
        /// What the header says.
        found: Digest,
    },
    /// The header is of other transactions.
    #[error("the header's transactions root is {found}, that of the transactions {expected}")]
    TransactionsRoot {
        /// What the transactions give.
        expected: Digest,
        /// What the header says.
        found: Digest,
    },
    /// A transaction is not valid in its place.
    #[error("transaction {index} ({id}): {source}")]
    Transaction {
        /// Its position in the block.
        index: usize,
        /// Its id.
        id: TransactionId,
        /// Why not.
        source: ExecutionError,
    },
    /// The block leads to another state than its header says.
    #[error("the header's state root is {found}, the block leads to {expected}")]
    StateRoot {
        /// Where the block leads.
        expected: Digest,
        /// What the header says.
        found: Digest,
    },
    /// The state before the block contradicts itself.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Executes a block on `state` and compares everything that the header says about it.
///
/// Parent, height and time concern the chain of headers and not the state: whoever holds the
/// parent's header checks those.
pub fn apply(state: &State, block: &Block<Verified>) -> Result<Outcome, ApplyError> {
    let Block { header, transactions } = block;
    check_header(state, block)?;
    let context = BlockContext { height: header.height, time: header.time };
    let mut executor = Executor::new(state, context);
    for (index, transaction) in transactions.iter().enumerate() {
        let id = transaction.id();
        executor.execute(transaction).map_err(|source| ApplyError::Transaction {
            index,
            id,
            source,
        })?;
    }
    let outcome = executor.finish()?;
    let (expected, found) = (outcome.state.validators().digest(), header.next_validators);
    if expected != found {
        return Err(ApplyError::NextValidators { expected, found });
    }
    let (expected, found) = (outcome.root(), header.state_root);
    if expected != found {
        return Err(ApplyError::StateRoot { expected, found });
    }
    Ok(outcome)
}

/// What can be compared before execution.
fn check_header(state: &State, block: &Block<Verified>) -> Result<(), ApplyError> {
    let header = &block.header;
    let chain = state.chain();
    if header.chain != chain.id {
        return Err(ApplyError::Chain { expected: chain.id, found: header.chain });
    }
    if header.suite != chain.suite {
        return Err(ApplyError::Suite);
    }
    let (expected, found) = (state.validators().digest(), header.validators);
    if expected != found {
        return Err(ApplyError::Validators { expected, found });
    }
    let (expected, found) = (transactions_root(&block.transactions), header.transactions_root);
    match expected == found {
        true => Ok(()),
        false => Err(ApplyError::TransactionsRoot { expected, found }),
    }
}
