//! The authenticated map against a plain map, against hand-made hashes and against crate `jmt`.

#![allow(clippy::unwrap_used)] // A test stops where its assumption fails.

use std::collections::BTreeMap;

use jmt::mock::MockTreeStore;
use jmt::storage::TreeWriter;
use jmt::{KeyHash, Sha256Jmt};
use proptest::prelude::*;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::tree::{EMPTY, Proof, ProofError, ProvenLeaf, Tree, Write, value_hash};
use sha2::Digest as _;

type Value = Vec<u8>;

fn put(value: &[u8]) -> Write<Value> {
    Write::Put { value_hash: value_hash(value), value: value.to_vec() }
}

fn tree_of(pairs: &BTreeMap<Digest, Value>) -> Tree<Value> {
    Tree::default().update(pairs.iter().map(|(key, value)| (*key, put(value))))
}

fn sha256(parts: &[&[u8]]) -> Digest {
    Digest(sha2::Sha256::digest(parts.concat()).into())
}

/// The definition in the module's documentation, taken literally.
fn reference(pairs: &[(&Digest, &Value)], depth: usize) -> Digest {
    match pairs {
        [] => EMPTY,
        [(key, value)] => sha256(&[b"JMT::LeafNode", &key.0, &sha256(&[value]).0]),
        _ => {
            let one = |key: &Digest| key.0[depth / 8] & (0x80 >> (depth % 8)) != 0;
            let (ones, zeros): (Vec<_>, Vec<_>) = pairs.iter().partition(|(key, _)| one(key));
            let halves = [reference(&zeros, depth + 1), reference(&ones, depth + 1)];
            sha256(&[b"JMT::IntrnalNode", &halves[0].0, &halves[1].0])
        }
    }
}

/// Keys that often share long prefixes: mostly zero, with a few bits set anywhere.
fn keys() -> impl Strategy<Value = Digest> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(Digest),
        proptest::collection::vec(0usize..256, 0..3).prop_map(|bits| {
            let mut key = [0; 32];
            bits.into_iter().for_each(|bit| key[bit / 8] |= 0x80 >> (bit % 8));
            Digest(key)
        }),
        (0u8..8).prop_map(|last| {
            let mut key = [0xff; 32];
            key[31] = last;
            Digest(key)
        }),
    ]
}

type Batch = BTreeMap<Digest, Option<Value>>;

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let value = proptest::option::weighted(0.6, proptest::collection::vec(any::<u8>(), 0..4));
    let batch = proptest::collection::btree_map(keys(), value, 0..24);
    proptest::collection::vec(batch, 1..6)
}

/// Removes about half of what is there as well, so that branches collapse.
fn with_removals(batch: &Batch, model: &BTreeMap<Digest, Value>) -> Batch {
    let stale = model.keys().filter(|key| key.0[30] % 2 == key.0[31] % 2);
    stale.map(|key| (*key, None)).chain(batch.clone()).collect()
}

fn apply(tree: &Tree<Value>, batch: &Batch) -> Tree<Value> {
    tree.update(
        batch
            .iter()
            .map(|(key, value)| (*key, value.as_ref().map_or(Write::Remove, |value| put(value)))),
    )
}

fn apply_to_model(model: &mut BTreeMap<Digest, Value>, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => drop(model.insert(*key, value.clone())),
            None => drop(model.remove(key)),
        }
    }
}

