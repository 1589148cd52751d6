//! Votes of validators, and the certificate that makes a block final.
//!
//! A validator votes by signing `H("quittance/v1/vote-content", vote)` for the purpose `Vote`.
//! Precommits for one block, of one height and round, by validators with more than two thirds of
//! the voting power, are its certificate. A single validator emits the same certificate as many.

#[cfg(test)]
mod tests;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, Signature, SignatureError, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{BlockId, ChainId, Height, InstitutionId};

/// Validators of one set.
pub const MAX_VALIDATORS: usize = 128;

/// All voting power of a set together: three times as much still fits 64 bits.
pub const MAX_TOTAL_POWER: u64 = u64::MAX / 3;

/// The version of the certificate's format; its first byte.
pub const CERTIFICATE_VERSION: u8 = 1;

/// A validator: an institution, the key it votes with, and its weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// Who.
    pub institution: InstitutionId,
    /// The key that votes; used for nothing else.
    #[serde(with = "crate::json::canonical_hex")]
    pub key: VerifyingKey,
    /// Voting power.
    pub power: u64,
}

/// Who decides at a height: at least one validator, in strict order of institution, each with
/// power, no key twice, all powers together at most [`MAX_TOTAL_POWER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Validator>", into = "Vec<Validator>")]
pub struct ValidatorSet {
    validators: Vec<Validator>,
    total: u64,
}

/// Why validators are not a set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValidatorSetError {
    /// Not between 1 and [`MAX_VALIDATORS`].
    #[error("a set has 1 to {MAX_VALIDATORS} validators, not {0}")]
    Count(usize),
    /// Not in strict order of institution.
    #[error("validator {0} does not come after the one before")]
    OutOfOrder(InstitutionId),
    /// A validator without power.
    #[error("validator {0} has no voting power")]
    NoPower(InstitutionId),
    /// Two validators with one key.
    #[error("validator {0} has the key of another")]
    SharedKey(InstitutionId),
    /// All powers together are more than [`MAX_TOTAL_POWER`].
    #[error("the validators have more voting power together than {MAX_TOTAL_POWER}")]
    TooMuchPower,
}

impl ValidatorSet {
    /// The set of these validators.
    pub fn new(validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if !(1..=MAX_VALIDATORS).contains(&validators.len()) {
            return Err(ValidatorSetError::Count(validators.len()));
        }
        let mut total = 0u64;
        for (index, validator) in validators.iter().enumerate() {
            let institution = validator.institution;
            let mut before = validators.iter().take(index);
            if before.clone().next_back().is_some_and(|last| last.institution >= institution) {
                return Err(ValidatorSetError::OutOfOrder(institution));
            }
            if before.any(|other| other.key == validator.key) {
                return Err(ValidatorSetError::SharedKey(institution));
            }
            if validator.power == 0 {
                return Err(ValidatorSetError::NoPower(institution));
            }
            let sum = total.checked_add(validator.power).ok_or(ValidatorSetError::TooMuchPower)?;
            if planted!("power-not-bounded", false, sum > MAX_TOTAL_POWER) {
                return Err(ValidatorSetError::TooMuchPower);
            }
            total = sum;
        }
        Ok(Self { validators, total })
    }

    /// The validators, in order of institution.
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// The validator that this institution is.
    pub fn get(&self, institution: InstitutionId) -> Option<&Validator> {
        let place = self.validators.binary_search_by_key(&institution, |each| each.institution);
        place.ok().and_then(|place| self.validators.get(place))
    }

    /// All voting power together.
    pub fn total_power(&self) -> u64 {
        self.total
    }

    /// Whether `power` is more than two thirds of all.
    pub fn is_quorum(&self, power: u64) -> bool {
        let (power, total) = (u128::from(power), u128::from(self.total));
        planted!("quorum-of-exactly-two-thirds", 3 * power >= 2 * total, 3 * power > 2 * total)
    }

    /// What headers call this set.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/validators", self)
    }
}

impl TryFrom<Vec<Validator>> for ValidatorSet {
    type Error = ValidatorSetError;

    fn try_from(validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        Self::new(validators)
    }
}

impl From<ValidatorSet> for Vec<Validator> {
    fn from(set: ValidatorSet) -> Self {
        set.validators
    }
}

impl Encode for Validator {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.key.encode(out);
        out.u64(self.power);
    }
}

impl Decode for Validator {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            key: VerifyingKey::decode(input)?,
            power: input.u64("voting power")?,
        })
    }
}

impl Encode for ValidatorSet {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.validators);
    }
}

impl Decode for ValidatorSet {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        Self::new(input.list(MAX_VALIDATORS, "validators")?).map_err(|error| {
            let why = match error {
                ValidatorSetError::Count(_) => "no validators, or too many",
                ValidatorSetError::OutOfOrder(_) => "validators out of order",
                ValidatorSetError::NoPower(_) => "a validator without power",
                ValidatorSetError::SharedKey(_) => "two validators with one key",
                ValidatorSetError::TooMuchPower => "too much power together",
            };
            input.error_at(offset, "validators", Problem::Invalid(why))
        })
    }
}

