//! The formats of `docs/protocols/ledger.md`, written a second time as plain concatenation, and
//! pinned: a change of any byte or label makes another chain, and fails here.

mod chain;
mod payloads;
mod transactions;

use quittance_crypto::commitment::{Blinding, Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_crypto::field::Scalar;
use quittance_crypto::signature::{Signature, VerifyingKey};
use quittance_ledger::ids::ChainId;
use sha2::{Digest as _, Sha256};

/// `len(label) || label || len(part) || part || ...`, lengths as 8 bytes.
fn preimage(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [&[label.as_bytes()], parts].concat() {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

fn h(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(preimage(label, parts)).into()
}

/// A 4-byte length or count.
fn n(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("short").to_be_bytes()
}

fn commitment(value: u64) -> Commitment {
    Opening::new(value, Blinding::from_scalar(Scalar::from(value + 1))).commit()
}

fn signature() -> Signature {
    let bytes = [&[1][..], &n(3309), &[0xbb; 3309]].concat();
    Signature::from_bytes(&bytes).expect("a signature has 3309 bytes")
}

fn key(fill: u8) -> VerifyingKey {
    let bytes = [&[1][..], &n(1952), &[fill; 1952]].concat();
    VerifyingKey::from_bytes(&bytes).expect("a key has 1952 bytes")
}

const CHAIN: ChainId = ChainId(Digest([0x11; 32]));

fn hexed(bytes: [u8; 32]) -> String {
    Digest(bytes).to_string()
}
