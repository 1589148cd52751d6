//! How inputs enter: Pedersen's verifiable secret sharing.
//!
//! Pedersen, *Non-interactive and information-theoretic secure verifiable secret sharing* (CRYPTO
//! 1991). To share `v`, to which `C_0 = Com(v; r)` was published before, a dealer takes random
//! polynomials f and g of degree t with `f(0) = v` and `g(0) = r`, publishes
//! `C_k = Com(f_k; g_k)` for the other coefficients, and gives `(f(i), g(i))` to party i, who
//! checks
//!
//! `Com(f(i); g(i)) = sum over k of i^k * C_k`.
//!
//! So all shares lie on one polynomial whose value at 0 is what `C_0` commits to, be it a balance
//! on the ledger or an amount in a queue. The commitments hide f perfectly.
//!
//! Parties must hold the *same* commitments: the digest of all [`Dealing`]s is part of what a
//! session is bound to (see [`Binding`](crate::session::Binding)), so parties that were told
//! different ones refuse each other's frames.

mod compressed;

use ark_ff::AdditiveGroup;
use quittance_circuit::Owner;
use quittance_crypto::commitment::{Blinding, Commitment, commit_scalar};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::{Fr, Scalar, to_field, to_scalar};
use quittance_crypto::group::Point;
use quittance_crypto::planted;
use rand_core::CryptoRngCore;
use thiserror::Error;

use crate::parties::{MAX_PARTIES, Parties, PartyId};
use crate::shamir::Polynomial;
use crate::share::Share;

pub use compressed::{
    CompressedDealing, CompressedError, CompressedShares, MAX_COMPRESSED, deal_compressed,
};

/// The most inputs of one dealer.
pub const MAX_INPUTS: usize = 1 << 16;

/// The public part of a dealing: for each input the commitments `C_0 .. C_t`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealing {
    inputs: Vec<Coefficients>,
}

/// `C_0 .. C_t` of one input.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Coefficients(Vec<Commitment>);

/// What one party is given for one input: `(f(i), g(i))`. Erased on drop, never printed.
#[derive(Clone)]
pub struct DealtShare {
    value: Share,
    blinding: Share,
}

/// One party's share of a verified input.
#[derive(Clone)]
pub struct InputShare {
    /// The share.
    pub share: Share,
    /// Whether the value is the one of a commitment published before.
    pub committed: bool,
    /// The width within which the value is known to be an unsigned integer, if it is: shown by a
    /// proof about its commitment, or found by the parties.
    pub width: Option<u8>,
}

/// What is wrong with a dealing, as one party sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DealingError {
    /// Another number of inputs than the computation takes of this owner.
    #[error("{owner} dealt {found} inputs instead of {expected}")]
    Count {
        /// The dealer.
        owner: Owner,
        /// How many the computation takes.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Polynomials of another degree than the committee's threshold.
    #[error("input {input} of {owner} has a polynomial of another degree")]
    Degree {
        /// The dealer.
        owner: Owner,
        /// The place of the input.
        input: usize,
    },
    /// The zeroth commitment is not the one that was published before.
    #[error("input {input} of {owner} is not the value committed to")]
    OtherCommitment {
        /// The dealer.
        owner: Owner,
        /// The place of the input.
        input: usize,
    },
    /// The share is not on the committed polynomial.
    #[error("the share of input {input} of {owner} is not on the committed polynomial")]
    BadShare {
        /// The dealer.
        owner: Owner,
        /// The place of the input.
        input: usize,
    },
}

/// Deals secrets, each a value with the blinding of its commitment. Returns the public part and,
/// by position of the party, the shares.
///
/// `rng` must be fresh: two dealings of one secret under the same randomness but to different
/// committees would give more shares than the threshold allows.
pub fn deal(
    parties: Parties,
    secrets: &[(Fr, Blinding)],
    rng: &mut impl CryptoRngCore,
) -> (Dealing, Vec<Vec<DealtShare>>) {
    let mut inputs = Vec::with_capacity(secrets.len());
    let mut shares = vec![Vec::with_capacity(secrets.len()); parties.count()];
    for (value, blinding) in secrets {
        let f = Polynomial::random(*value, parties.threshold(), rng);
        let g = Polynomial::random(to_field(blinding.as_scalar()), parties.threshold(), rng);
        let coefficients = f.coefficients().iter().zip(g.coefficients());
        inputs.push(Coefficients(coefficients.map(|(f, g)| commit(f, g)).collect()));
        for (party, shares) in parties.ids().zip(&mut shares) {
            let (value, blinding) = (f.at(&party.point()), g.at(&party.point()));
            shares.push(DealtShare { value: Share(value), blinding: Share(blinding) });
        }
    }
    (Dealing { inputs }, shares)
}

