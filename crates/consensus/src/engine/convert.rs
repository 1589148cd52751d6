//! Between the engine's messages and those that travel and are kept.

use malachite_app_channel::app::types::core::{
    CommitCertificate, ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal,
    PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType,
    RoundSignature, SignedMessage, SignedProposal as EngineProposal, SignedVote as EngineVote,
    VoteType,
};
use malachite_app_channel::app::types::sync;
use quittance_crypto::signature::Signature;
use quittance_ledger::certificate::{Certificate, ValidatorSignature, VoteKind};
use quittance_ledger::evidence::{Evidence, EvidenceError, SignedStatement, Statement};
use quittance_ledger::ids::{BlockId, InstitutionId};

use super::context::{Ballot, Offer, Quittance, Seal, Value, Who};
use crate::wire::{
    DecidedBlock, Polka, RoundChange, RoundChangeKind, RoundVote, SignedProposal, SignedVote,
};

/// The number of a round. The engine's messages are about rounds from 0, the guard lets no others
/// in.
pub fn number(round: Round) -> u32 {
    round.as_u32().unwrap_or_default()
}

pub fn vote_out(vote: &EngineVote<Quittance>) -> SignedVote {
    let SignedMessage { message, signature: Seal(signature) } = vote;
    let (institution, vote) = (message.institution(), *message.vote());
    SignedVote { institution, vote, signature: signature.clone() }
}

pub fn vote_in(vote: SignedVote) -> EngineVote<Quittance> {
    let SignedVote { institution, vote, signature } = vote;
    SignedMessage::new(Ballot::new(institution, vote), Seal(signature))
}

pub fn proposal_out(proposal: &EngineProposal<Quittance>) -> SignedProposal {
    let SignedMessage { message, signature: Seal(signature) } = proposal;
    let (institution, proposal) = (message.institution(), *message.proposal());
    SignedProposal { institution, proposal, signature: signature.clone() }
}

pub fn proposal_in(proposal: SignedProposal) -> EngineProposal<Quittance> {
    let SignedProposal { institution, proposal, signature } = proposal;
    SignedMessage::new(Offer::new(institution, proposal), Seal(signature))
}

fn signed(Who(institution): Who, Seal(signature): &Seal) -> ValidatorSignature {
    ValidatorSignature { institution, signature: signature.clone() }
}

pub fn polka_out(polka: &PolkaCertificate<Quittance>) -> Polka {
    let PolkaCertificate { height, round, value_id, polka_signatures } = polka;
    let signatures = polka_signatures.iter().map(|each| signed(each.address, &each.signature));
    Polka {
        height: height.height(),
        round: number(*round),
        block: value_id.0,
        signatures: signatures.collect(),
    }
}

pub fn polka_in(polka: Polka) -> PolkaCertificate<Quittance> {
    let Polka { height, round, block, signatures } = polka;
    let signature =
        |each: ValidatorSignature| PolkaSignature::new(Who(each.institution), Seal(each.signature));
    PolkaCertificate {
        height: height.into(),
        round: Round::new(round),
        value_id: Value(block),
        polka_signatures: signatures.into_iter().map(signature).collect(),
    }
}

pub fn round_out(certificate: &RoundCertificate<Quittance>) -> RoundChange {
    let RoundCertificate { height, round, cert_type, round_signatures } = certificate;
    let vote = |each: &RoundSignature<Quittance>| RoundVote {
        institution: each.address.0,
        kind: match each.vote_type {
            VoteType::Prevote => VoteKind::Prevote,
            VoteType::Precommit => VoteKind::Precommit,
        },
        block: block_of(&each.value_id),
        signature: each.signature.0.clone(),
    };
    RoundChange {
        height: height.height(),
        round: number(*round),
        kind: match cert_type {
            RoundCertificateType::Skip => RoundChangeKind::Skip,
            RoundCertificateType::Precommit => RoundChangeKind::Precommit,
        },
        votes: round_signatures.iter().map(vote).collect(),
    }
}

