//! What the receiver of a credit is told, sealed to its key.

use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::seal::{OpenError, SealError, Sealed, SealingKey, SealingPublicKey, seal};
use thiserror::Error;
use zeroize::Zeroizing;

use super::particulars::Particulars;
use crate::ids::{AssetId, ChainId, InstitutionId};
use crate::transaction::{Credit, expect_version};

/// The length of every credit payload before it is sealed: it tells nothing about its texts.
pub const CREDIT_PAYLOAD_BYTES: usize = 256;

const CREDIT_PAYLOAD_VERSION: u8 = 1;

/// What the receiver of a credit is told: enough to absorb it and to book it.
pub struct CreditPayload {
    /// Opens the credit's commitment.
    pub opening: Opening,
    /// Random: makes `details` say nothing about what it is a digest of.
    pub salt: [u8; 16],
    /// What the payment is about.
    pub particulars: Particulars,
}

/// Where a credit stands. A sealed payload opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct CreditPlace {
    /// On which chain.
    pub chain: ChainId,
    /// In which asset.
    pub asset: AssetId,
    /// Who gives.
    pub sender: InstitutionId,
    /// Who is given to.
    pub receiver: InstitutionId,
    /// How much.
    pub commitment: Commitment,
}

/// Why a credit's payload is of no use. The receiver rejects such a credit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// The bytes are no seal, or what is sealed is no payload.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Sealed to another key, or for another place.
    #[error(transparent)]
    Seal(#[from] OpenError),
    /// The details on the ledger are of another payload.
    #[error("the payload is not the one that the ledger has the digest of")]
    OtherDetails,
    /// The opening does not open the commitment.
    #[error("the payload does not open the credit's commitment")]
    OtherCommitment,
}

impl CreditPayload {
    /// The salted digest that stands on the ledger.
    pub fn details(&self) -> Digest {
        details_of(&Zeroizing::new(self.to_bytes()))
    }

    /// Seals the payload to the receiver's key; canonical bytes of a [`Sealed`].
    pub fn seal(&self, place: &CreditPlace, to: &SealingPublicKey) -> Result<Vec<u8>, SealError> {
        let text = Zeroizing::new(self.to_bytes());
        seal(to, &place.associated(), &text).map(|sealed| sealed.to_bytes())
    }

    /// Opens the payload of `credit` and checks it against what stands on the ledger.
    pub fn open(
        chain: ChainId,
        asset: AssetId,
        credit: &Credit,
        key: &SealingKey,
    ) -> Result<Self, PayloadError> {
        let place = CreditPlace {
            chain,
            asset,
            sender: credit.sender,
            receiver: credit.institution,
            commitment: credit.commitment,
        };
        let text = key.open(&place.associated(), &Sealed::from_bytes(&credit.sealed)?)?;
        let payload = Self::from_bytes(&text)?;
        if details_of(&text) != credit.details {
            return Err(PayloadError::OtherDetails);
        }
        match payload.opening.opens(&credit.commitment) {
            true => Ok(payload),
            false => Err(PayloadError::OtherCommitment),
        }
    }
}

fn details_of(payload: &[u8]) -> Digest {
    Digest::of("quittance/v1/credit-details", &[payload])
}

impl CreditPlace {
    /// The associated data of the seal.
    fn associated(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(b"quittance/v1/credit-payload");
        self.chain.encode(&mut out);
        self.asset.encode(&mut out);
        self.sender.encode(&mut out);
        self.receiver.encode(&mut out);
        self.commitment.encode(&mut out);
        out.into_bytes()
    }
}

/// As secret as the opening; wrap the bytes in [`Zeroizing`].
impl Encode for CreditPayload {
    fn encode(&self, out: &mut Writer) {
        out.u8(CREDIT_PAYLOAD_VERSION);
        self.opening.encode(out);
        out.array(&self.salt);
        self.particulars.encode(out);
        // 1 + 40 + 16 + (16 + 4 + 35 + 4 + 140) = 256 at most.
        (0..self.particulars.slack()).for_each(|_| out.u8(0));
    }
}

impl Decode for CreditPayload {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, CREDIT_PAYLOAD_VERSION, "version of a credit payload")?;
        let payload = Self {
            opening: Opening::decode(input)?,
            salt: input.array("salt")?,
            particulars: Particulars::decode(input)?,
        };
        for _ in 0..payload.particulars.slack() {
            if input.u8("padding")? != 0 {
                return Err(input.invalid("padding", "padding is zeros"));
            }
        }
        Ok(payload)
    }
}
