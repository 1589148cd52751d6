//! The cryptography of Quittance: one canonical encoding, one field, one group, and the proofs,
//! signatures and seals built on them.
//!
//! The crate is pure: no clock, socket, disk or ambient entropy. Whoever needs randomness passes a
//! generator in. The one exception is said where it holds: the libraries behind key generation,
//! signing, sealing and key files draw from the operating system themselves.
//!
//! ```
//! use quittance_crypto::digest::Digest;
//! use quittance_crypto::encoding::{Decode, Encode};
//!
//! let digest = Digest::of("quittance/v1/example", &[b"settled", b"and proven so"]);
//! assert_eq!(Digest::from_bytes(&digest.to_bytes())?, digest);
//! # Ok::<(), quittance_crypto::encoding::DecodeError>(())
//! ```

pub mod commitment;
pub mod digest;
pub mod encoding;
pub mod field;
pub mod group;
pub mod keyfile;
pub mod note;
pub mod planted;
pub mod range_proof;
pub mod seal;
pub mod signature;
pub mod transcript;
