//! Pseudo-random secret sharing: shares of random values without communication.
//!
//! Cramer, Damgård, Ishai, *Share conversion, pseudorandom secret-sharing and applications to
//! secure computation* (TCC 2005). Each set A of t + 1 of the 2t + 1 active parties holds a seed. With `f_A` the
//! polynomial of degree t that is 1 at 0 and 0 at every active party outside A, and `r_A` a pseudo-random
//! element derived from A's seed, party j's share of `r = sum over A of r_A` is
//! `sum over A containing j of r_A * f_A(j)`. Any t parties miss the seed of their complement, so
//! to them r is uniform.
//!
//! All randomness of a session is drawn in batches. Element k of a batch is a function of the
//! seed, the session (which binds chain, round, attempt and parties), the holders of the seed, the
//! purpose, the number of the batch and k: nothing is ever drawn twice.

mod binary;
mod setup;

pub(crate) use binary::{Components, Integers};

use ark_ff::{AdditiveGroup, BigInt, Field, PrimeField};
use quittance_crypto::digest::Digest;
use quittance_crypto::field::Fr;
use quittance_crypto::planted;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use zeroize::Zeroizing;

use crate::parties::{ActiveSet, ByParty, PartyId, PartySet};
use crate::share::Share;

/// 32 secret bytes; erased on drop.
type Seed = Zeroizing<[u8; 32]>;

/// How many bits of an element are drawn. `2^252` is below l by a factor of only `1 + 2^-127`, so
/// 252 random bits are uniform modulo l up to a statistical distance of `2^-127`.
pub(crate) const UNIFORM_BITS: u32 = 252;

/// The common seeds that one party holds in one session, and the count of what was drawn.
pub(crate) struct Keys {
    session: Digest,
    sets: Vec<SetKey>,
    /// Seeds of the sub-shares that other parties derive from this party's products.
    outgoing: Vec<(PartyId, Seed)>,
    /// The seed with which a party's sub-shares are derived here, if they are.
    incoming: ByParty<Option<Seed>>,
    parties: ActiveSet,
    me: PartyId,
    batch: u64,
}

/// The seed of one set A of parties.
struct SetKey {
    set: PartySet,
    /// `None` if this party is not in the set.
    seed: Option<Seed>,
    /// `f_A` at this party's point; 0 if it is not in the set.
    weight: Fr,
}

impl SetKey {
    fn new(parties: ActiveSet, me: PartyId, set: PartySet, seed: Option<Seed>) -> Self {
        Self { set, seed, weight: weight(parties, me, set) }
    }
}

/// `f_A(x) = product over j outside A of (x - j) / (0 - j)` at the point of `me`.
fn weight(parties: ActiveSet, me: PartyId, set: PartySet) -> Fr {
    let outside = parties.ids().filter(|&id| !set.contains(id)).map(PartyId::point);
    let (numerator, denominator) =
        outside.fold((Fr::ONE, Fr::ONE), |(n, d), j| (n * (me.point() - j), d * -j));
    numerator * denominator.inverse().expect("no party has point 0")
}

impl Keys {
    /// Starts a batch: what is drawn from now on is independent of all earlier batches.
    fn next_batch(&mut self) -> u64 {
        self.batch += planted!("batches-not-numbered", 0, 1);
        self.batch
    }

    /// Shares of `count` uniform elements.
    pub(crate) fn random(&mut self, count: usize) -> Vec<Share> {
        let batch = self.next_batch();
        let mut shares = vec![Share::zero(); count];
        for key in &self.sets {
            let Some(mut stream) = self.stream(key, "random", batch) else { continue };
            for share in &mut shares {
                share.0 += stream.element() * key.weight;
            }
        }
        shares
    }

    /// For each width w, a share of `sum over all A of r_A` with each `r_A` uniform below `2^w`.
    ///
    /// As integers the summands never wrap as long as `sets * 2^w` is below l. At least one
    /// summand is unknown to any t parties.
    pub(crate) fn integers(&mut self, widths: &[u32]) -> Vec<Share> {
        let batch = self.next_batch();
        let mut shares = vec![Share::zero(); widths.len()];
        for key in &self.sets {
            let Some(mut stream) = self.stream(key, "integer", batch) else { continue };
            for (share, &width) in shares.iter_mut().zip(widths) {
                share.0 += stream.integer(width) * key.weight;
            }
        }
        shares
    }

