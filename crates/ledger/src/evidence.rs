//! Evidence that a validator contradicts itself.
//!
//! Two statements for one place in consensus (one height, one round, and for votes one kind) that
//! differ, each with the signature of the same validator. An honest validator never makes two, also
//! across a crash, so anybody who knows the validators of that height can convict with these bytes
//! alone.

#[cfg(test)]
mod tests;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature, SignatureError, VerifyingKey};
use thiserror::Error;

use crate::certificate::{ValidatorSet, Vote, VoteKind};
use crate::ids::{ChainId, Height, InstitutionId};
use crate::proposal::Proposal;
use crate::transaction::expect_version;

/// The version of the evidence's format; its first byte.
pub const EVIDENCE_VERSION: u8 = 1;

/// What a validator says once in each place, and signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// A vote. Tag 0.
    Vote(Vote),
    /// A proposal. Tag 1.
    Proposal(Proposal),
}

/// Where only one statement may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    chain: ChainId,
    height: Height,
    round: u32,
    /// `None` for a proposal.
    kind: Option<VoteKind>,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// What is said.
    pub statement: Statement,
    /// By whom is known from elsewhere.
    pub signature: Signature,
}

/// Two statements by one validator that contradict each other, in order of their digests: a pair
/// has one encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    institution: InstitutionId,
    statements: [SignedStatement; 2],
}

/// Why something is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// The same is said twice, which everybody may.
    #[error("both statements are the same")]
    NoContradiction,
    /// Two heights, rounds, chains or kinds: both may be said.
    #[error("the statements are not for the same place in consensus")]
    DifferentPlaces,
    /// Of another chain.
    #[error("the statements are of chain {found}, not of {expected}")]
    Chain {
        /// The chain that was asked about.
        expected: ChainId,
        /// What the statements say.
        found: ChainId,
    },
    /// Not a validator at that height.
    #[error("{0} is not a validator at this height")]
    Stranger(InstitutionId),
    /// A signature does not hold.
    #[error("statement {index} of validator {institution}: {source}")]
    Signature {
        /// Whose it should be.
        institution: InstitutionId,
        /// The first (0) or the second (1) statement.
        index: usize,
        /// Why not.
        source: SignatureError,
    },
}

impl Statement {
    /// What is signed, for the purpose `Vote`.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Vote(vote) => vote.digest(),
            Self::Proposal(proposal) => proposal.digest(),
        }
    }

    /// At which height.
    pub fn height(&self) -> Height {
        self.place().height
    }

    /// In which round.
    pub fn round(&self) -> u32 {
        self.place().round
    }

    fn place(&self) -> Place {
        match *self {
            Self::Vote(Vote { chain, height, round, kind, .. }) => {
                Place { chain, height, round, kind: Some(kind) }
            }
            Self::Proposal(Proposal { chain, height, round, .. }) => {
                Place { chain, height, round, kind: None }
            }
        }
    }
}

impl Evidence {
    /// The evidence of two statements that contradict each other, in either order. The signatures
    /// are not verified.
    pub fn new(
        institution: InstitutionId,
        one: SignedStatement,
        other: SignedStatement,
    ) -> Result<Self, EvidenceError> {
        let swap = one.statement.digest() > other.statement.digest();
        let statements = match swap {
            true => [other, one],
            false => [one, other],
        };
        let evidence = Self { institution, statements };
        evidence.check_contradiction()?;
        Ok(evidence)
    }

    /// Who is accused.
    pub fn institution(&self) -> InstitutionId {
        self.institution
    }

    /// The two statements.
    pub fn statements(&self) -> &[SignedStatement; 2] {
        &self.statements
    }

    /// The height at which the validator contradicts itself: the set of that height convicts.
    pub fn height(&self) -> Height {
        let [first, _] = &self.statements;
        first.statement.height()
    }

    /// What others may call this evidence by. Signatures are hedged, so that one pair of statements
    /// may have several.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/evidence", self)
    }

    /// Checks that `validators`, the set of this height on `chain`, convict the institution.
    pub fn verify(&self, chain: ChainId, validators: &ValidatorSet) -> Result<(), EvidenceError> {
        self.verify_with(chain, validators, VerifyingKey::verify)
    }

    /// The same with another verifier of signatures, such as
    /// [`VerifyingKey::verify_independently`].
    pub fn verify_with(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        verify: impl Fn(&VerifyingKey, Purpose, &Digest, &Signature) -> Result<(), SignatureError>,
    ) -> Result<(), EvidenceError> {
        self.check_contradiction()?;
        let [first, _] = &self.statements;
        let found = first.statement.place().chain;
        if found != chain {
            return Err(EvidenceError::Chain { expected: chain, found });
        }
        let institution = self.institution;
        let validator = validators.get(institution).ok_or(EvidenceError::Stranger(institution))?;
        for (index, SignedStatement { statement, signature }) in self.statements.iter().enumerate()
        {
            verify(&validator.key, Purpose::Vote, &statement.digest(), signature)
                .map_err(|source| EvidenceError::Signature { institution, index, source })?;
        }
        Ok(())
    }

    fn check_contradiction(&self) -> Result<(), EvidenceError> {
        let [first, second] = &self.statements;
        let same = first.statement == second.statement;
        if planted!("evidence-of-one-statement", false, same) {
            return Err(EvidenceError::NoContradiction);
        }
        let (one, other) = (first.statement.place(), second.statement.place());
        let same = one == other;
        match planted!("evidence-across-rounds", one == Place { round: one.round, ..other }, same) {
            true => Ok(()),
            false => Err(EvidenceError::DifferentPlaces),
        }
    }
}

impl Encode for Statement {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Vote(vote) => {
                out.u8(0);
                vote.encode(out);
            }
            Self::Proposal(proposal) => {
                out.u8(1);
                proposal.encode(out);
            }
        }
    }
}

impl Decode for Statement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.tag(2, "kind of statement")? {
            0 => Vote::decode(input).map(Self::Vote),
            _ => Proposal::decode(input).map(Self::Proposal),
        }
    }
}

impl Encode for SignedStatement {
    fn encode(&self, out: &mut Writer) {
        self.statement.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedStatement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let statement = Statement::decode(input)?;
        Ok(Self { statement, signature: Signature::decode(input)? })
    }
}

impl Encode for Evidence {
    fn encode(&self, out: &mut Writer) {
        out.u8(EVIDENCE_VERSION);
        self.institution.encode(out);
        self.statements.iter().for_each(|each| each.encode(out));
    }
}

impl Decode for Evidence {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, EVIDENCE_VERSION, "evidence version")?;
        let institution = InstitutionId::decode(input)?;
        let statements = [SignedStatement::decode(input)?, SignedStatement::decode(input)?];
        let [first, second] = &statements;
        if first.statement.digest() >= second.statement.digest() {
            return Err(input.invalid("statements", "the same, or out of order"));
        }
        let evidence = Self { institution, statements };
        match evidence.check_contradiction() {
            Ok(()) => Ok(evidence),
            Err(_) => Err(input.invalid("statements", "not for the same place")),
        }
    }
}
