//! The authenticated map under the state root: a sparse Merkle trie over 256-bit keys.
//!
//! The hash format is that of the Jellyfish Merkle tree (Diem; crate `jmt` 0.12 with SHA-256),
//! so that its proofs and ours are interchangeable. Seen bit by bit, with `S` a set of
//! (key, value) pairs that share their first `d` key bits and `S_b` those whose bit `d` is `b`:
//!
//! ```text
//! hash({})       = "SPARSE_MERKLE_PLACEHOLDER_HASH__"
//! hash({(k, v)}) = SHA-256("JMT::LeafNode" || k || SHA-256(v))
//! hash(S)        = SHA-256("JMT::IntrnalNode" || hash(S_0) || hash(S_1))
//! ```
//!
//! A subtree with one pair is that pair's leaf, whatever its depth, so the root depends on the
//! set alone and not on the order of the writes. Keys are hashes: paths are as long as the
//! logarithm of the number of pairs, give or take a few bits.
//!
//! Nodes are immutable and shared. A clone costs one reference count; an update makes new nodes
//! along the changed paths only, hashes each of them once, and leaves the older tree intact.

use std::sync::Arc;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The hash of an empty subtree.
pub const EMPTY: Digest = Digest(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// Bits in a key: no path is longer.
pub const DEPTH: usize = 256;

/// A persistent map from 256-bit keys to values of type `V`, with a root hash.
///
/// The map stores each value beside the hash of its canonical bytes; whoever writes a value says
/// what that hash is.
#[derive(Debug)]
pub struct Tree<V>(Link<V>);

type Link<V> = Option<Arc<Node<V>>>;

#[derive(Debug)]
enum Node<V> {
    Leaf(Leaf<V>),
    Branch { hash: Digest, left: Link<V>, right: Link<V> },
}

#[derive(Debug)]
struct Leaf<V> {
    hash: Digest,
    key: Digest,
    value_hash: Digest,
    value: V,
}

/// What to do with one key: store a value with the hash of its canonical bytes, or remove it.
#[derive(Debug)]
pub enum Write<V> {
    /// Store the value.
    Put {
        /// `SHA-256` of the value's canonical bytes; see [`value_hash`].
        value_hash: Digest,
        /// The value itself.
        value: V,
    },
    /// Remove the key, if present.
    Remove,
}

/// `SHA-256(v)`: what a leaf says of its value.
pub fn value_hash(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

fn leaf_hash(key: &Digest, value_hash: &Digest) -> Digest {
    let hasher = Sha256::new_with_prefix(b"JMT::LeafNode");
    Digest(hasher.chain_update(key.0).chain_update(value_hash.0).finalize().into())
}

fn branch_hash(left: &Digest, right: &Digest) -> Digest {
    let hasher = Sha256::new_with_prefix(b"JMT::IntrnalNode");
    Digest(hasher.chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Bit `depth` of `key`, the most significant bit of the first byte being bit 0.
fn bit(key: &Digest, depth: usize) -> bool {
    key.0.get(depth / 8).is_some_and(|byte| byte >> (7 - depth % 8) & 1 == 1)
}

/// How many leading bits `a` and `b` have in common.
fn common_prefix(a: &Digest, b: &Digest) -> usize {
    (0..DEPTH).take_while(|&depth| bit(a, depth) == bit(b, depth)).count()
}

fn hash_of<V>(link: &Link<V>) -> Digest {
    match link.as_deref() {
        None => EMPTY,
        Some(Node::Leaf(leaf)) => leaf.hash,
        Some(Node::Branch { hash, .. }) => *hash,
    }
}

/// The subtree over two halves: a lone leaf stands for the whole.
fn join<V>(left: Link<V>, right: Link<V>) -> Link<V> {
    match (left.as_deref(), right.as_deref()) {
        (None, None) => None,
        (Some(Node::Leaf(_)), None) => left,
        (None, Some(Node::Leaf(_))) => right,
        _ => {
            let hash = branch_hash(&hash_of(&left), &hash_of(&right));
            Some(Arc::new(Node::Branch { hash, left, right }))
        }
    }
}

/// Fewer writes than this are not worth a second processor.
const WORTH_SHARING: usize = 64;

/// A write on its way down; `None` once its value has been moved into a leaf.
type Pending<V> = (Digest, Option<Write<V>>);

/// `link` after `writes`, which are sorted by key, distinct, and agree with it on `depth` bits.
fn update<V: Send + Sync>(link: &Link<V>, depth: usize, writes: &mut [Pending<V>]) -> Link<V> {
    if writes.is_empty() {
        return link.clone();
    }
    let (left, right) = match link.as_deref() {
        Some(Node::Branch { left, right, .. }) => (left, right),
        Some(Node::Leaf(leaf)) if writes.iter().all(|(key, _)| *key != leaf.key) => {
            return insert(Some((leaf.key, link)), depth, writes);
        }
        _ => return insert(None, depth, writes),
    };
    let shared = writes.len() >= WORTH_SHARING;
    let middle = writes.partition_point(|(key, _)| !bit(key, depth));
    let (zeros, ones) = writes.split_at_mut(middle);
    let mut zeros = || update(left, depth + 1, zeros);
    let mut ones = || update(right, depth + 1, ones);
    let (left, right) = if shared { rayon::join(zeros, ones) } else { (zeros(), ones()) };
    join(left, right)
}

/// The subtree of at most one leaf that was there before (and is not overwritten) and `writes`.
fn insert<V>(kept: Option<(Digest, &Link<V>)>, depth: usize, writes: &mut [Pending<V>]) -> Link<V> {
    let mut puts = writes.iter_mut().filter(|(_, write)| matches!(write, Some(Write::Put { .. })));
    match (kept, puts.next(), puts.next()) {
        (None, None, _) => return None,
        (Some((_, leaf)), None, _) => return leaf.clone(),
        (None, Some((key, write)), None) => return leaf(*key, write.take()),
        _ => {}
    }
    let middle = writes.partition_point(|(key, _)| !bit(key, depth));
    let (zeros, ones) = writes.split_at_mut(middle);
    let (kept_zero, kept_one) = match kept {
        Some((key, _)) if bit(&key, depth) => (None, kept),
        _ => (kept, None),
    };
    join(insert(kept_zero, depth + 1, zeros), insert(kept_one, depth + 1, ones))
}

fn leaf<V>(key: Digest, write: Option<Write<V>>) -> Link<V> {
    let Some(Write::Put { value_hash, value }) = write else { return None };
    let hash = leaf_hash(&key, &value_hash);
    Some(Arc::new(Node::Leaf(Leaf { hash, key, value_hash, value })))
}

impl<V> Clone for Tree<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<V> Tree<V> {
    /// The root hash; [`EMPTY`] for the empty map.
    pub fn root(&self) -> Digest {
        hash_of(&self.0)
    }

    /// The value stored under `key`.
    pub fn get(&self, key: &Digest) -> Option<&V> {
        let mut link = &self.0;
        let mut depth = 0;
        loop {
            match link.as_deref()? {
                Node::Leaf(leaf) => return (leaf.key == *key).then_some(&leaf.value),
                Node::Branch { left, right, .. } => {
                    link = if bit(key, depth) { right } else { left };
                    depth += 1;
                }
            }
        }
    }

    /// The tree after all of `writes`; `self` stays as it is. Of several writes to one key the
    /// last one counts. Processors share the work on many writes.
    pub fn update(&self, writes: impl IntoIterator<Item = (Digest, Write<V>)>) -> Self
    where
        V: Send + Sync,
    {
        let mut pending: Vec<_> =
            writes.into_iter().map(|(key, write)| (key, Some(write))).collect();
        pending.sort_by_key(|(key, _)| *key);
        pending.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self(update(&self.0, 0, &mut pending))
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> Values<'_, V> {
        Values { stack: self.0.iter().map(|node| &**node).collect() }
    }

    /// A proof of what is stored under `key`: its value's hash, or that there is none.
    pub fn prove(&self, key: &Digest) -> Proof {
        let mut siblings = Vec::new();
        let mut link = &self.0;
        while let Some(Node::Branch { left, right, .. }) = link.as_deref() {
            let (next, sibling) =
                if bit(key, siblings.len()) { (right, left) } else { (left, right) };
            siblings.push(hash_of(sibling));
            link = next;
        }
        siblings.reverse();
        let leaf = match link.as_deref() {
            Some(Node::Leaf(leaf)) => {
                Some(ProvenLeaf { key: leaf.key, value_hash: leaf.value_hash })
            }
            _ => None,
        };
        Proof { leaf, siblings }
    }
}

/// Walks a [`Tree`] in the order of its keys.
#[derive(Debug)]
pub struct Values<'a, V> {
    stack: Vec<&'a Node<V>>,
}

impl<'a, V> Iterator for Values<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        loop {
            match self.stack.pop()? {
                Node::Leaf(leaf) => return Some(&leaf.value),
                Node::Branch { left, right, .. } => {
                    self.stack.extend(right.as_deref());
                    self.stack.extend(left.as_deref());
                }
            }
        }
    }
}

