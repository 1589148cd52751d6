//! The state root by its recursive definition over all leaves.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// Keys of leaves with the hashes of their values.
pub(crate) type Leaves = BTreeMap<[u8; 32], [u8; 32]>;

/// `hash(S)` of the chapter "State" with all leaves and `d = 0`.
pub(crate) fn root(leaves: &Leaves) -> [u8; 32] {
    let sorted: Vec<_> = leaves.iter().collect();
    hash(&sorted, 0)
}

fn hash(leaves: &[(&[u8; 32], &[u8; 32])], depth: usize) -> [u8; 32] {
    match leaves {
        [] => *b"SPARSE_MERKLE_PLACEHOLDER_HASH__",
        [(key, value)] => {
            let hash = Sha256::new().chain_update(b"JMT::LeafNode").chain_update(key);
            hash.chain_update(value).finalize().into()
        }
        _ => {
            // Sorted keys that share their first bits: those with a 0 next come first.
            let ones = leaves.partition_point(|(key, _)| !bit(key, depth));
            let (zeros, ones) = leaves.split_at(ones);
            let left = hash(zeros, depth + 1);
            let hasher = Sha256::new().chain_update(b"JMT::IntrnalNode").chain_update(left);
            hasher.chain_update(hash(ones, depth + 1)).finalize().into()
        }
    }
}

fn bit(key: &[u8; 32], depth: usize) -> bool {
    key.get(depth / 8).is_some_and(|byte| byte >> (7 - depth % 8) & 1 == 1)
}
