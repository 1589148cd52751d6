//! What the stock's tables hold: sealed, each row for its place alone.
//!
//! The key is derived from the note key in the party's key file under a label of its own, so what is
//! on disk tells nothing without that file and its passphrase. Each row is bound to chain, party,
//! committee and number: it opens nowhere else, and no byte of it can be changed.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::note::{NoteError, NoteKey, OVERHEAD};
use quittance_ledger::ids::{ChainId, InstitutionId};
use quittance_mpc::stock::{Amount, BatchId, Material};
use rand_core::OsRng;
use thiserror::Error;

/// The longest sealed batch: 2^19 pairs of bits of 96 bytes, and 65,536 masks of less than 160.
const MAX_SEALED: usize = 64 << 20;

/// The key under which a batch or the marks of a committee are.
pub(super) fn key(committee: &Digest, number: Option<u64>) -> Vec<u8> {
    let mut key = committee.as_bytes().to_vec();
    key.extend(number.map(u64::to_be_bytes).into_iter().flatten());
    key
}

/// Committee and number of a batch, from the key.
pub(super) struct Place {
    pub(super) committee: Digest,
    pub(super) number: u64,
}

impl Decode for Place {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { committee: Digest::decode(input)?, number: input.u64("number of a batch")? })
    }
}

/// A batch as it is kept. What is not sealed is bound to it.
pub(super) struct Row {
    pub(super) maker: Digest,
    pub(super) amount: Amount,
    sealed: Vec<u8>,
}

impl Encode for Row {
    fn encode(&self, out: &mut Writer) {
        self.maker.encode(out);
        out.u32(self.amount.comparisons);
        out.u32(self.amount.bits);
        out.bytes(&self.sealed);
    }
}

impl Decode for Row {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let maker = Digest::decode(input)?;
        let amount = Amount { comparisons: input.u32("comparisons")?, bits: input.u32("bits")? };
        Ok(Self { maker, amount, sealed: input.bytes(MAX_SEALED, "sealed batch")?.to_vec() })
    }
}

/// How far a committee's batches have been used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Batches up to this number are used or burnt here.
    pub(super) used: u64,
    /// The last batch that all parties have agreed to use.
    pub(super) agreed: u64,
}

impl Encode for Marks {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.used);
        out.u64(self.agreed);
    }
}

impl Decode for Marks {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { used: input.u64("used batches")?, agreed: input.u64("agreed batch")? })
    }
}

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Damage {
    #[error("it was changed, moved, or sealed with another key")]
    Sealed(#[from] NoteError),
    #[error("what is in it makes no sense: {0}")]
    Contents(#[from] DecodeError),
    #[error("what is in it is of another batch")]
    Other,
}

/// Seals rows and opens them.
pub(super) struct Sealer {
    key: NoteKey,
    chain: ChainId,
    party: InstitutionId,
}

impl Sealer {
    pub(super) fn new(notes: &NoteKey, chain: ChainId, party: InstitutionId) -> Self {
        Self { key: notes.derive("quittance/v1/stock-key"), chain, party }
    }

    /// What a row is bound to.
    fn place(&self, what: &str, committee: &Digest, rest: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(what.as_bytes());
        self.chain.encode(&mut out);
        self.party.encode(&mut out);
        committee.encode(&mut out);
        rest(&mut out);
        out.into_bytes()
    }

    fn batch_place(&self, committee: &Digest, id: &BatchId, amount: Amount) -> Vec<u8> {
        self.place("batch", committee, |out| {
            id.encode(out);
            out.u32(amount.comparisons);
            out.u32(amount.bits);
        })
    }

    pub(super) fn seal(&self, material: &Material) -> Row {
        let (id, amount) = (material.id(), material.amount());
        let place = self.batch_place(material.setting(), id, amount);
        let sealed = self.key.seal(&place, &material.to_secret_bytes(), &mut OsRng);
        debug_assert!((OVERHEAD..=MAX_SEALED).contains(&sealed.len()));
        Row { maker: id.maker, amount, sealed }
    }

    pub(super) fn open(&self, at: &Place, row: &Row) -> Result<Material, Damage> {
        let id = BatchId { number: at.number, maker: row.maker };
        let place = self.batch_place(&at.committee, &id, row.amount);
        let material = Material::from_bytes(&self.key.open(&place, &row.sealed)?)?;
        let same = (*material.id(), *material.setting(), material.amount())
            == (id, at.committee, row.amount);
        same.then_some(material).ok_or(Damage::Other)
    }

    pub(super) fn seal_marks(&self, committee: &Digest, marks: &Marks) -> Vec<u8> {
        self.key.seal(&self.place("marks", committee, |_| {}), &marks.to_bytes(), &mut OsRng)
    }

    pub(super) fn open_marks(&self, committee: &Digest, bytes: &[u8]) -> Result<Marks, Damage> {
        let place = self.place("marks", committee, |_| {});
        Ok(Marks::from_bytes(&self.key.open(&place, bytes)?)?)
    }
}