proptest! {
    #[test]
    fn it_is_a_map_and_its_root_depends_on_the_contents_alone(batches in batches()) {
        let mut model = BTreeMap::new();
        let mut tree = Tree::default();
        let mut history = vec![];
        for batch in &batches {
            let batch = with_removals(batch, &model);
            tree = apply(&tree, &batch);
            apply_to_model(&mut model, &batch);

            prop_assert_eq!(tree.root(), tree_of(&model).root());
            prop_assert_eq!(tree.root(), reference(&model.iter().collect::<Vec<_>>(), 0));
            prop_assert!(tree.values().eq(model.values()));
            for (key, written) in &batch {
                prop_assert_eq!(tree.get(key), written.as_ref());
            }
            history.push((tree.clone(), tree.root(), model.clone()));
        }
        for (tree, root, model) in history {
            prop_assert_eq!(tree.root(), root, "older trees stay as they were");
            prop_assert!(tree.values().eq(model.values()));
        }
    }

    #[test]
    fn proofs_show_what_is_there_and_nothing_else(
        batches in batches(),
        probes in proptest::collection::vec(keys(), 8),
    ) {
        let mut model = BTreeMap::new();
        batches.iter().for_each(|batch| apply_to_model(&mut model, batch));
        let tree = tree_of(&model);
        for key in probes.iter().chain(model.keys()) {
            let proof = tree.prove(key);
            let value = model.get(key).map(Vec::as_slice);
            prop_assert_eq!(proof.verify(&tree.root(), key, value), Ok(()));
            prop_assert_eq!(Proof::from_bytes(&proof.to_bytes()), Ok(proof.clone()));
            match value {
                Some(value) => {
                    let other = [value, &[1]].concat();
                    let error = proof.verify(&tree.root(), key, Some(&other));
                    prop_assert_eq!(error, Err(ProofError::OtherValue));
                    let error = proof.verify(&tree.root(), key, None);
                    prop_assert_eq!(error, Err(ProofError::Present));
                }
                None => {
                    let error = proof.verify(&tree.root(), key, Some(b"claimed"));
                    prop_assert_eq!(error, Err(ProofError::Absent));
                }
            }
            let error = proof.verify(&Digest::ZERO, key, value);
            prop_assert_eq!(error, Err(ProofError::OtherRoot(tree.root())));
        }
    }
}

/// The same writes through crate `jmt`, one version per batch.
#[derive(Default)]
struct Peer {
    store: MockTreeStore,
    version: u64,
}

impl Peer {
    fn apply(&mut self, batch: &Batch) -> Digest {
        let writes = batch.iter().map(|(key, value)| (KeyHash(key.0), value.clone()));
        let tree = Sha256Jmt::new(&self.store);
        let (root, update) = tree.put_value_set(writes, self.version).unwrap();
        self.store.write_node_batch(&update.node_batch).unwrap();
        self.version += 1;
        Digest(root.0)
    }

    /// The peer's proof, which its own verifier accepts, in our form. The peer shows the preimages of sibling hashes.
    fn prove(&self, key: &Digest) -> Proof {
        let tree = Sha256Jmt::new(&self.store);
        let version = self.version - 1;
        let (value, proof) = tree.get_with_proof(KeyHash(key.0), version).unwrap();
        let root = tree.get_root_hash(version).unwrap();
        proof.verify(root, KeyHash(key.0), value).unwrap();
        let proof = serde_json::to_value(&proof).unwrap();
        let digest = |value: &serde_json::Value| {
            Digest(serde_json::from_value::<[u8; 32]>(value.clone()).unwrap())
        };
        let leaf = proof.get("leaf").filter(|leaf| !leaf.is_null()).map(|leaf| ProvenLeaf {
            key: digest(&leaf["key_hash"]),
            value_hash: digest(&leaf["value_hash"]),
        });
        let siblings = proof["siblings"].as_array().unwrap().iter().map(|sibling| {
            if let Some(leaf) = sibling.get("Leaf") {
                let (key, value) = (digest(&leaf["key_hash"]), digest(&leaf["value_hash"]));
                sha256(&[b"JMT::LeafNode", &key.0, &value.0])
            } else if let Some(node) = sibling.get("Internal") {
                let (left, right) = (digest(&node["left_child"]), digest(&node["right_child"]));
                sha256(&[b"JMT::IntrnalNode", &left.0, &right.0])
            } else {
                assert_eq!(sibling.as_str(), Some("Null"));
                EMPTY
            }
        });
        Proof { leaf, siblings: siblings.collect() }
    }
}

proptest! {
    #[test]
    fn roots_and_proofs_equal_those_of_jmt(
        batches in batches(),
        probes in proptest::collection::vec(keys(), 4),
    ) {
        let mut peer = Peer::default();
        let mut model = BTreeMap::new();
        let mut tree = Tree::default();
        for batch in &batches {
            let batch = with_removals(batch, &model);
            tree = apply(&tree, &batch);
            prop_assert_eq!(tree.root(), peer.apply(&batch));
            apply_to_model(&mut model, &batch);
            for key in probes.iter().chain(model.keys()) {
                prop_assert_eq!(tree.prove(key), peer.prove(key));
            }
        }
    }
}

/// Four keys whose paths part at bits 0, 1 and 4.
fn sample() -> (Tree<Value>, [Digest; 4]) {
    let keys = [0b0000_0000, 0b1000_0000, 0b1100_0000, 0b1100_1000].map(|first| {
        let mut key = [0; 32];
        key[0] = first;
        Digest(key)
    });
    (Tree::default().update(keys.map(|key| (key, put(&key.0[..1])))), keys)
}

