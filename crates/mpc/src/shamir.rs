//! Shamir's secret sharing: a secret is the value at 0 of a random polynomial of degree t, and
//! party i holds the value at i (Shamir, *How to share a secret*, 1979).

use ark_ff::{AdditiveGroup, Field};
use quittance_crypto::field::{Fr, random_field};
use quittance_crypto::planted;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::parties::{ActiveSet, Parties, PartyId};
use crate::share::Share;

/// A polynomial, constant coefficient first. Erased on drop.
pub(crate) struct Polynomial(Zeroizing<Vec<Fr>>);

impl Polynomial {
    /// A uniform polynomial of this degree among those with `f(0) = constant`.
    pub(crate) fn random(constant: Fr, degree: usize, rng: &mut impl CryptoRngCore) -> Self {
        let mut coefficients = Zeroizing::new(Vec::with_capacity(degree + 1));
        coefficients.push(constant);
        coefficients.extend((0..degree).map(|_| random_field(rng)));
        Self(coefficients)
    }

    /// `f(x)`, by Horner's rule.
    pub(crate) fn at(&self, x: &Fr) -> Fr {
        self.0.iter().rev().fold(Fr::ZERO, |sum, coefficient| sum * x + coefficient)
    }

    pub(crate) fn coefficients(&self) -> &[Fr] {
        &self.0
    }
}

/// Shares of `secret`, by position of the party. Any t of them are uniform and independent.
pub fn split(secret: Fr, parties: Parties, rng: &mut impl CryptoRngCore) -> Vec<Share> {
    let polynomial = Polynomial::random(secret, parties.threshold(), rng);
    parties.ids().map(|party| Share(polynomial.at(&party.point()))).collect()
}

/// Coefficients `c` with `f(at) = sum of c[k] * f(points[k])` for every polynomial of degree below
/// the number of points, which must differ from each other.
pub(crate) fn lagrange(points: &[Fr], at: Fr) -> Vec<Fr> {
    let coefficient = |k: usize| {
        let others = points.iter().enumerate().filter(|&(m, _)| m != k);
        let (numerator, denominator) = others.fold((Fr::ONE, Fr::ONE), |(n, d), (_, other)| {
            (n * (at - other), d * (points[k] - other))
        });
        numerator * denominator.inverse().expect("interpolation points differ")
    };
    (0..points.len()).map(coefficient).collect()
}

/// Reconstruction from the shares of given parties, with a check of the degree.
pub(crate) struct Interpolation {
    /// From the first t + 1 shares to the secret.
    secret: Vec<Fr>,
    /// From the first t + 1 shares to each further one.
    further: Vec<Vec<Fr>>,
}

impl Interpolation {
    /// For shares of `holders`, in this order. `None` if they are too few to say anything.
    pub(crate) fn new(threshold: usize, holders: &[PartyId]) -> Option<Self> {
        let points: Vec<Fr> = holders.iter().map(|holder| holder.point()).collect();
        let (first, rest) = points.split_at_checked(threshold + 1)?;
        let further = rest.iter().map(|&point| lagrange(first, point)).collect();
        Some(Self { secret: lagrange(first, Fr::ZERO), further })
    }

    /// For shares of all active parties.
    pub(crate) fn of_all(parties: ActiveSet) -> Self {
        let holders: Vec<_> = parties.ids().collect();
        Self::new(parties.threshold(), &holders).expect("there are more than t parties")
    }

    /// How many shares are taken.
    pub(crate) fn count(&self) -> usize {
        self.secret.len() + self.further.len()
    }

    /// The secret, or `None` if the shares lie on no polynomial of degree t.
    pub(crate) fn open(&self, shares: &[Fr]) -> Option<Fr> {
        let (first, rest) = shares.split_at_checked(self.secret.len())?;
        let fits = rest.len() == self.further.len()
            && self.further.iter().zip(rest).all(|(row, share)| dot(row, first) == *share);
        planted!("opening-without-degree-check", true, fits).then(|| dot(&self.secret, first))
    }

    /// From the first t + 1 shares to the secret.
    pub(crate) fn secret_row(&self) -> &[Fr] {
        &self.secret
    }

    /// From the first t + 1 shares to each further one.
    pub(crate) fn further_rows(&self) -> &[Vec<Fr>] {
        &self.further
    }
}

fn dot(row: &[Fr], values: &[Fr]) -> Fr {
    row.iter().zip(values).map(|(coefficient, value)| *coefficient * value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const COMMITTEES: [(usize, u8); 4] = [(3, 1), (4, 1), (5, 2), (7, 3)];

    #[test]
    fn any_t_plus_one_shares_give_the_secret() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (n, t) in COMMITTEES {
            let parties = Parties::new(n, t).unwrap();
            let secret = random_field(&mut rng);
            let shares = split(secret, parties, &mut rng);
            for mask in (0u16..1 << n).filter(|mask| mask.count_ones() == u32::from(t) + 1) {
                let holders: Vec<_> =
                    parties.ids().filter(|id| mask >> id.position() & 1 == 1).collect();
                let values: Vec<_> = holders.iter().map(|id| shares[id.position()].0).collect();
                let interpolation = Interpolation::new(parties.threshold(), &holders).unwrap();
                assert_eq!(interpolation.open(&values), Some(secret));
            }
        }
    }

    #[test]
    fn t_shares_fit_every_secret() {
        // For each candidate secret there is a polynomial of degree t through the shares seen.
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let parties = Parties::new(5, 2).unwrap();
        let shares = split(Fr::from(1u64), parties, &mut rng);
        let seen = [Fr::ZERO, Fr::from(2u64), Fr::from(4u64)];
        for candidate in [0u64, 1, 77] {
            let values = [Fr::from(candidate), shares[1].0, shares[3].0];
            let third = dot(&lagrange(&seen, Fr::from(1u64)), &values);
            assert_eq!(third == shares[0].0, candidate == 1);
        }
    }

    #[test]
    fn one_wrong_share_is_noticed_wherever_it_stands() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        for (n, t) in COMMITTEES {
            let parties = Parties::new(n, t).unwrap();
            let shares = split(random_field(&mut rng), parties, &mut rng);
            for active in parties.choices() {
                let interpolation = Interpolation::of_all(active);
                let values: Vec<_> = active.ids().map(|id| shares[id.position()].0).collect();
                assert!(interpolation.open(&values).is_some());
                for place in 0..active.count() {
                    let mut wrong = values.clone();
                    wrong[place] += Fr::ONE;
                    assert_eq!(interpolation.open(&wrong), None);
                }
                assert_eq!(interpolation.open(&values[1..]), None);
            }
        }
    }

    #[test]
    fn fresh_randomness_changes_every_share() {
        let parties = Parties::new(3, 1).unwrap();
        let share = |seed| {
            split(Fr::from(9u64), parties, &mut ChaCha20Rng::seed_from_u64(seed))
                .iter()
                .map(|share| share.0)
                .collect::<Vec<_>>()
        };
        assert!(share(1).iter().zip(share(2)).all(|(a, b)| *a != b));
    }

    #[test]
    fn too_few_holders_give_no_interpolation() {
        let parties = Parties::new(3, 1).unwrap();
        let one: Vec<_> = parties.ids().take(1).collect();
        assert!(Interpolation::new(1, &one).is_none());
    }
}
