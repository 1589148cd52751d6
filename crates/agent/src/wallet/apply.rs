//! What blocks tell.

use quittance_crypto::commitment::Opening;
use quittance_ledger::block::Block;
use quittance_ledger::ids::{
    AssetId, CreditId, Height, InstitutionId, RoundId, Timestamp, TransactionId,
};
use quittance_ledger::state::Lock;
use quittance_ledger::transaction::{Action, Credit, CreditReturn, Entry, RoundJoin, Transaction};

use super::account::{CandidateAct, Waiting};
use super::event::{
    Counterparty, LineKind, Loss, MalformedCredit, StatementLine, Unlocked, WalletEvent,
};
use super::{Given, Wallet, WalletError};

/// Which transaction of which block is being applied.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) height: Height,
    pub(super) time: Timestamp,
    pub(super) transaction: TransactionId,
}

impl Place {
    /// A line with nothing in it but what, where and when.
    pub(super) fn line(
        &self,
        asset: AssetId,
        kind: LineKind,
        amount: i128,
        balance: Option<i128>,
    ) -> StatementLine {
        let &Self { height, time, transaction } = self;
        StatementLine {
            asset,
            height,
            time,
            transaction,
            kind,
            amount,
            counterparties: Vec::new(),
            uetr: None,
            end_to_end_id: None,
            remittance: None,
            balance,
        }
    }
}

impl Wallet {
    /// Takes in the next block, which must be final and valid: the wallet verifies neither proofs
    /// nor certificates. Says what it means for the institution.
    pub fn apply_block<S>(&mut self, block: &Block<S>) -> Result<Vec<WalletEvent>, WalletError> {
        let header = &block.header;
        let (expected, found) = (self.height.next(), header.height);
        if header.chain != self.facts.chain {
            return Err(WalletError::OtherChain);
        }
        if found != expected {
            return Err(WalletError::OutOfOrder { expected, found });
        }
        self.height = found;
        let mut events = Vec::new();
        for transaction in &block.transactions {
            let (height, time) = (header.height, header.time);
            let place = Place { height, time, transaction: transaction.id() };
            self.apply_transaction(&place, transaction, &mut events);
        }
        self.end_block(&mut events);
        Ok(events)
    }

    fn apply_transaction<S>(
        &mut self,
        place: &Place,
        transaction: &Transaction<S>,
        events: &mut Vec<WalletEvent>,
    ) {
        match &transaction.body().action {
            Action::Entries(entries) => {
                for (position, entry) in (0u32..).zip(entries) {
                    self.apply_entry(place, position, entry, None, events);
                }
            }
            Action::Return(back) => self.apply_return(place, back, events),
            Action::RoundOpen(terms) => {
                let round = RoundId::of(self.facts.chain, &transaction.body_digest());
                self.rounds.insert(round, terms.clone());
            }
            Action::RoundJoin(join) => self.apply_join(place, join, events),
            Action::Settlement(settlement) => {
                let round = settlement.round;
                self.apply_entry(place, 0, &settlement.entry, Some(round), events);
                self.rounds.remove(&round);
                self.end_locks(|lock| lock.round == round, Unlocked::LeftOut, events);
            }
            // No account changes.
            Action::Governance(_) | Action::KeyRotation(_) => {}
        }
    }

    fn apply_entry(
        &mut self,
        place: &Place,
        position: u32,
        entry: &Entry,
        settling: Option<RoundId>,
        events: &mut Vec<WalletEvent>,
    ) {
        for posting in &entry.postings {
            // What a receiver has absorbed never comes back.
            posting.absorbed.iter().for_each(|credit| drop(self.given.remove(credit)));
            if posting.institution == self.institution {
                self.apply_posting(place, position, entry, posting, settling, events);
            }
        }
        for (index, credit) in (0u32..).zip(&entry.credits) {
            if credit.institution == self.institution {
                let id = CreditId::of(place.transaction, position, index);
                self.apply_credit(place, entry.asset, id, credit, events);
            }
        }
    }

    /// A credit has arrived.
    fn apply_credit(
        &mut self,
        place: &Place,
        asset: AssetId,
        id: CreditId,
        credit: &Credit,
        events: &mut Vec<WalletEvent>,
    ) {
        let opened = self.open_credit(asset, credit);
        let from = credit.sender;
        let Some(account) = self.accounts.get_mut(&asset) else {
            return;
        };
        let (opening, particulars) = match opened {
            Ok(payload) => {
                let amount = payload.opening.value;
                let balance = account.balance();
                let line = place.line(asset, LineKind::Received, amount.into(), balance);
                events.push(WalletEvent::Booked(StatementLine {
                    counterparties: vec![Counterparty { institution: from, amount }],
                    uetr: Some(payload.particulars.uetr()),
                    end_to_end_id: Some(payload.particulars.end_to_end_id().to_owned()),
                    remittance: Some(payload.particulars.remittance().to_owned()),
                    ..line
                }));
                (Some(payload.opening), Some(payload.particulars))
            }
            Err(source) => {
                let reason = MalformedCredit::Payload(source);
                events.push(WalletEvent::Malformed { credit: id, asset, sender: from, reason });
                (None, None)
            }
        };
        account.pending.push(Waiting { id, from, opening, particulars });
    }

