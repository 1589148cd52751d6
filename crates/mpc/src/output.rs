//! How results leave: in shares for the owner, checked against published commitments.
//!
//! A *committed* output is a value w with a blinding s, both shared. Party i publishes
//! `K_i = Com(w_i; s_i)`. The `K_i` are points of a polynomial "in the exponent", so everybody can
//! check its degree and compute `K = Com(w; s)` by interpolation. Only the owner is given the
//! `(w_i, s_i)`; each must open its `K_i`, and together they open K.
//!
//! Blindings of one *group* of outputs sum to zero, so if the values do too, the commitments sum
//! to the identity, and everybody sees it.
//!
//! The commitments show that all see one result, and name a party that gives its owner something
//! else than it published. That the result is the right one they do not show.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::commitment::{Blinding, Commitment, commit_scalar};
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::{Fr, Scalar, to_scalar};
use quittance_crypto::group::Point;
use quittance_crypto::planted;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::engine::Engine;
use crate::parties::{ActiveSet, MAX_PARTIES, PartyId};
use crate::session::{Abort, Kind};
use crate::shamir::Interpolation;
use crate::share::Share;

/// One party's share of a committed output: `(w_i, s_i)`. For the owner alone.
#[derive(Clone)]
pub struct CommittedShare {
    value: Share,
    blinding: Share,
}

/// The public part of a committed output, the same for all: the commitments of all active parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOutput {
    parties: ActiveSet,
    /// `K_i`, in order of the active parties.
    published: Vec<Commitment>,
    result: Commitment,
}

/// What the owner gets.
pub struct Combined {
    /// w.
    pub value: Fr,
    /// s.
    pub blinding: Blinding,
    /// Parties whose shares are not what they published. Their shares were not used.
    pub faulty: Vec<PartyId>,
}

/// Why an owner gets no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OutputError {
    /// The commitments are not one for each party.
    #[error("{found} commitments for {expected} parties")]
    Count {
        /// How many parties there are.
        expected: usize,
        /// How many commitments there are.
        found: usize,
    },
    /// The commitments lie on no polynomial of degree t; disputed: all parties.
    #[error("the published commitments do not fit together; disputed: all parties")]
    Inconsistent,
    /// Two shares of one party.
    #[error("{party} gave two shares")]
    Repeated {
        /// The party.
        party: PartyId,
    },
    /// A party that did not take part, or one with another number of outputs than the others.
    #[error("{party} did not give one share for each output")]
    Unexpected {
        /// The party.
        party: PartyId,
    },
    /// Too few good shares. With those named, more have to be asked for.
    #[error("{good} good shares where {needed} are needed; not what they published: {faulty:?}")]
    TooFew {
        /// Shares that could be used.
        good: usize,
        /// Shares needed.
        needed: usize,
        /// Parties whose shares are not what they published.
        faulty: Vec<PartyId>,
    },
    /// Private shares that lie on no polynomial of degree t; disputed: all who gave them.
    #[error("the shares of output {output} do not fit together; disputed: all who gave them")]
    Disputed {
        /// The place of the output.
        output: usize,
    },
    /// The shares do not open the result although each opens its commitment.
    #[error("the combined shares do not open the result")]
    NotTheResult,
}

fn commit(value: &Fr, blinding: &Fr) -> Commitment {
    commit_scalar(&to_scalar(value), &to_scalar(blinding))
}

impl CommittedShare {
    fn opens(&self, commitment: &Commitment) -> bool {
        commit(&self.value.0, &self.blinding.0) == *commitment
    }
}

impl CommittedOutput {
    /// The output with these commitments, in order of the active parties.
    pub fn new(parties: ActiveSet, published: Vec<Commitment>) -> Result<Self, OutputError> {
        let interpolation = Interpolation::of_all(parties);
        Self::interpolate(parties, &interpolation, published)
    }

    fn interpolate(
        parties: ActiveSet,
        interpolation: &Interpolation,
        published: Vec<Commitment>,
    ) -> Result<Self, OutputError> {
        let (expected, found) = (interpolation.count(), published.len());
        if found != expected {
            return Err(OutputError::Count { expected, found });
        }
        let (first, rest) = published.split_at(parties.threshold() + 1);
        let first: Vec<_> = first.iter().map(Commitment::point).collect();
        let combine = |row: &[Fr]| {
            let row: Vec<Scalar> = row.iter().map(to_scalar).collect();
            Point::multiexp(&row, &first)
        };
        let rows = interpolation.further_rows().iter().zip(rest);
        let other = rows.into_iter().any(|(row, commitment)| combine(row) != commitment.point());
        if planted!("published-degree-not-checked", false, other) {
            return Err(OutputError::Inconsistent);
        }
        let result = combine(interpolation.secret_row()).into();
        Ok(Self { parties, published, result })
    }