    /// For each set A in order, shares of `count` bits that only the members of A know.
    pub(crate) fn bits(&mut self, count: usize) -> Vec<Vec<Share>> {
        let batch = self.next_batch();
        let shares = |key: &SetKey| match self.stream(key, "bit", batch) {
            None => vec![Share::zero(); count],
            Some(mut stream) => stream
                .bits(count)
                .map(|bit| Share(if bit { key.weight } else { Fr::ZERO }))
                .collect(),
        };
        self.sets.iter().map(shares).collect()
    }

    fn stream(&self, key: &SetKey, purpose: &str, batch: u64) -> Option<Stream> {
        let seed = key.seed.as_ref()?;
        Some(Stream::new(seed, &self.session, &key.set.mask().to_be_bytes(), purpose, batch))
    }

    /// The streams of the sub-shares of one batch of products.
    pub(crate) fn sub_shares(&mut self) -> SubShares {
        let batch = self.next_batch();
        let stream = |dealer: PartyId, receiver: PartyId, seed: &Seed| {
            let holders = [dealer.number(), receiver.number()];
            Stream::new(seed, &self.session, &holders, "sub-share", batch)
        };
        let me = self.me;
        let outgoing = self.outgoing.iter().map(|(to, seed)| stream(me, *to, seed)).collect();
        let incoming = self.incoming.iter();
        let incoming =
            incoming.filter_map(|(dealer, seed)| Some(stream(dealer, me, seed.as_ref()?)));
        SubShares { outgoing, incoming: incoming.collect() }
    }
}

/// The pseudo-random sub-shares of one batch of products.
pub(crate) struct SubShares {
    /// Of this party's products, for the parties that derive them, in ascending order.
    pub(crate) outgoing: Vec<Stream>,
    /// Of other parties' products, as far as this party derives them, in ascending order of the
    /// dealers.
    pub(crate) incoming: Vec<Stream>,
}

/// The pseudo-random function: ChaCha20 under a key hashed from seed and domain.
pub(crate) struct Stream(ChaCha20Rng);

impl Stream {
    fn new(seed: &Seed, session: &Digest, holders: &[u8], purpose: &str, batch: u64) -> Self {
        let parts: [&[u8]; 5] =
            [&**seed, session.as_bytes(), holders, purpose.as_bytes(), &batch.to_be_bytes()];
        let key = Zeroizing::new(Digest::of("quittance/v1/mpc-prf", &parts).0);
        Self(ChaCha20Rng::from_seed(*key))
    }

    /// The next 32 bytes as an integer below `2^252`.
    fn limbs(&mut self) -> [u64; 4] {
        let mut limbs = [0; 4];
        limbs.fill_with(|| self.0.next_u64());
        limbs[3] &= u64::MAX >> 4;
        limbs
    }

    /// The next element; see [`UNIFORM_BITS`].
    ///
    /// The bits are taken as the element's Montgomery representation, `n * 2^-256 mod l`, which is
    /// as uniform as n is and saves a multiplication.
    pub(crate) fn element(&mut self) -> Fr {
        Fr::new_unchecked(BigInt::new(self.limbs()))
    }

    /// The next integer, uniform below `2^width`, for a width of at most 252.
    fn integer(&mut self, width: u32) -> Fr {
        Fr::from_bigint(BigInt::new(self.small_limbs(width))).expect("252 bits are below l")
    }

    /// The limbs of the next integer below `2^width`.
    fn small_limbs(&mut self, width: u32) -> [u64; 4] {
        let mut limbs = self.limbs();
        for (index, limb) in limbs.iter_mut().enumerate() {
            let keep = width.saturating_sub(64 * index as u32).min(64);
            *limb &= u64::MAX.checked_shr(64 - keep).unwrap_or(0);
        }
        limbs
    }

    fn bits(&mut self, count: usize) -> impl Iterator<Item = bool> + '_ {
        let words = count.div_ceil(64);
        let bits = (0..words).flat_map(|_| {
            let word = self.0.next_u64();
            (0..64).map(move |place| word >> place & 1 == 1)
        });
        bits.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parties::Parties;
    use crate::shamir::Interpolation;

    /// The keys of all parties as a trusted dealer would hand them out.
    pub(crate) fn dealt(parties: ActiveSet, session: Digest) -> Vec<Keys> {
        let seed =
            |set: PartySet| Zeroizing::new(Digest::of("seed", &[&set.mask().to_be_bytes()]).0);
        let keys = |me: PartyId| Keys {
            session,
            sets: parties
                .key_sets()
                .map(|set| SetKey::new(parties, me, set, set.contains(me).then(|| seed(set))))
                .collect(),
            outgoing: vec![],
            incoming: ByParty::from_fn(parties, |_| None),
            parties,
            me,
            batch: 0,
        };
        parties.ids().map(keys).collect()
    }

