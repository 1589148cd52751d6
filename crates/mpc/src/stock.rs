//! Stored preprocessing: what is made ahead of rounds, in a session of its own, and used in another.
//!
//! A [`Material`] is one party's side of one batch. [`Engine::into_material`](crate::Engine) makes
//! one; whoever keeps it (on disk, as a [`Stock`]) gives it to one session at most, in which
//! [`Engine::draw`](crate::Engine::draw) agrees with the other parties on the batch to be used.
//!
//! *Why once.* A mask hides one value. Two values opened under the same mask show their difference,
//! and two bits of a comparison that are opened plus the same bit show whether they are equal. So a
//! party marks a batch as used, on its disk, before it says so, and a batch is used only if all
//! parties say so: one honest party that remembers keeps all others from using it again.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};

use crate::parties::PartyId;

pub use crate::engine::Material;

/// The width of the comparisons that stored masks serve. They serve all narrower ones as well:
/// netting of up to 32,767 payments.
pub const STORED_WIDTH: u32 = 80;

/// The most comparisons for which one batch holds masks.
pub const MAX_STORED_COMPARISONS: u32 = 1 << 16;

/// The most random bits in one batch, those for the comparisons of larger committees included.
pub const MAX_STORED_BITS: u32 = 1 << 20;

/// The most batches that a party tells others of.
pub const MAX_LISTED: usize = 64;

/// How much a batch holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Masks for comparisons of up to [`STORED_WIDTH`] bits.
    pub comparisons: u32,
    /// Random bits besides.
    pub bits: u32,
}

impl Amount {
    /// Whether it is within the bounds of a batch, and something at all.
    pub fn is_possible(&self) -> bool {
        self.comparisons <= MAX_STORED_COMPARISONS
            && self.bits <= MAX_STORED_BITS
            && self.comparisons.max(self.bits) > 0
    }
}

/// A batch as all parties of its committee call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId {
    /// Its number in its committee, from 1. No number is given twice.
    pub number: u64,
    /// The hash of what all parties have seen in the session that made it, which they have compared.
    /// So no two batches have one name, even if a number is given again after a restore.
    pub maker: Digest,
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (transcript {})", self.number, self.maker)
    }
}

/// What a party says of its stock before a session uses any of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The number of the last batch that all parties have agreed to use, as far as this one knows;
    /// 0 if there was none. Whoever still has that batch or an older one has an old store.
    pub agreed: u64,
    /// The batches that it has not used, in ascending order of their numbers.
    pub ready: Vec<BatchId>,
}

/// What the holdings of all parties mean for one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The batches that all have; any others are of no use.
    pub common: Vec<BatchId>,
    /// A party that says that a batch as late as this was used by all, although this party has that
    /// or an older one still: its store is an old one, or that party lies.
    pub outdated: Option<(PartyId, u64)>,
}

/// One party's stock for one setting, as sessions use it.
pub trait Stock {
    /// What there is.
    fn holdings(&mut self) -> Holdings;

    /// Takes note of what the others have: what not all have can be burnt.
    fn compare(&mut self, comparison: &Comparison);

    /// Takes a batch out for good. It must be marked as used, durably, when this returns.
    fn take(&mut self, id: &BatchId) -> Option<Material>;

    /// Takes note that all parties have taken this batch, for [`Holdings::agreed`].
    fn agreed(&mut self, id: &BatchId);
}

/// A stock in memory, of one batch at most: for simulations and measurements.
pub struct Single(pub Option<Material>);

impl Stock for Single {
    fn holdings(&mut self) -> Holdings {
        Holdings { agreed: 0, ready: self.0.iter().map(|material| *material.id()).collect() }
    }

    fn compare(&mut self, _: &Comparison) {}

    fn take(&mut self, _: &BatchId) -> Option<Material> {
        self.0.take()
    }

    fn agreed(&mut self, _: &BatchId) {}
}

/// The stock of a party that keeps none.
pub struct Empty;

impl Stock for Empty {
    fn holdings(&mut self) -> Holdings {
        Holdings::default()
    }

    fn compare(&mut self, _: &Comparison) {}

    fn take(&mut self, _: &BatchId) -> Option<Material> {
        None
    }

    fn agreed(&mut self, _: &BatchId) {}
}

impl Encode for BatchId {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        self.maker.encode(out);
    }
}

impl Decode for BatchId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { number: input.u64("number of a batch")?, maker: Digest::decode(input)? })
    }
}

impl Encode for Holdings {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.agreed);
        out.list(&self.ready);
    }
}

impl Decode for Holdings {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let agreed = input.u64("agreed batch")?;
        let ready: Vec<BatchId> = input.list(MAX_LISTED, "batches")?;
        if !ready.is_sorted_by(|one, next| one.number < next.number) {
            return Err(input.invalid("batches", "not in ascending order"));
        }
        Ok(Self { agreed, ready })
    }
}
