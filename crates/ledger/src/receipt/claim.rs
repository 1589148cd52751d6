//! What a receipt says, and how it is made.

use quittance_crypto::encoding::Encode;

use crate::block::Block;
use crate::ids::{AccountId, TransactionId};
use crate::merkle;
use crate::state::{Account, Key, State};
use crate::transaction::{Transaction, Unverified};
use crate::tree;

/// One statement about a block or about the state after it, with the hashes that lead from it to
/// the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The block holds this transaction. Tag 0.
    Transaction {
        /// Which one.
        transaction: NamedTransaction,
        /// From its id to the header's transactions root.
        path: merkle::Proof,
    },
    /// After the block, this is the account. Tag 1.
    Account {
        /// Whose account, in which asset.
        id: AccountId,
        /// Its record; `None` if it has never been touched: then it stands at
        /// [`Account::default`].
        account: Option<Box<Account>>,
        /// From the record, or from where it would be, to the header's state root.
        proof: tree::Proof,
    },
}

/// A transaction, or what it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedTransaction {
    /// Its id alone: the receipt shows nothing of what it does. Tag 0.
    Id(TransactionId),
    /// The complete transaction. Tag 1.
    Complete(Transaction),
}

impl NamedTransaction {
    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        match self {
            Self::Id(id) => *id,
            Self::Complete(transaction) => transaction.id(),
        }
    }
}

impl Claim {
    /// That the transaction at `index` is in `block`, if there are so many.
    pub fn of_transaction(block: &Block<Unverified>, index: usize) -> Option<Self> {
        let transaction = NamedTransaction::Complete(block.transactions.get(index)?.clone());
        Some(Self::Transaction { transaction, path: path(block, index)? })
    }

    /// The same for those who may not see what the transaction does.
    pub fn of_transaction_id<S>(block: &Block<S>, index: usize) -> Option<Self> {
        let transaction = NamedTransaction::Id(block.transactions.get(index)?.id());
        Some(Self::Transaction { transaction, path: path(block, index)? })
    }

    /// What `state`, the one after the receipt's block, says of an account.
    pub fn of_account(state: &State, id: AccountId) -> Option<Self> {
        let proof = state.prove(&Key::Account(id))?;
        let account = state.account(&id).cloned().map(Box::new);
        Some(Self::Account { id, account, proof })
    }

    /// The place of the claim among those of a receipt: transactions by id, then accounts by id.
    pub fn place(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Transaction { transaction, .. } => (0, transaction.id().to_bytes()),
            Self::Account { id, .. } => (1, id.to_bytes()),
        }
    }
}

fn path<S>(block: &Block<S>, index: usize) -> Option<merkle::Proof> {
    let leaf = |transaction: &Transaction<S>| merkle::leaf_hash(&transaction.id().to_bytes());
    let leaves: Vec<_> = block.transactions.iter().map(leaf).collect();
    merkle::Proof::new(&leaves, index)
}
