//! Merkle roots of lists, with proofs of inclusion.
//!
//! The tree is that of RFC 6962, section 2.1, over SHA-256:
//!
//! ```text
//! MTH([])     = SHA-256("")
//! MTH([d])    = SHA-256(0x00 || d)
//! MTH(D[0:n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n])),  k the largest power of 2 below n
//! ```
//!
//! A bare `MTH` does not say how long its list is, and a path alone fits more than one pair of
//! index and length. The root used here therefore covers the length as well:
//! `root = H("quittance/v1/list", n as 8 bytes, MTH)`, with `H` of [`Digest::of`].

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// A list of up to `2^64 - 1` items has paths no longer than this.
const MAX_PATH: usize = 64;

/// `MTH([d])`: what the tree holds of the item whose canonical bytes are `d`.
pub fn leaf_hash(item: &[u8]) -> Digest {
    Digest(Sha256::new_with_prefix([0]).chain_update(item).finalize().into())
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hasher = Sha256::new_with_prefix([1]);
    Digest(hasher.chain_update(left.0).chain_update(right.0).finalize().into())
}

fn with_length(length: u64, hash: &Digest) -> Digest {
    Digest::of("quittance/v1/list", &[&length.to_be_bytes(), hash.as_bytes()])
}

/// Where a list of `length >= 2` items splits: the largest power of two below `length`.
fn split(length: u64) -> u64 {
    1 << (u64::BITS - 1 - (length - 1).leading_zeros())
}

fn mth(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest(Sha256::digest([]).into()),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// The root of the list whose items have these [`leaf_hash`]es.
pub fn root(leaves: &[Digest]) -> Digest {
    with_length(leaves.len() as u64, &mth(leaves))
}

/// A list that only grows, by what its root needs: the perfect subtrees that it consists of, the
/// largest first. Adding an item costs a hash or two, the root as many as there are subtrees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    length: u64,
    subtrees: Vec<Digest>,
}

impl Frontier {
    /// Adds the item with this [`leaf_hash`].
    pub fn push(&mut self, leaf: Digest) {
        // The subtrees are as large as the powers of two that add up to the length: those of the
        // bits that a carry passes are merged.
        let mut subtree = leaf;
        for _ in 0..self.length.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                subtree = node_hash(&left, &subtree);
            }
        }
        self.subtrees.push(subtree);
        self.length = self.length.saturating_add(1);
    }

    /// The root of the list.
    pub fn root(&self) -> Digest {
        let joined =
            self.subtrees.iter().copied().rev().reduce(|right, left| node_hash(&left, &right));
        with_length(self.length, &joined.unwrap_or_else(|| mth(&[])))
    }
}

impl FromIterator<Digest> for Frontier {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut frontier = Self::default();
        leaves.into_iter().for_each(|leaf| frontier.push(leaf));
        frontier
    }
}

/// The root of a list of values by their canonical bytes.
pub fn root_of<'a, T: Encode + 'a>(items: impl IntoIterator<Item = &'a T>) -> Digest {
    let leaves: Vec<_> = items.into_iter().map(|item| leaf_hash(&item.to_bytes())).collect();
    root(&leaves)
}

/// Shows that an item stands at an index of the list with a given root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The item's index, from 0.
    pub index: u64,
    /// The length of the list.
    pub length: u64,
    /// Hashes of the subtrees beside the path, from the lowest up to the root's child.
    pub path: Vec<Digest>,
}

/// Why a [`Proof`] shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The index lies outside the list.
    #[error("index {index} in a list of {length}")]
    OutOfRange {
        /// The index claimed.
        index: u64,
        /// The length claimed.
        length: u64,
    },
    /// The path is too short or too long for this index and length.
    #[error("a path of {0} hashes does not fit the index and length")]
    PathLength(usize),
    /// The path leads to another root.
    #[error("the path leads to the root {0}")]
    OtherRoot(Digest),
}

impl Proof {
    /// The proof for item `index` of the list with these [`leaf_hash`]es, if it has that many.
    pub fn new(leaves: &[Digest], index: usize) -> Option<Self> {
        leaves.get(index)?;
        let mut path = Vec::new();
        let (mut rest, mut position) = (leaves, index);
        while rest.len() > 1 {
            let middle = split(rest.len() as u64) as usize;
            let (left, right) = rest.split_at(middle);
            if position < middle {
                path.push(mth(right));
                rest = left;
            } else {
                path.push(mth(left));
                rest = right;
                position -= middle;
            }
        }
        path.reverse();
        Some(Self { index: index as u64, length: leaves.len() as u64, path })
    }

    /// Checks that the list with this `root` has the item with canonical bytes `item` at
    /// `self.index`.
    pub fn verify(&self, root: &Digest, item: &[u8]) -> Result<(), ProofError> {
        let &Self { index, length, ref path } = self;
        if index >= length {
            return Err(ProofError::OutOfRange { index, length });
        }
        let turns = turns(index, length);
        if turns.len() != path.len() {
            return Err(ProofError::PathLength(path.len()));
        }
        let steps = path.iter().zip(turns.iter().rev());
        let mth = steps.fold(leaf_hash(item), |hash, (sibling, &right)| {
            if right { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
        });
        let found = with_length(length, &mth);
        if found == *root { Ok(()) } else { Err(ProofError::OtherRoot(found)) }
    }
}

/// The way from the root to item `index` of `length`: `true` where it turns right.
fn turns(mut index: u64, mut length: u64) -> Vec<bool> {
    let mut turns = Vec::new();
    while length > 1 {
        let middle = split(length);
        turns.push(index >= middle);
        (index, length) =
            if index < middle { (index, middle) } else { (index - middle, length - middle) };
    }
    turns
}

impl Encode for Proof {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.index);
        out.u64(self.length);
        out.list(&self.path);
    }
}

impl Decode for Proof {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let (index, length) = (input.u64("index")?, input.u64("length")?);
        if index >= length {
            let problem = quittance_crypto::encoding::Problem::Invalid("index outside the list");
            return Err(input.error_at(offset, "index", problem));
        }
        Ok(Self { index, length, path: input.list(MAX_PATH, "path")? })
    }
}