    /// Who has computed it.
    pub fn parties(&self) -> ActiveSet {
        self.parties
    }

    /// `Com(w; s)`.
    pub fn commitment(&self) -> &Commitment {
        &self.result
    }

    /// Value and blinding from the shares of at least t + 1 parties.
    ///
    /// Each share is checked against the commitment that its party published, so that up to t
    /// parties can neither change the result nor keep it from its owner.
    pub fn combine(&self, shares: &[(PartyId, CommittedShare)]) -> Result<Combined, OutputError> {
        let known = |party| self.parties.contains(party);
        check_distinct(known, shares.iter().map(|(party, _)| *party))?;
        let opens = |(party, share): &&(PartyId, CommittedShare)| {
            share.opens(&self.published[self.parties.place(*party)])
        };
        let (good, bad): (Vec<_>, Vec<_>) = shares.iter().partition(opens);
        let faulty: Vec<_> = bad.iter().map(|(party, _)| *party).collect();

        let holders: Vec<_> = good.iter().map(|(party, _)| *party).collect();
        let too_few = || OutputError::TooFew {
            good: good.len(),
            needed: self.parties.threshold() + 1,
            faulty: faulty.clone(),
        };
        let interpolation =
            Interpolation::new(self.parties.threshold(), &holders).ok_or_else(too_few)?;
        let open = |pick: fn(&CommittedShare) -> &Share| {
            let values: Zeroizing<Vec<Fr>> =
                Zeroizing::new(good.iter().map(|(_, share)| pick(share).0).collect());
            interpolation.open(&values).ok_or(OutputError::NotTheResult)
        };
        let value = open(|share| &share.value)?;
        let blinding = Blinding::from_scalar(to_scalar(&open(|share| &share.blinding)?));
        if commit_scalar(&to_scalar(&value), blinding.as_scalar()) != self.result {
            return Err(OutputError::NotTheResult);
        }
        Ok(Combined { value, blinding, faulty })
    }
}

/// The values of private outputs from the shares of at least 2t + 1 parties, each of which gives
/// one share per output, in the order of the outputs. That they are parties of the session, or of
/// the committee, the caller has seen.
///
/// Without commitments a wrong share is noticed by the degree alone: with 2t + 1 shares at least
/// t + 1 are honest, so that a result, if there is one, is what the honest parties computed. Who
/// lied cannot be told.
pub fn combine_private(
    threshold: usize,
    shares: &[(PartyId, Vec<Share>)],
) -> Result<Vec<Fr>, OutputError> {
    check_distinct(|_| true, shares.iter().map(|(party, _)| *party))?;
    let (good, needed) = (shares.len(), 2 * threshold + 1);
    let holders: Vec<_> = shares.iter().map(|(party, _)| *party).collect();
    let interpolation = Interpolation::new(threshold, &holders).filter(|_| good >= needed);
    let too_few = OutputError::TooFew { good, needed, faulty: vec![] };
    let interpolation = interpolation.ok_or(too_few)?;

    let count = shares.first().map_or(0, |(_, shares)| shares.len());
    if let Some(&(party, _)) = shares.iter().find(|(_, shares)| shares.len() != count) {
        return Err(OutputError::Unexpected { party });
    }
    let mut row = Zeroizing::new(vec![Fr::default(); shares.len()]);
    let mut open = |output: usize| {
        row.iter_mut().zip(shares).for_each(|(value, (_, shares))| *value = shares[output].0);
        interpolation.open(&row).ok_or(OutputError::Disputed { output })
    };
    (0..count).map(&mut open).collect()
}

fn check_distinct(
    known: impl Fn(PartyId) -> bool,
    holders: impl Iterator<Item = PartyId>,
) -> Result<(), OutputError> {
    let mut seen = BTreeSet::new();
    for party in holders {
        if !known(party) {
            return Err(OutputError::Unexpected { party });
        }
        if !seen.insert(party) {
            return Err(OutputError::Repeated { party });
        }
    }
    Ok(())
}