    fn apply_return(&mut self, place: &Place, back: &CreditReturn, events: &mut Vec<WalletEvent>) {
        let &CreditReturn { credit, holder, .. } = back;
        if holder.institution == self.institution {
            self.give_back(place, holder.asset, credit, events);
        } else if let Some(Given { opening, .. }) = self.given.remove(&credit) {
            self.come_back(place, holder.asset, credit, (holder.institution, opening), events);
        }
    }

    /// A credit that waited here has gone back to its sender.
    fn give_back(
        &mut self,
        place: &Place,
        asset: AssetId,
        credit: CreditId,
        events: &mut Vec<WalletEvent>,
    ) {
        let Some(account) = self.accounts.get_mut(&asset) else {
            return;
        };
        let taken = account.take(&credit);
        let balance = account.balance();
        let lost = account.lose_absorbing(&credit);
        if let Some(Waiting { from, opening: Some(opening), particulars, .. }) = &taken {
            let amount = opening.value;
            let line = place.line(asset, LineKind::GivenBack, -i128::from(amount), balance);
            let particulars = particulars.as_ref();
            events.push(WalletEvent::Booked(StatementLine {
                counterparties: vec![Counterparty { institution: *from, amount }],
                uetr: particulars.map(|known| known.uetr()),
                end_to_end_id: particulars.map(|known| known.end_to_end_id().to_owned()),
                remittance: particulars.map(|known| known.remittance().to_owned()),
                ..line
            }));
        }
        self.mourn(&lost);
        events.extend(lost.into_iter().map(WalletEvent::Lost));
    }

    /// A credit that was given from here has come back and waits to be absorbed.
    fn come_back(
        &mut self,
        place: &Place,
        asset: AssetId,
        credit: CreditId,
        (from, opening): (InstitutionId, Option<Opening>),
        events: &mut Vec<WalletEvent>,
    ) {
        let Some(account) = self.accounts.get_mut(&asset) else {
            return;
        };
        match &opening {
            Some(opening) => {
                let (amount, balance) = (opening.value, account.balance());
                let line = place.line(asset, LineKind::Returned, amount.into(), balance);
                let counterparties = vec![Counterparty { institution: from, amount }];
                events.push(WalletEvent::Booked(StatementLine { counterparties, ..line }));
            }
            None => {
                let reason = MalformedCredit::OpeningUnknown;
                events.push(WalletEvent::Malformed { credit, asset, sender: from, reason });
            }
        }
        account.pending.push(Waiting { id: credit, from, opening, particulars: None });
    }

    fn apply_join(&mut self, place: &Place, join: &RoundJoin, events: &mut Vec<WalletEvent>) {
        let Some(terms) = self.rounds.get(&join.round) else {
            return;
        };
        let (asset, round, until) = (terms.asset, join.round, terms.deadline);
        let Some(account) =
            self.accounts.get_mut(&asset).filter(|_| join.institution == self.institution)
        else {
            return;
        };
        let (landed, lost) = account.advance(
            join.sequence,
            |candidate| matches!(candidate.act, CandidateAct::Join(joined) if joined == round),
        );
        account.lock = Some(Lock { round, until });
        if let Some(candidate) = landed {
            let (candidate, transaction) = (candidate.id, place.transaction);
            events.push(WalletEvent::Landed { candidate, transaction });
        }
        self.mourn(&lost);
        events.extend(lost.into_iter().map(WalletEvent::Lost));
        events.push(WalletEvent::Locked { asset, round, until });
    }

    fn end_locks(
        &mut self,
        ends: impl Fn(&Lock) -> bool,
        by: Unlocked,
        events: &mut Vec<WalletEvent>,
    ) {
        for (asset, account) in &mut self.accounts {
            if let Some(lock) = account.lock.take_if(|lock| ends(lock)) {
                events.push(WalletEvent::Unlocked { asset: *asset, round: lock.round, by });
            }
        }
    }

    /// What ends with a height: locks, rounds, candidates.
    fn end_block(&mut self, events: &mut Vec<WalletEvent>) {
        let height = self.height;
        self.end_locks(|lock| lock.until <= height, Unlocked::Deadline, events);
        self.rounds.retain(|_, terms| terms.deadline > height);
        events.extend(
            self.lose_everywhere(|candidate| (candidate.expiry <= height).then_some(Loss::Expired)),
        );
        let accounts = &self.accounts;
        let used = |asset: &AssetId| accounts.get(asset).map_or(0, |account| account.sequence);
        self.ghosts.retain(|_, ghost| ghost.expiry > height && ghost.sequence > used(&ghost.asset));
    }
}
