//! What the accepting side does.

use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::build::BuildError;
use quittance_ledger::ids::{InstitutionId, Timestamp, Uetr};
use quittance_ledger::transaction::{Body, Transaction};
use rand_core::CryptoRngCore;

use super::{
    CallError, Desk, Effect, Joining, KEEP_MS, MAX_ENDED, MAX_OPEN, Means, Offer, RECENT_MS,
    Refusal, SKEW_MS, TALK_MS, Talk, VALID_MS, again, later,
};
use crate::exchange::{Agreement, ExchangeError, Money, Record, Stage};
use crate::wallet::{CandidateId, WalletError};

impl Desk {
    /// `from` offers an exchange. The same offer again changes nothing.
    pub fn offer<R>(
        &mut self,
        means: &mut Means<'_, R>,
        from: InstitutionId,
        offer: &Offer,
    ) -> Result<(), Refusal> {
        let &Offer { uetr, give, get, valid_until } = offer;
        let (offerer, accepter) = (from, self.us);
        let agreement = Agreement { uetr, offerer, accepter, offered: give, asked: get };
        if let Some(known) = self.records.get(&uetr) {
            let same = (known.agreement, known.valid_until) == (agreement, valid_until);
            return if same { Ok(()) } else { Err(Refusal::Exists(uetr)) };
        }
        self.check_terms(means, &agreement)?;
        self.check_unused(means, uetr)?;
        if valid_until <= means.now {
            return Err(Refusal::Not("the offer has ended".to_owned()));
        }
        if valid_until > later(means.now, VALID_MS.end() + SKEW_MS) {
            return Err(Refusal::Wrong("the offer is valid for too long".to_owned()));
        }
        let recent = |record: &Record| means.now <= later(record.made, RECENT_MS);
        let counts = |record: &&Record| {
            let ended = matches!(record.stage, Stage::Expired { .. });
            let counts = matches!(record.stage, Stage::Offered) || ended && recent(record);
            counts && record.agreement.offerer == from
        };
        if self.records.values().filter(counts).count() >= MAX_OPEN {
            return Err(Refusal::TooMany(from));
        }
        self.forget_oldest(means, from);
        self.insert(means, agreement, valid_until);
        Ok(())
    }

    /// Of offers that nobody has accepted only the last few are kept.
    fn forget_oldest<R>(&mut self, means: &mut Means<'_, R>, from: InstitutionId) {
        let ended = |record: &&Record| {
            record.agreement.offerer == from && matches!(record.stage, Stage::Expired { .. })
        };
        let ended: Vec<_> = self.records.values().filter(ended).collect();
        let oldest = ended.iter().min_by_key(|record| record.number).map(|record| record.uetr());
        if let Some(uetr) = oldest.filter(|_| ended.len() >= MAX_ENDED) {
            self.records.remove(&uetr);
            means.effects.push(Effect::Forget(uetr));
        }
    }

    /// The bank accepts an offer, on these terms. The same again gives the exchange as it stands.
    pub fn accept<R: CryptoRngCore>(
        &mut self,
        means: &mut Means<'_, R>,
        uetr: Uetr,
        give: Money,
        get: Money,
    ) -> Result<Record, Refusal> {
        let record = self.records.get(&uetr).ok_or(Refusal::Unknown(uetr))?;
        if record.offered_by(self.us) {
            return Err(Refusal::Not("the offer is this institution's own".to_owned()));
        }
        if record.give_and_get(self.us) != (give, get) {
            return Err(Refusal::Not("the terms are not those of the offer".to_owned()));
        }
        if !matches!(record.stage, Stage::Offered) {
            return Ok(record.clone());
        }
        self.check_open(means, &uetr)?;
        self.talks.insert(uetr, Talk::Waiting { at: Timestamp(0), tries: 0, why: String::new() });
        match self.start_join(means, &uetr) {
            Err(error) if is_lack_of_funds(&error) => {
                self.talks.remove(&uetr);
                return Err(Refusal::Not(format!("insufficient funds in {}", give.asset)));
            }
            _ => {}
        }
        // The call comes after the record.
        let call = means.effects.pop_if(|last| matches!(last, Effect::Join { .. }));
        self.save(means, &uetr, Stage::Accepted);
        means.effects.extend(call);
        self.records.get(&uetr).cloned().ok_or(Refusal::Unknown(uetr))
    }

    /// Drafts this side's half and sends it, if that is due; otherwise says why not and tries
    /// again later.
    pub(super) fn start_join<R: CryptoRngCore>(
        &mut self,
        means: &mut Means<'_, R>,
        uetr: &Uetr,
    ) -> Result<(), ExchangeError> {
        let (Some(Talk::Waiting { at, tries, .. }), Some(record)) =
            (self.talks.get(uetr), self.records.get(uetr))
        else {
            return Ok(());
        };
        let (agreement, tries) = (record.agreement, *tries);
        if *at > means.now || !means.ready || self.holds(agreement.asked.asset) {
            return Ok(());
        }
        let Means { wallet, register, rng, .. } = means;
        let expiry = wallet.height().plus(means.expiry_blocks);
        let joining = match Joining::new(&agreement, expiry, wallet, register, *rng) {
            Ok(joining) => joining,
            Err(error) => {
                let why = match is_lack_of_funds(&error) {
                    true => format!("insufficient funds in {}", agreement.asked.asset),
                    false => error.to_string(),
                };
                self.wait(means.now, uetr, tries, why);
                return Err(error);
            }
        };
        let (candidate, join) = (joining.candidate(), Box::new(joining.join()));
        means.effects.push(Effect::Drafted { candidate, uetr: *uetr });
        means.effects.push(Effect::Join { to: agreement.offerer, uetr: *uetr, candidate, join });
        let until = later(means.now, 2 * TALK_MS);
        self.talks.insert(*uetr, Talk::Joining { joining: Box::new(joining), until, tries });
        Ok(())
    }