/// Shows what a root says about one key.
///
/// The path leads to the subtree in which the key would lie: to its own leaf (inclusion), to
/// the leaf of another key, or to nothing (both exclusion).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The only leaf of the subtree at the end of the path, if it has one.
    pub leaf: Option<ProvenLeaf>,
    /// Hashes of the subtrees beside the path, from the lowest up to the root's child.
    pub siblings: Vec<Digest>,
}

/// The leaf at the end of a [`Proof`]'s path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenLeaf {
    /// Its key.
    pub key: Digest,
    /// `SHA-256` of its value's canonical bytes.
    pub value_hash: Digest,
}

/// Why a [`Proof`] shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// More siblings than a key has bits.
    #[error("the path has {0} siblings, more than a key has bits")]
    TooDeep(usize),
    /// A value was claimed, but the path does not end in that key's leaf.
    #[error("the path does not end in a leaf of the key")]
    Absent,
    /// Absence was claimed, but the path ends in that key's leaf.
    #[error("the path ends in a leaf of the key")]
    Present,
    /// The leaf is of another value.
    #[error("the leaf holds another value")]
    OtherValue,
    /// The path ends in a leaf whose key does not lie in that subtree.
    #[error("the leaf at the end of the path lies outside the key's subtree")]
    OutsideSubtree,
    /// The path leads to another root.
    #[error("the path leads to the root {0}")]
    OtherRoot(Digest),
}