/// The two kinds of vote in a round of consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VoteKind {
    /// The first vote. Tag 0.
    Prevote = 0,
    /// The second vote, which decides. Tag 1.
    Precommit = 1,
}

/// What a validator says in one round of one height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// On which chain.
    pub chain: ChainId,
    /// At which height.
    pub height: Height,
    /// In which round of that height, from 0.
    pub round: u32,
    /// As which kind.
    pub kind: VoteKind,
    /// For which block; `None` for no block in this round.
    pub block: Option<BlockId>,
}

impl Vote {
    /// What is signed, for the purpose `Vote`.
    pub fn digest(&self) -> Digest {
        Digest::of_value("quittance/v1/vote-content", self)
    }

    /// Signs the vote.
    pub fn sign(&self, key: &SigningKey) -> Signature {
        key.sign(Purpose::Vote, &self.digest())
    }
}

impl Encode for Vote {
    fn encode(&self, out: &mut Writer) {
        self.chain.encode(out);
        self.height.encode(out);
        out.u32(self.round);
        out.u8(self.kind as u8);
        out.option(self.block.as_ref());
    }
}

impl Decode for Vote {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            chain: ChainId::decode(input)?,
            height: Height::decode(input)?,
            round: input.u32("round of consensus")?,
            kind: match input.tag(2, "kind of vote")? {
                0 => VoteKind::Prevote,
                _ => VoteKind::Precommit,
            },
            block: input.option("voted block")?,
        })
    }
}

/// The precommits that make a block final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Height of the block.
    pub height: Height,
    /// The round of consensus in which it was decided.
    pub round: u32,
    /// The block.
    pub block: BlockId,
    /// Signatures under the precommit, in strict order of institution.
    pub signatures: Vec<ValidatorSignature>,
}

/// A validator's signature in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorSignature {
    /// Which validator.
    pub institution: InstitutionId,
    /// Over the precommit.
    pub signature: Signature,
}

/// Why a certificate does not make its block final.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// One validator signs twice.
    #[error("validator {0} signs twice")]
    Duplicate(InstitutionId),
    /// Not in order of institution.
    #[error("the signature of validator {0} does not come after the one before")]
    OutOfOrder(InstitutionId),
    /// A signer outside the set.
    #[error("{0} is not a validator at this height")]
    Stranger(InstitutionId),
    /// A signature that does not hold.
    #[error("validator {institution}: {source}")]
    Signature {
        /// Whose.
        institution: InstitutionId,
        /// Why not.
        source: SignatureError,
    },
    /// Not more than two thirds.
    #[error("voting power {found} of {total} is not more than two thirds")]
    NoQuorum {
        /// The power that signed.
        found: u64,
        /// All power.
        total: u64,
    },
}

impl Certificate {
    /// The vote that every signer has signed.
    pub fn vote(&self, chain: ChainId) -> Vote {
        Vote {
            chain,
            height: self.height,
            round: self.round,
            kind: VoteKind::Precommit,
            block: Some(self.block),
        }
    }

    /// Checks that `validators`, the set of this height, made the block final. Every signature must
    /// hold, also those beyond the quorum.
    pub fn verify(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
    ) -> Result<(), CertificateError> {
        self.verify_with(chain, validators, VerifyingKey::verify)
    }

    /// The same with another verifier of signatures, such as
    /// [`VerifyingKey::verify_independently`].
    pub fn verify_with(
        &self,
        chain: ChainId,
        validators: &ValidatorSet,
        verify: impl Fn(&VerifyingKey, Purpose, &Digest, &Signature) -> Result<(), SignatureError>,
    ) -> Result<(), CertificateError> {
        let digest = self.vote(chain).digest();
        let mut before = None;
        let mut found = 0u64;
        for ValidatorSignature { institution, signature } in &self.signatures {
            let institution = *institution;
            match before.replace(institution) {
                Some(before) if planted!("signer-counted-twice", false, before == institution) => {
                    return Err(CertificateError::Duplicate(institution));
                }
                Some(before) if before > institution => {
                    return Err(CertificateError::OutOfOrder(institution));
                }
                Some(_) | None => {}
            }
            let validator =
                validators.get(institution).ok_or(CertificateError::Stranger(institution))?;
            verify(&validator.key, Purpose::Vote, &digest, signature)
                .map_err(|source| CertificateError::Signature { institution, source })?;
            // At most the total of the set, which fits: no validator is counted twice.
            found += validator.power;
        }
        match validators.is_quorum(found) {
            true => Ok(()),
            false => Err(CertificateError::NoQuorum { found, total: validators.total_power() }),
        }
    }
}

impl Encode for ValidatorSignature {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for ValidatorSignature {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}

impl Encode for Certificate {
    fn encode(&self, out: &mut Writer) {
        out.u8(CERTIFICATE_VERSION);
        self.height.encode(out);
        out.u32(self.round);
        self.block.encode(out);
        out.list(&self.signatures);
    }
}

impl Decode for Certificate {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        crate::transaction::expect_version(input, CERTIFICATE_VERSION, "certificate version")?;
        Ok(Self {
            height: Height::decode(input)?,
            round: input.u32("round of consensus")?,
            block: BlockId::decode(input)?,
            signatures: input.list(MAX_VALIDATORS, "signatures of validators")?,
        })
    }
}