    /// Tries again later.
    pub(super) fn wait(&mut self, now: Timestamp, uetr: &Uetr, tries: u32, why: String) {
        let (at, tries) = (again(now, tries), tries.saturating_add(1));
        self.talks.insert(*uetr, Talk::Waiting { at, tries, why });
    }

    /// A call with a join has ended. What the other side answers is checked, and then signed.
    pub fn join_answered<R: CryptoRngCore>(
        &mut self,
        means: &mut Means<'_, R>,
        uetr: &Uetr,
        candidate: CandidateId,
        result: Result<(Body, RangeProof), CallError>,
    ) {
        match self.talks.get(uetr) {
            Some(Talk::Joining { joining, .. }) if joining.candidate() == candidate => {}
            _ => return,
        }
        let Some(Talk::Joining { joining, tries, .. }) = self.talks.remove(uetr) else {
            return;
        };
        let (body, range_proof) = match result {
            Ok(answer) => answer,
            Err(CallError::Again(why)) => {
                means.effects.push(Effect::Withdrawn(means.wallet.withdraw(candidate)));
                self.wait(means.now, uetr, tries, why);
                return;
            }
            Err(CallError::Refused(why)) => {
                means.effects.push(Effect::Withdrawn(means.wallet.withdraw(candidate)));
                self.save(means, uetr, Stage::failed(format!("the other side refused: {why}")));
                return;
            }
        };
        if !Self::is_under_way(means, uetr, candidate) {
            self.wait(means.now, uetr, tries, "the draft was overtaken".to_owned());
            return;
        }
        let Means { wallet, register, key, rng, .. } = means;
        match joining.sign(body, range_proof, wallet, register, key, *rng) {
            Ok(signed) => {
                let (expiry, sequence) = (signed.expiry(), candidate.sequence);
                self.save(means, uetr, Stage::Signed { expiry, sequence, transaction: None });
                let (signed, at, until) = (Box::new(signed), means.now, later(means.now, KEEP_MS));
                let talk = Talk::Completing { signed, at, until, tries: 0, calling: false };
                self.talks.insert(*uetr, talk);
                self.send_signature(means, uetr);
            }
            Err(error) => {
                means.effects.push(Effect::Withdrawn(means.wallet.withdraw(candidate)));
                self.save(means, uetr, Stage::failed(format!("the other side's answer: {error}")));
            }
        }
    }

    /// Calls with proof and signature, if that is due.
    pub(super) fn send_signature<R>(&mut self, means: &mut Means<'_, R>, uetr: &Uetr) {
        let (Some(Talk::Completing { signed, at, calling, .. }), Some(record)) =
            (self.talks.get_mut(uetr), self.records.get(uetr))
        else {
            return;
        };
        if *calling || *at > means.now {
            return;
        }
        *calling = true;
        means.effects.push(Effect::Complete {
            to: record.agreement.offerer,
            uetr: *uetr,
            range_proof: signed.range_proof().clone(),
            signature: signed.signature().clone(),
        });
    }

    /// A call with proof and signature has ended. Whatever the other side says, the transaction
    /// may land until its expiry.
    pub fn complete_answered<R>(
        &mut self,
        means: &mut Means<'_, R>,
        uetr: &Uetr,
        result: Result<Transaction, CallError>,
    ) {
        let Some(Talk::Completing { signed, at, tries, calling, .. }) = self.talks.get_mut(uetr)
        else {
            return;
        };
        let complete = result.ok().and_then(|complete| signed.check(complete, means.register).ok());
        (*at, *calling) = (again(means.now, *tries), false);
        *tries = tries.saturating_add(1);
        let (candidate, expiry) = (signed.candidate(), signed.expiry());
        if let Some(transaction) = complete {
            self.talks.remove(uetr);
            let stored = Some(Box::new(transaction.clone().into_unverified()));
            let sequence = candidate.sequence;
            self.save(means, uetr, Stage::Signed { expiry, sequence, transaction: stored });
            let (candidate, transaction) = (Some(candidate), Box::new(transaction));
            means.effects.push(Effect::Submit { candidate, transaction });
        }
    }
}

fn is_lack_of_funds(error: &ExchangeError) -> bool {
    let of_build = |error: &BuildError| matches!(error, BuildError::InsufficientFunds { .. });
    match error {
        ExchangeError::Wallet(WalletError::Build(error)) | ExchangeError::Build(error) => {
            of_build(error)
        }
        _ => false,
    }
}