impl Proof {
    /// Checks that the map with this `root` holds `value` under `key`, or nothing if `None`.
    ///
    /// `value` is the value's canonical bytes.
    pub fn verify(
        &self,
        root: &Digest,
        key: &Digest,
        value: Option<&[u8]>,
    ) -> Result<(), ProofError> {
        let depth = self.siblings.len();
        if depth > DEPTH {
            return Err(ProofError::TooDeep(depth));
        }
        match (value, self.leaf) {
            (Some(value), Some(leaf)) if leaf.key == *key => {
                if leaf.value_hash != value_hash(value) {
                    return Err(ProofError::OtherValue);
                }
            }
            (Some(_), _) => return Err(ProofError::Absent),
            (None, Some(leaf)) if leaf.key == *key => return Err(ProofError::Present),
            (None, Some(leaf)) if common_prefix(&leaf.key, key) < depth => {
                return Err(ProofError::OutsideSubtree);
            }
            (None, _) => {}
        }
        let bottom = self.leaf.map_or(EMPTY, |leaf| leaf_hash(&leaf.key, &leaf.value_hash));
        let above = (0..depth).rev();
        let found = self.siblings.iter().zip(above).fold(bottom, |hash, (sibling, depth)| {
            if bit(key, depth) { branch_hash(sibling, &hash) } else { branch_hash(&hash, sibling) }
        });
        if found == *root { Ok(()) } else { Err(ProofError::OtherRoot(found)) }
    }
}

impl Encode for ProvenLeaf {
    fn encode(&self, out: &mut Writer) {
        self.key.encode(out);
        self.value_hash.encode(out);
    }
}

impl Decode for ProvenLeaf {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { key: Digest::decode(input)?, value_hash: Digest::decode(input)? })
    }
}

impl Encode for Proof {
    fn encode(&self, out: &mut Writer) {
        out.option(self.leaf.as_ref());
        out.list(&self.siblings);
    }
}

impl Decode for Proof {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { leaf: input.option("proven leaf")?, siblings: input.list(DEPTH, "siblings")? })
    }
}
