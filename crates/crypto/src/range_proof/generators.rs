//! The generators: for each position `j` of an aggregated proof, 64 points `G` and 64 points `H`
//! whose mutual discrete logarithms nobody knows.
//!
//! Each is 64 bytes of `SHAKE256("GeneratorsChain" || tag || j as 4 little-endian bytes)` mapped
//! to the group, with the tag `G` or `H`: the chains of the crate `bulletproofs`.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use sha3::Shake256;
use sha3::digest::{ExtendableOutput, Update, XofReader};

use super::{BITS, MAX_AGGREGATION};
use crate::digest::Digest;
use crate::group::{Point, blinding_base, value_base};
use crate::planted;

/// The digest of `B`, `B~` and all generators, which every transcript absorbs.
/// [`check_generators`] recomputes it.
pub const GENERATORS: Digest = Digest([
    0xd5, 0x07, 0xb6, 0x8a, 0xe2, 0xea, 0x36, 0x6c, 0xfe, 0xe9, 0xcd, 0x2b, 0xc2, 0x8d, 0x3f, 0x73,
    0x6d, 0x9e, 0x7b, 0x2a, 0x52, 0x56, 0xef, 0xfd, 0x17, 0x78, 0x0e, 0x81, 0x50, 0xed, 0x30, 0x5a,
]);

/// The generators of one position.
pub(super) struct Position {
    pub(super) g: Vec<Point>,
    pub(super) h: Vec<Point>,
}

/// The generators of position `j < MAX_AGGREGATION`, made when first asked for.
pub(super) fn position(j: usize) -> &'static Position {
    static CACHE: [OnceLock<Position>; MAX_AGGREGATION] =
        [const { OnceLock::new() }; MAX_AGGREGATION];
    let h = planted!("generators-equal", b'G', b'H');
    CACHE[j].get_or_init(|| Position { g: chain(b'G', j), h: chain(h, j) })
}

/// `B`, `B~`, then `G` and `H` of one position after the other.
pub(super) fn points(positions: usize) -> impl Iterator<Item = Point> {
    let chains = (0..positions).map(position).flat_map(|position| [&position.g, &position.h]);
    [value_base(), blinding_base()].into_iter().chain(chains.flatten().copied())
}

fn chain(tag: u8, j: usize) -> Vec<Point> {
    let mut shake = Shake256::default();
    shake.update(b"GeneratorsChain");
    shake.update(&[tag]);
    shake.update(&(j as u32).to_le_bytes());
    let mut reader = shake.finalize_xof();
    let mut next = || {
        let mut uniform = [0; 64];
        reader.read(&mut uniform);
        Point::from_uniform_bytes(&uniform)
    };
    (0..BITS).map(|_| next()).collect()
}

/// What is wrong with the generators of this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GeneratorError {
    /// One is the identity.
    #[error("a generator is the identity")]
    Identity,
    /// Two are equal.
    #[error("two generators are equal")]
    Equal,
    /// They are not the ones that were pinned.
    #[error("the generators hash to {0}, not to the pinned digest")]
    Digest(Digest),
}

/// Recomputes all generators: they must be distinct, not the identity, and hash to
/// [`GENERATORS`]. It takes a fraction of a second; a daemon does it once at start.
pub fn check_generators() -> Result<(), GeneratorError> {
    check(points(MAX_AGGREGATION))
}

pub(super) fn check(points: impl Iterator<Item = Point>) -> Result<(), GeneratorError> {
    let encodings: Vec<_> = points.map(|point| point.compress()).collect();
    if encodings.contains(&Point::identity().compress()) {
        return Err(GeneratorError::Identity);
    }
    if encodings.iter().collect::<BTreeSet<_>>().len() != encodings.len() {
        return Err(GeneratorError::Equal);
    }
    match Digest::of("quittance/v1/range-proof-generators", &[&encodings.concat()]) {
        GENERATORS => Ok(()),
        other => Err(GeneratorError::Digest(other)),
    }
}
