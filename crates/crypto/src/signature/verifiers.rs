//! The two verifiers, side by side: public data only.
//!
//! Both implement `ML-DSA.Verify` (FIPS 204, algorithm 3) with the empty context, and share no
//! ancestry: the arithmetic of AWS-LC comes from the reference code of the authors, with vector
//! instructions where the processor has them; that of RustCrypto was written from the standard and
//! is portable.

use aws_lc_rs::signature::{ML_DSA_65, ML_DSA_87, UnparsedPublicKey};
use ml_dsa::{EncodedVerifyingKey, MlDsa65, MlDsa87, MlDsaParams};

use super::Suite;

/// `(suite, key, message, signature)` to whether the signature holds. Keys and signatures of a
/// wrong length are refused.
pub(super) type Verifier = fn(Suite, &[u8], &[u8], &[u8]) -> bool;

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

/// The implementation of RustCrypto.
pub(super) fn rust_crypto(suite: Suite, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    rust_crypto_with_context(suite, key, &[], message, signature)
}

/// The same with a context, which tests need.
pub(super) fn rust_crypto_with_context(
    suite: Suite,
    key: &[u8],
    context: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    fn verify<P: MlDsaParams>(
        key: &[u8],
        context: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = EncodedVerifyingKey::<P>::try_from(key);
        let signature = ml_dsa::Signature::<P>::try_from(signature);
        match (key, signature) {
            (Ok(key), Ok(signature)) => ml_dsa::VerifyingKey::<P>::decode(&key)
                .verify_with_context(message, context, &signature),
            _ => false,
        }
    }
    match suite {
        Suite::MlDsa65MlKem768 => verify::<MlDsa65>(key, context, message, signature),
        Suite::MlDsa87MlKem1024 => verify::<MlDsa87>(key, context, message, signature),
    }
}