    /// The last active set of a committee and the first one.
    fn active(count: usize, threshold: u8) -> [ActiveSet; 2] {
        let parties = Parties::new(count, threshold).unwrap();
        [parties.choices().last().unwrap(), parties.first_active()]
    }

    fn open(parties: ActiveSet, shares: &[Vec<Share>]) -> Vec<Fr> {
        let interpolation = Interpolation::of_all(parties);
        (0..shares[0].len())
            .map(|k| {
                let values: Vec<_> = shares.iter().map(|shares| shares[k].0).collect();
                interpolation.open(&values).unwrap()
            })
            .collect()
    }

    #[test]
    fn shares_of_random_elements_lie_on_polynomials_and_never_repeat() {
        let committees = [(3, 1), (4, 1), (5, 2), (7, 3)];
        for parties in committees.map(|(n, t)| active(n, t)).into_iter().flatten() {
            let mut keys = dealt(parties, Digest::ZERO);
            let mut seen = vec![];
            for _ in 0..3 {
                let shares: Vec<_> = keys.iter_mut().map(|keys| keys.random(5)).collect();
                seen.extend(open(parties, &shares));
            }
            seen.sort();
            assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }

    #[test]
    fn another_session_draws_other_values() {
        let [parties, _] = active(3, 1);
        let draw = |session| {
            let mut keys = dealt(parties, session);
            keys.iter_mut().map(|keys| keys.random(1)[0].0).collect::<Vec<_>>()
        };
        let (a, b) = (draw(Digest::ZERO), draw(Digest([1; 32])));
        assert!(a.iter().zip(&b).all(|(a, b)| a != b));
    }

    #[test]
    fn integers_are_below_the_sum_of_their_bounds() {
        for parties in [active(3, 1), active(4, 1), active(5, 2)].into_iter().flatten() {
            let mut keys = dealt(parties, Digest::ZERO);
            let widths = [1, 40, 64, 65, 128, 200];
            let shares: Vec<_> = keys.iter_mut().map(|keys| keys.integers(&widths)).collect();
            for (value, width) in open(parties, &shares).into_iter().zip(widths) {
                let bound = Fr::from(2u64).pow([u64::from(width)])
                    * Fr::from(parties.key_set_count() as u64);
                assert!(value.into_bigint() <= bound.into_bigint());
                assert!(width < 40 || value != Fr::ZERO);
            }
        }
    }

    #[test]
    fn integers_have_exactly_their_width() {
        let seed = Zeroizing::new([7; 32]);
        let mut stream = Stream::new(&seed, &Digest::ZERO, &[], "integer", 1);
        for width in [1, 63, 64, 65, 127, 128, 129, 251, 252] {
            let longest = (0..64)
                .map(|_| ark_ff::BigInteger::num_bits(&stream.integer(width).into_bigint()))
                .max();
            assert_eq!(longest, Some(width));
        }
        assert_eq!(stream.integer(0), Fr::ZERO);
    }

    #[test]
    fn elements_fill_the_field_evenly() {
        // Chi-squared over the 16 classes of the top four bits that a uniform element can have:
        // 15 degrees of freedom, 99.99 % below 44.
        let seed = Zeroizing::new([1; 32]);
        let mut stream = Stream::new(&seed, &Digest::ZERO, &[], "random", 1);
        let mut counts = [0u32; 16];
        for _ in 0..16_000 {
            counts[(stream.element().into_bigint().0[3] >> 56) as usize & 15] += 1;
        }
        let deviation: f64 =
            counts.iter().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
        assert!(deviation < 44.0, "{counts:?}");
    }

    #[test]
    fn bits_of_each_set_are_bits_known_to_its_members_only() {
        let [parties, _] = active(7, 2);
        let mut keys = dealt(parties, Digest::ZERO);
        let shares: Vec<_> = keys.iter_mut().map(|keys| keys.bits(100)).collect();
        for (index, set) in parties.key_sets().enumerate() {
            let of_set: Vec<_> = shares.iter().map(|shares| shares[index].clone()).collect();
            let bits = open(parties, &of_set);
            assert!(bits.iter().all(|bit| *bit == Fr::ZERO || *bit == Fr::ONE));
            assert!(bits.contains(&Fr::ZERO) && bits.contains(&Fr::ONE));
            for (_, shares) in parties.ids().zip(&of_set).filter(|(id, _)| !set.contains(*id)) {
                assert!(shares.iter().all(|share| share.0 == Fr::ZERO));
            }
        }
    }
}
