//! What a party checks before it acknowledges a dealing.

use quittance_circuit::Owner;
use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProofError;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::merkle;
use quittance_mpc::vss::{CompressedError, DealingError, InputShare};
use quittance_mpc::{Parties, PartyId};
use rand_core::CryptoRngCore;
use thiserror::Error;

use super::{CommonPart, Dealing, OF_LEAF, dealing_owner};
use crate::Joined;
use crate::payees::Payees;
use crate::queue::{GROUP, PADS, amounts, is_bucket};

/// A dealing that a party has checked: its inputs of the computation. Only
/// [`Dealing::accept`] makes one.
pub struct DealtInputs {
    pub(super) round: RoundId,
    pub(super) dealer: InstitutionId,
    /// The dealer's place in the ledger's register, from 1.
    pub number: u32,
    pub(super) digest: Digest,
    /// Merkle root of the dealer's queue.
    pub queue_root: Digest,
    /// Whom the entries of the vectors stand for.
    pub payees: Payees,
    /// The share of what the dealer can pay from: proven by the ledger to be in range.
    pub liquidity: InputShare,
    /// What the dealer would pay, in order, padding included.
    pub leaves: Vec<DealtLeaf>,
}

/// This party's shares of what stands at one place of a queue.
#[derive(Clone)]
pub struct DealtLeaf {
    /// Of the amount, which has been proven to be in range.
    pub amount: InputShare,
    /// Of the payee's number in the ledger's register; 0 for padding.
    pub payee: InputShare,
    /// Of the pads, by attempt.
    pub pads: Vec<InputShare>,
    /// Of the entries of the vector that says who is paid. They are on the dealer's polynomials, but
    /// whether it is a vector that names a payee has not been checked: it takes all parties to do so.
    pub vector: Vec<InputShare>,
}

/// Why a party does not acknowledge a dealing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("dealing of {dealer}: {problem}")]
pub struct DealtError {
    /// Whose dealing, by the ledger.
    pub dealer: InstitutionId,
    /// What is wrong with it.
    pub problem: DealtProblem,
}

