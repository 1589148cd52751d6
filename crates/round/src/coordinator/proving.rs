//! From postings to a settlement: one body, one proof by all, everybody's signature.

use std::collections::BTreeSet;

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::Element;
use quittance_crypto::range_proof::joint::{
    Aggregator, AggregatorAwaitingPolynomials, AggregatorAwaitingShares, BitMessage, JointError,
    PolynomialMessage, ShareMessage,
};
use quittance_crypto::signature::{Purpose, Signature};
use quittance_ledger::build::{BuildError, Terms, Unsigned};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::transaction::{
    Body, InstitutionSignature, Posting, Transaction, signing_digest,
};
use quittance_ledger::verify::Directory;
use rand_core::CryptoRngCore;

use super::collected::Collected;
use super::stage::{Next, Stage, Taken};
use super::{Failure, ReportError, Scene};
use crate::message::Instruction;
use crate::settlement::{Plan, Roll};

impl Roll {
    fn place_of(&self, from: InstitutionId) -> Result<usize, ReportError> {
        self.roster.place(&from).ok_or(ReportError::NotInRoster)
    }

    fn everybody(&self) -> BTreeSet<InstitutionId> {
        self.roster.institutions().collect()
    }

    fn lacking<T: PartialEq>(&self, collected: &Collected<T>) -> Vec<InstitutionId> {
        let places = self.roster.institutions().enumerate();
        places.filter(|(place, _)| collected.lacks(*place)).map(|(_, who)| who).collect()
    }
}

pub(super) struct Postings {
    pub(super) plan: Plan,
    postings: Collected<Posting>,
}

impl Postings {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, postings: Collected::default() }
    }

    /// Keeps a posting that came early, or says what is wrong with it.
    pub(super) fn put(
        &mut self,
        place: usize,
        posting: Posting,
    ) -> Result<(), (InstitutionId, ReportError)> {
        let seat = self.plan.roll.roster.seats().get(place);
        let who = seat.map_or(posting.institution, |seat| seat.institution);
        self.take(who, posting).map(|_| ()).map_err(|fault| (who, fault))
    }

    pub(super) fn take(
        &mut self,
        from: InstitutionId,
        posting: Posting,
    ) -> Result<Taken, ReportError> {
        let place = self.plan.roll.place_of(from)?;
        self.plan.check_posting(place, &posting)?;
        self.postings.put(place, posting).map(|()| Taken::Kept)
    }

    pub(super) fn missing(&self) -> Vec<InstitutionId> {
        self.plan.roll.lacking(&self.postings)
    }

    pub(super) fn next(
        self,
        scene: &Scene<'_>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Next, Failure> {
        let Self { plan, postings } = self;
        let roll = &plan.roll;
        let book = scene.turn.book;
        let latest = book.height().plus(book.registry().limits().max_expiry);
        let terms =
            Terms { suite: roll.suite, chain: roll.chain, expiry: roll.deadline.min(latest) };
        let attempt = roll.attempt;
        let body = terms
            .settlement(attempt.round, attempt.number, roll.asset, postings.into_vec(), None)
            .map_err(BuildError::from)?;
        let context = body.proof_context(&body.digest(), 0);
        let aggregator = Aggregator::new(&context, plan.statement(), rng)?;
        let to = roll.everybody();
        let said = Instruction::Proposal { attempt, body: body.clone() };
        let (proposal, messages) = (Proposal { plan, body }, Collected::default());
        Ok(Next::say(Stage::Bits(Bits { proposal, aggregator, messages }), to, said))
    }
}

/// What is being proven.
pub(super) struct Proposal {
    pub(super) plan: Plan,
    body: Body,
}

impl Proposal {
    /// Names the banks behind the positions of the statement.
    fn blame(&self, error: JointError) -> Failure {
        match error {
            JointError::BadShares { positions } => {
                let seats = self.plan.roll.roster.seats();
                let named = positions.iter().filter_map(|position| seats.get(*position));
                Failure::BadShares { institutions: named.map(|seat| seat.institution).collect() }
            }
            error => Failure::Proof(error),
        }
    }
}

pub(super) struct Bits {
    pub(super) proposal: Proposal,
    aggregator: Aggregator,
    messages: Collected<BitMessage>,
}

impl Bits {
    pub(super) fn take(
        &mut self,
        from: InstitutionId,
        message: BitMessage,
    ) -> Result<Taken, ReportError> {
        let place = self.proposal.plan.roll.place_of(from)?;
        if self.proposal.plan.statement().get(place) != Some(&message.commitment) {
            return Err(ReportError::OtherCommitment);
        }
        if let Some((element, _)) =
            [(Element::A, message.a), (Element::S, message.s)].iter().find(|(_, p)| p.is_identity())
        {
            return Err(ReportError::IdentityPoint(*element));
        }
        self.messages.put(place, message).map(|()| Taken::Kept)
    }

    pub(super) fn missing(&self) -> Vec<InstitutionId> {
        self.proposal.plan.roll.lacking(&self.messages)
    }

    pub(super) fn next(self, rng: &mut impl CryptoRngCore) -> Result<Next, Failure> {
        let Self { proposal, aggregator, messages } = self;
        let received = aggregator.receive(messages.into_vec(), rng);
        let (aggregator, messages) = received.map_err(|error| proposal.blame(error))?;
        let (to, attempt) = (proposal.plan.roll.everybody(), proposal.plan.roll.attempt);
        let stage = Polynomials { proposal, aggregator, messages: Collected::default() };
        let said = Instruction::AllBits { attempt, messages };
        Ok(Next::say(Stage::Polynomials(stage), to, said))
    }
}

