//! What the offering side does.

use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::Signature;
use quittance_ledger::ids::{InstitutionId, Uetr};
use quittance_ledger::transaction::{Body, Transaction};
use rand_core::CryptoRngCore;

use super::{
    Answered, CallError, Desk, Effect, Means, Proposal, Refusal, TALK_MS, Talk, VALID_MS, again,
    later, refusal,
};
use crate::exchange::offering::digest_of;
use crate::exchange::{Agreement, Join, Record, Stage};

use super::MAX_JOINS;

impl Desk {
    /// The bank offers an exchange. The same proposal again gives the exchange as it stands.
    pub fn propose<R>(
        &mut self,
        means: &mut Means<'_, R>,
        proposal: &Proposal,
    ) -> Result<Record, Refusal> {
        let &Proposal { uetr, counterparty, give, get, valid_ms } = proposal;
        let (offerer, accepter) = (self.us, counterparty);
        let agreement = Agreement { uetr, offerer, accepter, offered: give, asked: get };
        if let Some(known) = self.records.get(&uetr) {
            let same = known.agreement == agreement
                && known.valid_until.0.saturating_sub(known.made.0) == valid_ms;
            return if same { Ok(known.clone()) } else { Err(Refusal::Exists(uetr)) };
        }
        if !VALID_MS.contains(&valid_ms) {
            let (least, most) = VALID_MS.into_inner();
            return Err(Refusal::Wrong(format!("an offer is valid for {least} to {most} ms")));
        }
        self.check_terms(means, &agreement)?;
        self.check_unused(means, uetr)?;
        let record = self.insert(means, agreement, later(means.now, valid_ms));
        self.talks.insert(uetr, Talk::Delivering { at: means.now, tries: 0, calling: false });
        self.deliver(means, &uetr);
        Ok(record)
    }

    /// Calls with the offer, if that is due.
    pub(super) fn deliver<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr) {
        let (Some(Talk::Delivering { at, calling, .. }), Some(record)) =
            (self.talks.get_mut(uetr), self.records.get(uetr))
        else {
            return;
        };
        if *calling || *at > means.now {
            return;
        }
        *calling = true;
        let Agreement { accepter: to, offered: give, asked: get, .. } = record.agreement;
        let offer = super::Offer { uetr: *uetr, give, get, valid_until: record.valid_until };
        means.effects.push(Effect::Offer { to, offer });
    }

    /// A call with an offer has ended.
    pub fn offer_delivered<R>(
        &mut self,
        means: &mut Means<'_, R>,
        uetr: &Uetr,
        result: Result<(), CallError>,
    ) {
        let Some(Talk::Delivering { at, tries, calling }) = self.talks.get_mut(uetr) else {
            return;
        };
        match result {
            Ok(()) => {
                self.talks.remove(uetr);
            }
            Err(CallError::Again(_)) => {
                (*at, *calling) = (again(means.now, *tries), false);
                *tries += 1;
            }
            Err(CallError::Refused(why)) => {
                self.talks.remove(uetr);
                self.save(means, uetr, Stage::failed(format!("the offer was refused: {why}")));
            }
        }
    }

    /// `from` accepts with its half; answered with the body and this side's range proof. The same
    /// join again gets the same answer while it is under way.
    pub fn join<R: CryptoRngCore>(
        &mut self,
        means: &mut Means<'_, R>,
        from: InstitutionId,
        uetr: Uetr,
        join: &Join,
    ) -> Result<(Body, RangeProof), Refusal> {
        let agreement = self.own_offer(from, uetr)?.agreement;
        match self.talks.get(&uetr) {
            Some(Talk::Answered { answered, .. }) if answered.answers(join) => {
                return Ok((answered.body().clone(), answered.range_proof().clone()));
            }
            Some(Talk::Answered { .. }) => {
                return Err(Refusal::NotNow("another join is under way".to_owned()));
            }
            _ => {}
        }
        self.check_open(means, &uetr)?;
        if !means.ready || self.holds(agreement.offered.asset) {
            return Err(Refusal::NotNow("this side is busy".to_owned()));
        }
        let (digest, seen) = (digest_of(join), self.answered.entry(uetr).or_default());
        if seen.contains(&digest) {
            return Err(Refusal::Wrong("this join has been answered and given up".to_owned()));
        }
        if seen.len() >= MAX_JOINS {
            return Err(Refusal::Not("the exchange has been tried too often".to_owned()));
        }
        let Means { wallet, register, rng, .. } = means;
        let answered = Answered::new(&agreement, join, wallet, register, *rng)
            .map_err(|error| refusal(&error))?;
        seen.push(digest);
        let answer = (answered.body().clone(), answered.range_proof().clone());
        means.effects.push(Effect::Drafted { candidate: answered.candidate(), uetr });
        let until = later(means.now, TALK_MS);
        self.talks.insert(uetr, Talk::Answered { answered: Box::new(answered), until });
        Ok(answer)
    }

    /// `from` sends its proof and signature; answered with the complete transaction, which is
    /// submitted, too. The same call again gets the same answer until the transaction is final.
    pub fn complete<R>(
        &mut self,
        means: &mut Means<'_, R>,
        from: InstitutionId,
        uetr: Uetr,
        range_proof: &RangeProof,
        signature: &Signature,
    ) -> Result<Transaction, Refusal> {
        match &self.own_offer(from, uetr)?.stage {
            Stage::Signed { transaction: Some(complete), .. } => return Ok((**complete).clone()),
            Stage::Offered => {}
            _ => return Err(Refusal::Not("the exchange is over".to_owned())),
        }
        let Some(Talk::Answered { answered, .. }) = self.talks.get(&uetr) else {
            return Err(Refusal::Not("no join is under way".to_owned()));
        };
        let candidate = answered.candidate();
        if !Self::is_under_way(means, &uetr, candidate) {
            self.withdraw(means, &uetr);
            return Err(Refusal::Not("no join is under way".to_owned()));
        }
        let completed =
            answered.complete(range_proof, signature, means.wallet, means.register, means.key);
        let expiry = answered.body().expiry;
        let transaction = match completed {
            Ok(transaction) => transaction,
            Err(error) => {
                self.withdraw(means, &uetr);
                return Err(Refusal::Wrong(error.to_string()));
            }
        };
        self.talks.remove(&uetr);
        let complete = transaction.clone().into_unverified();
        let stored = Some(Box::new(complete.clone()));
        let sequence = candidate.sequence;
        self.save(means, &uetr, Stage::Signed { expiry, sequence, transaction: stored });
        let (candidate, transaction) = (Some(candidate), Box::new(transaction));
        means.effects.push(Effect::Submit { candidate, transaction });
        Ok(complete)
    }

    /// An offer that was made to `from`.
    fn own_offer(&self, from: InstitutionId, uetr: Uetr) -> Result<&Record, Refusal> {
        let ours = |record: &&Record| {
            record.agreement.offerer == self.us && record.agreement.accepter == from
        };
        self.records.get(&uetr).filter(ours).ok_or(Refusal::Unknown(uetr))
    }

    /// The offer can still be accepted.
    pub(super) fn check_open<R>(&self, means: &Means<'_, R>, uetr: &Uetr) -> Result<(), Refusal> {
        match self.records.get(uetr) {
            Some(Record { stage: Stage::Offered | Stage::Accepted, valid_until, .. }) => {
                match means.now <= *valid_until {
                    true => Ok(()),
                    false => Err(Refusal::Not("the offer has ended".to_owned())),
                }
            }
            Some(_) => Err(Refusal::Not("the exchange is over".to_owned())),
            None => Err(Refusal::Unknown(*uetr)),
        }
    }
}
