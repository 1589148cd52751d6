//! Roots of lists against RFC 6962 taken literally, and attacks on inclusion proofs.

#![allow(clippy::unwrap_used)] // A test stops where its assumption fails.

use proptest::prelude::*;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::merkle::{Frontier, Proof, ProofError, leaf_hash, root, root_of};
use sha2::Digest as _;

fn sha256(parts: &[&[u8]]) -> Digest {
    Digest(sha2::Sha256::digest(parts.concat()).into())
}

/// RFC 6962, section 2.1.
fn mth(items: &[Vec<u8>]) -> Digest {
    match items {
        [] => sha256(&[]),
        [item] => sha256(&[&[0], item]),
        _ => {
            let k = (1..).map(|e| 1 << e).find(|k| *k >= items.len()).unwrap() / 2;
            sha256(&[&[1], &mth(&items[..k]).0, &mth(&items[k..]).0])
        }
    }
}

fn list(length: usize) -> Vec<Vec<u8>> {
    (0..length).map(|i| vec![i as u8; i % 5]).collect()
}

fn hashes(items: &[Vec<u8>]) -> Vec<Digest> {
    items.iter().map(|item| leaf_hash(item)).collect()
}

#[test]
fn the_root_covers_the_rfc_tree_and_the_length() {
    for length in 0..40 {
        let items = list(length);
        let expected = Digest::of(
            "quittance/v1/list",
            &[&(length as u64).to_be_bytes(), mth(&items).as_bytes()],
        );
        assert_eq!(root(&hashes(&items)), expected, "{length} items");
    }
    assert_eq!(root_of(&[7u64]), root(&[leaf_hash(&7u64.to_bytes())]));
}

#[test]
fn a_list_that_grows_has_the_root_of_the_list() {
    let leaves = hashes(&list(200));
    let mut frontier = Frontier::default();
    for (length, leaf) in leaves.iter().enumerate() {
        assert_eq!(frontier.root(), root(&leaves[..length]), "{length} items");
        assert_eq!(leaves[..length].iter().copied().collect::<Frontier>(), frontier);
        frontier.push(*leaf);
    }
}

/// Two hashes that the reference code of RFC 6962 is tested with.
#[test]
fn known_answers() {
    let empty = mth(&[]);
    assert_eq!(
        empty.to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(
        leaf_hash(b"").to_string(),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
}

#[test]
fn every_item_of_every_list_is_proven_and_no_other() {
    for length in 0..33 {
        let items = list(length);
        let leaves = hashes(&items);
        let root = root(&leaves);
        assert_eq!(Proof::new(&leaves, length), None);
        for (index, item) in items.iter().enumerate() {
            let proof = Proof::new(&leaves, index).unwrap();
            assert_eq!(proof.verify(&root, item), Ok(()));
            assert_eq!(Proof::from_bytes(&proof.to_bytes()), Ok(proof.clone()));
            assert!(matches!(proof.verify(&root, b"other"), Err(ProofError::OtherRoot(_))));
            for claimed in (0..length as u64 + 1).filter(|claimed| *claimed != index as u64) {
                let moved = Proof { index: claimed, ..proof.clone() };
                assert!(moved.verify(&root, item).is_err());
            }
            for claimed in (0..length as u64 + 9).filter(|claimed| *claimed != length as u64) {
                let resized = Proof { length: claimed, ..proof.clone() };
                assert!(resized.verify(&root, item).is_err());
            }
        }
    }
}

#[test]
fn a_subtree_is_not_an_item_of_a_shorter_list() {
    let items = list(3);
    let leaves = hashes(&items);
    let proof = Proof::new(&leaves, 2).unwrap();
    // With a bare RFC 6962 hash for a root, the last of three items passes for the last of two.
    let shorter = Proof { index: 1, length: 2, path: proof.path.clone() };
    assert!(matches!(shorter.verify(&root(&leaves), &items[2]), Err(ProofError::OtherRoot(_))));
}

proptest! {
    #[test]
    fn mutated_paths_are_refused(length in 2usize..50, pick in any::<usize>(), at in any::<usize>()) {
        let items = list(length);
        let leaves = hashes(&items);
        let index = pick % length;
        let proof = Proof::new(&leaves, index).unwrap();
        let at = at % proof.path.len();

        let mut flipped = proof.clone();
        flipped.path[at].0[at % 32] ^= 1;
        let verdict = flipped.verify(&root(&leaves), &items[index]);
        prop_assert!(matches!(verdict, Err(ProofError::OtherRoot(_))));

        let mut shortened = proof.clone();
        shortened.path.remove(at);
        let verdict = shortened.verify(&root(&leaves), &items[index]);
        prop_assert_eq!(verdict, Err(ProofError::PathLength(proof.path.len() - 1)));
    }
}

#[test]
fn an_index_outside_its_list_does_not_decode() {
    let proof = Proof { index: 3, length: 3, path: vec![] };
    assert!(Proof::from_bytes(&proof.to_bytes()).is_err());
    let error = proof.verify(&Digest::ZERO, b"");
    assert_eq!(error, Err(ProofError::OutOfRange { index: 3, length: 3 }));
}
