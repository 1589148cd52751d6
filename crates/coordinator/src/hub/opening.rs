//! Opening rounds: who has asked, the transaction, and what becomes of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use metrics::counter;
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::build::{BuildError, Terms, Unsigned};
use quittance_ledger::ids::{AssetId, Height, InstitutionId, RoundId};
use quittance_ledger::state::{Committee, State};
use quittance_ledger::transaction::{Action, MAX_ATTEMPTS, RoundOpen, Transaction};
use quittance_round::coordinator::Coordinator;
use quittance_round::program;
use quittance_rpc::convert::FieldError;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::metrics as names;
use quittance_rpc::submit::Outcome;
use rand_core::{CryptoRngCore, OsRng};
use tokio::time::timeout;
use tonic::Status;

use super::{Answer, Event, Hub};
use crate::config::Rules;

/// How long the opening of a round may take to become final before whoever asked for it is told
/// that it has not.
const OPENING: Duration = Duration::from_secs(30);

/// Callers that may wait for one opening.
pub(super) const WAITING: usize = 1024;

/// Rounds that are opened within an [`HOUR_MS`] because one institution has asked for them. An agent
/// joins as many, unless its operator has said otherwise.
const OPENINGS: usize = 600;

const HOUR_MS: u64 = 3_600_000;

/// When rounds were opened for whom.
#[derive(Default)]
pub(super) struct Openings(BTreeMap<InstitutionId, VecDeque<u64>>);

impl Openings {
    /// Counts one more for `by`, or says that it has had its share.
    fn count(&mut self, by: InstitutionId, now_ms: u64) -> bool {
        let times = self.0.entry(by).or_default();
        while times.front().is_some_and(|time| *time + HOUR_MS <= now_ms) {
            times.pop_front();
        }
        let free = times.len() < OPENINGS;
        if free {
            times.push_back(now_ms);
        }
        free
    }
}

/// A round whose opening is on its way to the ledger.
pub(super) struct Opening {
    pub(super) round: RoundId,
    waiting: Vec<Answer>,
}

impl Hub {
    /// Answers those who wait for rounds that have become open.
    pub(super) fn answer_opened(&mut self) {
        let opened: Vec<AssetId> = self
            .opening
            .iter()
            .filter(|(_, opening)| self.book.round(&opening.round).is_some())
            .map(|(asset, _)| *asset)
            .collect();
        for asset in opened {
            let Some(Opening { round, waiting }) = self.opening.remove(&asset) else { continue };
            tracing::info!(%round, %asset, "round is open");
            let in_hand = self.running.contains_key(&round);
            for answer in waiting {
                // Fails only if the caller is gone.
                let _ = answer.send(match in_hand {
                    true => Ok(round),
                    false => Err(Status::unavailable("the round was opened too late")),
                });
            }
        }
    }

    /// Answers with the round in hand, or opens one.
    pub(super) fn request(&mut self, asset: AssetId, by: InstitutionId, answer: Answer) {
        if let Some(round) = self.in_hand(asset) {
            let _ = answer.send(Ok(round));
            return;
        }
        if let Some(opening) = self.opening.get_mut(&asset) {
            match opening.waiting.len() {
                0..WAITING => opening.waiting.push(answer),
                _ => drop(answer.send(Err(Status::resource_exhausted("too many callers wait")))),
            }
            return;
        }
        let now = self.now_ms();
        if !self.openings.count(by, now) {
            let reason = format!("{by} has asked for {OPENINGS} rounds within an hour");
            drop(answer.send(Err(Status::resource_exhausted(reason))));
            return;
        }
        match self.open(asset) {
            Ok(round) => {
                tracing::info!(%round, %asset, %by, "round is being opened");
                self.opening.insert(asset, Opening { round, waiting: vec![answer] });
                // In hand from now on: whoever is quick answers the opening before we have seen it.
                let (me, timing) = (self.me.institution, self.me.rules.timing);
                self.running.insert(round, Coordinator::new(round, me, timing, self.now_ms()));
                let present = self.attendance.institutions();
                self.lead(round, |it, turn| it.attend(turn, present, &mut OsRng));
            }
            Err(status) => drop(answer.send(Err(status))),
        }
    }

    /// The round of an asset that is being run.
    fn in_hand(&self, asset: AssetId) -> Option<RoundId> {
        let of_asset = |round: &&RoundId| {
            self.book.round(round).is_some_and(|facts| facts.terms.asset == asset)
        };
        self.running.keys().find(of_asset).copied()
    }