impl Engine {
    /// Makes committed outputs of shared values, each with the number of its group. Two exchanges.
    ///
    /// Returns for each output this party's share for the owner, and the public part. A group
    /// needs at least two members: the blinding of a single one would be zero and hide nothing.
    pub async fn commit(
        &mut self,
        values: &[(&Share, u32)],
    ) -> Result<Vec<(CommittedShare, CommittedOutput)>, Abort> {
        self.check().await?;
        let blindings = self.blindings(values)?;
        let shares: Vec<_> = values
            .iter()
            .zip(blindings)
            .map(|(&(value, _), blinding)| CommittedShare { value: value.clone(), blinding })
            .collect();
        let published = self.publish(&shares).await?;
        let interpolation = Interpolation::of_all(self.parties());
        let output = |(output, published)| {
            CommittedOutput::interpolate(self.parties(), &interpolation, published)
                .map_err(|_| Abort::InconsistentCommitments { output })
        };
        let outputs = published.into_iter().enumerate().map(output);
        shares.into_iter().zip(outputs).map(|(share, output)| Ok((share, output?))).collect()
    }

    /// Shares of random blindings; in each group the last one is minus the sum of the others.
    fn blindings(&mut self, values: &[(&Share, u32)]) -> Result<Vec<Share>, Abort> {
        let mut last = BTreeMap::new();
        let mut sizes = BTreeMap::<u32, usize>::new();
        for (index, &(_, group)) in values.iter().enumerate() {
            last.insert(group, index);
            *sizes.entry(group).or_default() += 1;
        }
        if let Some((group, _)) = sizes.iter().find(|&(_, &size)| size < 2) {
            let why = format!("group {group} has one committed output, whose blinding would be 0");
            return Err(Abort::Unsupported(why));
        }
        let mut blindings = self.random(values.len());
        let mut sums = BTreeMap::<u32, Share>::new();
        for (index, &(_, group)) in values.iter().enumerate() {
            let sum = sums.entry(group).or_insert_with(Share::zero);
            if last.get(&group) == Some(&index) {
                blindings[index] = &Share::zero() - sum;
            } else {
                *sum += &blindings[index];
            }
        }
        Ok(blindings)
    }

    /// Publishes commitments to this party's shares; returns all parties', by output, in order of the
    /// parties.
    async fn publish(&mut self, shares: &[CommittedShare]) -> Result<Vec<Vec<Commitment>>, Abort> {
        let commitments = shares.iter().map(|share| commit(&share.value.0, &share.blinding.0));
        let own: Vec<u8> = commitments.flat_map(|commitment| *commitment.as_bytes()).collect();
        let messages = self.announce(Kind::Publish, Zeroizing::new(own)).await?;

        let mut published = vec![vec![]; shares.len()];
        for (party, message) in messages.iter() {
            let malformed = |problem| self.malformed(party, Kind::Publish, problem);
            let (parts, rest) = message.as_chunks::<32>();
            if !rest.is_empty() || parts.len() != shares.len() {
                return Err(malformed("another number of commitments"));
            }
            for (published, part) in published.iter_mut().zip(parts) {
                let commitment = Commitment::from_bytes(part);
                published.push(commitment.map_err(|_| malformed("not a commitment"))?);
            }
        }
        Ok(published)
    }
}

/// The active parties, then their commitments.
impl Encode for CommittedOutput {
    fn encode(&self, out: &mut Writer) {
        self.parties.encode(out);
        out.list(&self.published);
    }
}

impl Decode for CommittedOutput {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let parties = ActiveSet::decode(input)?;
        let published: Vec<Commitment> = input.list(MAX_PARTIES, "published commitments")?;
        let why = "not one commitment for each party, or commitments of too high a degree";
        let output = Self::new(parties, published);
        output.map_err(|_| input.invalid("committed output", why))
    }
}

/// 64 bytes, as secret as the result: for its owner, over a confidential channel.
impl Encode for CommittedShare {
    fn encode(&self, out: &mut Writer) {
        self.value.encode(out);
        self.blinding.encode(out);
    }
}

impl Decode for CommittedShare {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { value: Share::decode(input)?, blinding: Share::decode(input)? })
    }
}

#[cfg(test)]
mod tests;
