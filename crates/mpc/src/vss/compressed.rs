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
//! # Shares on one polynomial
//!
//! Instead of committing to each value, the dealer shows that all shares of a value lie on one
//! polynomial of degree t, for all values at once. Besides the values `v_1, ..., v_m` it deals a
//! uniform mask `v_0`. It publishes the digests `h_j` of what each party is given, and with
//! `r = H(h_1, ..., h_n)` the polynomial
//!
//! `y = f_0 + r f_m + r^2 f_(m-1) + ... + r^m f_1`,
//!
//! by its values at 0, ..., t, the `f_k` being the polynomials of the values. Party j checks that its part has the digest `h_j`
//! and that its shares, combined like this, are `y(j)`.
//!
//! *Sound.* The digests fix all shares before r is known. Say that the shares of the honest parties
//! that have found everything right do not all lie on polynomials of degree t. A combination of
//! rows that are not all such polynomials is one for at most m of the l values of r, since what
//! they lack in being one is a polynomial in r of degree m. So a dealer that tries q dealings
//! succeeds with a probability of at most `q m / l`, in the random oracle model (Fiat, Shamir,
//! CRYPTO 1986; the check is that of Ben-Or, Goldwasser, Wigderson, STOC 1988, for many values).
//!
//! *Private.* `f_0` is uniform among the polynomials of degree t that t parties know their points
//! of, and so is y: it shows nothing that these do not have. Digests are of seeds or of uniform
//! elements.
//!
//! *Disputes.* A part has the digest or not, and fits or not: everybody can judge a part that is
//! published. An honest dealer can publish the part of a party that complains, for a party that
//! complains about an honest dealer is a liar, and its accomplices know the part.
//!
//! Nothing here keeps a dealer from dealing other values than it should. Payees are dealt in this
//! way, and checked by [`Engine::one_hot`](crate::Engine::one_hot) against indices that are dealt
//! with commitments.

use ark_ff::AdditiveGroup;
use quittance_circuit::Owner;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::{Fr, hash_to_scalar, random_field, to_field};
use quittance_crypto::planted;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRngCore, SeedableRng};
use thiserror::Error;
use zeroize::Zeroizing;

use super::InputShare;
use crate::parties::{MAX_PARTIES, Parties, PartyId};
use crate::shamir::lagrange;
use crate::share::Share;

/// The most values in one such dealing.
pub const MAX_COMPRESSED: usize = 1 << 20;

/// The public part of such a dealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressedDealing {
    /// By position of the party, the digest of what it is given.
    parts: Vec<Digest>,
    /// `y(0), ..., y(t)`.
    combination: Vec<Fr>,
}

/// What one party is given. Secret; erased on drop, never printed.
#[derive(Clone)]
pub enum CompressedShares {
    /// What its shares are drawn from.
    Seed(Zeroizing<[u8; 32]>),
    /// Its shares of the values, and then of the mask.
    Shares(Vec<Share>),
}

/// What is wrong with such a dealing, as one party sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CompressedError {
    /// Another number of values than expected.
    #[error("{owner} dealt {found} values of vectors instead of {expected}")]
    Count {
        /// The dealer.
        owner: Owner,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Digests of parts for another number of parties, or a combination of another degree.
    #[error("what {owner} published of its vectors is not for this committee")]
    Shape {
        /// The dealer.
        owner: Owner,
    },
    /// Not the part that the dealer has published the digest of.
    #[error("the vectors of {owner} are not what it published the digest of")]
    OtherPart {
        /// The dealer.
        owner: Owner,
    },
    /// The shares are not on the polynomials that the dealer has combined.
    #[error("the shares of the vectors of {owner} are not on one polynomial")]
    NotCombined {
        /// The dealer.
        owner: Owner,
    },
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

/// Deals values of `owner`. Returns the public part and, by position of the party, what it is given.
///
/// `rng` must be fresh, as for [`deal`](super::deal).
pub fn deal_compressed(
    parties: Parties,
    owner: Owner,
    values: &[Fr],
    rng: &mut impl CryptoRngCore,
) -> (CompressedDealing, Vec<CompressedShares>) {
    let mask = random_field(rng);
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
            CompressedShares::Shares(values.iter().chain([&mask]).map(at).collect())
        }
    };
    let shares: Vec<_> = parties.ids().map(share).collect();

    let parts = parties.ids().zip(&shares);
    let parts: Vec<_> = parts.map(|(party, part)| part.digest(owner, party)).collect();
    let r = weight(&parts, parties, owner, values.len());
    let mut rows = vec![combine(values.iter().chain([&mask]).copied(), r)];
    for (_, seed) in &seeds {
        let points = points(seed, owner).map(|share| share.0);
        rows.push(combine(points.take(values.len() + 1), r));
    }
    let combination = ends(parties).iter().map(|at| extend(&known, &rows, *at)).collect();
    (CompressedDealing { parts, combination }, shares)
}