/// What is wrong with a dealing. Places in the queue are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DealtProblem {
    /// For another round.
    #[error("it is for the round {0}")]
    OtherRound(RoundId),
    /// Of another institution.
    #[error("it names {0} as the dealer")]
    OtherDealer(InstitutionId),
    /// The ledger has a bucket that no queue has.
    #[error("no queue has {0} leaves")]
    Bucket(u32),
    /// Another number of leaves than the ledger says there are.
    #[error("{found} leaves for a queue of {expected}")]
    Leaves {
        /// Leaves by the ledger.
        expected: u32,
        /// How many there are.
        found: usize,
    },
    /// The leaves are not those of the queue on the ledger.
    #[error("its leaves have the root {0}")]
    OtherRoot(Digest),
    /// The vectors are made for other payees than those of the ledger.
    #[error("its payees are not those of the ledger")]
    OtherPayees,
    /// More entries of vectors than a dealing holds.
    #[error("a queue of {0} leaves is too large for so many payees")]
    TooLarge(u32),
    /// Another number of entries of vectors than leaves and payees give.
    #[error("{found} entries of vectors where there should be {expected}")]
    Vectors {
        /// One for each leaf and each payee, padding included.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// What is published of the vectors is for another number of parties or another threshold.
    #[error("what is published of the vectors is for another committee")]
    VectorsOfOthers,
    /// The shares of vectors are not those that were published the digest of.
    #[error("the shares of vectors are not those that were published the digest of")]
    OtherVectors,
    /// The shares of vectors are not on the polynomials whose combination was published.
    #[error("the shares of vectors are not on one polynomial")]
    VectorsNotCombined,
    /// The dealer's number in the register has more than 16 bits: nobody deals vectors in its name.
    #[error("number {0} of the register is too large to deal vectors")]
    Number(u32),
    /// The private part belongs to another common part.
    #[error("the private part belongs to the dealing {0}")]
    OtherDealing(Digest),
    /// The private part is for another party.
    #[error("the private part is for party {0}")]
    OtherParty(u8),
    /// Another number of inputs than liquidity and leaves give.
    #[error("{found} inputs or shares where there should be {expected}")]
    Inputs {
        /// One for the liquidity, and for each leaf those of its commitments.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A polynomial of another degree than the committee's threshold.
    #[error("input {0} has a polynomial of another degree")]
    Degree(usize),
    /// The liquidity is not the balance on the ledger.
    #[error("the liquidity dealt is not the balance on the ledger")]
    OtherBalance,
    /// What is dealt for a leaf is not what the leaf commits to.
    #[error("the {what} dealt for place {place} is not the one in the queue")]
    OtherLeaf {
        /// Amount, payee or pad.
        what: &'static str,
        /// The leaf's place.
        place: usize,
    },
    /// A share is not on the committed polynomial. Input 0 is the liquidity; then come, for each
    /// place, amount, payee and pads.
    #[error("the share of input {0} is not on the committed polynomial")]
    BadShare(usize),
    /// Not one range proof for each group of leaves.
    #[error("{found} range proofs for a queue of {expected} groups of leaves")]
    Ranges {
        /// Groups by the ledger.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A range proof does not hold for the amounts from this place on.
    #[error("the amounts from place {place} on are not proven to be in range: {error}")]
    Range {
        /// The first place of the group.
        place: usize,
        /// What is wrong with its proof.
        error: RangeProofError,
    },
}

impl Dealing {
    /// Checks all that was dealt to the party `me` against the ledger: what it says about the
    /// dealer, the `balance` of the dealer's account, and who can be paid. Gives the party's inputs.
    ///
    /// `rng` gives the weights with which all shares are checked at once.
    pub fn accept(
        self,
        dealer: &Joined,
        balance: &Commitment,
        payees: &Payees,
        (parties, me): (Parties, PartyId),
        rng: &mut impl CryptoRngCore,
    ) -> Result<DealtInputs, DealtError> {
        let checked = self.check(dealer, balance, payees, (parties, me), rng);
        checked.map_err(|problem| DealtError { dealer: dealer.institution, problem })
    }

    fn check(
        self,
        dealer: &Joined,
        balance: &Commitment,
        payees: &Payees,
        (parties, me): (Parties, PartyId),
        rng: &mut impl CryptoRngCore,
    ) -> Result<DealtInputs, DealtProblem> {
        let Self { common, private } = self;
        common.check_queue(dealer, payees)?;
        let digest = common.digest();
        if private.dealing != digest {
            return Err(DealtProblem::OtherDealing(private.dealing));
        }
        if private.party != me.number() {
            return Err(DealtProblem::OtherParty(private.party));
        }
        let committed = common
            .leaves
            .iter()
            .flat_map(|leaf| [leaf.amount, leaf.payee].into_iter().chain(leaf.pads));
        let statement: Vec<_> = std::iter::once(*balance).chain(committed).map(Some).collect();
        // The role in the computation is not known before the roster is; it serves errors only.
        let (role, shares) = (Owner(0), &private.shares);
        let verified = common.dealing.verify(role, parties, me, &statement, shares, rng);
        let mut inputs = verified.map_err(problem)?.into_iter();
        common.check_ranges(dealer, rng)?;
        let owner = dealing_owner(dealer.number).ok_or(DealtProblem::Number(dealer.number))?;
        let count = common.leaves.len() * payees.entries();
        let vectors = common.vectors.verify(owner, parties, me, &private.vectors, count);
        let mut entries = vectors.map_err(problem_of_vectors)?.into_iter();
        let none = DealtProblem::Inputs { expected: statement.len(), found: 0 };
        let liquidity = inputs.next().ok_or(none)?;
        let leaves = common.leaves.iter().map_while(|_| {
            let (amount, payee) = (inputs.next()?, inputs.next()?);
            let pads = inputs.by_ref().take(PADS).collect();
            let vector = entries.by_ref().take(payees.entries()).collect();
            Some(DealtLeaf { amount, payee, pads, vector })
        });
        let leaves = leaves.collect();
        let (round, number, queue_root) = (common.round, dealer.number, dealer.queue_root);
        let (dealer, payees) = (common.dealer, common.payees);
        Ok(DealtInputs { round, dealer, number, digest, queue_root, payees, liquidity, leaves })
    }
}

impl CommonPart {
    /// The leaves are those of the queue on the ledger, and payees those of the register.
    fn check_queue(&self, dealer: &Joined, payees: &Payees) -> Result<(), DealtProblem> {
        if self.round != dealer.round {
            return Err(DealtProblem::OtherRound(self.round));
        }
        if self.dealer != dealer.institution {
            return Err(DealtProblem::OtherDealer(self.dealer));
        }
        let expected = dealer.bucket;
        if !is_bucket(expected as usize) {
            return Err(DealtProblem::Bucket(expected));
        }
        let found = self.leaves.len();
        if found != expected as usize {
            return Err(DealtProblem::Leaves { expected, found });
        }
        if self.payees != *payees {
            return Err(DealtProblem::OtherPayees);
        }
        if found > payees.largest_bucket() {
            return Err(DealtProblem::TooLarge(expected));
        }
        match merkle::root_of(&self.leaves) {
            root if root == dealer.queue_root => Ok(()),
            root => Err(DealtProblem::OtherRoot(root)),
        }
    }

    /// All amounts are in range: one batch for all groups.
    fn check_ranges(
        &self,
        dealer: &Joined,
        rng: &mut impl CryptoRngCore,
    ) -> Result<(), DealtProblem> {
        let (expected, found) = (self.leaves.len() / GROUP, self.ranges.len());
        if found != expected {
            return Err(DealtProblem::Ranges { expected, found });
        }
        let account = dealer.account();
        amounts::verify(dealer.chain, &account, &self.leaves, &self.ranges, rng)
            .map_err(|(group, error)| DealtProblem::Range { place: group * GROUP, error })
    }
}

fn problem(error: DealingError) -> DealtProblem {
    match error {
        DealingError::Count { expected, found, .. } => DealtProblem::Inputs { expected, found },
        DealingError::Degree { input, .. } => DealtProblem::Degree(input),
        DealingError::OtherCommitment { input, .. } => match input.checked_sub(1) {
            None => DealtProblem::OtherBalance,
            Some(index) => {
                let what = ["amount", "payee"].get(index % OF_LEAF).copied().unwrap_or("pad");
                DealtProblem::OtherLeaf { what, place: index / OF_LEAF }
            }
        },
        DealingError::BadShare { input, .. } => DealtProblem::BadShare(input),
    }
}

fn problem_of_vectors(error: CompressedError) -> DealtProblem {
    match error {
        CompressedError::Count { expected, found, .. } => DealtProblem::Vectors { expected, found },
        CompressedError::Shape { .. } => DealtProblem::VectorsOfOthers,
        CompressedError::OtherPart { .. } => DealtProblem::OtherVectors,
        CompressedError::NotCombined { .. } => DealtProblem::VectorsNotCombined,
    }
}
