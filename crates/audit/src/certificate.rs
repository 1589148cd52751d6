//! Certificates: the chapter "Certificate" of `docs/protocols/ledger.md`.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::Purpose;
use quittance_ledger::certificate::{Certificate, Validator, ValidatorSet};
use quittance_ledger::ids::{ChainId, Height};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, require};

const RULE: &str = "certificate";

/// Who has made a block final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// How many validators signed.
    pub signers: u64,
    /// Of how many.
    pub validators: u64,
    /// With how much voting power.
    pub power: u64,
    /// Of how much.
    pub total_power: u64,
}

/// What headers call a set.
pub(crate) fn set_digest(validators: &ValidatorSet) -> Digest {
    Digest::of("quittance/v1/validators", &[&validators.to_bytes()])
}

/// Checks that nobody counting in 64 bits is led astray: three times the power of all fits them.
pub(crate) fn check_power(validators: &[Validator]) -> Result<(), Fault> {
    let total: u128 = validators.iter().map(|each| u128::from(each.power)).sum();
    let fits = 3 * total <= u128::from(u64::MAX);
    require(planted!("auditor-takes-any-power", true, fits), "total power", || total.to_string())
}

/// Checks that `validators`, the set of this height, made the block final.
pub(crate) fn verify(
    chain: ChainId,
    validators: &ValidatorSet,
    block: Digest,
    height: Height,
    certificate: &Certificate,
) -> Result<Signed, Fault> {
    let same = certificate.block.0 == block && certificate.height == height;
    require(planted!("auditor-takes-another-block", true, same), RULE, || {
        format!("it is for block {} at height {}", certificate.block, certificate.height)
    })?;
    let digest = vote_digest(chain, certificate);
    let signers: Vec<_> = certificate.signatures.iter().map(|by| by.institution).collect();
    require(signers.is_sorted_by(|one, two| one < two), RULE, || {
        format!("signers out of order: {signers:?}")
    })?;
    check_power(validators.validators())?;
    let (mut signed, mut total) = (0u128, 0u128);
    for validator in validators.validators() {
        total += u128::from(validator.power);
    }
    for by in &certificate.signatures {
        let of_set = |v: &&Validator| v.institution == by.institution;
        let validator =
            validators.validators().iter().find(of_set).ok_or_else(|| {
                Fault::new(RULE, format!("{} is not a validator", by.institution))
            })?;
        validator
            .key
            .verify_independently(Purpose::Vote, &digest, &by.signature)
            .map_err(|error| Fault::new(RULE, format!("{}: {error}", by.institution)))?;
        signed += u128::from(validator.power);
    }
    let quorum =
        planted!("auditor-counts-two-thirds", 3 * signed >= 2 * total, 3 * signed > 2 * total);
    require(quorum, RULE, || format!("power {signed} of {total} is not more than two thirds"))?;
    // A set's total fits 64 bits, and nobody signs twice.
    let power = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
    Ok(Signed {
        signers: signers.len() as u64,
        validators: validators.validators().len() as u64,
        power: power(signed),
        total_power: power(total),
    })
}

/// The digest of the precommit that a certificate's signers have signed.
fn vote_digest(chain: ChainId, certificate: &Certificate) -> Digest {
    let mut vote = Writer::new();
    chain.encode(&mut vote);
    certificate.height.encode(&mut vote);
    vote.u32(certificate.round);
    vote.u8(1); // precommit
    vote.option(Some(&certificate.block));
    Digest::of("quittance/v1/vote-content", &[&vote.into_bytes()])
}
