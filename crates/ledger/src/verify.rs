//! Verification of transactions by themselves: structure, signatures, range proofs.
//!
//! It needs no state, only a [`Directory`] of facts that never change, so it is done before
//! ordering, in parallel and batched, and its positive verdicts stay true. What depends on the
//! state (sequences, balances, whether a key is still current) is left to execution.

#[cfg(test)]
mod tests;

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_crypto::range_proof::{self, Batch, RangeProof, RangeProofError};
use quittance_crypto::signature::{Purpose, SignatureError, Suite, VerifyingKey};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRngCore, SeedableRng};
use rayon::prelude::*;
use thiserror::Error;

use crate::ids::{AssetId, InstitutionId, TransactionId};
use crate::transaction::{
    Action, Body, InstitutionSignature, MAX_TRANSACTION_BYTES, Malformed, Transaction, Unverified,
    Verified,
};

/// What verification must know from the chain. Both facts, once known, stay as they are: keys are
/// only ever added to the register, and an asset keeps its issuer.
pub trait Directory {
    /// The key with this fingerprint, if this institution has ever registered it for transactions.
    fn transaction_key(
        &self,
        institution: InstitutionId,
        fingerprint: &Digest,
    ) -> Option<&VerifyingKey>;

    /// Whose liability the asset is.
    fn issuer(&self, asset: AssetId) -> Option<InstitutionId>;
}

/// Why a transaction does not verify. Positions count from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerificationError {
    /// The body breaks a rule that holds whatever the state.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Above [`MAX_TRANSACTION_BYTES`].
    #[error("{0} bytes are more than a transaction may have")]
    TooLarge(usize),
    /// There must be one range proof per entry.
    #[error("{found} range proofs for {expected} entries")]
    ProofCount {
        /// Range proofs of the transaction.
        found: usize,
        /// Entries of its body.
        expected: usize,
    },
    /// A signature twice.
    #[error("{0} signs twice")]
    DuplicateSignature(InstitutionId),
    /// Signatures must be in strict order of institution.
    #[error("the signature of {0} does not come after the one before")]
    SignatureOutOfOrder(InstitutionId),
    /// A signature of somebody who neither posts nor acts.
    #[error("{0} signs, but neither posts nor acts")]
    UnexpectedSignature(InstitutionId),
    /// Somebody who posts or acts does not sign.
    #[error("{0} does not sign")]
    MissingSignature(InstitutionId),
    /// The signature is by another key than the body names.
    #[error("{institution} signs with key {found}, the body names {expected}")]
    OtherKey {
        /// Who signs.
        institution: InstitutionId,
        /// The key of the signature.
        found: Digest,
        /// The key in the body.
        expected: Digest,
    },
    /// No such key in the directory.
    #[error("{institution} has no transaction key {fingerprint}")]
    UnknownKey {
        /// Who signs.
        institution: InstitutionId,
        /// With which key.
        fingerprint: Digest,
    },
    /// The key is of another suite than the body.
    #[error("{institution} signs by suite {found}, the body names {expected}")]
    OtherSuite {
        /// Who signs.
        institution: InstitutionId,
        /// The suite of its key.
        found: Suite,
        /// The suite in the body.
        expected: Suite,
    },
    /// A signature that does not hold.
    #[error("{institution}: {source}")]
    Signature {
        /// Who signs.
        institution: InstitutionId,
        /// What is wrong.
        source: SignatureError,
    },
    /// A new key whose owner has not shown to have it.
    #[error("{institution}: the new key's own signature: {source}")]
    Possession {
        /// Whose key it would be.
        institution: InstitutionId,
        /// What is wrong.
        source: SignatureError,
    },
    /// No such asset in the directory.
    #[error("entry {entry}: asset {asset} is unknown")]
    UnknownAsset {
        /// Position of the entry.
        entry: u32,
        /// Its asset.
        asset: AssetId,
    },
    /// A range proof that does not hold.
    #[error("entry {entry}: {source}")]
    RangeProof {
        /// Position of the entry.
        entry: u32,
        /// What is wrong.
        source: RangeProofError,
    },
}

