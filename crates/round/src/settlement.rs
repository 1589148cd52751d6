//! What the settlement of a round must be, by what the ledger and the result say.
//!
//! Everybody can tell: the balances on joining are on the ledger, the commitments to the nets are
//! known to all, and `new balance = balance + net`. Coordinator and participants check postings
//! and proposals against the same [`Plan`].

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::group::Point;
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, SignatureError, Suite};
use quittance_ledger::ids::{AssetId, ChainId, Height, InstitutionId, RoundId};
use quittance_ledger::transaction::{Action, Body, Entry, Malformed, Posting};
use quittance_mpc::{ActiveSet, Parties};
use thiserror::Error;

use crate::book::Book;
use crate::envelope::Signed;
use crate::message::Attempt;
use crate::start::{Roster, Start};

/// Why a computation cannot begin as it is said to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StartError {
    /// No such round.
    #[error("the ledger has no round {0}")]
    UnknownRound(RoundId),
    /// Somebody else has opened the round.
    #[error("{found} starts the round that {opener} has opened")]
    NotOpener {
        /// Who has opened it.
        opener: InstitutionId,
        /// Who starts it.
        found: InstitutionId,
    },
    /// Not signed by the opener.
    #[error("the start: {0}")]
    Signature(#[from] SignatureError),
    /// Settled, or too late to be.
    #[error("the round can no longer settle")]
    Over,
    /// More attempts than the round has.
    #[error("attempt {found} of a round that has {attempts}")]
    NoSuchAttempt {
        /// How many it has.
        attempts: u8,
        /// Which one was started.
        found: u8,
    },
    /// Others than 2t + 1 parties of the round's committee compute.
    #[error("{0:?} are not 2t + 1 of the round's committee")]
    NotActive(ActiveSet),
    /// Too few banks.
    #[error("{found} banks are fewer than the {minimum} of the round's smallest roster")]
    RosterTooSmall {
        /// The fewest that may settle.
        minimum: u16,
        /// How many there are.
        found: usize,
    },
    /// In the roster, but not in the round.
    #[error("{0} is in the roster, but has not joined the round")]
    NotAMember(InstitutionId),
    /// Without a key to sign with.
    #[error("{0} has no key for this")]
    NoKey(InstitutionId),
}

/// Why commitments are not the nets of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetsError {
    /// Not one for each bank.
    #[error("{found} nets for {expected} banks")]
    Count {
        /// The size of the roster.
        expected: usize,
        /// The number of commitments.
        found: usize,
    },
    /// Money would appear or vanish.
    #[error("the nets do not sum to zero")]
    Unbalanced,
}

/// What is wrong with one posting of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PostingError {
    /// Of somebody else's account.
    #[error("it is of the account of {0}")]
    OtherInstitution(InstitutionId),
    /// Under a key that is not current.
    #[error("it names the key {found}, current is {expected}")]
    OtherKey {
        /// The current key.
        expected: Digest,
        /// The key named.
        found: Digest,
    },
    /// Credits are absorbed.
    #[error("it absorbs {0} credits")]
    Absorbs(usize),
    /// Not the balance on joining and the net.
    #[error("the new balance is not the old one and the net")]
    NewBalance,
}

/// Why a body is not the settlement that was computed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProposalError {
    /// It breaks a rule that holds whatever the state.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Of another chain or suite.
    #[error("the proposal is for another chain")]
    Chain,
    /// Something else altogether.
    #[error("the proposal is not a settlement")]
    NotASettlement,
    /// Of another round or attempt.
    #[error("the proposal settles attempt {} of the round {}", .0.number, .0.round)]
    Attempt(Attempt),
    /// In another asset.
    #[error("the proposal is in {0}")]
    Asset(AssetId),
    /// With an attachment that nobody has asked for.
    #[error("the proposal has an attachment")]
    Attachment,
    /// Valid for longer than the round.
    #[error("the proposal expires at {found}, the round at {deadline}")]
    Expiry {
        /// When the round ends.
        deadline: Height,
        /// When the proposal does.
        found: Height,
    },
    /// Somebody of the roster is left out.
    #[error("the proposal lacks the posting of {0}")]
    Missing(InstitutionId),
    /// Somebody is not of the roster.
    #[error("the proposal has a posting of {0}, who is not in the roster")]
    Stranger(InstitutionId),
    /// A posting is not what was computed.
    #[error("the posting of {institution}: {source}")]
    Posting {
        /// Whose posting.
        institution: InstitutionId,
        /// What is wrong with it.
        source: PostingError,
    },
}

/// Who settles, as the ledger says, before the nets are known.
#[derive(Debug, Clone)]
pub(crate) struct Roll {
    pub(crate) attempt: Attempt,
    pub(crate) active: ActiveSet,
    pub(crate) roster: Roster,
    pub(crate) asset: AssetId,
    pub(crate) deadline: Height,
    pub(crate) suite: Suite,
    pub(crate) chain: ChainId,
    /// By place: balance on joining, and fingerprint of the current transaction key.
    members: Vec<(Commitment, Digest)>,
}

/// What must be posted.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) roll: Roll,
    /// By place.
    new_balances: Vec<Commitment>,
}

/// The start, if the round's opener has signed it and the ledger allows it.
pub fn check_start<'a>(book: &Book, signed: &'a Signed<Start>) -> Result<&'a Start, StartError> {
    let round = signed.unverified().round;
    let facts = book.round(&round).ok_or(StartError::UnknownRound(round))?;
    let (opener, found) = (facts.terms.opener, signed.signer());
    if found != opener {
        return Err(StartError::NotOpener { opener, found });
    }
    let key = book.key(&opener, Purpose::Round).ok_or(StartError::NoKey(opener))?;
    let start = signed.verify(key)?;
    Roll::new(book, start).map(|_| start)
}