fn commit(value: &Fr, blinding: &Fr) -> Commitment {
    commit_scalar(&to_scalar(value), &to_scalar(blinding))
}

impl Dealing {
    /// How many inputs were dealt.
    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    /// The commitments to the inputs themselves.
    pub fn commitments(&self) -> impl Iterator<Item = &Commitment> {
        self.inputs.iter().filter_map(|input| input.0.first())
    }

    /// What all parties must have received alike.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/mpc-dealing", self)
    }

    /// Checks what `owner` dealt to the party `me`, and returns its shares.
    ///
    /// `statement` says for each input that the computation takes whether it is tied to a
    /// commitment published before, and to which. All shares are checked at once, weighted with
    /// random numbers of 128 bits from `rng`; which one is wrong is found out afterwards.
    pub fn verify(
        &self,
        owner: Owner,
        parties: Parties,
        me: PartyId,
        statement: &[Option<Commitment>],
        shares: &[DealtShare],
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<InputShare>, DealingError> {
        for found in [self.inputs.len(), shares.len()] {
            if found != statement.len() {
                return Err(DealingError::Count { owner, expected: statement.len(), found });
            }
        }
        for (input, (coefficients, expected)) in self.inputs.iter().zip(statement).enumerate() {
            let degree_fits = coefficients.0.len() == parties.threshold() + 1;
            if planted!("dealing-degree-not-checked", false, !degree_fits) {
                return Err(DealingError::Degree { owner, input });
            }
            if expected.is_some_and(|expected| coefficients.0[0] != expected) {
                return Err(DealingError::OtherCommitment { owner, input });
            }
        }
        if !self.all_fit(me, shares, rng) {
            let wrong = |&input: &usize| !self.fits(input, me, &shares[input]);
            let input = (0..shares.len()).find(wrong).unwrap_or_default();
            return Err(DealingError::BadShare { owner, input });
        }
        let verified = shares.iter().zip(statement).map(|(share, commitment)| InputShare {
            share: share.value.clone(),
            committed: commitment.is_some(),
            width: None,
        });
        Ok(verified.collect())
    }

    /// Whether `share` is what the dealer owed `party` for one input. Anybody can judge a published
    /// share by this, the answer to a complaint for instance.
    pub fn fits(&self, input: usize, party: PartyId, share: &DealtShare) -> bool {
        let Some(Coefficients(commitments)) = self.inputs.get(input) else { return false };
        let powers = powers(party).take(commitments.len()).collect::<Vec<_>>();
        let points: Vec<_> = commitments.iter().map(Commitment::point).collect();
        let owed = Point::multiexp(&powers, &points);
        let found = commit(&share.value.0, &share.blinding.0).point();
        planted!("complaint-not-judged", true, found == owed)
    }

    /// The equation of the module's head, summed over all inputs with random weights.
    fn all_fit(&self, me: PartyId, shares: &[DealtShare], rng: &mut impl CryptoRngCore) -> bool {
        let (mut value, mut blinding) = (Share(Fr::ZERO), Share(Fr::ZERO));
        let (mut scalars, mut points) = (vec![], vec![]);
        for (Coefficients(commitments), share) in self.inputs.iter().zip(shares) {
            let mut weight = [0; 16];
            rng.fill_bytes(&mut weight);
            let weight = u128::from_le_bytes(weight);
            let weight = Scalar::from(planted!("dealing-under-unit-weights", 1, weight));
            let factor = to_field(&weight);
            value.0 += share.value.0 * factor;
            blinding.0 += share.blinding.0 * factor;
            for (commitment, power) in commitments.iter().zip(powers(me)) {
                scalars.push(weight * power);
                points.push(commitment.point());
            }
        }
        commit(&value.0, &blinding.0).point() == Point::multiexp(&scalars, &points)
    }
}

/// `1, i, i^2, ...` for party i.
fn powers(party: PartyId) -> impl Iterator<Item = Scalar> {
    let point = Scalar::from(u64::from(party.number()));
    std::iter::successors(Some(Scalar::ONE), move |power| Some(power * point))
}

impl Encode for Dealing {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.inputs);
    }
}

impl Decode for Dealing {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { inputs: input.list(MAX_INPUTS, "dealt inputs")? })
    }
}

impl Encode for Coefficients {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.0);
    }
}

impl Decode for Coefficients {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.list(MAX_PARTIES, "commitments of a dealt input")?))
    }
}

/// 64 bytes, as secret as the share: for the party it belongs to, over a confidential channel.
impl Encode for DealtShare {
    fn encode(&self, out: &mut Writer) {
        self.value.encode(out);
        self.blinding.encode(out);
    }
}

impl Decode for DealtShare {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { value: Share::decode(input)?, blinding: Share::decode(input)? })
    }
}

#[cfg(test)]
mod tests;
