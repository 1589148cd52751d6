//! All notices of an attempt, as parties sign them.

use quittance_circuit::Fr;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::merkle::{self, Proof};

use crate::result::Notices;

/// A notice, with what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// Who pays.
    pub payer: InstitutionId,
    /// Merkle root of the payer's queue, as on the ledger.
    pub queue_root: Digest,
    /// How many places the queue has.
    pub places: u32,
    /// The payment's place there, from 0.
    pub place: u32,
    /// `x + w`: see [`Pad`](crate::queue::Pad).
    pub value: Fr,
}

/// The notices of one queue of the roster.
#[derive(Debug, Clone, Copy)]
pub struct Queue<'a> {
    /// Whose queue.
    pub payer: InstitutionId,
    /// Its Merkle root.
    pub root: Digest,
    /// By place.
    pub notices: &'a Notices,
}

/// All notices, by payer's place in the roster and by place, in a Merkle tree.
pub struct Statement {
    notices: Vec<Notice>,
    hashes: Vec<Digest>,
}

impl Statement {
    /// The notices of these queues, which come in the order of the roster.
    pub fn new<'a>(queues: impl IntoIterator<Item = Queue<'a>>) -> Self {
        let notices = queues.into_iter().flat_map(|Queue { payer, root, notices }| {
            let places = notices.0.len() as u32;
            let values = (0u32..).zip(&notices.0);
            values.map(move |(place, &value)| Notice {
                payer,
                queue_root: root,
                places,
                place,
                value,
            })
        });
        let notices: Vec<_> = notices.collect();
        let hashes = notices.iter().map(|notice| merkle::leaf_hash(&notice.to_bytes())).collect();
        Self { notices, hashes }
    }

    /// What parties sign.
    pub fn root(&self) -> Digest {
        merkle::root(&self.hashes)
    }

    /// The notice of a payment, with the proof that it is among them.
    pub fn find(&self, payer: &InstitutionId, place: u32) -> Option<(Notice, Proof)> {
        let is = |notice: &Notice| (notice.payer, notice.place) == (*payer, place);
        let index = self.notices.iter().position(is)?;
        Some((*self.notices.get(index)?, Proof::new(&self.hashes, index)?))
    }
}

impl Encode for Notice {
    fn encode(&self, out: &mut Writer) {
        self.payer.encode(out);
        self.queue_root.encode(out);
        out.u32(self.places);
        out.u32(self.place);
        self.value.encode(out);
    }
}

impl Decode for Notice {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            payer: InstitutionId::decode(input)?,
            queue_root: Digest::decode(input)?,
            places: input.u32("places of a queue")?,
            place: input.u32("place in a queue")?,
            value: Fr::decode(input)?,
        })
    }
}
