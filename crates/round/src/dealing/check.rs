//! What a party checks before it acknowledges a dealing.

use quittance_circuit::Owner;
use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::range_proof::RangeProofError;
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::merkle;
use quittance_mpc::vss::{DealingError, InputShare};
use quittance_mpc::{Parties, PartyId};
use rand_core::CryptoRngCore;
use thiserror::Error;

use super::{CommonPart, Dealing};
use crate::Joined;
use crate::queue::{GROUP, amounts, is_bucket};

/// A dealing that a party has checked: its inputs of the computation. Only
/// [`Dealing::accept`] makes one.
pub struct DealtInputs {
    pub(super) round: RoundId,
    pub(super) dealer: InstitutionId,
    /// The dealer's place in the ledger's register, from 1.
    pub number: u32,
    pub(super) digest: Digest,
    /// The share of what the dealer can pay from.
    pub liquidity: InputShare,
    /// What the dealer would pay, in order, without padding.
    pub payments: Vec<DealtPayment>,
}

/// One payment of a checked dealing.
#[derive(Clone)]
pub struct DealtPayment {
    /// The share of its amount.
    pub amount: InputShare,
    /// The number of its payee in the ledger's register.
    pub payee: u32,
    /// [`merkle::leaf_hash`] of its leaf.
    pub leaf: Digest,
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
    /// Not one of these for each leaf that the ledger says there are.
    #[error("{found} {what} for a queue of {expected} leaves")]
    Length {
        /// What was counted.
        what: &'static str,
        /// Leaves by the ledger.
        expected: u32,
        /// How many there are.
        found: usize,
    },
    /// The leaves are not those of the queue on the ledger.
    #[error("its leaves have the root {0}")]
    OtherRoot(Digest),
    /// A payee's opening does not open the leaf.
    #[error("the opening of the payee at place {0} does not fit the leaf")]
    Payee(usize),
    /// A payee that no register can have.
    #[error("the payee at place {0} has a number above 32 bits")]
    PayeeNumber(usize),
    /// A payment to the dealer itself.
    #[error("the payment at place {0} is to its payer")]
    OwnPayee(usize),
    /// A payment after padding.
    #[error("the payment at place {0} stands after padding")]
    AfterPadding(usize),
    /// The private part belongs to another common part.
    #[error("the private part belongs to the dealing {0}")]
    OtherDealing(Digest),
    /// The private part is for another party.
    #[error("the private part is for party {0}")]
    OtherParty(u8),
    /// Another number of inputs than liquidity and leaves.
    #[error("{found} inputs or shares where there should be {expected}")]
    Inputs {
        /// One more than leaves.
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
    /// An amount is not the one of its leaf.
    #[error("the amount dealt for place {0} is not the one in the queue")]
    OtherAmount(usize),
    /// A share is not on the committed polynomial; input 0 is the liquidity, input k + 1 the
    /// amount at place k.
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
    /// dealer, and the `balance` of the dealer's account. Gives the party's inputs.
    ///
    /// `rng` gives the weights with which all shares are checked at once.
    pub fn accept(
        &self,
        dealer: &Joined,
        balance: &Commitment,
        (parties, me): (Parties, PartyId),
        rng: &mut impl CryptoRngCore,
    ) -> Result<DealtInputs, DealtError> {
        let checked = self.check(dealer, balance, (parties, me), rng);
        checked.map_err(|problem| DealtError { dealer: dealer.institution, problem })
    }

    fn check(
        &self,
        dealer: &Joined,
        balance: &Commitment,
        (parties, me): (Parties, PartyId),
        rng: &mut impl CryptoRngCore,
    ) -> Result<DealtInputs, DealtProblem> {
        let Self { common, private } = self;
        common.check_queue(dealer)?;
        let payees = common.check_payees(dealer.number)?;
        let digest = common.digest();
        if private.dealing != digest {
            return Err(DealtProblem::OtherDealing(private.dealing));
        }
        if private.party != me.number() {
            return Err(DealtProblem::OtherParty(private.party));
        }
        let amounts = common.leaves.iter().map(|leaf| leaf.amount);
        let statement: Vec<_> = std::iter::once(*balance).chain(amounts).map(Some).collect();
        // The role in the computation is not known before the roster is; it serves errors only.
        let (role, shares) = (Owner(0), &private.shares);
        let verified = common.dealing.verify(role, parties, me, &statement, shares, rng);
        let mut inputs = verified.map_err(problem)?.into_iter();
        common.check_ranges(dealer, rng)?;
        let none = DealtProblem::Inputs { expected: statement.len(), found: 0 };
        let liquidity = inputs.next().ok_or(none)?;
        let payments = inputs.zip(payees).zip(&common.leaves);
        let payments = payments.map(|((amount, payee), leaf)| DealtPayment {
            amount,
            payee,
            leaf: merkle::leaf_hash(&leaf.to_bytes()),
        });
        let (round, number) = (common.round, dealer.number);
        let (dealer, payments) = (common.dealer, payments.collect());
        Ok(DealtInputs { round, dealer, number, digest, liquidity, payments })
    }
}

impl CommonPart {
    /// The leaves are those of the queue on the ledger.
    fn check_queue(&self, dealer: &Joined) -> Result<(), DealtProblem> {
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
        let counted = [("leaves", self.leaves.len()), ("payees", self.payees.len())];
        for (what, found) in counted {
            if found != expected as usize {
                return Err(DealtProblem::Length { what, expected, found });
            }
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

    /// Each payee is the one in its leaf; payments come first, padding after them. Returns the
    /// numbers of the payees of payments.
    fn check_payees(&self, own: u32) -> Result<Vec<u32>, DealtProblem> {
        let mut payees = Vec::new();
        for (place, (leaf, opening)) in self.leaves.iter().zip(&self.payees).enumerate() {
            if !opening.opens(&leaf.payee) {
                return Err(DealtProblem::Payee(place));
            }
            match u32::try_from(opening.value) {
                Err(_) => return Err(DealtProblem::PayeeNumber(place)),
                Ok(0) => {}
                Ok(_) if payees.len() < place => return Err(DealtProblem::AfterPadding(place)),
                Ok(number) if number == own => return Err(DealtProblem::OwnPayee(place)),
                Ok(number) => payees.push(number),
            }
        }
        Ok(payees)
    }
}

fn problem(error: DealingError) -> DealtProblem {
    match error {
        DealingError::Count { expected, found, .. } => DealtProblem::Inputs { expected, found },
        DealingError::Degree { input, .. } => DealtProblem::Degree(input),
        DealingError::OtherCommitment { input, .. } => match input.checked_sub(1) {
            None => DealtProblem::OtherBalance,
            Some(place) => DealtProblem::OtherAmount(place),
        },
        DealingError::BadShare { input, .. } => DealtProblem::BadShare(input),
    }
}
