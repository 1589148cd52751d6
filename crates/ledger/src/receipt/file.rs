//! The file in which a receipt is handed on: JSON that a person can read, around the bytes that
//! count.

use quittance_crypto::commitment::Commitment;
use serde::{Deserialize, Serialize};

use super::{Claim, NamedTransaction, Receipt};
use crate::ids::{AssetId, BlockId, ChainId, Height, InstitutionId, Timestamp, TransactionId};

/// A receipt with what it says in words. Only the bytes count: whoever verifies compares the
/// summary with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFile {
    /// What the receipt says.
    pub summary: Summary,
    /// Its canonical bytes, in hexadecimal.
    #[serde(with = "crate::json::canonical_hex")]
    pub receipt: Receipt,
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// On which chain.
    pub chain: ChainId,
    /// Height of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// The time of the block, in milliseconds since 1970-01-01T00:00:00Z.
    pub time: Timestamp,
    /// How often the validators have changed since the root that the receipt begins from.
    pub set_changes: usize,
    /// What is claimed, in the order of the receipt.
    pub claims: Vec<SummaryClaim>,
}

/// What one claim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SummaryClaim {
    /// The block holds a transaction.
    Transaction {
        /// Which one.
        id: TransactionId,
        /// Its position in the block, from 0.
        position: u64,
        /// What it posts, if the receipt holds all of it.
        postings: Vec<SummaryPosting>,
    },
    /// After the block, an account is so.
    Account {
        /// Whose.
        institution: InstitutionId,
        /// In which asset.
        asset: AssetId,
        /// How many postings and joinings it has made.
        sequence: u64,
        /// The commitment to its balance, in hexadecimal; `None` if it has never been touched.
        balance: Option<String>,
    },
}

/// A posting of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SummaryPosting {
    /// Who posts.
    pub institution: InstitutionId,
    /// In which asset.
    pub asset: AssetId,
    /// The account's sequence number after it.
    pub sequence: u64,
    /// The commitment to the balance after it, in hexadecimal.
    pub new_balance: String,
}

impl ReceiptFile {
    /// The file of a receipt.
    pub fn new(receipt: Receipt) -> Self {
        Self { summary: Summary::of(&receipt), receipt }
    }
}

impl Summary {
    /// What `receipt` says, whether it proves it or not.
    pub fn of(receipt: &Receipt) -> Self {
        let header = &receipt.header;
        Self {
            chain: header.chain,
            height: header.height,
            block: header.id(),
            time: header.time,
            set_changes: receipt.changes.len(),
            claims: receipt.claims.iter().map(SummaryClaim::of).collect(),
        }
    }
}

impl SummaryClaim {
    fn of(claim: &Claim) -> Self {
        match claim {
            Claim::Transaction { transaction, path } => Self::Transaction {
                id: transaction.id(),
                position: path.index,
                postings: postings(transaction),
            },
            Claim::Account { id, account, .. } => Self::Account {
                institution: id.institution,
                asset: id.asset,
                sequence: account.as_ref().map_or(0, |account| account.sequence),
                balance: account.as_ref().map(|account| text(&account.balance)),
            },
        }
    }
}

fn postings(transaction: &NamedTransaction) -> Vec<SummaryPosting> {
    let NamedTransaction::Complete(transaction) = transaction else { return Vec::new() };
    let entries = transaction.body().entries().iter();
    let postings = entries.flat_map(|entry| entry.postings.iter().map(|it| (entry.asset, it)));
    let shown = postings.map(|(asset, posting)| SummaryPosting {
        institution: posting.institution,
        asset,
        sequence: posting.sequence,
        new_balance: text(&posting.new_balance),
    });
    shown.collect()
}

fn text(commitment: &Commitment) -> String {
    commitment.to_string()
}