/// r, from all that is to be fixed before it is known.
fn weight(parts: &[Digest], parties: Parties, owner: Owner, count: usize) -> Fr {
    let mut out = Writer::new();
    out.u8(parties.count() as u8);
    out.u8(parties.threshold() as u8);
    out.u16(owner.0);
    out.u64(count as u64);
    parts.iter().for_each(|part| part.encode(&mut out));
    to_field(&hash_to_scalar("quittance/v1/mpc-dealt-weight", &[&out.into_bytes()]))
}

/// The values, of which the mask is the last, combined with powers of r: `r^m, ..., r, 1`.
fn combine(values: impl Iterator<Item = Fr>, r: Fr) -> Fr {
    values.fold(Fr::ZERO, |sum, value| sum * r + value)
}

/// `0, 1, ..., t`: where y is published.
fn ends(parties: Parties) -> Vec<Fr> {
    (0..=parties.threshold() as u64).map(Fr::from).collect()
}

/// The value at a point, from those at as many points as a polynomial has coefficients.
fn extend(points: &[Fr], values: &[Fr], at: Fr) -> Fr {
    lagrange(points, at).iter().zip(values).map(|(c, value)| *c * value).sum()
}

impl CompressedDealing {
    /// Checks what `owner` has given to `party`, this one or one whose part is published, and
    /// returns that party's shares of `count` values, none of them committed.
    ///
    /// [`CompressedError::OtherPart`] says that this is not what the dealer has published the digest
    /// of; all other errors, that the dealer has dealt wrongly.
    pub fn verify(
        &self,
        owner: Owner,
        parties: Parties,
        party: PartyId,
        shares: &CompressedShares,
        count: usize,
    ) -> Result<Vec<InputShare>, CompressedError> {
        let (parts, degree) = (self.parts.len(), self.combination.len());
        if parts != parties.count() || degree != parties.threshold() + 1 {
            return Err(CompressedError::Shape { owner });
        }
        if self.parts[party.position()] != shares.digest(owner, party) {
            return Err(CompressedError::OtherPart { owner });
        }
        let shares = shares.expand(owner, count)?;
        let r = weight(&self.parts, parties, owner, count);
        let combined = combine(shares.iter().map(|share| share.0), r);
        let fits = combined == extend(&ends(parties), &self.combination, party.point());
        if planted!("dealt-vectors-not-on-a-polynomial", false, !fits) {
            return Err(CompressedError::NotCombined { owner });
        }
        let values = shares.into_iter().take(count);
        Ok(values.map(|share| InputShare { share, committed: false, width: None }).collect())
    }
}

impl CompressedShares {
    /// What the dealer publishes of the part of `party`.
    fn digest(&self, owner: Owner, party: PartyId) -> Digest {
        let part = Zeroizing::new(self.to_bytes());
        let whose = [&owner.0.to_be_bytes()[..], &[party.number()]].concat();
        Digest::of("quittance/v1/mpc-dealt-part", &[&whose, &part])
    }

    /// The party's shares of `count` values and of the mask. An error if another number was dealt.
    fn expand(&self, owner: Owner, count: usize) -> Result<Vec<Share>, CompressedError> {
        match self {
            Self::Seed(seed) => Ok(points(seed, owner).take(count + 1).collect()),
            Self::Shares(shares) if shares.len() == count + 1 => Ok(shares.clone()),
            Self::Shares(shares) => {
                let found = shares.len().saturating_sub(1);
                Err(CompressedError::Count { owner, expected: count, found })
            }
        }
    }
}

impl Encode for CompressedDealing {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.parts);
        out.list(&self.combination);
    }
}

impl Decode for CompressedDealing {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            parts: input.list(MAX_PARTIES, "digests of dealt parts")?,
            combination: input.list(MAX_PARTIES, "combination of dealt vectors")?,
        })
    }
}

/// 33 bytes, or 5 and 32 for each value and the mask; as secret as the shares.
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
            _ => Self::Shares(input.list(MAX_COMPRESSED + 1, "dealt shares")?),
        })
    }
}

#[cfg(test)]
mod tests;
