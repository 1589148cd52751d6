//! Preprocessing of one session for another: made, checked, and taken over.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use quittance_crypto::planted;
use zeroize::Zeroizing;

use super::binary::Masks;
use super::{BitPair, Engine};
use crate::session::Abort;
use crate::share::Share;
use crate::stock::{Amount, BatchId, MAX_STORED_BITS, STORED_WIDTH};
use crate::wire::ELEMENT;

/// Setting, party, number and maker, the count of pairs, and the tag of the masks.
const HEAD: usize = 32 + 1 + 8 + 32 + 4 + 1;

/// One party's side of a batch: shares of random bits, and masks of comparisons. All products on
/// which they depend have been checked. Erased on drop, never printed, and good for one session.
pub struct Material {
    /// See [`Binding::setting`](crate::session::Binding::setting).
    setting: Digest,
    /// The number of the party.
    party: u8,
    id: BatchId,
    pairs: Vec<BitPair>,
    masks: Option<Masks>,
}

impl Material {
    /// Which batch it belongs to.
    pub fn id(&self) -> &BatchId {
        &self.id
    }

    /// Who has made it and can use it.
    pub fn setting(&self) -> &Digest {
        &self.setting
    }

    /// The number of the party whose side it is.
    pub fn party(&self) -> u8 {
        self.party
    }

    /// How much it holds.
    pub fn amount(&self) -> Amount {
        let comparisons = self.masks.as_ref().map_or(0, Masks::len) as u32;
        Amount { comparisons, bits: 2 * self.pairs.len() as u32 }
    }

    /// The canonical bytes, in a buffer that never grew and is erased: as secret as the shares.
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        let masks = self.masks.as_ref().map_or(0, Masks::encoded_length);
        let length = HEAD + 3 * ELEMENT * self.pairs.len() + masks;
        let mut out = Writer::with_capacity(length);
        self.encode(&mut out);
        debug_assert_eq!(out.offset(), length);
        Zeroizing::new(out.into_bytes())
    }
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Material({}, {:?})", self.id, self.amount())
    }
}

impl Engine {
    /// Makes a batch for a later session of the same parties, with this number. The engine is
    /// spent with it, and its seeds are erased.
    ///
    /// All products are checked before this returns, and nobody has its side before all have passed
    /// the check and have signed that they have seen the same openings. In committees of more than
    /// three parties comparisons need random bits, so these are what is made for them. An error if
    /// the amount is beyond the bounds of a batch.
    pub async fn into_material(mut self, number: u64, amount: Amount) -> Result<Material, Abort> {
        let Amount { comparisons, bits } = amount;
        let on_elements = match self.has_binary() {
            true => 0,
            false => u64::from(comparisons) * u64::from(STORED_WIDTH.next_multiple_of(2)),
        };
        let bits = u64::from(bits.next_multiple_of(2)) + on_elements;
        if !amount.is_possible() || bits > u64::from(MAX_STORED_BITS) {
            return Err(Abort::Unsupported(format!("a batch of {amount:?} in this committee")));
        }
        if self.has_binary() {
            self.prepare_comparisons(&[(STORED_WIDTH, comparisons as usize)]).await?;
        }
        self.prepare(bits as usize).await?;
        // In the transcript it gives the batch a name that no other has, also after a restore.
        let fresh = self.random(1);
        let fresh: Vec<_> = fresh.iter().collect();
        planted!("stock-not-checked", self.open_unchecked(&fresh).await?, self.open(&fresh).await?);
        self.compare_transcripts().await?;
        Ok(Material {
            setting: *self.session.setting(),
            party: self.me().number(),
            id: BatchId { number, maker: self.transcript },
            pairs: std::mem::take(&mut self.pairs),
            masks: self.masks.remove(&STORED_WIDTH),
        })
    }

    /// Whether a batch is this party's, made with those who compute here.
    pub(super) fn owns(&self, material: &Material) -> bool {
        let masks = material.masks.is_none() || self.has_binary();
        planted!("stock-owner-not-compared", true, material.setting == *self.session.setting())
            && material.party == self.me().number()
            && masks
    }

    /// Takes a batch over, which is used before anything is made.
    pub(super) fn adopt(&mut self, material: Material) {
        let Material { mut pairs, masks, .. } = material;
        pairs.reserve_exact(self.pairs.len());
        pairs.append(&mut self.pairs);
        self.pairs = pairs;
        self.stored = masks;
    }
}

impl Encode for Material {
    fn encode(&self, out: &mut Writer) {
        self.setting.encode(out);
        out.u8(self.party);
        self.id.encode(out);
        out.list(&self.pairs);
        out.option(self.masks.as_ref());
    }
}

impl Decode for Material {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            setting: Digest::decode(input)?,
            party: input.u8("party")?,
            id: BatchId::decode(input)?,
            pairs: pairs(input)?,
            masks: input.option("masks")?,
        })
    }
}

fn pairs(input: &mut Reader<'_>) -> Result<Vec<BitPair>, DecodeError> {
    let offset = input.offset();
    let (found, limit) = (input.u32("pairs of bits")? as usize, MAX_STORED_BITS as usize / 2);
    if found > limit {
        return Err(input.error_at(offset, "pairs of bits", Problem::TooLong { found, limit }));
    }
    secrets(input, found)
}

/// So many secrets, in a list that never grows: growing leaves copies behind. Stored batches are
/// authenticated, so their counts can be believed within their bounds.
pub(super) fn secrets<T: Decode>(
    input: &mut Reader<'_>,
    count: usize,
) -> Result<Vec<T>, DecodeError> {
    let mut secrets = Vec::with_capacity(count);
    for _ in 0..count {
        secrets.push(T::decode(input)?);
    }
    Ok(secrets)
}

impl Encode for BitPair {
    fn encode(&self, out: &mut Writer) {
        [&self.low, &self.high, &self.both].into_iter().for_each(|share| share.encode(out));
    }
}

impl Decode for BitPair {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [low, high, both] =
            [Share::decode(input)?, Share::decode(input)?, Share::decode(input)?];
        Ok(Self { low, high, both })
    }
}
