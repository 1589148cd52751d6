//! How a bank's secrets reach the parties of a committee.
//!
//! An agent deals its liquidity and what the leaves of its queue commit to, by Pedersen's verifiable
//! secret sharing (see [`quittance_mpc::vss`]). Input 0 is the liquidity, whose zeroth commitment
//! must be the balance on the ledger. Then come, for each leaf, amount, number of the payee and the
//! pads, whose zeroth commitments must be the leaf's. That each amount is below `2^64` is proven
//! beside them, by proofs that were made when the payments were queued (see [`crate::queue`]). For
//! each leaf there is a vector, too, that is 1 at the payee and 0 elsewhere (see [`crate::payees`]).
//! It is dealt compressed: each party finds that its shares are on the dealer's polynomials, and the
//! session checks the vectors against the dealt numbers.
//!
//! All parties get the same [`CommonPart`]; its digest names the dealing. It contains nothing but
//! commitments, digests and proofs. Each gets one [`PrivatePart`] of its own. A party that finds everything
//! right acknowledges the digest with its round key. The acknowledgements of all parties show that
//! all hold shares of the same values. One that finds something wrong signs a [`Complaint`], and the
//! dealer publishes what it owed to that party.

mod acknowledgement;
mod answers;
mod check;
mod complaint;

pub use acknowledgement::Acknowledgement;
pub use answers::{Answer, AnswerError, Answers, Standing};
pub use check::{DealtError, DealtInputs, DealtLeaf, DealtProblem};
pub use complaint::{
    Complaint, ComplaintError, MAX_PUBLISHED, Publication, PublicationError, PublishedPart, Settled,
};

use quittance_circuit::{Fr, Owner};
use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::Parties;
use quittance_mpc::vss::{self, CompressedDealing, CompressedShares, DealtShare};
use rand_core::CryptoRngCore;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::payees::Payees;
use crate::queue::{FrozenQueue, Leaf, MAX_BUCKET, MAX_GROUPS, PADS};
use crate::{Joined, VERSION, expect_version};

/// What is dealt of each leaf with commitments: amount, number of the payee, pads.
const OF_LEAF: usize = 2 + PADS;

/// What all parties are told alike.
pub struct CommonPart {
    /// In which round.
    pub round: RoundId,
    /// Who deals.
    pub dealer: InstitutionId,
    /// The leaves of the dealer's queue.
    pub leaves: Vec<Leaf>,
    /// Whom the entries of the vectors stand for.
    pub payees: Payees,
    /// That the amounts of the leaves are in range: one proof for each
    /// [`GROUP`](crate::queue::GROUP) of them.
    pub ranges: Vec<RangeProof>,
    /// Commitments to the polynomials.
    pub dealing: vss::Dealing,
    /// What fixes the shares of the vectors, and shows that they are on polynomials.
    pub vectors: CompressedDealing,
}

/// What one party alone is told. Its shares are erased on drop.
pub struct PrivatePart {
    /// Digest of the common part that it belongs to.
    pub dealing: Digest,
    /// The number of the party that it is for, from 1.
    pub party: u8,
    /// Shares of liquidity, amounts, numbers of payees and pads.
    pub shares: Vec<DealtShare>,
    /// Shares of the vectors, one after the other.
    pub vectors: CompressedShares,
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

/// Why a queue cannot be dealt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DealError {
    /// The dealer's own number in the register has more than 16 bits.
    #[error("number {0} of the register is too large to deal vectors")]
    Dealer(u32),
    /// A payment to somebody who holds no accounts.
    #[error("payment {place} is to number {number} of the register, which cannot be paid")]
    Payee {
        /// Its place in the queue, from 0.
        place: usize,
        /// The number of the payee.
        number: u32,
    },
    /// More entries than a dealing holds.
    #[error(
        "a queue of {leaves} leaves with {payees} possible payees each is too large to be dealt"
    )]
    TooLarge {
        /// Leaves of the queue.
        leaves: usize,
        /// Entries of each vector.
        payees: usize,
    },
}

