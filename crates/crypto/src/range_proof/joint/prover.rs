//! One prover of a joint proof. Each state is consumed by the message that it answers.

use bulletproofs::range_proof_mpc::party::{
    Party, PartyAwaitingBitChallenge, PartyAwaitingPolyChallenge,
};
use rand_core::CryptoRngCore;

use super::{
    BitMessage, JointError, PolynomialMessage, ShareMessage, check_bits, check_polynomials, sum,
};
use crate::commitment::{Commitment, Opening};
use crate::digest::Digest;
use crate::planted;
use crate::range_proof::{BITS, Element, aggregation_of, crossing, protocol, prove::hedged};
use crate::transcript::Transcript;

/// Starts a prover.
pub struct Prover;

impl Prover {
    /// Commits to the bits of the value at `position` of `statement`, the list of all commitments
    /// that the proof is for.
    pub fn start(
        context: &Digest,
        statement: &[Commitment],
        position: usize,
        opening: &Opening,
        rng: &mut impl CryptoRngCore,
    ) -> Result<(AwaitingBits, BitMessage), JointError> {
        let count = statement.len();
        let expected = statement.get(position).ok_or(JointError::Position { position, count })?;
        if !opening.opens(expected) {
            return Err(JointError::Opening { position });
        }
        commit(context, statement, position, opening, rng)
    }
}

/// As [`Prover::start`], for any padded position: the aggregator's way to prove the padding.
pub(super) fn commit(
    context: &Digest,
    statement: &[Commitment],
    position: usize,
    opening: &Opening,
    rng: &mut impl CryptoRngCore,
) -> Result<(AwaitingBits, BitMessage), JointError> {
    let padded = aggregation_of(statement.len())?;
    let mut transcript = protocol::transcript(context);
    protocol::absorb_statement(&mut transcript, statement, padded);
    let mut rng = hedged(&mut transcript, std::slice::from_ref(opening), rng);
    let (party, bits) = Party::new(
        crossing::generators(padded),
        crossing::bases(),
        opening.value,
        crossing::blinding(&opening.blinding),
        BITS,
    )
    .and_then(|party| party.assign_position_with_rng(position, &mut rng))
    .map_err(|_| JointError::Defect("the crate refuses the parameters of a prover"))?;
    let sent = crossing::bit_message(&bits)?;
    let statement = statement.to_vec();
    let opening = opening.clone();
    Ok((AwaitingBits { party, opening, transcript, statement, position, sent }, sent))
}

/// A prover that has sent its first message.
pub struct AwaitingBits {
    party: PartyAwaitingBitChallenge<'static>,
    opening: Opening,
    transcript: Transcript,
    statement: Vec<Commitment>,
    position: usize,
    pub(super) sent: BitMessage,
}

impl AwaitingBits {
    /// Takes the first messages of all positions, padding included, in order. Recomputes `y` and
    /// `z` from them and commits to the coefficients of `t`.
    pub fn receive(
        mut self,
        all: &[BitMessage],
        rng: &mut impl CryptoRngCore,
    ) -> Result<(AwaitingPolynomials, PolynomialMessage), JointError> {
        check_bits(&self.statement, all)?;
        if planted!("own-message-not-compared", false, all[self.position] != self.sent) {
            return Err(JointError::OwnMessageChanged { position: self.position });
        }
        let a = sum(Element::A, all.iter().map(|message| &message.a))?;
        let s = sum(Element::S, all.iter().map(|message| &message.s))?;
        let (y, z) = protocol::bit_challenges(&mut self.transcript, &a, &s);
        let mut rng = hedged(&mut self.transcript, std::slice::from_ref(&self.opening), rng);
        let (party, polynomials) =
            self.party.apply_challenge_with_rng(&crossing::bit_challenge(&y, &z)?, &mut rng);
        let sent = crossing::polynomial_message(&polynomials)?;
        let Self { transcript, statement, position, .. } = self;
        let count = statement.len();
        Ok((AwaitingPolynomials { party, transcript, count, position, sent }, sent))
    }
}

/// A prover that has sent its second message.
pub struct AwaitingPolynomials {
    party: PartyAwaitingPolyChallenge,
    transcript: Transcript,
    count: usize,
    position: usize,
    pub(super) sent: PolynomialMessage,
}

impl AwaitingPolynomials {
    /// Takes the second messages of all positions. Recomputes `x` and gives the share.
    pub fn receive(mut self, all: &[PolynomialMessage]) -> Result<ShareMessage, JointError> {
        check_polynomials(self.count, all)?;
        if all[self.position] != self.sent {
            return Err(JointError::OwnMessageChanged { position: self.position });
        }
        let t1 = sum(Element::T1, all.iter().map(|message| &message.t1))?;
        let t2 = sum(Element::T2, all.iter().map(|message| &message.t2))?;
        let x = protocol::polynomial_challenge(&mut self.transcript, &t1, &t2);
        let share = self
            .party
            .apply_challenge(&crossing::polynomial_challenge(&x)?)
            .map_err(|_| JointError::Defect("the challenge x is zero"))?;
        crossing::share_message(&share)
    }
}
