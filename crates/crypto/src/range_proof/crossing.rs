//! The one place where the two generations of `curve25519-dalek` meet: ours, and the older one
//! that `bulletproofs` is built on. Everything crosses as canonical bytes.

use std::sync::{LazyLock, OnceLock};

use bulletproofs::range_proof_mpc::messages::{
    BitChallenge, BitCommitment, PolyChallenge, PolyCommitment, ProofShare,
};
use bulletproofs::{BulletproofGens, PedersenGens};
use curve25519_dalek_4::ristretto::CompressedRistretto;
use curve25519_dalek_4::scalar::Scalar as OlderScalar;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::joint::{BitMessage, JointError, PolynomialMessage, ShareMessage};
use super::{BITS, MAX_AGGREGATION};
use crate::commitment::{Blinding, Commitment};
use crate::encoding::{Decode, DecodeError, Encode, Reader};
use crate::field::Scalar;

/// `B` and `B~` as the crate `bulletproofs` has them.
pub(super) fn bases() -> &'static PedersenGens {
    static BASES: LazyLock<PedersenGens> = LazyLock::new(PedersenGens::default);
    &BASES
}

/// That crate's generators for `padded` values, a power of two up to [`MAX_AGGREGATION`]; made
/// when first asked for.
pub(super) fn generators(padded: usize) -> &'static BulletproofGens {
    const SIZES: usize = MAX_AGGREGATION.trailing_zeros() as usize + 1;
    static CACHE: [OnceLock<BulletproofGens>; SIZES] = [const { OnceLock::new() }; SIZES];
    CACHE[padded.trailing_zeros() as usize].get_or_init(|| BulletproofGens::new(BITS, padded))
}

/// A blinding as that crate takes it; whoever gets it erases it.
pub(super) fn blinding(blinding: &Blinding) -> OlderScalar {
    OlderScalar::from_bytes_mod_order(blinding.as_scalar().to_bytes())
}

/// A commitment as that crate takes it.
pub(super) fn commitment(commitment: &Commitment) -> CompressedRistretto {
    CompressedRistretto(*commitment.as_bytes())
}

// The messages of the crate's multi-party protocol have private fields: they can only be made and
// read through serde. Postcard writes their fields one after another without names or padding, a
// vector with one byte for its length of 64; so its bytes are, but for that byte, our own
// canonical ones, and no second description of the messages is needed.

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JointError> {
    postcard::from_bytes(bytes).map_err(|_| JointError::Defect("a message does not cross"))
}

fn write<T: Decode>(message: &impl Serialize) -> Result<T, JointError> {
    let bytes = postcard::to_allocvec(message)
        .map_err(|_| JointError::Defect("a message of the crate cannot be written"))?;
    T::from_bytes(&bytes).map_err(|_| JointError::Defect("a message of the crate has other fields"))
}

pub(super) fn bit_commitment(message: &BitMessage) -> Result<BitCommitment, JointError> {
    read(&message.to_bytes())
}

pub(super) fn bit_message(message: &BitCommitment) -> Result<BitMessage, JointError> {
    write(message)
}

pub(super) fn bit_challenge(y: &Scalar, z: &Scalar) -> Result<BitChallenge, JointError> {
    read(&[y.to_bytes(), z.to_bytes()].concat())
}

pub(super) fn poly_commitment(message: &PolynomialMessage) -> Result<PolyCommitment, JointError> {
    read(&message.to_bytes())
}

pub(super) fn polynomial_message(
    message: &PolyCommitment,
) -> Result<PolynomialMessage, JointError> {
    write(message)
}

pub(super) fn polynomial_challenge(x: &Scalar) -> Result<PolyChallenge, JointError> {
    read(x.as_bytes())
}

pub(super) fn proof_share(message: &ShareMessage) -> Result<ProofShare, JointError> {
    let bytes = message.to_bytes();
    let (head, vectors) = bytes.split_at(3 * 32);
    let (l, r) = vectors.split_at(BITS * 32);
    let length = [BITS as u8];
    read(&[head, &length, l, &length, r].concat())
}

pub(super) fn share_message(share: &ProofShare) -> Result<ShareMessage, JointError> {
    write::<PostcardShare>(share).map(|share| share.0)
}

/// A share as postcard writes it, with the lengths of its vectors.
struct PostcardShare(ShareMessage);

impl Decode for PostcardShare {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [t_x, t_x_blinding, e_blinding] =
            [Scalar::decode(input)?, Scalar::decode(input)?, Scalar::decode(input)?];
        let mut vector = || match input.u8("length of a vector")? as usize {
            BITS => (0..BITS).map(|_| Scalar::decode(input)).collect::<Result<Vec<_>, _>>(),
            _ => Err(input.invalid("length of a vector", "not 64")),
        };
        let (l, r) = (vector()?, vector()?);
        Ok(Self(ShareMessage { t_x, t_x_blinding, e_blinding, l, r }))
    }
}
