//! How liquidity and amounts reach the parties of a committee.
//!
//! An agent deals its liquidity and the amount of each leaf of its queue by Pedersen's verifiable
//! secret sharing (see [`quittance_mpc::vss`]): input 0 is the liquidity, whose zeroth commitment
//! must be the balance on the ledger; input `k + 1` the amount of leaf k, whose zeroth commitment
//! must be the leaf's. That each amount is below `2^64` is proven beside them, by proofs that were
//! made when the payments were queued (see [`crate::queue`]). All parties get the same
//! [`CommonPart`], in which this version also opens the payees; its digest names the dealing. Each
//! gets one [`PrivatePart`] of its own. A party that finds everything right acknowledges the digest
//! with its round key. The acknowledgements of all parties show that all hold shares of the same
//! values.

mod acknowledgement;
mod check;

pub use acknowledgement::Acknowledgement;
pub use check::{DealtError, DealtInputs, DealtPayment, DealtProblem};

use quittance_circuit::Fr;
use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::Parties;
use quittance_mpc::vss::{self, DealtShare};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::queue::{FrozenQueue, Leaf, MAX_BUCKET, MAX_GROUPS};
use crate::{VERSION, expect_version};

/// What all parties are told alike. Confidential among them, since it opens the payees.
pub struct CommonPart {
    /// In which round.
    pub round: RoundId,
    /// Who deals.
    pub dealer: InstitutionId,
    /// The leaves of the dealer's queue.
    pub leaves: Vec<Leaf>,
    /// Opens the payee of each leaf.
    pub payees: Vec<Opening>,
    /// That the amounts of the leaves are in range: one proof for each
    /// [`GROUP`](crate::queue::GROUP) of them.
    pub ranges: Vec<RangeProof>,
    /// Commitments to the polynomials.
    pub dealing: vss::Dealing,
}

/// What one party alone is told. Its shares are erased on drop.
pub struct PrivatePart {
    /// Digest of the common part that it belongs to.
    pub dealing: Digest,
    /// The number of the party that it is for, from 1.
    pub party: u8,
    /// Shares of liquidity and amounts.
    pub shares: Vec<DealtShare>,
}

/// What one party is sent, and by whose word it is checked: see [`Dealing::accept`].
pub struct Dealing {
    /// The same for all parties.
    pub common: CommonPart,
    /// For this party alone.
    pub private: PrivatePart,
}

/// All that a dealer has to send. It is made once: a party that has not answered is sent the same
/// bytes again.
pub struct Dealings {
    common: CommonPart,
    /// By position of the party.
    private: Vec<PrivatePart>,
    digest: Digest,
}

/// Deals liquidity and queue to the parties.
///
/// `balance` opens the balance on the ledger: the liquidity. `ranges` prove the amounts of the
/// queue's groups, in order. `rng` must be fresh for each dealing: two dealings under the same
/// randomness to different committees would give more shares than the threshold allows.
pub fn deal(
    round: RoundId,
    balance: &Opening,
    queue: &FrozenQueue,
    ranges: Vec<RangeProof>,
    parties: Parties,
    rng: &mut impl CryptoRngCore,
) -> Dealings {
    let leaves = queue.leaves().to_vec();
    let secret = |opening: &Opening| (Fr::from(opening.value), opening.blinding.clone());
    let mut secrets: Zeroizing<Vec<(Fr, Blinding)>> =
        Zeroizing::new(Vec::with_capacity(leaves.len() + 1));
    secrets.push(secret(balance));
    secrets.extend((0..leaves.len()).map(|place| secret(&queue.amount(place))));
    let (dealing, shares) = vss::deal(parties, &secrets, rng);

    let payees = (0..leaves.len()).map(|place| queue.payee(place)).collect();
    let common = CommonPart { round, dealer: queue.payer(), leaves, payees, ranges, dealing };
    let digest = common.digest();
    let private = parties.ids().zip(shares).map(|(party, shares)| {
        let party = party.number();
        PrivatePart { dealing: digest, party, shares }
    });
    Dealings { private: private.collect(), common, digest }
}

impl Dealings {
    /// What all parties acknowledge; see [`CommonPart::digest`].
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The canonical bytes of the [`Dealing`] for the party with this number, if there is one.
    pub fn message(&self, party: u8) -> Option<Zeroizing<Vec<u8>>> {
        let private = self.private.iter().find(|private| private.party == party)?;
        let mut out = Writer::new();
        self.common.encode(&mut out);
        private.encode(&mut out);
        Some(Zeroizing::new(out.into_bytes()))
    }
}

impl CommonPart {
    /// `H("quittance/v1/dealing", common part)`: what parties acknowledge and `Start` names.
    pub fn digest(&self) -> Digest {
        let bytes = Zeroizing::new(self.to_bytes());
        Digest::of("quittance/v1/dealing", &[&bytes])
    }
}

/// As secret as the payees; wrap the bytes in [`zeroize::Zeroizing`].
impl Encode for CommonPart {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        self.dealer.encode(out);
        out.list(&self.leaves);
        out.list(&self.payees);
        out.list(&self.ranges);
        self.dealing.encode(out);
    }
}

impl Decode for CommonPart {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a dealing")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            dealer: InstitutionId::decode(input)?,
            leaves: input.list(MAX_BUCKET, "leaves of a queue")?,
            payees: input.list(MAX_BUCKET, "openings of payees")?,
            ranges: input.list(MAX_GROUPS, "range proofs of a queue")?,
            dealing: vss::Dealing::decode(input)?,
        })
    }
}

/// As secret as the shares; wrap the bytes in [`zeroize::Zeroizing`].
impl Encode for PrivatePart {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.dealing.encode(out);
        out.u8(self.party);
        out.list(&self.shares);
    }
}

impl Decode for PrivatePart {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a dealt part")?;
        Ok(Self {
            dealing: Digest::decode(input)?,
            party: input.u8("number of a party")?,
            shares: input.list(MAX_BUCKET + 1, "dealt shares")?,
        })
    }
}

/// The common part, then the private one. As secret as the shares.
impl Encode for Dealing {
    fn encode(&self, out: &mut Writer) {
        self.common.encode(out);
        self.private.encode(out);
    }
}

impl Decode for Dealing {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { common: CommonPart::decode(input)?, private: PrivatePart::decode(input)? })
    }
}

#[cfg(test)]
mod tests;