pub(super) struct Polynomials {
    pub(super) proposal: Proposal,
    aggregator: AggregatorAwaitingPolynomials,
    messages: Collected<PolynomialMessage>,
}

impl Polynomials {
    pub(super) fn take(
        &mut self,
        from: InstitutionId,
        message: PolynomialMessage,
    ) -> Result<Taken, ReportError> {
        let place = self.proposal.plan.roll.place_of(from)?;
        let points = [(Element::T1, message.t1), (Element::T2, message.t2)];
        if let Some((element, _)) = points.iter().find(|(_, point)| point.is_identity()) {
            return Err(ReportError::IdentityPoint(*element));
        }
        self.messages.put(place, message).map(|()| Taken::Kept)
    }

    pub(super) fn missing(&self) -> Vec<InstitutionId> {
        self.proposal.plan.roll.lacking(&self.messages)
    }

    pub(super) fn next(self) -> Result<Next, Failure> {
        let Self { proposal, aggregator, messages } = self;
        let received = aggregator.receive(messages.into_vec());
        let (aggregator, messages) = received.map_err(|error| proposal.blame(error))?;
        let (to, attempt) = (proposal.plan.roll.everybody(), proposal.plan.roll.attempt);
        let stage = Shares { proposal, aggregator, messages: Collected::default() };
        let said = Instruction::AllPolynomials { attempt, messages };
        Ok(Next::say(Stage::Shares(stage), to, said))
    }
}

pub(super) struct Shares {
    pub(super) proposal: Proposal,
    aggregator: AggregatorAwaitingShares,
    messages: Collected<ShareMessage>,
}

impl Shares {
    pub(super) fn take(
        &mut self,
        from: InstitutionId,
        message: ShareMessage,
    ) -> Result<Taken, ReportError> {
        let place = self.proposal.plan.roll.place_of(from)?;
        self.messages.put(place, message).map(|()| Taken::Kept)
    }

    pub(super) fn missing(&self) -> Vec<InstitutionId> {
        self.proposal.plan.roll.lacking(&self.messages)
    }

    pub(super) fn next(self, rng: &mut impl CryptoRngCore) -> Result<Next, Failure> {
        let Self { proposal, aggregator, messages } = self;
        let received = aggregator.receive(messages.into_vec(), rng);
        let proof = received.map_err(|error| proposal.blame(error))?;
        let Proposal { plan: Plan { roll, .. }, body } = proposal;
        let (to, attempt) = (roll.everybody(), roll.attempt);
        let proofs = vec![proof.clone()];
        let digest = signing_digest(&body, &proofs);
        let unsigned = Unsigned::new(body, proofs)?;
        let stage = Signatures { roll, unsigned, digest, signatures: Collected::default() };
        Ok(Next::say(Stage::Signatures(stage), to, Instruction::Proven { attempt, proof }))
    }
}

pub(super) struct Signatures {
    pub(super) roll: Roll,
    unsigned: Unsigned,
    digest: Digest,
    signatures: Collected<Signed>,
}

/// A signature that has been verified. Signing is hedged: the same bank may sign twice, and two
/// valid signatures under one settlement contradict each other in nothing.
struct Signed(InstitutionSignature);

impl PartialEq for Signed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Signatures {
    pub(super) fn take(
        &mut self,
        scene: &Scene<'_>,
        from: InstitutionId,
        signature: Signature,
    ) -> Result<Taken, ReportError> {
        let place = self.roll.place_of(from)?;
        let key_fingerprint = *self.unsigned.signers().get(&from).ok_or(ReportError::NoKey)?;
        let key = scene.turn.book.registry().transaction_key(from, &key_fingerprint);
        let key = key.ok_or(ReportError::NoKey)?;
        key.verify(Purpose::Transaction, &self.digest, &signature)?;
        let signature = InstitutionSignature { institution: from, key_fingerprint, signature };
        self.signatures.put(place, Signed(signature)).map(|()| Taken::Kept)
    }

    pub(super) fn missing(&self) -> Vec<InstitutionId> {
        self.roll.lacking(&self.signatures)
    }

    pub(super) fn next(self, scene: &Scene<'_>) -> Result<Next, Failure> {
        let (to, attempt) = (self.roll.everybody(), self.roll.attempt);
        let signatures = self.signatures.into_vec().into_iter().map(|Signed(signature)| signature);
        let transaction = self.unsigned.assemble(signatures.collect())?;
        let settling =
            Settling { transaction: transaction.clone(), submitted_ms: scene.turn.now_ms };
        let said = Instruction::Settled { attempt, transaction: transaction.clone() };
        Ok(Next { submit: Some(transaction), ..Next::say(Stage::Settling(settling), to, said) })
    }
}

pub(super) struct Settling {
    transaction: Transaction,
    submitted_ms: u64,
}

impl Settling {
    pub(super) fn resubmit(&mut self, scene: &Scene<'_>) -> Option<Transaction> {
        let now = scene.turn.now_ms;
        let due = now.saturating_sub(self.submitted_ms) >= scene.cast.timing.resubmit_ms;
        due.then(|| {
            self.submitted_ms = now;
            self.transaction.clone()
        })
    }
}
