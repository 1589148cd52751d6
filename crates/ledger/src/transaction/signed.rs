//! The complete transaction: body, range proofs, signatures, and the digests over them.

use std::sync::Arc;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::Signature;

use super::body::Body;
use super::limits::{MAX_ENTRIES, MAX_SIGNATURES, MAX_TRANSACTION_BYTES};
use crate::ids::{CreditId, InstitutionId, TransactionId};

/// The stage of a transaction whose proofs and signatures nobody has verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unverified;

/// The stage of a transaction whose structure, signatures and range proofs hold. Only
/// [`crate::verify`] makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified(());

/// A complete transaction. It is encoded and hashed once, when it is made or decoded; from then on
/// bytes and digests stay with it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction<S = Unverified> {
    contents: Arc<Contents>,
    stage: S,
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    body: Body,
    proofs: Vec<RangeProof>,
    signatures: Vec<InstitutionSignature>,
    digests: Digests,
    /// The canonical bytes of all the above.
    bytes: Box<[u8]>,
}

/// The signature of one institution under a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstitutionSignature {
    /// Who signs.
    pub institution: InstitutionId,
    /// Fingerprint of the key it signs with: the one that the body names.
    pub key_fingerprint: Digest,
    /// Over the signing digest, for the purpose `Transaction`.
    pub signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digests {
    body: Digest,
    signing: Digest,
    id: TransactionId,
}

impl Digests {
    /// Of the complete bytes of a transaction, in which body and proofs end at these offsets.
    fn of(bytes: &[u8], body_end: usize, proofs_end: usize) -> Self {
        let (unsigned, _) = bytes.split_at(proofs_end);
        let (body, proofs) = unsigned.split_at(body_end);
        Self {
            body: Digest::of("quittance/v1/body", &[body]),
            signing: signing_digest_of_bytes(body, proofs),
            id: TransactionId(Digest::of("quittance/v1/transaction-id", &[bytes])),
        }
    }
}

/// What the institutions of a transaction sign: body and proofs.
pub fn signing_digest(body: &Body, proofs: &[RangeProof]) -> Digest {
    let mut proof_list = Writer::new();
    proof_list.list(proofs);
    signing_digest_of_bytes(&body.to_bytes(), &proof_list.into_bytes())
}

fn signing_digest_of_bytes(body: &[u8], proofs: &[u8]) -> Digest {
    Digest::of("quittance/v1/signing", &[body, proofs])
}

impl Transaction<Unverified> {
    /// Puts a transaction together. Nothing is checked before [`Transaction::verify`].
    pub fn new(body: Body, proofs: Vec<RangeProof>, signatures: Vec<InstitutionSignature>) -> Self {
        let mut bytes = Writer::new();
        body.encode(&mut bytes);
        let body_end = bytes.offset();
        bytes.list(&proofs);
        let proofs_end = bytes.offset();
        bytes.list(&signatures);
        let bytes = bytes.into_bytes();
        let digests = Digests::of(&bytes, body_end, proofs_end);
        let bytes = bytes.into();
        let contents = Arc::new(Contents { body, proofs, signatures, digests, bytes });
        Self { contents, stage: Unverified }
    }

    /// The same transaction after its verification; for [`crate::verify`] alone.
    pub(crate) fn into_verified(self) -> Transaction<Verified> {
        Transaction { contents: self.contents, stage: Verified(()) }
    }
}

impl Transaction<Verified> {
    /// The same transaction as if nobody had verified it.
    pub fn into_unverified(self) -> Transaction<Unverified> {
        Transaction { contents: self.contents, stage: Unverified }
    }
}

impl<S> Transaction<S> {
    /// Everything but proofs and signatures.
    pub fn body(&self) -> &Body {
        &self.contents.body
    }

    /// The range proofs, one per entry of the body.
    pub fn proofs(&self) -> &[RangeProof] {
        &self.contents.proofs
    }

    /// The signatures, by institution.
    pub fn signatures(&self) -> &[InstitutionSignature] {
        &self.contents.signatures
    }

    /// The digest of the complete bytes.
    pub fn id(&self) -> TransactionId {
        self.contents.digests.id
    }

    /// The digest of the body.
    pub fn body_digest(&self) -> Digest {
        self.contents.digests.body
    }

    /// What its institutions sign.
    pub fn signing_digest(&self) -> Digest {
        self.contents.digests.signing
    }

    /// What the range proof of the entry at `position` is bound to.
    pub fn proof_context(&self, position: u32) -> Digest {
        self.body().proof_context(&self.contents.digests.body, position)
    }

    /// The complete bytes: what encoding gives.
    pub fn bytes(&self) -> &[u8] {
        &self.contents.bytes
    }

    /// Length of the complete bytes.
    pub fn size(&self) -> usize {
        self.contents.bytes.len()
    }

    /// The id of the credit at position `credit` of entry `entry`.
    pub fn credit_id(&self, entry: u32, credit: u32) -> CreditId {
        CreditId::of(self.contents.digests.id, entry, credit)
    }
}

impl<S> Encode for Transaction<S> {
    fn encode(&self, out: &mut Writer) {
        out.canonical(self.bytes());
    }
}

impl Decode for Transaction<Unverified> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = input.offset();
        let body = Body::decode(input)?;
        let body_end = input.since(start).len();
        let proofs = input.list(MAX_ENTRIES, "range proofs")?;
        let proofs_end = input.since(start).len();
        let signatures = input.list(MAX_SIGNATURES, "signatures")?;
        // Decoding is strict: these are the bytes that encoding would give again.
        let bytes = input.since(start);
        let size = bytes.len();
        if size > MAX_TRANSACTION_BYTES {
            let problem = Problem::TooLong { found: size, limit: MAX_TRANSACTION_BYTES };
            return Err(input.error_at(start, "transaction", problem));
        }
        let digests = Digests::of(bytes, body_end, proofs_end);
        let bytes = bytes.into();
        let contents = Arc::new(Contents { body, proofs, signatures, digests, bytes });
        Ok(Self { contents, stage: Unverified })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if bytes.len() > MAX_TRANSACTION_BYTES {
            let problem = Problem::TooLong { found: bytes.len(), limit: MAX_TRANSACTION_BYTES };
            return Err(input.error_at(0, "transaction", problem));
        }
        let transaction = Self::decode(&mut input)?;
        input.finish()?;
        Ok(transaction)
    }
}

impl Encode for InstitutionSignature {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.key_fingerprint.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for InstitutionSignature {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            institution: InstitutionId::decode(input)?,
            key_fingerprint: Digest::decode(input)?,
            signature: Signature::decode(input)?,
        })
    }
}
