//! How far a participant has come. Each stage is consumed by the instruction that it answers.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::planted;
use quittance_crypto::range_proof::joint::{AwaitingBits, AwaitingPolynomials, Prover};
use quittance_crypto::range_proof::{self, RangeProof};
use quittance_ledger::build::{PostingDraft, Unsigned};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::transaction::{Body, Transaction};
use rand_core::CryptoRngCore;

use super::{Answer, Deviation, Keys};
use crate::book::Book;
use crate::message::{Instruction, Report};
use crate::settlement::{Plan, Roll};

/// Who takes part, and where in the roster.
pub(super) struct Place {
    pub(super) institution: InstitutionId,
    pub(super) index: usize,
}

pub(super) enum Stage {
    /// The parties compute.
    Result(Roll),
    /// The own posting has been sent.
    Posted {
        plan: Plan,
        draft: PostingDraft,
    },
    /// The first message of the proof has been sent.
    Bits {
        proposal: Proposal,
        prover: Box<AwaitingBits>,
    },
    /// The second message has been sent.
    Polynomials {
        proposal: Proposal,
        prover: Box<AwaitingPolynomials>,
    },
    /// The third message has been sent. Nothing secret is left.
    Shared(Proposal),
    /// The settlement has been signed.
    Signed(Unsigned),
    Over,
}

/// What is being proven.
pub(super) struct Proposal {
    plan: Plan,
    body: Body,
}

impl Stage {
    pub(super) fn post(
        self,
        place: &Place,
        draft: PostingDraft,
        nets: &[Commitment],
    ) -> Result<Self, Deviation> {
        let Self::Result(roll) = self else {
            return Err(Deviation::OutOfTurn { instruction: "posting" });
        };
        let plan = roll.plan(nets)?;
        plan.check_posting(place.index, &draft.posting)?;
        match draft.opening.opens(&draft.posting.new_balance) {
            true => Ok(Self::Posted { plan, draft }),
            false => Err(Deviation::OwnOpening),
        }
    }

    /// The next stage, and what to report.
    pub(super) fn follow(
        self,
        place: &Place,
        keys: Keys<'_>,
        instruction: Instruction,
        rng: &mut impl CryptoRngCore,
    ) -> Result<(Self, Report), Deviation> {
        match (self, instruction) {
            (Self::Posted { plan, draft }, Instruction::Proposal { body, .. }) => {
                propose(place, plan, draft, body, rng)
            }
            (Self::Bits { proposal, prover }, Instruction::AllBits { messages, attempt }) => {
                let (prover, message) = prover.receive(&messages, rng)?;
                let stage = Self::Polynomials { proposal, prover: Box::new(prover) };
                Ok((stage, Report::Polynomials { attempt, message }))
            }
            (
                Self::Polynomials { proposal, prover },
                Instruction::AllPolynomials { messages, attempt },
            ) => {
                let message = prover.receive(&messages)?;
                Ok((Self::Shared(proposal), Report::Share { attempt, message }))
            }
            (Self::Shared(proposal), Instruction::Proven { proof, .. }) => {
                sign(place, proposal, proof, keys)
            }
            (_, instruction) => Err(Deviation::OutOfTurn { instruction: instruction.name() }),
        }
    }

    /// Checks what is said to be the settlement.
    pub(super) fn settled(
        &self,
        book: &Book,
        transaction: Transaction,
    ) -> Result<Answer, Deviation> {
        let Self::Signed(unsigned) = self else {
            return Err(Deviation::OutOfTurn { instruction: "settled" });
        };
        if transaction.body() != unsigned.body() || transaction.proofs() != unsigned.proofs() {
            return Err(Deviation::OtherSettlement);
        }
        let verified = transaction.verify(book.registry())?;
        Ok(Answer::Submit(Box::new(verified.into_unverified())))
    }
}

/// Checks what the coordinator has put together, and begins to prove it.
fn propose(
    place: &Place,
    plan: Plan,
    draft: PostingDraft,
    body: Body,
    rng: &mut impl CryptoRngCore,
) -> Result<(Stage, Report), Deviation> {
    planted!("settlement-not-compared-with-plan", (), plan.check_body(&body)?);
    let own = body.entries().first().and_then(|entry| entry.postings.get(place.index));
    if planted!("own-posting-not-compared", false, own != Some(&draft.posting)) {
        return Err(Deviation::OwnPostingChanged);
    }
    let context = body.proof_context(&body.digest(), 0);
    let started = Prover::start(&context, plan.statement(), place.index, &draft.opening, rng);
    let (prover, message) = started?;
    let attempt = plan.roll.attempt;
    let stage = Stage::Bits { proposal: Proposal { plan, body }, prover: Box::new(prover) };
    Ok((stage, Report::Bits { attempt, message }))
}

/// Verifies the proof as any validator will, and signs.
fn sign(
    place: &Place,
    proposal: Proposal,
    proof: RangeProof,
    keys: Keys<'_>,
) -> Result<(Stage, Report), Deviation> {
    let Proposal { plan, body } = proposal;
    let context = body.proof_context(&body.digest(), 0);
    range_proof::verify(&context, plan.statement(), &proof)?;
    let unsigned = Unsigned::new(body, vec![proof])?;
    let signature = unsigned.sign(place.institution, keys.transaction)?.signature;
    let attempt = plan.roll.attempt;
    Ok((Stage::Signed(unsigned), Report::Signature { attempt, signature }))
}
