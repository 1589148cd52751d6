//! From an open round to the bank's join.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quittance_crypto::signature::Purpose;
use quittance_ledger::build::{BuildError, Terms, Unsigned};
use quittance_ledger::ids::{AssetId, RoundId};
use quittance_ledger::transaction::{Action, RoundJoin, Transaction};
use quittance_round::message::{Reason, Report};
use quittance_round::queue::{FrozenQueue, QueuePlace, QueuedPayment};
use quittance_rpc::proto::agent::v1::round_event::Stage as Shown;
use rand_core::OsRng;

use super::ranges::fitting;
use super::{Seat, Stage};
use crate::core::{Changes, Core, Failure, Setting};
use crate::lanes::Errand;
use crate::store::PaymentState;
use crate::wallet::CandidateId;

/// How often a join is tried that is lost.
const TRIES: u8 = 3;

const HOUR: Duration = Duration::from_secs(3600);

impl Core {
    /// Joins the open round of an asset, if there is one and the bank wants to.
    pub(super) fn consider(&mut self, asset: AssetId) -> Result<(), Failure> {
        let Some((round, _)) = self.parts.rounds.book.open_round(asset) else { return Ok(()) };
        match self.parts.rounds.seats.get(&round).map(|seat| seat.stage) {
            Some(Stage::Waiting) => self.try_to_join(round),
            Some(_) => Ok(()),
            None => self.look_at_round(round, asset),
        }
    }

    /// A round is seen for the first time.
    fn look_at_round(&mut self, round: RoundId, asset: AssetId) -> Result<(), Failure> {
        let us = self.setting.institution;
        if self.setting.asset(asset).is_ok_and(|about| about.issuer == us) {
            self.parts.rounds.seats.insert(round, Seat::new(asset, Stage::Left));
            let reason = Reason::new("an issuer takes no part in rounds of its own asset");
            self.report(round, Report::Declined { round, reason });
            return Ok(());
        }
        let objection = self.objection(&round);
        let (rounds, us) = (&mut self.parts.rounds, self.setting.institution);
        let mut seat = Seat::new(asset, Stage::Waiting);
        seat.may_settle =
            rounds.book.round(&round).is_some_and(|facts| facts.members.contains_key(&us));
        rounds.seats.insert(round, seat);
        match objection {
            Some(reason) => self.decline(round, &reason),
            None => {
                self.tell(round, Shown::Opened, "")?;
                self.try_to_join(round)
            }
        }
    }

    /// Why the bank does not join an open round, if it does not.
    fn objection(&mut self, round: &RoundId) -> Option<String> {
        let (rounds, us) = (&mut self.parts.rounds, self.setting.institution);
        let facts = rounds.book.round(round)?;
        if facts.members.contains_key(&us) {
            return Some("the agent has been restarted since it joined".to_owned());
        }
        if let Some(objection) = self.setting.rounds.objection(&facts.terms) {
            return Some(objection);
        }
        while rounds.joined.front().is_some_and(|joined| joined.elapsed() >= HOUR) {
            rounds.joined.pop_front();
        }
        if rounds.joined.len() >= self.setting.rounds.per_hour {
            return Some("the bank has joined as many rounds as it may within an hour".to_owned());
        }
        None
    }

    /// Joins as soon as nothing is under way on the account.
    fn try_to_join(&mut self, round: RoundId) -> Result<(), Failure> {
        let rounds = &mut self.parts.rounds;
        let (Some(facts), Some(seat)) = (rounds.book.round(&round), rounds.seats.get_mut(&round))
        else {
            return Ok(());
        };
        let asset = facts.terms.asset;
        if !facts.is_joinable(rounds.book.height()) {
            return self.decline(round, "the time for joining is over");
        }
        if seat.tries >= TRIES {
            return self.decline(round, "joining has failed");
        }
        if self.wallet.lock(asset).is_ok_and(|lock| lock.is_some()) {
            return self.decline(round, "the account is locked by another round");
        }
        if self.wallet.absorbable(asset).is_ok_and(|count| count > 0) && !seat.absorbed {
            seat.absorbed = true;
            self.absorb_now(asset);
        }
        match self.wallet.in_flight(asset) {
            Ok(under_way) if under_way.is_empty() => self.join(round, asset),
            Ok(_) => Ok(()),
            Err(error) => self.decline(round, &error.to_string()),
        }
    }