/// Evidence that the transaction with one id, which covers its complete bytes, has been verified
/// on this chain. For caches: a transaction seen again need not be verified again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict(TransactionId);

/// What one entry's range proof has to prove.
struct Claim<'a> {
    entry: u32,
    context: Digest,
    commitments: Vec<Commitment>,
    proof: &'a RangeProof,
}

impl Transaction<Unverified> {
    /// Verifies the transaction alone.
    pub fn verify(
        self,
        directory: &impl Directory,
    ) -> Result<Transaction<Verified>, VerificationError> {
        for claim in claims(&self, directory)? {
            let Claim { entry, context, commitments, proof } = claim;
            range_proof::verify(&context, &commitments, proof)
                .map_err(|source| VerificationError::RangeProof { entry, source })?;
        }
        Ok(self.into_verified())
    }

    /// The transaction as verified, if `verdict` is about it; otherwise the transaction as it was.
    pub fn recall(self, verdict: &Verdict) -> Result<Transaction<Verified>, Box<Self>> {
        match verdict.0 == self.id() {
            true => Ok(self.into_verified()),
            false => Err(Box::new(self)),
        }
    }
}

impl Transaction<Verified> {
    /// Evidence that it has been verified.
    pub fn verdict(&self) -> Verdict {
        Verdict(self.id())
    }
}

impl Verdict {
    /// The transaction that was verified.
    pub fn id(&self) -> TransactionId {
        self.0
    }
}

/// Fewer transactions than this are not worth a second processor: they would share less work.
const SMALLEST_SHARE: usize = 32;

/// Verifies many transactions; for each, in order, what [`Transaction::verify`] says.
///
/// Each processor takes a share, on which it does all the work: see [`verify_share`].
pub fn verify_batch(
    transactions: Vec<Transaction>,
    directory: &(impl Directory + Sync),
    entropy: &mut impl CryptoRngCore,
) -> Vec<Result<Transaction<Verified>, VerificationError>> {
    let share = transactions.len().div_ceil(rayon::current_num_threads()).max(SMALLEST_SHARE);
    let seeds: Vec<_> = transactions.chunks(share).map(|_| fresh_generator(entropy)).collect();
    transactions
        .par_chunks(share)
        .zip(seeds)
        .flat_map_iter(|(share, mut entropy)| verify_share(share.to_vec(), directory, &mut entropy))
        .collect()
}

/// Verifies many transactions as [`verify_batch`] does, on the processor of the caller alone.
///
/// Structure and signatures come first, so that a failing proof has a sender who answers for it.
/// The range proofs that are left are verified by one multiexponentiation, with weights from a hash
/// of all complete items and fresh `entropy`; see [`Batch::verify`].
pub fn verify_share(
    transactions: Vec<Transaction>,
    directory: &impl Directory,
    entropy: &mut impl CryptoRngCore,
) -> Vec<Result<Transaction<Verified>, VerificationError>> {
    let claims: Vec<_> =
        transactions.iter().map(|transaction| claims(transaction, directory)).collect();
    let mut batch = Batch::new();
    for claim in claims.iter().flatten().flatten() {
        batch.push(&claim.context, &claim.commitments, claim.proof);
    }
    let mut verdicts = batch.verify(entropy).into_iter();
    let errors: Vec<Option<VerificationError>> = claims
        .iter()
        .map(|claims| match claims {
            Err(error) => Some(error.clone()),
            Ok(claims) => first_error(claims, &mut verdicts),
        })
        .collect();
    drop(claims);
    let verdict = |(transaction, error): (Transaction, _)| match error {
        Some(error) => Err(error),
        None => Ok(transaction.into_verified()),
    };
    transactions.into_iter().zip(errors).map(verdict).collect()
}

