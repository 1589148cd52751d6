//! The two verifiers, side by side: public data only.
//!
//! This is the one place where `pqcrypto` appears outside tests. Upstream is marked unmaintained
//! and its secret keys are `Copy`, so it never sees a secret here.

use aws_lc_rs::signature::{ML_DSA_65, ML_DSA_87, UnparsedPublicKey};
use pqcrypto::sign::{mldsa65, mldsa87};
use pqcrypto::traits::sign::{DetachedSignature, PublicKey};

use super::Suite;

/// `(suite, key, message, signature)` to whether the signature holds, with the empty context.
/// Keys and signatures of a wrong length are refused.
pub(super) type Verifier = fn(Suite, &[u8], &[u8], &[u8]) -> bool;

/// PQClean's implementation, through `pqcrypto`.
pub(super) fn pqclean(suite: Suite, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    // The library takes shorter signatures as well and leaves their refusal to the C code.
    if signature.len() != suite.signature_length() {
        return false;
    }
    match suite {
        Suite::MlDsa65MlKem768 => match (
            mldsa65::PublicKey::from_bytes(key),
            mldsa65::DetachedSignature::from_bytes(signature),
        ) {
            (Ok(key), Ok(signature)) => {
                mldsa65::verify_detached_signature(&signature, message, &key).is_ok()
            }
            _ => false,
        },
        Suite::MlDsa87MlKem1024 => match (
            mldsa87::PublicKey::from_bytes(key),
            mldsa87::DetachedSignature::from_bytes(signature),
        ) {
            (Ok(key), Ok(signature)) => {
                mldsa87::verify_detached_signature(&signature, message, &key).is_ok()
            }
            _ => false,
        },
    }
}

/// The implementation of AWS-LC.
pub(super) fn aws_lc(suite: Suite, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    // The library would take a key in X.509 form, too; no raw key has such a length.
    if key.len() != suite.verifying_key_length() {
        return false;
    }
    let algorithm = match suite {
        Suite::MlDsa65MlKem768 => &ML_DSA_65,
        Suite::MlDsa87MlKem1024 => &ML_DSA_87,
    };
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}
