//! Dealing of long vectors whose values are checked by other means: t parties are given a seed.
//!
//! A polynomial of degree t is fixed by its value at 0 and t further points. If these points are
//! drawn from seeds, the t parties that they belong to need nothing but their seed, and only the
//! other `n - t` are sent their points: for n = 3 two thirds of the bytes, and no commitments
//! (compare [`deal`](super::deal), with t + 1 of them for each value). The t points are as good as
//! uniform, so any t parties see what they would see of a uniform polynomial (Cramer, Damgård,
//! Ishai, *Share conversion, pseudorandom secret-sharing and applications to secure computation*,
//! TCC 2005).
//!
//! Nothing here keeps a dealer from dealing other values than it should, or shares on no common
//! polynomial. Payees are dealt in this way, and checked by
//! [`Engine::one_hot`](crate::Engine::one_hot) against indices that are dealt with commitments.

use ark_ff::AdditiveGroup;
use quittance_circuit::Owner;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::{Fr, random_field};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRngCore, SeedableRng};
use zeroize::Zeroizing;

use super::{DealingError, InputShare};
use crate::parties::{Parties, PartyId};
use crate::shamir::lagrange;
use crate::share::Share;

/// The most values in one such dealing.
pub const MAX_COMPRESSED: usize = 1 << 20;

/// What one party is given. Secret; erased on drop, never printed.
#[derive(Clone)]
pub enum CompressedShares {
    /// What its shares are drawn from.
    Seed(Zeroizing<[u8; 32]>),
    /// Its shares.
    Shares(Vec<Share>),
}

/// The t parties that get seeds from this owner: other ones for other owners, so that all parties
/// receive about as much.
fn seeded(parties: Parties, owner: Owner) -> impl Iterator<Item = PartyId> {
    let of_owner = move |party: &PartyId| {
        let count = parties.count();
        (party.position() + count - usize::from(owner.0) % count) % count < parties.threshold()
    };
    parties.ids().filter(of_owner)
}

/// The points drawn from a seed.
fn points(seed: &Zeroizing<[u8; 32]>, owner: Owner) -> impl Iterator<Item = Share> {
    let parts: [&[u8]; 2] = [&**seed, &owner.0.to_be_bytes()];
    let key = Zeroizing::new(Digest::of("quittance/v1/mpc-dealt-points", &parts).0);
    let mut stream = ChaCha20Rng::from_seed(*key);
    std::iter::repeat_with(move || Share(random_field(&mut stream)))
}

/// Deals values of `owner`. By position of the party, what it is given.
///
/// `rng` must be fresh, as for [`deal`](super::deal).
pub fn deal_compressed(
    parties: Parties,
    owner: Owner,
    values: &[Fr],
    rng: &mut impl CryptoRngCore,
) -> Vec<CompressedShares> {
    let mut known = vec![Fr::ZERO];
    let mut seeds = vec![];
    for party in seeded(parties, owner) {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        known.push(party.point());
        seeds.push((party, seed));
    }
    let share = |party: PartyId| match seeds.iter().find(|(seeded, _)| *seeded == party) {
        Some((_, seed)) => CompressedShares::Seed(seed.clone()),
        None => {
            let row = lagrange(&known, party.point());
            let mut streams: Vec<_> = seeds.iter().map(|(_, seed)| points(seed, owner)).collect();
            let at = |value: &Fr| {
                let drawn = streams.iter_mut().filter_map(Iterator::next).zip(&row[1..]);
                Share(drawn.fold(row[0] * value, |sum, (point, c)| sum + *c * point.0))
            };
            CompressedShares::Shares(values.iter().map(at).collect())
        }
    };
    parties.ids().map(share).collect()
}

impl CompressedShares {
    /// The party's shares of `count` values of `owner`, none of them committed. An error if another
    /// number was dealt.
    pub fn expand(self, owner: Owner, count: usize) -> Result<Vec<InputShare>, DealingError> {
        let shares: Vec<_> = match self {
            Self::Seed(seed) => points(&seed, owner).take(count).collect(),
            Self::Shares(shares) if shares.len() == count => shares,
            Self::Shares(shares) => {
                return Err(DealingError::Count { owner, expected: count, found: shares.len() });
            }
        };
        let input = |share| InputShare { share, committed: false, width: None };
        Ok(shares.into_iter().map(input).collect())
    }
}

/// 33 bytes, or 5 and 32 for each value; as secret as the shares.
impl Encode for CompressedShares {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Seed(seed) => {
                out.u8(0);
                out.array(seed);
            }
            Self::Shares(shares) => {
                out.u8(1);
                out.list(shares);
            }
        }
    }
}

impl Decode for CompressedShares {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.tag(2, "form of dealt shares")? {
            0 => Self::Seed(Zeroizing::new(input.array("seed of dealt shares")?)),
            _ => Self::Shares(input.list(MAX_COMPRESSED, "dealt shares")?),
        })
    }
}

#[cfg(test)]
mod tests;