/// Every claim of a transaction takes its own verdict; the first error is the transaction's.
fn first_error(
    claims: &[Claim<'_>],
    verdicts: &mut impl Iterator<Item = Result<(), RangeProofError>>,
) -> Option<VerificationError> {
    let own: Vec<_> = claims.iter().zip(verdicts).collect();
    own.into_iter().find_map(|(claim, verdict)| {
        let entry = claim.entry;
        verdict.err().map(|source| VerificationError::RangeProof { entry, source })
    })
}

fn fresh_generator(entropy: &mut impl CryptoRngCore) -> ChaCha20Rng {
    let mut seed = [0; 32];
    entropy.fill_bytes(&mut seed);
    ChaCha20Rng::from_seed(seed)
}

/// Verifies all but the range proofs; what is left to prove, one claim per entry.
fn claims<'a>(
    transaction: &'a Transaction,
    directory: &impl Directory,
) -> Result<Vec<Claim<'a>>, VerificationError> {
    let body = transaction.body();
    body.check()?;
    if transaction.size() > MAX_TRANSACTION_BYTES {
        return Err(VerificationError::TooLarge(transaction.size()));
    }
    let (found, expected) = (transaction.proofs().len(), body.entries().len());
    if found != expected {
        return Err(VerificationError::ProofCount { found, expected });
    }
    verify_signatures(transaction, directory)?;
    verify_possession(body)?;
    (0u32..)
        .zip(body.entries())
        .zip(transaction.proofs())
        .map(|((entry, contents), proof)| {
            let asset = contents.asset;
            let issuer = directory.issuer(asset);
            let issuer = issuer.ok_or(VerificationError::UnknownAsset { entry, asset })?;
            let context = transaction.proof_context(entry);
            Ok(Claim { entry, context, commitments: contents.statement(issuer), proof })
        })
        .collect()
}

/// A new key has signed for itself.
fn verify_possession(body: &Body) -> Result<(), VerificationError> {
    let Action::KeyRotation(rotation) = &body.action else { return Ok(()) };
    let institution = rotation.institution;
    let verdict = rotation.verify_possession(body.chain);
    planted!("possession-not-verified", Ok(()), verdict)
        .map_err(|source| VerificationError::Possession { institution, source })
}

fn verify_signatures(
    transaction: &Transaction,
    directory: &impl Directory,
) -> Result<(), VerificationError> {
    let mut due = transaction.body().signers()?;
    let mut before = None;
    for signature in transaction.signatures() {
        let institution = signature.institution;
        match before.replace(institution) {
            Some(before) if before == institution => {
                return Err(VerificationError::DuplicateSignature(institution));
            }
            Some(before) if before > institution => {
                return Err(VerificationError::SignatureOutOfOrder(institution));
            }
            Some(_) | None => {}
        }
        let expected =
            due.remove(&institution).ok_or(VerificationError::UnexpectedSignature(institution))?;
        verify_signature(transaction, signature, expected, directory)?;
    }
    let missing = planted!(
        "rotation-without-old-key",
        match transaction.body().action {
            Action::KeyRotation(_) => None,
            _ => due.into_keys().next(),
        },
        due.into_keys().next(),
    );
    match planted!("signature-missing", None, missing) {
        Some(institution) => Err(VerificationError::MissingSignature(institution)),
        None => Ok(()),
    }
}

fn verify_signature(
    transaction: &Transaction,
    signature: &InstitutionSignature,
    expected: Digest,
    directory: &impl Directory,
) -> Result<(), VerificationError> {
    let InstitutionSignature { institution, key_fingerprint: found, ref signature } = *signature;
    if found != expected {
        return Err(VerificationError::OtherKey { institution, found, expected });
    }
    let key = directory
        .transaction_key(institution, &found)
        .ok_or(VerificationError::UnknownKey { institution, fingerprint: found })?;
    let (found, expected) = (key.suite(), transaction.body().suite);
    if found != expected {
        return Err(VerificationError::OtherSuite { institution, found, expected });
    }
    let verdict = key.verify(Purpose::Transaction, &transaction.signing_digest(), signature);
    planted!("signature-not-verified", Ok(()), verdict)
        .map_err(|source| VerificationError::Signature { institution, source })
}
