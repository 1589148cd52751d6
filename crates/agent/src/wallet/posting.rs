//! What an own posting tells: its self note, and what stands beside it in the open.

use quittance_crypto::commitment::Opening;
use quittance_ledger::ids::{AccountId, AssetId, CreditId, RoundId, Uetr};
use quittance_ledger::payload::{Act, SelfNote};
use quittance_ledger::transaction::{Entry, Posting};

use super::account::CandidateAct;
use super::apply::Place;
use super::event::{Counterparty, LineKind, StatementLine, Unlocked, WalletEvent};
use super::{CarriedOut, Given, Wallet};

impl Wallet {
    /// An own posting has been included.
    pub(super) fn apply_posting(
        &mut self,
        place: &Place,
        position: u32,
        entry: &Entry,
        posting: &Posting,
        settling: Option<RoundId>,
        events: &mut Vec<WalletEvent>,
    ) {
        let (asset, sequence) = (entry.asset, posting.sequence);
        let Some(account) = self.accounts.get_mut(&asset) else {
            return;
        };
        let note = SelfNote::open(self.facts.chain, asset, posting, account.side, &self.keys.note);
        let absorbed: Vec<_> =
            posting.absorbed.iter().filter_map(|credit| account.take(credit)).collect();
        let absorbed = absorbed.iter().filter_map(|waiting| waiting.opening.as_ref());
        let absorbed = absorbed.map(|opening| i128::from(opening.value)).sum();
        let before = account.balance();
        let (landed, lost) = account.advance(sequence, |candidate| {
            matches!(&candidate.act, CandidateAct::Post { posting: own, .. } if **own == *posting)
        });
        account.opening = match &note {
            Ok(note) => Some(note.opening.clone()),
            Err(_) => landed.as_ref().map(|candidate| candidate.opening.clone()),
        };
        let after = account.balance();

        if let Some(candidate) = &landed {
            let (candidate, transaction) = (candidate.id, place.transaction);
            events.push(WalletEvent::Landed { candidate, transaction });
        }
        self.mourn(&lost);
        events.extend(lost.into_iter().map(WalletEvent::Lost));
        self.remember_given(place, position, entry, note.as_ref().ok());
        match &note {
            Ok(SelfNote { act: Act::Entry { instruction, amounts, .. }, .. }) => {
                let sent = self.sent_line(place, entry, *instruction, amounts, after);
                let gone = sent.as_ref().map_or(0, |line| line.amount);
                let between = after.map(|after| after - gone);
                if !posting.absorbed.is_empty() {
                    let line = place.line(asset, LineKind::Absorbed, absorbed, between);
                    events.push(WalletEvent::Booked(line));
                }
                events.extend(sent.map(WalletEvent::Booked));
                self.carry_out(place, asset, sequence, *instruction, events);
            }
            Ok(SelfNote { act: Act::Settlement { .. }, .. }) => {
                // Without the balance before, the net is not known.
                let amounts = before.zip(after);
                events.extend(amounts.map(|(before, after)| {
                    let net = after - before;
                    WalletEvent::Booked(place.line(asset, LineKind::Settled, net, Some(after)))
                }));
            }
            Err(reason) => {
                let reason = reason.clone();
                events.push(WalletEvent::Unreadable { asset, sequence, reason });
            }
        }
        if let Some(round) = settling {
            let settled = match &note {
                Ok(SelfNote { act: Act::Settlement { settled }, .. }) => Some(*settled),
                _ => None,
            };
            let by = Unlocked::Settled(settled);
            events.push(WalletEvent::Unlocked { asset, round, by });
        }
    }

    /// Keeps the openings of the credits given, should they come back.
    fn remember_given(
        &mut self,
        place: &Place,
        position: u32,
        entry: &Entry,
        note: Option<&SelfNote>,
    ) {
        let own = (0u32..).zip(&entry.credits).filter(|(_, c)| c.sender == self.institution);
        for (number, (index, credit)) in (0u32..).zip(own) {
            let opening: Option<Opening> = note
                .and_then(|note| note.credit_opening(number))
                .filter(|opening| opening.opens(&credit.commitment));
            let to = AccountId { institution: credit.institution, asset: entry.asset };
            let id = CreditId::of(place.transaction, position, index);
            self.given.insert(id, Given { to, opening });
        }
    }

    /// The line of the credits given from here, if there are any.
    fn sent_line(
        &self,
        place: &Place,
        entry: &Entry,
        uetr: Option<Uetr>,
        amounts: &[u64],
        balance: Option<i128>,
    ) -> Option<StatementLine> {
        let own = entry.credits.iter().filter(|credit| credit.sender == self.institution);
        let counterparties: Vec<_> = own
            .zip(amounts)
            .map(|(credit, amount)| Counterparty {
                institution: credit.institution,
                amount: *amount,
            })
            .collect();
        let total: i128 = counterparties.iter().map(|other| i128::from(other.amount)).sum();
        let line = place.line(entry.asset, LineKind::Sent, -total, balance);
        (!counterparties.is_empty()).then_some(StatementLine { counterparties, uetr, ..line })
    }

    fn carry_out(
        &mut self,
        place: &Place,
        asset: AssetId,
        sequence: u64,
        instruction: Option<Uetr>,
        events: &mut Vec<WalletEvent>,
    ) {
        let Some(uetr) = instruction else {
            return;
        };
        let (transaction, height) = (place.transaction, place.height);
        let outcome = CarriedOut { asset, sequence, transaction, height };
        let outcome = *self.carried_out.entry(uetr).or_insert(outcome);
        events.push(WalletEvent::CarriedOut { uetr, outcome });
    }
}
