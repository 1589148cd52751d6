//! What one block writes into a book.

use std::collections::BTreeMap;
use std::sync::Arc;

use quittance_crypto::commitment::Commitment;
use quittance_ledger::ids::{AccountId, Height, RoundId, TransactionId};
use quittance_ledger::state::Settled;
use quittance_ledger::transaction::{Action, Entry, RoundJoin, RoundOpen, Settlement, Transaction};

use super::{Book, BookError, Member, RoundFacts};
use crate::Joined;
use crate::payees::Payees;

/// The changes of one block, over the book before it.
pub(super) struct Page<'a> {
    book: &'a Book,
    height: Height,
    balances: BTreeMap<AccountId, Commitment>,
    rounds: BTreeMap<RoundId, RoundFacts>,
}

impl<'a> Page<'a> {
    /// The next block's page, still empty.
    pub(super) fn new(book: &'a Book) -> Self {
        let (balances, rounds) = (BTreeMap::new(), BTreeMap::new());
        Self { book, height: book.height.next(), balances, rounds }
    }

    /// What has been written.
    pub(super) fn finish(self) -> (BTreeMap<AccountId, Commitment>, BTreeMap<RoundId, RoundFacts>) {
        (self.balances, self.rounds)
    }

    pub(super) fn write<S>(&mut self, transaction: &Transaction<S>) -> Result<(), BookError> {
        match &transaction.body().action {
            Action::Entries(entries) => entries.iter().for_each(|entry| self.post(entry)),
            Action::Return(_) | Action::Governance(_) | Action::KeyRotation(_) => {}
            Action::RoundOpen(terms) => {
                self.open(RoundId::of(self.book.chain(), &transaction.body_digest()), terms)?;
            }
            Action::RoundJoin(join) => self.join(join)?,
            Action::Settlement(settlement) => self.settle(settlement, transaction.id())?,
        }
        Ok(())
    }

    fn post(&mut self, entry: &Entry) {
        for posting in &entry.postings {
            let account = AccountId { institution: posting.institution, asset: entry.asset };
            self.balances.insert(account, posting.new_balance);
        }
    }

    fn open(&mut self, round: RoundId, terms: &RoundOpen) -> Result<(), BookError> {
        let height = self.height;
        if self.book.rounds.contains_key(&round) || self.rounds.contains_key(&round) {
            return Err(BookError::OpenedTwice { height, round });
        }
        let id = terms.committee;
        let unknown = BookError::UnknownCommittee { height, round, committee: id };
        let registry = self.book.registry();
        let facts = RoundFacts {
            terms: terms.clone(),
            opened: height,
            committee: Arc::new(registry.committee(id).ok_or(unknown)?.clone()),
            payees: Arc::new(Payees::of(registry)),
            members: BTreeMap::new(),
            settled: None,
        };
        self.rounds.insert(round, facts);
        Ok(())
    }

    fn join(&mut self, join: &RoundJoin) -> Result<(), BookError> {
        let (height, round, institution) = (self.height, join.round, join.institution);
        let register = self.book.registry.institution(&institution);
        let number = register.ok_or(BookError::NotRegistered { height, institution })?.number;
        let asset = self.unsettled(round)?.terms.asset;
        let balance = self.balance(&AccountId { institution, asset });
        let member =
            Member { joined: Joined::new(join, (self.book.chain(), asset), number), balance };
        match self.unsettled(round)?.members.insert(institution, member) {
            None => Ok(()),
            Some(_) => Err(BookError::JoinedTwice { height, round, institution }),
        }
    }

    fn settle(
        &mut self,
        settlement: &Settlement,
        transaction: TransactionId,
    ) -> Result<(), BookError> {
        let (height, attempt) = (self.height, settlement.attempt);
        let round = self.unsettled(settlement.round)?;
        round.settled = Some(Settled { height, transaction, attempt });
        self.post(&settlement.entry);
        Ok(())
    }

    /// The round, to be changed.
    fn unsettled(&mut self, round: RoundId) -> Result<&mut RoundFacts, BookError> {
        let height = self.height;
        if !self.rounds.contains_key(&round) {
            let before = self.book.rounds.get(&round);
            let before = before.ok_or(BookError::UnknownRound { height, round })?;
            self.rounds.insert(round, before.clone());
        }
        let facts = self.rounds.get_mut(&round).ok_or(BookError::UnknownRound { height, round })?;
        match facts.settled {
            None => Ok(facts),
            Some(_) => Err(BookError::Settled { height, round }),
        }
    }

    fn balance(&self, account: &AccountId) -> Commitment {
        self.balances.get(account).copied().unwrap_or_else(|| self.book.balance(account))
    }
}
