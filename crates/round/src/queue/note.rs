//! The queue as a note to oneself, in the joining of a round.
//!
//! | field | encoding | |
//! | --- | --- | --- |
//! | version | `u8` | 1 |
//! | seed | `[32]` | |
//! | payments | `list<=1024` of payee, its number `u32`, amount `u64`, particulars | in order |
//! | padding | zeros | to 37 bytes and 222 for each leaf of the bucket |
//!
//! So the length of a note says no more than the bucket does.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::note::{NoteError, NoteKey};
use quittance_ledger::ids::{AssetId, ChainId, InstitutionId, RoundId};
use quittance_ledger::payload::Particulars;
use quittance_ledger::transaction::RoundJoin;
use rand_core::CryptoRngCore;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{FrozenQueue, MAX_BUCKET, QueueError, QueueSeed, QueuedPayment, bucket};
use crate::{VERSION, expect_version};

/// Version, seed and count.
const HEADER_BYTES: usize = 1 + 32 + 4;

/// Payee, number, amount, UETR, and the two texts at their longest.
const PAYMENT_BYTES: usize = 11 + 4 + 8 + 16 + (4 + 35) + (4 + 140);

/// Where a queue's note stands. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePlace {
    /// On which chain.
    pub chain: ChainId,
    /// In which round.
    pub round: RoundId,
    /// On which account.
    pub asset: AssetId,
    /// Whose account.
    pub institution: InstitutionId,
    /// The account's sequence number after joining.
    pub sequence: u64,
}

/// Why a note gives no queue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueueNoteError {
    /// Another key, another place, or changed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What is sealed is no queue.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What is sealed could not have been frozen.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The queue has another root or bucket than the ledger says.
    #[error("the note holds another queue than the one on the ledger")]
    OtherQueue,
}

impl QueuePlace {
    fn associated(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(b"quittance/v1/queue-note");
        self.chain.encode(&mut out);
        self.round.encode(&mut out);
        self.asset.encode(&mut out);
        self.institution.encode(&mut out);
        out.u64(self.sequence);
        out.into_bytes()
    }
}

impl FrozenQueue {
    /// The queue as a note to oneself, under the owner's note key, with a random nonce.
    pub fn seal(&self, place: &QueuePlace, key: &NoteKey, rng: &mut impl CryptoRngCore) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION);
        self.seed.encode(&mut out);
        out.u32(self.payments.len() as u32);
        for (payment, &number) in self.payments.iter().zip(&self.numbers) {
            payment.payee.encode(&mut out);
            out.u32(number);
            out.u64(payment.amount);
            payment.particulars.encode(&mut out);
        }
        let mut text = Zeroizing::new(out.into_bytes());
        text.resize(text_length(self.leaves.len()), 0);
        key.seal(&place.associated(), &text, rng)
    }

    /// The queue in the note of `join`, exactly as it was frozen.
    pub fn recover(
        chain: ChainId,
        asset: AssetId,
        join: &RoundJoin,
        key: &NoteKey,
    ) -> Result<Self, QueueNoteError> {
        let (round, institution, sequence) = (join.round, join.institution, join.sequence);
        let place = QueuePlace { chain, round, asset, institution, sequence };
        let text = key.open(&place.associated(), &join.note)?;
        let (seed, sealed) = read(&text)?;
        let (mut payments, mut numbers) = (Vec::new(), Vec::new());
        for Sealed { payment, number } in sealed {
            payments.push(payment);
            numbers.push(number);
        }
        let queue = Self::assemble(institution, payments, numbers, seed)?;
        match queue.root() == join.queue_root && queue.bucket() == join.bucket {
            true => Ok(queue),
            false => Err(QueueNoteError::OtherQueue),
        }
    }
}

fn text_length(bucket: usize) -> usize {
    HEADER_BYTES + bucket * PAYMENT_BYTES
}

fn read(text: &[u8]) -> Result<(QueueSeed, Vec<Sealed>), DecodeError> {
    let mut input = Reader::new(text);
    expect_version(&mut input, "version of a queue note")?;
    let seed = QueueSeed::decode(&mut input)?;
    let sealed: Vec<Sealed> = input.list(MAX_BUCKET, "queued payments")?;
    let length = bucket(sealed.len()).map_or(0, text_length);
    while input.offset() < length {
        if input.u8("padding")? != 0 {
            return Err(input.invalid("padding", "padding is zeros"));
        }
    }
    input.finish()?;
    Ok((seed, sealed))
}

struct Sealed {
    payment: QueuedPayment,
    number: u32,
}

impl Decode for Sealed {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let payee = InstitutionId::decode(input)?;
        let number = input.u32("number of a payee")?;
        if number == 0 {
            return Err(input.invalid("number of a payee", "numbers start at 1"));
        }
        let amount = input.u64("amount")?;
        let particulars = Particulars::decode(input)?;
        Ok(Self { payment: QueuedPayment { payee, amount, particulars }, number })
    }
}
