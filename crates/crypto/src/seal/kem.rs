//! The hybrid key encapsulation behind seals.
//!
//! X25519 and ML-KEM, combined as in X-Wing (`draft-connolly-cfrg-xwing-kem`, section 5.3):
//!
//! ```text
//! key = SHA3-256(ss_M || ss_X || ct_X || pk_X || label)
//! ```
//!
//! The key stays secret if either of the two does. The ciphertext and the public key of ML-KEM
//! need not be hashed: its shared secret already depends on both (the transform of Fujisaki and
//! Okamoto makes a second ciphertext for one shared secret infeasible to find). With ML-KEM-768
//! and the label of X-Wing this *is* X-Wing; with ML-KEM-1024 the label is our own.
//!
//! Only `aws-lc-rs` touches secrets here.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::digest::{Context, SHA3_256};
use aws_lc_rs::kem::{Algorithm, AlgorithmId, Ciphertext, EncapsulationKey};
use aws_lc_rs::kem::{ML_KEM_768, ML_KEM_1024};
use zeroize::Zeroizing;

use super::{OpenError, SealError, SealingKey, SealingPublicKey};
use crate::signature::Suite;

/// Length of X25519 keys and key shares in bytes (RFC 7748).
pub(super) const X25519_LENGTH: usize = 32;

/// A shared secret or a key made of them.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// What ML-KEM parameter set a suite takes (FIPS 203, section 8), and the lengths that follow.
impl Suite {
    pub(super) fn kem(self) -> &'static Algorithm<AlgorithmId> {
        match self {
            Self::MlDsa65MlKem768 => &ML_KEM_768,
            Self::MlDsa87MlKem1024 => &ML_KEM_1024,
        }
    }

    /// The module rank `k`.
    const fn kem_rank(self) -> usize {
        match self {
            Self::MlDsa65MlKem768 => 3,
            Self::MlDsa87MlKem1024 => 4,
        }
    }

    /// `k` polynomials of 256 coefficients with 12 bits each.
    pub(super) const fn kem_vector_length(self) -> usize {
        384 * self.kem_rank()
    }

    /// The vector `t` and the 32-byte seed of the matrix.
    pub(super) const fn encapsulation_key_length(self) -> usize {
        self.kem_vector_length() + 32
    }

    /// The vector `s`, the encapsulation key, its hash, and the secret for implicit rejection.
    pub(super) const fn decapsulation_key_length(self) -> usize {
        self.kem_vector_length() + self.encapsulation_key_length() + 64
    }

    /// `ct_M || ct_X`.
    pub(super) const fn encapsulation_length(self) -> usize {
        X25519_LENGTH
            + match self {
                Self::MlDsa65MlKem768 => 1088,
                Self::MlDsa87MlKem1024 => 1568,
            }
    }

    const fn combiner_label(self) -> &'static [u8] {
        match self {
            Self::MlDsa65MlKem768 => br"\.//^\",
            Self::MlDsa87MlKem1024 => b"quittance/v1/x25519-ml-kem-1024",
        }
    }
}

/// A fresh key for the owner of `to`, and the bytes `ct_M || ct_X` that let the owner find it.
pub(super) fn encapsulate(to: &SealingPublicKey) -> Result<(Box<[u8]>, Secret), SealError> {
    let failed = || SealError::Encapsulation { key: to.fingerprint() };
    let (ml_kem_share, ml_kem_secret) = EncapsulationKey::new(to.suite.kem(), &to.ml_kem)
        .map_err(|_| failed())?
        .encapsulate()
        .map_err(|_| failed())?;
    let ephemeral = PrivateKey::generate(&X25519).map_err(|_| failed())?;
    let x25519_share = public_share(&ephemeral);
    let x25519_secret = shared_secret(&ephemeral, &to.x25519).ok_or_else(failed)?;

    let secrets = (ml_kem_secret.as_ref(), &x25519_secret);
    let key = combine(to.suite, secrets, &x25519_share, &to.x25519);
    Ok(([ml_kem_share.as_ref(), &x25519_share].concat().into(), key))
}

/// The key that [`encapsulate`] made together with `encapsulation`; some unrelated key if these
/// bytes were not made for this owner.
pub(super) fn decapsulate(owner: &SealingKey, encapsulation: &[u8]) -> Result<Secret, OpenError> {
    let Some((ml_kem_share, x25519_share)) = encapsulation.split_last_chunk() else {
        return Err(OpenError::Undecipherable);
    };
    let ml_kem_secret = owner
        .ml_kem
        .decapsulate(Ciphertext::from(ml_kem_share))
        .map_err(|_| OpenError::Undecipherable)?;
    let x25519_secret =
        shared_secret(&owner.x25519, x25519_share).ok_or(OpenError::DegenerateShare)?;

    let public = &owner.public.x25519;
    let secrets = (ml_kem_secret.as_ref(), &x25519_secret);
    Ok(combine(owner.public.suite, secrets, x25519_share, public))
}

/// The X25519 key share that belongs to a private key.
pub(super) fn public_share(key: &PrivateKey) -> [u8; X25519_LENGTH] {
    let share = key.compute_public_key().expect("every X25519 private key has a public key");
    share.as_ref().try_into().expect("X25519 public keys have 32 bytes")
}

/// `X25519(key, share)`, or `None` for the all-zero result that a share of small order gives
/// whatever the key is (RFC 7748, section 6.1).
pub(super) fn shared_secret(key: &PrivateKey, share: &[u8; X25519_LENGTH]) -> Option<Secret> {
    agree(key, UnparsedPublicKey::new(&X25519, share), (), |secret| {
        // The library refuses that result, too; nothing here depends on it.
        let any_bit = secret.iter().fold(0, |bits, byte| bits | byte);
        let secret: [u8; 32] = secret.try_into().map_err(|_| ())?;
        if any_bit == 0 { Err(()) } else { Ok(Zeroizing::new(secret)) }
    })
    .ok()
}

/// `SHA3-256(ss_M || ss_X || ct_X || pk_X || label)`.
pub(super) fn combine(
    suite: Suite,
    (ml_kem_secret, x25519_secret): (&[u8], &Secret),
    x25519_share: &[u8; X25519_LENGTH],
    x25519_public: &[u8; X25519_LENGTH],
) -> Secret {
    let mut hash = Context::new(&SHA3_256);
    hash.update(ml_kem_secret);
    hash.update(x25519_secret.as_ref());
    hash.update(x25519_share);
    hash.update(x25519_public);
    hash.update(suite.combiner_label());
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(hash.finish().as_ref());
    key
}