/// In whose name vectors are dealt. The role in the computation is not known yet, so it is the
/// number in the register, which is no other's: the digests of all parts and the weights of their
/// combination are bound to it, so that nobody can pass on what another has dealt. Which parties are
/// given seeds in place of shares also goes by it, and changes from dealer to dealer.
fn dealing_owner(number: u32) -> Option<Owner> {
    u16::try_from(number).ok().map(Owner)
}

/// Deals liquidity and queue of a bank that has `joined` a round to the parties.
///
/// `balance` opens the balance on the ledger: the liquidity. `ranges` prove the amounts of the
/// queue's groups, in order. `payees` are those of the ledger. `rng` must be fresh for each dealing:
/// two dealings under the same randomness to different committees would give more shares than the
/// threshold allows.
pub fn deal(
    joined: &Joined,
    balance: &Opening,
    queue: &FrozenQueue,
    ranges: Vec<RangeProof>,
    payees: &Payees,
    parties: Parties,
    rng: &mut impl CryptoRngCore,
) -> Result<Dealings, DealError> {
    let owner = dealing_owner(joined.number).ok_or(DealError::Dealer(joined.number))?;
    let leaves = queue.leaves().to_vec();
    let vectors = vectors(queue, payees)?;
    let secret = |opening: &Opening| (Fr::from(opening.value), opening.blinding.clone());
    let mut secrets: Zeroizing<Vec<(Fr, Blinding)>> =
        Zeroizing::new(Vec::with_capacity(1 + OF_LEAF * leaves.len()));
    secrets.push(secret(balance));
    for place in 0..leaves.len() {
        secrets.extend([secret(&queue.amount(place)), secret(&queue.payee(place))]);
        secrets.extend(queue.pads(place).iter().map(|pad| pad.secret()));
    }
    let (dealing, shares) = vss::deal(parties, &secrets, rng);
    let (vectors, parts) = vss::deal_compressed(parties, owner, &vectors, rng);

    let (round, dealer, payees) = (joined.round, queue.payer(), payees.clone());
    let common = CommonPart { round, dealer, leaves, payees, ranges, dealing, vectors };
    let digest = common.digest();
    let private = parties.ids().zip(shares).zip(parts).map(|((party, shares), vectors)| {
        let party = party.number();
        PrivatePart { dealing: digest, party, shares, vectors }
    });
    Ok(Dealings { private: private.collect(), common, digest })
}

/// The vectors of all leaves, one after the other.
fn vectors(queue: &FrozenQueue, payees: &Payees) -> Result<Zeroizing<Vec<Fr>>, DealError> {
    let (leaves, length) = (queue.leaves().len(), payees.entries());
    if leaves > payees.largest_bucket() {
        return Err(DealError::TooLarge { leaves, payees: length });
    }
    let mut entries = Zeroizing::new(vec![Fr::from(0u64); leaves * length]);
    for (place, vector) in entries.chunks_mut(length).enumerate() {
        let number = queue.number(place);
        let one = payees.place(number).and_then(|at| vector.get_mut(at));
        *one.ok_or(DealError::Payee { place, number })? = Fr::from(1u64);
    }
    Ok(entries)
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
        Digest::of_value("quittance/v1/dealing", self)
    }
}

impl Encode for CommonPart {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        self.dealer.encode(out);
        out.list(&self.leaves);
        self.payees.encode(out);
        out.list(&self.ranges);
        self.dealing.encode(out);
        self.vectors.encode(out);
    }
}

impl Decode for CommonPart {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a dealing")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            dealer: InstitutionId::decode(input)?,
            leaves: input.list(MAX_BUCKET, "leaves of a queue")?,
            payees: Payees::decode(input)?,
            ranges: input.list(MAX_GROUPS, "range proofs of a queue")?,
            dealing: vss::Dealing::decode(input)?,
            vectors: CompressedDealing::decode(input)?,
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
        self.vectors.encode(out);
    }
}

impl Decode for PrivatePart {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a dealt part")?;
        Ok(Self {
            dealing: Digest::decode(input)?,
            party: input.u8("number of a party")?,
            shares: input.list(1 + OF_LEAF * MAX_BUCKET, "dealt shares")?,
            vectors: CompressedShares::decode(input)?,
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
