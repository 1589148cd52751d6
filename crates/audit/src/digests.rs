//! The digests of `docs/protocols/ledger.md`, computed from bytes.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_ledger::ids::{ChainId, CreditId, TransactionId};
use quittance_ledger::transaction::{Body, Transaction};
use sha2::{Digest as _, Sha256};

/// The digests of one transaction.
pub(crate) struct TransactionDigests {
    pub(crate) body: Digest,
    pub(crate) signing: Digest,
    pub(crate) id: TransactionId,
}

impl TransactionDigests {
    pub(crate) fn of(transaction: &Transaction) -> Self {
        let body = transaction.body().to_bytes();
        let mut proofs = Writer::new();
        proofs.list(transaction.proofs());
        let proofs = proofs.into_bytes();
        Self {
            body: Digest::of("quittance/v1/body", &[&body]),
            signing: Digest::of("quittance/v1/signing", &[&body, &proofs]),
            id: TransactionId(Digest::of(
                "quittance/v1/transaction-id",
                &[&transaction.to_bytes()],
            )),
        }
    }

    /// What the range proof of one entry is bound to.
    pub(crate) fn proof_context(&self, body: &Body, entry: u32) -> Digest {
        let suite = body.suite.to_bytes();
        let parts = [&body.chain.0.0[..], &suite, self.body.as_bytes(), &entry.to_be_bytes()];
        Digest::of("quittance/v1/entry-proof", &parts)
    }

    pub(crate) fn credit_id(&self, entry: u32, credit: u32) -> CreditId {
        let position = [entry.to_be_bytes(), credit.to_be_bytes()].concat();
        CreditId(Digest::of("quittance/v1/credit-id", &[self.id.0.as_bytes(), &position]))
    }

    pub(crate) fn round_id(&self, chain: ChainId) -> Digest {
        Digest::of("quittance/v1/round-id", &[chain.0.as_bytes(), self.body.as_bytes()])
    }
}

/// The root of a list: its length and the Merkle tree hash of RFC 6962, section 2.1.
pub(crate) fn list_root<T: Encode>(items: &[T]) -> Digest {
    let leaves: Vec<Vec<u8>> = items.iter().map(Encode::to_bytes).collect();
    let length = (items.len() as u64).to_be_bytes();
    Digest::of("quittance/v1/list", &[&length, &tree_hash(&leaves)])
}

fn tree_hash(leaves: &[Vec<u8>]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest(b"").into(),
        [leaf] => Sha256::new().chain_update([0]).chain_update(leaf).finalize().into(),
        _ => {
            let half = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(half);
            let hash = Sha256::new().chain_update([1]).chain_update(tree_hash(left));
            hash.chain_update(tree_hash(right)).finalize().into()
        }
    }
}