    /// Freezes the queue, stores that its payments are in the round, and submits the join.
    fn join(&mut self, round: RoundId, asset: AssetId) -> Result<(), Failure> {
        let held: Vec<_> = self.next_in_queue(asset).cloned().collect();
        let payments = held.iter().map(|payment| QueuedPayment {
            payee: payment.payee,
            amount: payment.amount,
            particulars: payment.particulars.clone(),
        });
        let registry = self.setting.registry();
        let number = |id: &_| registry.institution(id).map(|register| register.number);
        let mut changes = Changes::now();
        let (seed, proven) = self.parts.rounds.take_prepared(asset, &mut changes);
        let payer = self.setting.institution;
        let queue = match FrozenQueue::freeze(payer, payments.collect(), number, seed) {
            Ok(queue) => Arc::new(queue),
            Err(error) => return self.decline(round, &error.to_string()),
        };
        let terms = self.parts.rounds.book.round(&round).map(|facts| facts.terms.clone());
        let latest = terms.map_or(self.expiry(), |terms| terms.join_until);
        let expiry = self.expiry().min(latest);
        let candidate = match self.wallet.reserve_join(asset, round, expiry) {
            Ok(candidate) => candidate,
            Err(error) => return self.decline(round, &error.to_string()),
        };
        self.enlist(candidate, Errand::Join(round));
        for mut payment in held {
            payment.state = PaymentState::InRound(round);
            self.put_payment(payment, &mut changes)?;
        }
        self.commit(changes)?;
        if let Some(seat) = self.parts.rounds.seats.get_mut(&round) {
            (seat.stage, seat.queue) = (Stage::Joining, Some(queue.clone()));
            seat.ranges = Some(fitting(&queue, proven));
            seat.tries += 1;
        }
        self.parts.rounds.joined.push_back(Instant::now());
        let (setting, terms) = (self.setting.clone(), self.wallet.terms(expiry));
        self.complete(candidate, move || joining(&setting, terms, round, candidate, &queue));
        self.prove_rest(round);
        Ok(())
    }

    /// The join is lost: tried again as long as there is time.
    pub(crate) fn join_lost(&mut self, round: RoundId) -> Result<(), Failure> {
        tracing::info!(%round, "the join was not included");
        if let Some(seat) = self.parts.rounds.seats.get_mut(&round)
            && seat.stage == Stage::Joining
        {
            (seat.stage, seat.queue, seat.ranges) = (Stage::Waiting, None, None);
        }
        // One of an earlier life may have landed in its stead.
        match self.parts.rounds.queues.contains_key(&round) {
            true => Ok(()),
            false => self.requeue_payments(round),
        }
    }

    /// The own join is final.
    pub(super) fn has_joined(&mut self, round: RoundId, fresh: bool) {
        let rounds = &self.parts.rounds;
        let seat = rounds.seats.get(&round).filter(|seat| seat.stage == Stage::Joining);
        let Some(queue) = seat.filter(|_| fresh).and_then(|seat| seat.queue.as_ref()) else {
            return;
        };
        let landed = rounds.queues.get(&round).map(|landed| landed.root());
        let told = match landed == Some(queue.root()) {
            true => {
                self.deal_out(round);
                self.tell(round, Shown::Joined, "")
            }
            false => self.decline(round, "a join that was made before a restart has landed"),
        };
        if let Err(error) = told {
            tracing::error!(%error, "an event is lost");
        }
    }
}

/// The join as a transaction, with the queue sealed to oneself.
fn joining(
    setting: &Setting,
    terms: Terms,
    round: RoundId,
    candidate: CandidateId,
    queue: &FrozenQueue,
) -> Result<Transaction, BuildError> {
    let (institution, key) = (setting.institution, setting.signing(Purpose::Transaction));
    let CandidateId { asset, sequence, .. } = candidate;
    let place = QueuePlace { chain: terms.chain, round, asset, institution, sequence };
    let join = RoundJoin {
        round,
        institution,
        key_fingerprint: key.verifying_key().fingerprint(),
        sequence,
        queue_root: queue.root(),
        bucket: queue.bucket(),
        note: queue.seal(&place, setting.keys.note(), &mut OsRng),
    };
    let unsigned = Unsigned::new(terms.act(Action::RoundJoin(join))?, Vec::new())?;
    let signature = unsigned.sign(institution, key)?;
    unsigned.assemble(vec![signature])
}