impl Roll {
    pub(crate) fn new(book: &Book, start: &Start) -> Result<Self, StartError> {
        let round = start.round;
        let facts = book.round(&round).ok_or(StartError::UnknownRound(round))?;
        if facts.is_over(book.height()) {
            return Err(StartError::Over);
        }
        let (attempts, found) = (facts.terms.attempts, start.attempt);
        if found >= attempts {
            return Err(StartError::NoSuchAttempt { attempts, found });
        }
        let committee = Parties::new(facts.committee.parties.len(), facts.committee.threshold);
        let belongs = committee.is_ok_and(|committee| start.active.belongs_to(committee));
        if planted!("other-parties-started", false, !belongs) {
            return Err(StartError::NotActive(start.active));
        }
        let (minimum, found) = (facts.terms.minimum_roster, start.roster.size());
        if found < usize::from(minimum) {
            return Err(StartError::RosterTooSmall { minimum, found });
        }
        let member = |institution: InstitutionId| {
            let member = facts.members.get(&institution);
            let member = member.ok_or(StartError::NotAMember(institution))?;
            let key = book.key(&institution, Purpose::Transaction);
            let key = key.ok_or(StartError::NoKey(institution))?;
            Ok((member.balance, key.fingerprint()))
        };
        let chain = book.registry().chain();
        Ok(Self {
            attempt: Attempt { round, number: start.attempt },
            active: start.active,
            members: start.roster.institutions().map(member).collect::<Result<_, StartError>>()?,
            roster: start.roster.clone(),
            asset: facts.terms.asset,
            deadline: facts.terms.deadline,
            suite: chain.suite,
            chain: chain.id,
        })
    }

    /// The plan with these nets.
    pub(crate) fn plan(self, nets: &[Commitment]) -> Result<Plan, NetsError> {
        let (expected, found) = (self.members.len(), nets.len());
        if found != expected {
            return Err(NetsError::Count { expected, found });
        }
        let balanced = nets.iter().map(Commitment::point).sum::<Point>().is_identity();
        if planted!("nets-not-summed", false, !balanced) {
            return Err(NetsError::Unbalanced);
        }
        let settled = self.members.iter().zip(nets);
        let new_balances = settled
            .map(|((balance, _), net)| Commitment::from(balance.point() + net.point()))
            .collect();
        Ok(Plan { roll: self, new_balances })
    }
}

impl Plan {
    /// What the range proof of the settlement is about.
    pub(crate) fn statement(&self) -> &[Commitment] {
        &self.new_balances
    }

    /// Whether this is what the bank at `place` has to post. Sequence and note to oneself are its
    /// own affair.
    pub(crate) fn check_posting(
        &self,
        place: usize,
        posting: &Posting,
    ) -> Result<(), PostingError> {
        let seat = self.roll.roster.seats().get(place);
        let member = self.roll.members.get(place).zip(self.new_balances.get(place));
        let (Some(seat), Some(((_, expected), new_balance))) = (seat, member) else {
            return Err(PostingError::OtherInstitution(posting.institution));
        };
        if posting.institution != seat.institution {
            return Err(PostingError::OtherInstitution(posting.institution));
        }
        if posting.key_fingerprint != *expected {
            let (expected, found) = (*expected, posting.key_fingerprint);
            return Err(PostingError::OtherKey { expected, found });
        }
        if !posting.absorbed.is_empty() {
            return Err(PostingError::Absorbs(posting.absorbed.len()));
        }
        match posting.new_balance == *new_balance {
            true => Ok(()),
            false => Err(PostingError::NewBalance),
        }
    }

    /// Whether this is the settlement that was computed: the whole roster and nobody else.
    pub(crate) fn check_body(&self, body: &Body) -> Result<(), ProposalError> {
        body.check()?;
        let roll = &self.roll;
        if (body.chain, body.suite) != (roll.chain, roll.suite) {
            return Err(ProposalError::Chain);
        }
        let Action::Settlement(settlement) = &body.action else {
            return Err(ProposalError::NotASettlement);
        };
        let attempt = Attempt { round: settlement.round, number: settlement.attempt };
        if attempt != roll.attempt {
            return Err(ProposalError::Attempt(attempt));
        }
        if settlement.attachment.is_some() {
            return Err(ProposalError::Attachment);
        }
        let (deadline, found) = (roll.deadline, body.expiry);
        if found > deadline {
            return Err(ProposalError::Expiry { deadline, found });
        }
        self.check_entry(&settlement.entry)
    }

    /// Both postings and roster are in strict order of institution.
    fn check_entry(&self, entry: &Entry) -> Result<(), ProposalError> {
        if entry.asset != self.roll.asset {
            return Err(ProposalError::Asset(entry.asset));
        }
        let mut postings = entry.postings.iter();
        for (place, institution) in self.roll.roster.institutions().enumerate() {
            let posting = postings.next().ok_or(ProposalError::Missing(institution))?;
            if posting.institution != institution {
                return Err(match self.roll.roster.place(&posting.institution) {
                    Some(_) => ProposalError::Missing(institution),
                    None => ProposalError::Stranger(posting.institution),
                });
            }
            self.check_posting(place, posting)
                .map_err(|source| ProposalError::Posting { institution, source })?;
        }
        match postings.next() {
            Some(posting) => Err(ProposalError::Stranger(posting.institution)),
            None => Ok(()),
        }
    }
}
