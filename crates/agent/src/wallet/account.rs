//! One account as its owner knows it.

use std::collections::{BTreeSet, VecDeque};

use quittance_crypto::commitment::Opening;
use quittance_ledger::build::Absorbed;
use quittance_ledger::ids::{CreditId, Height, InstitutionId, RoundId, TransactionId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_ledger::state::Lock;
use quittance_ledger::transaction::{MAX_ABSORBED, Posting, Side};

use super::event::{Loss, Lost};
use super::{AssetId, CandidateId};

/// Balance, waiting credits and candidates.
pub(super) struct Account {
    pub(super) side: Side,
    /// Opens `side.proven(balance)`; none if the last self note does not open.
    pub(super) opening: Option<Opening>,
    pub(super) sequence: u64,
    pub(super) lock: Option<Lock>,
    /// In the order of arrival.
    pub(super) pending: Vec<Waiting>,
    /// In the order of sequence numbers, without gaps, from `sequence + 1`.
    pub(super) in_flight: VecDeque<Candidate>,
}

/// A credit that waits to be absorbed.
pub(super) struct Waiting {
    pub(super) id: CreditId,
    /// Who gave it, or sent it back.
    pub(super) from: InstitutionId,
    /// None if it is malformed.
    pub(super) opening: Option<Opening>,
    /// None for one that came back.
    pub(super) particulars: Option<Particulars>,
}

/// A candidate under way.
pub(super) struct Candidate {
    pub(super) id: CandidateId,
    pub(super) expiry: Height,
    pub(super) instruction: Option<Uetr>,
    pub(super) act: CandidateAct,
    /// What the account holds after it.
    pub(super) opening: Opening,
    /// Once it has been submitted.
    pub(super) transaction: Option<TransactionId>,
}

/// What a candidate does.
pub(super) enum CandidateAct {
    /// Posts; an absorption if `transfer` is false.
    Post { posting: Box<Posting>, transfer: bool },
    /// Joins a round.
    Join(RoundId),
}

impl Candidate {
    fn absorbs(&self) -> &[CreditId] {
        match &self.act {
            CandidateAct::Post { posting, .. } => &posting.absorbed,
            CandidateAct::Join(_) => &[],
        }
    }

    fn lost(&self, why: Loss) -> Lost {
        let &Self { id: candidate, expiry, instruction, .. } = self;
        Lost { candidate, instruction, expiry, why }
    }
}

impl Account {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            opening: Some(Opening::zero()),
            sequence: 0,
            lock: None,
            pending: Vec::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// An amount of this account as its owner reads it: an issuer owes what it has proven.
    pub(super) fn signed(&self, value: u64) -> i128 {
        match self.side {
            Side::Holder => i128::from(value),
            Side::Issuer => -i128::from(value),
        }
    }

    pub(super) fn balance(&self) -> Option<i128> {
        self.opening.as_ref().map(|opening| self.signed(opening.value))
    }

    /// What the next draft stands on.
    pub(super) fn top(&self) -> Option<&Opening> {
        match self.in_flight.back() {
            Some(candidate) => Some(&candidate.opening),
            None => self.opening.as_ref(),
        }
    }

    /// The sequence number that the next draft comes after.
    pub(super) fn top_sequence(&self) -> u64 {
        self.in_flight.back().map_or(self.sequence, |candidate| candidate.id.sequence)
    }

    pub(super) fn projected_balance(&self) -> Option<i128> {
        self.top().map(|opening| self.signed(opening.value))
    }

    /// The most that the next draft could give.
    pub(super) fn available(&self) -> Option<u128> {
        let top = u128::from(self.top()?.value);
        let absorbable = self.absorbable();
        let absorbed: u128 =
            absorbable.iter().map(|absorbed| u128::from(absorbed.opening.value)).sum();
        Some(match self.side {
            Side::Holder => top + absorbed,
            Side::Issuer => u128::from(u64::MAX) - top + absorbed,
        })
    }

    pub(super) fn pending_sum(&self) -> u128 {
        let openings = self.pending.iter().filter_map(|waiting| waiting.opening.as_ref());
        openings.map(|opening| u128::from(opening.value)).sum()
    }

    pub(super) fn malformed(&self) -> impl Iterator<Item = (CreditId, InstitutionId)> {
        let malformed = self.pending.iter().filter(|waiting| waiting.opening.is_none());
        malformed.map(|waiting| (waiting.id, waiting.from))
    }

    pub(super) fn locked_at(&self, height: Height) -> Option<Lock> {
        self.lock.filter(|lock| height <= lock.until)
    }

    /// What the next posting absorbs: credits in the order of arrival, whatever their value, as
    /// many as a posting may and as keep the balance in 64 bits.
    pub(super) fn absorbable(&self) -> Vec<Absorbed> {
        let taken: BTreeSet<&CreditId> =
            self.in_flight.iter().flat_map(Candidate::absorbs).collect();
        let Some(top) = self.top() else {
            return Vec::new();
        };
        let mut room = match self.side {
            Side::Holder => u64::MAX - top.value,
            Side::Issuer => top.value,
        };
        let free = self.pending.iter().filter(|waiting| !taken.contains(&waiting.id));
        let readable = free.filter_map(|waiting| Some((waiting.id, waiting.opening.as_ref()?)));
        readable
            .map_while(|(id, opening)| {
                room = room.checked_sub(opening.value)?;
                Some(Absorbed { id, opening: opening.clone() })
            })
            .take(MAX_ABSORBED)
            .collect()
    }

    /// Takes a credit away from those that wait.
    pub(super) fn take(&mut self, id: &CreditId) -> Option<Waiting> {
        let position = self.pending.iter().position(|waiting| waiting.id == *id)?;
        Some(self.pending.remove(position))
    }

    /// Loses the first candidate that `is_lost` finds a reason for, and all that stand on it.
    pub(super) fn lose(&mut self, is_lost: impl Fn(&Candidate) -> Option<Loss>) -> Vec<Lost> {
        let mut reasons = self.in_flight.iter().map(is_lost).enumerate();
        let Some((first, why)) = reasons.find_map(|(index, why)| Some((index, why?))) else {
            return Vec::new();
        };
        let gone = self.in_flight.split_off(first);
        let mut why = std::iter::once(why).chain(std::iter::repeat(Loss::Predecessor));
        gone.iter().filter_map(|candidate| Some(candidate.lost(why.next()?))).collect()
    }

    /// Loses what absorbs a credit that has gone.
    pub(super) fn lose_absorbing(&mut self, credit: &CreditId) -> Vec<Lost> {
        self.lose(|candidate| candidate.absorbs().contains(credit).then_some(Loss::CreditGone))
    }

    /// The chain has used the next sequence number. Gives the candidate that `is_it` says that was,
    /// if it is the first under way; otherwise all that are under way are lost.
    pub(super) fn advance(
        &mut self,
        sequence: u64,
        is_it: impl Fn(&Candidate) -> bool,
    ) -> (Option<Candidate>, Vec<Lost>) {
        self.sequence = sequence;
        self.lock = None;
        match self.in_flight.front() {
            Some(first) if is_it(first) => (self.in_flight.pop_front(), Vec::new()),
            _ => (None, self.lose(|_| Some(Loss::Overtaken))),
        }
    }
}

impl CandidateId {
    pub(super) fn new(asset: AssetId, sequence: u64, serial: u64) -> Self {
        Self { asset, sequence, serial }
    }
}
