//! The aggregator of a joint proof: collects, adds its own provers for the padding, assembles,
//! verifies and names whose share is bad. It learns nothing that the proof does not show.

use bulletproofs::range_proof_mpc::{MPCError, dealer::Dealer};
use rand_core::CryptoRngCore;

use super::prover::{AwaitingBits, AwaitingPolynomials, commit};
use super::{
    BitMessage, JointError, PolynomialMessage, ShareMessage, check_bits, check_count,
    check_polynomials, sum,
};
use crate::commitment::{Commitment, Opening};
use crate::digest::Digest;
use crate::range_proof::{BITS, Element, RangeProof, aggregation_of, crossing, padded, protocol};

/// An aggregator that waits for the first messages.
pub struct Aggregator {
    context: Digest,
    statement: Vec<Commitment>,
    padding: Vec<(AwaitingBits, BitMessage)>,
}

impl Aggregator {
    /// Prepares a proof for `statement` in `context`.
    pub fn new(
        context: &Digest,
        statement: &[Commitment],
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, JointError> {
        let padding = (statement.len()..aggregation_of(statement.len())?)
            .map(|position| commit(context, statement, position, &Opening::zero(), rng))
            .collect::<Result<_, _>>()?;
        Ok(Self { context: *context, statement: statement.to_vec(), padding })
    }

    /// Takes the first message of each commitment's prover, in order. Gives the list that is to
    /// be sent to all of them.
    pub fn receive(
        self,
        messages: Vec<BitMessage>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<(AggregatorAwaitingPolynomials, Vec<BitMessage>), JointError> {
        let Self { context, statement, padding } = self;
        check_count(messages.len(), statement.len())?;
        let (padding, own): (Vec<_>, Vec<_>) = padding.into_iter().unzip();
        let bits = [messages, own].concat();
        check_bits(&statement, &bits)?;
        sum(Element::A, bits.iter().map(|message| &message.a))?;
        sum(Element::S, bits.iter().map(|message| &message.s))?;
        let padding = padding
            .into_iter()
            .map(|prover| prover.receive(&bits, rng))
            .collect::<Result<_, _>>()?;
        let next =
            AggregatorAwaitingPolynomials { context, statement, bits: bits.clone(), padding };
        Ok((next, bits))
    }
}

/// An aggregator that waits for the second messages.
pub struct AggregatorAwaitingPolynomials {
    context: Digest,
    statement: Vec<Commitment>,
    bits: Vec<BitMessage>,
    padding: Vec<(AwaitingPolynomials, PolynomialMessage)>,
}

impl AggregatorAwaitingPolynomials {
    /// Takes the second message of each commitment's prover, in order. Gives the list that is to
    /// be sent to all of them.
    pub fn receive(
        self,
        messages: Vec<PolynomialMessage>,
    ) -> Result<(AggregatorAwaitingShares, Vec<PolynomialMessage>), JointError> {
        let Self { context, statement, bits, padding } = self;
        let count = statement.len();
        check_count(messages.len(), count)?;
        let (padding, own): (Vec<_>, Vec<_>) = padding.into_iter().unzip();
        let polynomials = [messages, own].concat();
        check_polynomials(count, &polynomials)?;
        sum(Element::T1, polynomials.iter().map(|message| &message.t1))?;
        sum(Element::T2, polynomials.iter().map(|message| &message.t2))?;
        let padding = padding
            .into_iter()
            .map(|prover| prover.receive(&polynomials))
            .collect::<Result<_, _>>()?;
        let sent = polynomials.clone();
        Ok((AggregatorAwaitingShares { context, count, bits, polynomials, padding }, sent))
    }
}

/// An aggregator that waits for the shares.
pub struct AggregatorAwaitingShares {
    context: Digest,
    count: usize,
    bits: Vec<BitMessage>,
    polynomials: Vec<PolynomialMessage>,
    padding: Vec<ShareMessage>,
}

impl AggregatorAwaitingShares {
    /// Takes the share of each commitment's prover, in order. The proof that comes out has been
    /// verified; otherwise the error names those whose shares do not fit, if any.
    pub fn receive(
        self,
        shares: Vec<ShareMessage>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<RangeProof, JointError> {
        check_count(shares.len(), self.count)?;
        let shares = shares
            .iter()
            .chain(&self.padding)
            .map(crossing::proof_share)
            .collect::<Result<Vec<_>, _>>()?;
        let bits = self.bits.iter().map(crossing::bit_commitment).collect::<Result<_, _>>()?;
        let polynomials =
            self.polynomials.iter().map(crossing::poly_commitment).collect::<Result<_, _>>()?;

        let padded = padded(self.count);
        let mut transcript = protocol::transcript(&self.context);
        let proof = Dealer::new(
            crossing::generators(padded),
            crossing::bases(),
            transcript.merlin(),
            BITS,
            padded,
        )
        .and_then(|dealer| dealer.receive_bit_commitments(bits))
        .and_then(|(dealer, _)| dealer.receive_poly_commitments(polynomials))
        .and_then(|(dealer, _)| dealer.receive_shares_with_rng(&shares, rng))
        .map_err(|error| match error {
            MPCError::MalformedProofShares { bad_shares } if bad_shares.is_empty() => {
                JointError::Unattributed
            }
            MPCError::MalformedProofShares { bad_shares } => {
                JointError::BadShares { positions: bad_shares }
            }
            _ => JointError::Defect("the crate refuses the parameters of the aggregation"),
        })?;
        Ok(proof.to_bytes().try_into()?)
    }
}