    /// Signs the opening of a round and sends it on its way.
    fn open(&mut self, asset: AssetId) -> Result<RoundId, Status> {
        let registry = self.book.registry();
        if registry.asset(&asset).is_none() {
            return Err(FieldError::new("asset", format!("there is no asset {asset}")).into());
        }
        if let Some(since) = registry.retired(&asset) {
            let reason = format!("{asset} is retired since height {since}: it is netted no more");
            return Err(Status::failed_precondition(reason));
        }
        let id = self.me.rules.committee;
        let committee = registry.committee(id).ok_or_else(|| {
            let reason =
                format!("the chain has no committee {id}, with which rounds are opened here");
            Status::failed_precondition(reason)
        })?;
        let process = Process::Party;
        for party in &committee.parties {
            if !self.attendance.attends(ProcessName { institution: *party, process }) {
                let reason = format!("MPC party {party} does not attend: no round can be computed");
                return Err(Status::unavailable(reason));
            }
        }
        let key = self.book.own_key(&self.me.keys, &self.me.institution, Purpose::Transaction);
        let (me, rules) = (self.me.institution, &self.me.rules);
        let height = self.book.height();
        let built = build(registry, height, asset, rules, (me, key), &mut OsRng);
        let (round, transaction) = built.map_err(|error| {
            tracing::error!(%error, %asset, "a round cannot be opened");
            Status::internal("the coordinator has failed; see its log")
        })?;
        let (submitter, events) = (self.submitter.clone(), self.events.clone());
        tokio::spawn(async move {
            let reason = match timeout(OPENING, submitter.settle(&transaction)).await {
                // The block that has it says the rest.
                Ok(Ok(Outcome::Final { .. })) => return,
                Ok(Ok(Outcome::Rejected { code, reason })) => format!("{code}: {reason}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("it was not final within {OPENING:?}"),
            };
            let _ = events.send(Event::NotOpened { asset, round, reason }).await;
        });
        Ok(round)
    }

    pub(super) fn not_opened(&mut self, asset: AssetId, round: RoundId, reason: &str) {
        if self.opening.get(&asset).is_none_or(|opening| opening.round != round) {
            return;
        }
        counter!(names::COORDINATOR_ROUNDS, "outcome" => "not_opened").increment(1);
        tracing::warn!(%round, %asset, reason, "round was not opened");
        self.running.remove(&round);
        for answer in self.opening.remove(&asset).into_iter().flat_map(|it| it.waiting) {
            let status = Status::unavailable(format!("the round could not be opened: {reason}"));
            let _ = answer.send(Err(status));
        }
    }
}

/// An attempt can be made without each party that the committee has to spare, as far as banks have
/// pads for so many.
fn attempts(committee: Option<&Committee>) -> u8 {
    let spare = committee.map_or(0, |committee| {
        let active = 2 * usize::from(committee.threshold) + 1;
        committee.parties.len().saturating_sub(active)
    });
    u8::try_from(spare).unwrap_or(u8::MAX).saturating_add(1).min(MAX_ATTEMPTS)
}

/// Builds and signs the opening of a round in `asset` after the block at `height`, and tells the
/// round's id.
fn build(
    registry: &State,
    height: Height,
    asset: AssetId,
    rules: &Rules,
    (opener, key): (InstitutionId, &SigningKey),
    rng: &mut impl CryptoRngCore,
) -> Result<(RoundId, Transaction), BuildError> {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let join_until = height.plus(rules.join_blocks);
    let opening = RoundOpen {
        salt,
        opener,
        key_fingerprint: key.verifying_key().fingerprint(),
        asset,
        program: program::digest(program::NETTING),
        committee: rules.committee,
        minimum_roster: rules.minimum_roster,
        attempts: attempts(registry.committee(rules.committee)),
        join_until,
        deadline: height.plus(rules.deadline_blocks),
    };
    let chain = registry.chain();
    // One that comes when joining is over opens nothing.
    let terms = Terms { suite: chain.suite, chain: chain.id, expiry: join_until };
    let unsigned = Unsigned::new(terms.act(Action::RoundOpen(opening))?, Vec::new())?;
    let round = RoundId::of(chain.id, &unsigned.body().digest());
    let signature = unsigned.sign(opener, key)?;
    Ok((round, unsigned.assemble(vec![signature])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_institution_has_so_many_rounds_in_an_hour() {
        let [one, other] =
            ["BANKDEFF", "BANKFRPP"].map(|name| name.parse().expect("a name of a test"));
        let mut openings = Openings::default();
        for time in 0..OPENINGS as u64 {
            assert!(openings.count(one, time));
        }
        assert!(!openings.count(one, 1_000));
        assert!(openings.count(other, 1_000), "another institution is not affected");
        assert!(!openings.count(one, HOUR_MS - 1));
        // The first is an hour ago, the second not yet.
        assert!(openings.count(one, HOUR_MS));
        assert!(!openings.count(one, HOUR_MS));
    }
}
