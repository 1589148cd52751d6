//! What rounds do to queued payments. The chain decides: a join's note to oneself holds the queue,
//! and the settlement says how many of its payments, from the front, have settled.

use std::collections::BTreeSet;
use std::sync::Arc;

use quittance_ledger::block::Block;
use quittance_ledger::ids::{AssetId, Height, RoundId};
use quittance_ledger::transaction::Action;
use quittance_round::queue::FrozenQueue;

use crate::core::{Changes, Core, Failure};
use crate::store::PaymentState;
use crate::wallet::Unlocked;

impl Core {
    /// Opens the queues of the bank's own joins in a block.
    pub(super) fn find_queues(&mut self, block: &Block, fresh: bool, changes: &mut Changes) {
        let (us, chain) = (self.setting.institution, block.header.chain);
        for transaction in &block.transactions {
            let Action::RoundJoin(join) = &transaction.body().action else { continue };
            let asset = self.parts.rounds.book.round(&join.round).map(|facts| facts.terms.asset);
            let Some(asset) = asset.filter(|_| join.institution == us) else { continue };
            match FrozenQueue::recover(chain, asset, join, self.setting.keys.note()) {
                Ok(queue) => {
                    self.parts.rounds.forget_used(asset, &queue);
                    self.parts.rounds.queues.insert(join.round, Arc::new(queue));
                }
                Err(error) if fresh => {
                    let round = join.round;
                    changes.warn(format!("the queue of round {round} cannot be read: {error}"));
                }
                Err(_) => {}
            }
        }
    }

    /// The payments of a queue are in a round. Those that the store does not have, since it was
    /// lost, are found here again.
    pub(super) fn hold_payments(
        &mut self,
        asset: AssetId,
        round: RoundId,
        height: Height,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        let Some(queue) = self.parts.rounds.queues.get(&round).cloned() else { return Ok(()) };
        let mut adopted = 0;
        for queued in queue.payments() {
            let held = PaymentState::InRound(round);
            adopted += usize::from(self.adopt_payment(asset, queued, held, height, changes)?);
        }
        if adopted > 0 {
            // The chain does not show cancellations.
            changes.warn(format!(
                "{adopted} payments in {asset} were not on record and are taken from the queue of \
                 round {round} on the chain: those that it does not settle wait for the next one, \
                 also if they had been cancelled since"
            ));
        }
        // An earlier life may have joined with another queue.
        let references: BTreeSet<_> =
            queue.payments().iter().map(|queued| queued.particulars.uetr()).collect();
        for mut payment in self.payments.in_state(PaymentState::InRound(round)) {
            if !references.contains(&payment.uetr()) {
                payment.state = PaymentState::Queued;
                self.put_payment(payment, changes)?;
            }
        }
        Ok(())
    }

    /// The round is over: its payments have settled, or wait again.
    pub(super) fn free_payments(
        &mut self,
        asset: AssetId,
        round: RoundId,
        by: Unlocked,
        height: Height,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        let Some(queue) = self.parts.rounds.queues.get(&round).cloned() else { return Ok(()) };
        let settled = match by {
            Unlocked::Settled(Some(settled)) => settled as usize,
            Unlocked::Settled(None) => {
                // Neither paid again nor said to be settled before a person has looked.
                changes.warn(format!(
                    "round {round} has settled, but the own note does not open: which payments in \
                     {asset} it has settled is not known"
                ));
                return Ok(());
            }
            Unlocked::LeftOut | Unlocked::Deadline => 0,
        };
        for (place, queued) in queue.payments().iter().enumerate() {
            let state = match place < settled {
                true => PaymentState::Settled { round, height },
                false => PaymentState::Queued,
            };
            self.adopt_payment(asset, queued, state, height, changes)?;
        }
        Ok(())
    }

    /// Puts the payments that the store says are in a round back into the queue.
    pub(super) fn requeue_payments(&mut self, round: RoundId) -> Result<(), Failure> {
        let mut changes = Changes::now();
        let held = PaymentState::InRound(round);
        let payments = self.payments.in_state(held);
        for mut payment in payments {
            payment.state = PaymentState::Queued;
            self.put_payment(payment, &mut changes)?;
        }
        Ok(self.commit(changes)?)
    }

    /// Frees payments of rounds that the bank has not joined and cannot join any more: an earlier
    /// life of the agent was about to, and its join has not landed.
    pub(super) fn release_payments(&mut self) -> Result<(), Failure> {
        let rounds = &self.parts.rounds;
        let height = rounds.book.height();
        let stray = |round: &RoundId| {
            let joinable = rounds.book.round(round).is_some_and(|facts| facts.is_joinable(height));
            !joinable && !rounds.queues.contains_key(round)
        };
        let stray: Vec<RoundId> = self.payments.rounds().into_iter().filter(stray).collect();
        stray.into_iter().try_for_each(|round| self.requeue_payments(round))
    }
}
