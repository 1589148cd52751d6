//! What a posting tells its own institution.

use quittance_crypto::commitment::{Blinding, Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::field::hash_to_scalar;
use quittance_crypto::note::{NoteError, NoteKey};
use rand_core::CryptoRngCore;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::ids::{AssetId, ChainId, InstitutionId, Uetr};
use crate::transaction::{MAX_CREDITS, Posting, Side, expect_version};

const SELF_NOTE_VERSION: u8 = 1;

/// From which all blindings and salts of one entry's credits are derived, so that a note of
/// constant size recovers them. Every candidate transaction takes a fresh one.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A fresh seed.
    pub fn random(rng: &mut impl CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self(seed)
    }

    /// The blinding of the sender's credit number `index`, from 0:
    /// `hash_to_scalar("quittance/v1/credit-blinding", seed, index)`.
    pub fn blinding(&self, index: u32) -> Blinding {
        let parts = [&self.0[..], &index.to_be_bytes()];
        Blinding::from_scalar(hash_to_scalar("quittance/v1/credit-blinding", &parts))
    }

    /// The salt of that credit's payload: the first 16 bytes of
    /// `H("quittance/v1/credit-salt", seed, index)`.
    pub fn salt(&self, index: u32) -> [u8; 16] {
        let digest = Digest::of("quittance/v1/credit-salt", &[&self.0[..], &index.to_be_bytes()]);
        let mut salt = [0; 16];
        salt.iter_mut().zip(digest.0).for_each(|(byte, hashed)| *byte = hashed);
        salt
    }
}

/// What a posting tells its own institution: with the key file and the chain alone an agent finds
/// its balance, its instructions and the openings of the credits that it gave.
pub struct SelfNote {
    /// Opens the new balance; an issuer's opens the negation (see [`Side::proven`]).
    pub opening: Opening,
    /// What the posting was for.
    pub act: Act,
}

/// What a posting was for.
pub enum Act {
    /// Credits were given, or absorbed, or neither. Tag 0.
    Entry {
        /// The instruction that was carried out, if it was one.
        instruction: Option<Uetr>,
        /// From which blindings and salts of the given credits derive.
        seed: Seed,
        /// The amounts of the credits that the institution gave, in the order of the entry.
        amounts: Zeroizing<Vec<u64>>,
    },
    /// A round settled. Tag 1.
    Settlement {
        /// How many payments, from the front of the institution's queue, have settled.
        settled: u32,
    },
}

/// Where a note stands. It opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct NotePlace {
    /// On which chain.
    pub chain: ChainId,
    /// On which account.
    pub asset: AssetId,
    /// Whose account.
    pub institution: InstitutionId,
    /// In which posting of that account.
    pub sequence: u64,
    /// With which result.
    pub new_balance: Commitment,
}

/// Why a note to oneself is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelfNoteError {
    /// Another key, another place, or changed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What is sealed is no note.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The opening does not open the balance.
    #[error("the note does not open the new balance")]
    OtherBalance,
}

impl SelfNote {
    /// Seals the note under the owner's note key, with a random nonce.
    pub fn seal(&self, place: &NotePlace, key: &NoteKey, rng: &mut impl CryptoRngCore) -> Vec<u8> {
        key.seal(&place.associated(), &Zeroizing::new(self.to_bytes()), rng)
    }

    /// Opens the note of `posting` and checks it against the balance.
    pub fn open(
        chain: ChainId,
        asset: AssetId,
        posting: &Posting,
        side: Side,
        key: &NoteKey,
    ) -> Result<Self, SelfNoteError> {
        let place = NotePlace {
            chain,
            asset,
            institution: posting.institution,
            sequence: posting.sequence,
            new_balance: posting.new_balance,
        };
        let note = Self::from_bytes(&key.open(&place.associated(), &posting.self_note)?)?;
        match note.opening.opens(&side.proven(posting.new_balance)) {
            true => Ok(note),
            false => Err(SelfNoteError::OtherBalance),
        }
    }

    /// The opening of the institution's own credit number `index` in the entry, from 0: what it
    /// needs to absorb the credit should it come back.
    pub fn credit_opening(&self, index: u32) -> Option<Opening> {
        match &self.act {
            Act::Settlement { .. } => None,
            Act::Entry { seed, amounts, .. } => {
                let amount = amounts.get(usize::try_from(index).ok()?)?;
                Some(Opening::new(*amount, seed.blinding(index)))
            }
        }
    }
}

impl NotePlace {
    /// The associated data of the note.
    fn associated(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(b"quittance/v1/self-note");
        self.chain.encode(&mut out);
        self.asset.encode(&mut out);
        self.institution.encode(&mut out);
        out.u64(self.sequence);
        self.new_balance.encode(&mut out);
        out.into_bytes()
    }
}

/// As secret as the opening; wrap the bytes in [`Zeroizing`].
impl Encode for SelfNote {
    fn encode(&self, out: &mut Writer) {
        out.u8(SELF_NOTE_VERSION);
        self.opening.encode(out);
        match &self.act {
            Act::Entry { instruction, seed, amounts } => {
                out.u8(0);
                out.option(instruction.as_ref());
                out.array(&seed.0);
                out.list(amounts);
            }
            Act::Settlement { settled } => {
                out.u8(1);
                out.u32(*settled);
            }
        }
    }
}

impl Decode for SelfNote {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, SELF_NOTE_VERSION, "version of a note to oneself")?;
        let opening = Opening::decode(input)?;
        let act = match input.tag(2, "purpose of a posting")? {
            0 => Act::Entry {
                instruction: input.option("instruction")?,
                seed: Seed(Zeroizing::new(input.array("seed")?)),
                amounts: Zeroizing::new(input.list(MAX_CREDITS, "amounts")?),
            },
            _ => Act::Settlement { settled: input.u32("settled payments")? },
        };
        Ok(Self { opening, act })
    }
}