#[test]
fn a_proof_does_not_serve_another_key() {
    let (tree, keys) = sample();
    for key in &keys {
        let proof = tree.prove(key);
        for other in keys.iter().filter(|other| *other != key) {
            let claimed = proof.verify(&tree.root(), other, Some(&key.0[..1]));
            assert_eq!(claimed, Err(ProofError::Absent));
            assert!(proof.verify(&tree.root(), other, None).is_err());
        }
    }
}

#[test]
fn every_mutation_of_a_proof_is_refused() {
    let (tree, keys) = sample();
    let mut absent = keys[3];
    absent.0[31] = 1;
    for (key, value) in [(keys[3], Some(&keys[3].0[..1])), (absent, None)] {
        let proof = tree.prove(&key);
        assert_eq!(proof.verify(&tree.root(), &key, value), Ok(()));
        let mut forgeries = vec![Proof { leaf: None, ..proof.clone() }];
        for sibling in 0..proof.siblings.len() {
            let mut forged = proof.clone();
            forged.siblings[sibling].0[7] ^= 1;
            forgeries.push(forged);
            let mut forged = proof.clone();
            forged.siblings.remove(sibling);
            forgeries.push(forged);
            let mut forged = proof.clone();
            forged.siblings.insert(sibling, EMPTY);
            forgeries.push(forged);
        }
        let mut forged = proof.clone();
        forged.leaf.as_mut().unwrap().value_hash.0[0] ^= 1;
        forgeries.push(forged);
        for forged in forgeries {
            assert!(forged.verify(&tree.root(), &key, value).is_err(), "{forged:?}");
        }
    }
}

#[test]
fn another_leaf_shows_absence_only_inside_its_own_subtree() {
    let (tree, keys) = sample();
    // keys[0] lies alone left of the root: its path has one sibling, and shows nothing about a
    // key to the right of the root.
    let proof = tree.prove(&keys[0]);
    let mut absent = keys[3];
    absent.0[31] = 1;
    assert_eq!(proof.verify(&tree.root(), &absent, None), Err(ProofError::OutsideSubtree));

    let endless = Proof { leaf: None, siblings: vec![EMPTY; 257] };
    assert_eq!(endless.verify(&tree.root(), &absent, None), Err(ProofError::TooDeep(257)));
    assert!(Proof::from_bytes(&endless.to_bytes()).is_err());
}

#[test]
fn keys_that_differ_in_the_last_bit_live_side_by_side() {
    let (zero, mut one) = (Digest::ZERO, Digest::ZERO);
    one.0[31] = 1;
    let tree = Tree::default().update([(zero, put(b"zero")), (one, put(b"one"))]);
    assert_eq!(tree.prove(&zero).siblings.len(), 256);
    assert_eq!(tree.prove(&one).verify(&tree.root(), &one, Some(b"one")), Ok(()));
    let left = tree.update([(one, Write::Remove)]);
    assert_eq!(left.root(), Tree::default().update([(zero, put(b"zero"))]).root());
    assert_eq!(left.update([(zero, Write::Remove)]).root(), EMPTY);
}

/// So many writes that processors share them, in no order; of two to one key the later counts.
#[test]
fn many_writes_at_once_lead_to_the_same_root_as_the_definition() {
    let key = |number: u32| sha256(&[&number.to_be_bytes()]);
    let mut model = BTreeMap::new();
    let mut tree = Tree::default();
    for round in 0..3u8 {
        let numbers = 0..2_000u32;
        let twice = numbers.clone().filter(|number| number % 7 == u32::from(round));
        let first = numbers.clone().rev().map(|number| (key(number), Some(vec![0, round])));
        let again = twice.map(|number| (key(number), (number % 2 == 0).then(|| vec![1, round])));
        let writes: Vec<_> = first.chain(again).collect();
        let write = |value: &Option<Value>| value.as_ref().map_or(Write::Remove, |it| put(it));
        tree = tree.update(writes.iter().map(|(key, value)| (*key, write(value))));
        for (key, value) in writes {
            apply_to_model(&mut model, &Batch::from([(key, value)]));
        }
        assert_eq!(tree.root(), reference(&model.iter().collect::<Vec<_>>(), 0));
        assert!(model.iter().all(|(key, value)| tree.get(key) == Some(value)));
        assert_eq!(tree.values().count(), model.len());
    }
}
