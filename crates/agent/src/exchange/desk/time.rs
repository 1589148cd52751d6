//! What happens by itself: ends, retries, and what the chain says.

use quittance_ledger::ids::{AssetId, Timestamp, Uetr};
use rand_core::CryptoRngCore;

use super::{Desk, Effect, KEEP_MS, Means, Talk, later};
use crate::exchange::{Record, Stage};
use crate::wallet::{InstructionStatus, Lost};

impl Desk {
    /// Time has passed, or a block has been applied: to be called a few times a second and after
    /// each block.
    pub fn tick<R: CryptoRngCore>(&mut self, means: &mut Means<'_, R>) {
        let open = self.records.values().filter(|record| !record.stage.is_over());
        let open: Vec<Uetr> = open.map(Record::uetr).collect();
        for uetr in &open {
            self.resolve(means, uetr);
            self.end_talk(means, uetr);
            self.end_offer(means, uetr);
            self.deliver(means, uetr);
            // Why it could not be started is kept in the talk.
            drop(self.start_join(means, uetr));
            self.send_signature(means, uetr);
            self.submit_again(means, uetr);
        }
    }

    /// A candidate of the wallet is lost. What was not signed is tried again.
    pub fn lost(&mut self, now: Timestamp, lost: &Lost) {
        let Some(uetr) = lost.instruction else {
            return;
        };
        let ours = |talk: &&Talk| talk.draft() == Some(lost.candidate);
        match self.talks.get(&uetr).filter(ours) {
            Some(Talk::Joining { tries, .. }) => {
                self.wait(now, &uetr, *tries, "the draft was lost".to_owned());
            }
            Some(_) => drop(self.talks.remove(&uetr)),
            None => {}
        }
    }

    /// What this side has signed has landed, or cannot land any more.
    fn resolve<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr) {
        let Some(record) = self.records.get(uetr) else {
            return;
        };
        let &Stage::Signed { expiry, sequence, .. } = &record.stage else {
            return;
        };
        let asset = record.give_and_get(self.us).0.asset;
        let used = means.wallet.sequence(asset).is_ok_and(|used| used >= sequence);
        let stage = match means.wallet.instruction(uetr) {
            InstructionStatus::Final(done) => {
                Stage::Final { transaction: done.transaction, height: done.height }
            }
            _ if used => Stage::failed("another posting has taken its place on the account"),
            _ if means.wallet.height() >= expiry => {
                Stage::failed(format!("not included by height {expiry}"))
            }
            _ => return,
        };
        self.talks.remove(uetr);
        self.save(means, uetr, stage);
    }

    /// The other side has not gone on in time: the draft is withdrawn.
    fn end_talk<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr) {
        match self.talks.get(uetr) {
            Some(Talk::Answered { until, .. }) if *until < means.now => {
                self.withdraw(means, uetr);
            }
            Some(&Talk::Joining { until, tries, .. }) if until < means.now => {
                self.withdraw(means, uetr);
                self.wait(means.now, uetr, tries, "the other side did not answer".to_owned());
            }
            Some(Talk::Completing { signed, until, .. }) if *until < means.now => {
                let (candidate, asset) = (signed.candidate(), signed.candidate().asset);
                let events = means.wallet.withdraw(candidate);
                means.effects.push(Effect::Withdrawn(events));
                self.revoke(means, uetr, asset);
            }
            Some(Talk::Left { until: None }) if means.ready => {
                let until = Some(later(means.now, KEEP_MS));
                self.talks.insert(*uetr, Talk::Left { until });
            }
            Some(Talk::Left { until: Some(until) }) if *until < means.now => {
                let asset = self.records.get(uetr).map(|one| one.give_and_get(self.us).0.asset);
                asset.into_iter().for_each(|asset| self.revoke(means, uetr, asset));
            }
            _ => {}
        }
    }

    /// What is signed may still land, but not for long: whatever is included first decides.
    fn revoke<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr, asset: AssetId) {
        self.talks.remove(uetr);
        means.effects.push(Effect::UseUp(asset));
    }

    /// The offer has ended and nothing is under way.
    fn end_offer<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr) {
        let Some(record) = self.records.get(uetr) else {
            return;
        };
        let unsigned = matches!(record.stage, Stage::Offered | Stage::Accepted);
        let talk = self.talks.get(uetr);
        if !unsigned || means.now <= record.valid_until || talk.is_some_and(|t| t.draft().is_some())
        {
            return;
        }
        let stage = match talk {
            Some(Talk::Waiting { why, .. }) if !why.is_empty() => {
                Stage::expired(format!("the offer has ended; last tried: {why}"))
            }
            Some(Talk::Delivering { .. }) => {
                Stage::expired("the offer has ended; the other side was not reached")
            }
            _ => Stage::expired("the offer has ended"),
        };
        self.talks.remove(uetr);
        self.save(means, uetr, stage);
    }

    /// After a restart: the node may not have got it.
    fn submit_again<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr) {
        if !means.ready || !matches!(self.talks.get(uetr), Some(Talk::Submitting)) {
            return;
        }
        self.talks.remove(uetr);
        let stage = self.records.get(uetr).map(|record| &record.stage);
        if let Some(Stage::Signed { transaction: Some(transaction), .. }) = stage
            && let Ok(transaction) = (**transaction).clone().verify(means.register)
        {
            let transaction = Box::new(transaction);
            means.effects.push(Effect::Submit { candidate: None, transaction });
        }
    }
}
