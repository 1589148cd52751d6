//! What lies under a root: paths of lists and of the trie, from the leaf upwards.

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_ledger::{merkle, tree};
use sha2::{Digest as _, Sha256};

use crate::fault::{Fault, require};

/// Checks that the list with this root has `item` at the path's index: RFC 9162, section 2.1.3.2,
/// and then the length.
pub(crate) fn verify_in_list(
    root: &Digest,
    item: &[u8],
    path: &merkle::Proof,
) -> Result<(), Fault> {
    let rule = "path in the list";
    require(path.index < path.length, rule, || {
        format!("index {} in a list of {}", path.index, path.length)
    })?;
    let (mut place, mut last) = (path.index, path.length - 1);
    let mut hash: [u8; 32] = Sha256::new().chain_update([0]).chain_update(item).finalize().into();
    for beside in &path.path {
        require(last > 0, rule, || format!("{} hashes are too many", path.path.len()))?;
        if place % 2 == 1 || place == last {
            hash = node(&[1], &beside.0, &hash);
            // The subtree is the last of its level and has no sibling in the next ones.
            while place % 2 == 0 && place > 0 {
                (place, last) = (place / 2, last / 2);
            }
        } else {
            hash = node(&[1], &hash, &beside.0);
        }
        (place, last) = (place / 2, last / 2);
    }
    require(last == 0, rule, || format!("{} hashes are too few", path.path.len()))?;
    let found = Digest::of("quittance/v1/list", &[&path.length.to_be_bytes(), &hash]);
    require(found == *root, rule, || format!("it leads to {found}, not to {root}"))
}

/// Checks that the trie with this root holds `value` under `key`, or nothing.
pub(crate) fn verify_in_trie(
    root: &Digest,
    key: &Digest,
    value: Option<&[u8]>,
    proof: &tree::Proof,
) -> Result<(), Fault> {
    let rule = "proof in the state";
    let depth = proof.siblings.len();
    require(depth <= 256, rule, || format!("{depth} hashes beside a path of 256 bits"))?;
    match (value, proof.leaf) {
        (None, None) => {}
        (None, Some(leaf)) => {
            let another = leaf.key != *key;
            let absent = planted!("auditor-takes-any-absence", true, another);
            require(absent, rule, || "there is a record".to_owned())?;
            let inside = (0..depth).all(|place| bit(&leaf.key, place) == bit(key, place));
            require(inside, rule, || {
                "the other record does not lie where that of the key would".to_owned()
            })?;
        }
        (Some(value), leaf) => {
            let hash = Digest(Sha256::digest(value).into());
            let own = leaf.is_some_and(|leaf| leaf.key == *key && leaf.value_hash == hash);
            require(own, rule, || "it is not about this record".to_owned())?;
        }
    }
    let mut hash = match proof.leaf {
        None => *b"SPARSE_MERKLE_PLACEHOLDER_HASH__",
        Some(leaf) => node(b"JMT::LeafNode", &leaf.key.0, &leaf.value_hash.0),
    };
    for (beside, place) in proof.siblings.iter().zip((0..depth).rev()) {
        hash = match bit(key, place) {
            true => node(b"JMT::IntrnalNode", &beside.0, &hash),
            false => node(b"JMT::IntrnalNode", &hash, &beside.0),
        };
    }
    let found = Digest(hash);
    require(found == *root, rule, || format!("it leads to {found}, not to {root}"))
}

fn node(prefix: &[u8], left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(prefix).chain_update(left).chain_update(right);
    hash.finalize().into()
}

fn bit(key: &Digest, place: usize) -> bool {
    key.0.get(place / 8).is_some_and(|byte| byte >> (7 - place % 8) & 1 == 1)
}