pub fn round_in(change: RoundChange) -> RoundCertificate<Quittance> {
    let RoundChange { height, round, kind, votes } = change;
    let signature = |each: RoundVote| {
        let vote_type = match each.kind {
            VoteKind::Prevote => VoteType::Prevote,
            VoteKind::Precommit => VoteType::Precommit,
        };
        let value = each.block.map_or(NilOrVal::Nil, |block| NilOrVal::Val(Value(block)));
        RoundSignature::new(vote_type, value, Who(each.institution), Seal(each.signature))
    };
    RoundCertificate {
        height: height.into(),
        round: Round::new(round),
        cert_type: match kind {
            RoundChangeKind::Skip => RoundCertificateType::Skip,
            RoundChangeKind::Precommit => RoundCertificateType::Precommit,
        },
        round_signatures: votes.into_iter().map(signature).collect(),
    }
}

fn block_of(value: &NilOrVal<Value>) -> Option<BlockId> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(Value(block)) => Some(*block),
    }
}

/// The ledger's certificate: signatures in strict order of institution.
fn certificate(
    height: quittance_ledger::ids::Height,
    round: Round,
    block: BlockId,
    mut signatures: Vec<(InstitutionId, Signature)>,
) -> Certificate {
    signatures.sort_by_key(|(institution, _)| *institution);
    signatures.dedup_by_key(|(institution, _)| *institution);
    let signature = |(institution, signature)| ValidatorSignature { institution, signature };
    let signatures = signatures.into_iter().map(signature).collect();
    Certificate { height, round: number(round), block, signatures }
}

/// What the engine has decided, as the ledger's certificate.
pub fn decided(decision: CommitCertificate<Quittance>) -> Certificate {
    let CommitCertificate { height, round, value_id, commit_signatures } = decision;
    let signatures = commit_signatures.into_iter().map(|each| (each.address.0, each.signature.0));
    certificate(height.height(), round, value_id.0, signatures.collect())
}

pub fn block_out(decided: &sync::RawDecidedValue<Quittance>) -> DecidedBlock {
    let ExtendedCommitCertificate { height, round, value_id, commit_signatures } =
        &decided.certificate;
    let signatures =
        commit_signatures.iter().map(|each| (each.address.0, each.signature.0.clone()));
    DecidedBlock {
        block: decided.value_bytes.clone(),
        certificate: certificate(height.height(), *round, value_id.0, signatures.collect()),
    }
}

pub fn block_in(decided: DecidedBlock) -> sync::RawDecidedValue<Quittance> {
    let DecidedBlock { block, certificate: Certificate { height, round, block: id, signatures } } =
        decided;
    let signature = |each: ValidatorSignature| {
        ExtendedCommitSignature::new(Who(each.institution), Seal(each.signature), None)
    };
    let certificate = ExtendedCommitCertificate {
        height: height.into(),
        round: Round::new(round),
        value_id: Value(id),
        commit_signatures: signatures.into_iter().map(signature).collect(),
    };
    sync::RawDecidedValue::new(block, certificate)
}

/// Two votes of one validator, as evidence.
pub fn double_vote(
    one: &EngineVote<Quittance>,
    other: &EngineVote<Quittance>,
) -> Result<Evidence, EvidenceError> {
    let statement = |vote: &EngineVote<Quittance>| {
        let SignedVote { vote, signature, .. } = vote_out(vote);
        SignedStatement { statement: Statement::Vote(vote), signature }
    };
    Evidence::new(one.message.institution(), statement(one), statement(other))
}

/// Two proposals of one validator, as evidence.
pub fn double_proposal(
    one: &EngineProposal<Quittance>,
    other: &EngineProposal<Quittance>,
) -> Result<Evidence, EvidenceError> {
    let statement = |proposal: &EngineProposal<Quittance>| {
        let SignedProposal { proposal, signature, .. } = proposal_out(proposal);
        SignedStatement { statement: Statement::Proposal(proposal), signature }
    };
    Evidence::new(one.message.institution(), statement(one), statement(other))
}
