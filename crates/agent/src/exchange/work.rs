//! The desk at work in an agent: its effects are stored, sent and submitted here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{InstitutionId, Uetr};
use quittance_rpc::proto::agent::v1::event::Event;
use quittance_storage::StorageError;
use rand_core::OsRng;
use tokio::sync::{oneshot, watch};
use tonic::Status;

use super::{Agreement, Desk, Effect, Means, Money, Offer, Proposal, Record, Refusal, Stage, show};
use crate::core::{Changes, Core, Failure, Setting, now};
use crate::lanes::Errand;
use crate::peers::Peers;
use crate::store::{EXCHANGES, Instruction, State, Store, What, Writes};
use crate::wallet::{Lost, WalletEvent};

/// How often the desk looks at the clock while an exchange is open.
const TICK: Duration = Duration::from_millis(200);

/// Rows that are read at a time.
const PAGE: usize = 512;

/// The exchanges of an agent.
pub(crate) struct Exchanges {
    desk: Desk,
    peers: Arc<Peers>,
    /// For those who wait for an end.
    watched: BTreeMap<Uetr, watch::Sender<Record>>,
    /// For those who wait for the first delivery of an offer.
    delivering: BTreeMap<Uetr, Vec<oneshot::Sender<()>>>,
}

impl Exchanges {
    /// What the store holds of them.
    pub(crate) fn open(setting: &Setting, store: &Store) -> Result<Self, StorageError> {
        let (database, mut records, mut first) = (store.database(), Vec::new(), Vec::new());
        loop {
            let page = database.scan(EXCHANGES, &first, PAGE)?;
            for (_, value) in &page {
                records.push(database.decode::<Record>(EXCHANGES, value)?);
            }
            let Some((last, _)) = page.last().filter(|_| page.len() == PAGE) else { break };
            first = [&last[..], &[0]].concat();
        }
        Ok(Self {
            desk: Desk::new(setting.institution, records),
            peers: Arc::new(Peers::new(setting)),
            watched: BTreeMap::new(),
            delivering: BTreeMap::new(),
        })
    }
}

/// How a refusal is told over gRPC, by field of the request where there is one.
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Unknown(_) => Self::not_found(format!("uetr: {text}")),
            Refusal::Exists(_) => Self::already_exists(format!("uetr: {text}")),
            Refusal::NotNow(_) => Self::unavailable(text),
            Refusal::Not(_) => Self::failed_precondition(text),
            Refusal::Wrong(_) => Self::invalid_argument(text),
            Refusal::TooMany(_) => Self::resource_exhausted(text),
        }
    }
}

fn digest_of(agreement: &Agreement) -> Digest {
    Digest::of_value("quittance/v1/exchange-instruction", agreement)
}

impl Core {
    /// All exchanges.
    pub(crate) fn exchanges(&self) -> &Desk {
        &self.parts.exchanges.desk
    }

    /// One exchange.
    pub(crate) fn exchange(&self, uetr: &Uetr) -> Result<Record, Failure> {
        let record = self.exchanges().get(uetr).cloned();
        Ok(record.ok_or(Refusal::Unknown(*uetr)).map_err(Status::from)?)
    }

    /// Has the desk do something, and does what follows from it.
    pub(crate) fn at_desk<T>(
        &mut self,
        step: impl FnOnce(&mut Desk, &mut Means<'_, OsRng>) -> T,
    ) -> Result<T, Failure> {
        let (setting, mut effects) = (self.setting.clone(), Vec::new());
        let (ready, registry) = (self.check_caught_up().is_ok(), setting.registry());
        let mut means = Means {
            wallet: &mut self.wallet,
            register: &registry,
            key: setting.signing(Purpose::Transaction),
            rng: &mut OsRng,
            now: now(),
            expiry_blocks: setting.expiry_blocks,
            ready,
            effects: &mut effects,
        };
        let result = step(&mut self.parts.exchanges.desk, &mut means);
        self.store_records(&effects)?;
        for effect in effects {
            self.carry_out(effect)?;
        }
        Ok(result)
    }

    /// The bank offers an exchange. The receiver ends when the offer was delivered, or could not
    /// be.
    pub(crate) fn propose_exchange(
        &mut self,
        proposal: &Proposal,
    ) -> Result<oneshot::Receiver<()>, Failure> {
        self.check_caught_up()?;
        let &Proposal { uetr, counterparty, give, get, .. } = proposal;
        let offerer = self.setting.institution;
        let accepter = counterparty;
        let agreement = Agreement { uetr, offerer, accepter, offered: give, asked: get };
        self.known(&uetr, &digest_of(&agreement))?;
        let (tried, waiting) = oneshot::channel();
        let new = self.exchanges().get(&uetr).is_none();
        self.at_desk(|desk, means| desk.propose(means, proposal))?.map_err(Status::from)?;
        if new {
            self.parts.exchanges.delivering.entry(uetr).or_default().push(tried);
        }
        Ok(waiting)
    }

    /// The bank accepts an exchange. Answers with its record as it goes on.
    pub(crate) fn accept_exchange(
        &mut self,
        uetr: Uetr,
        give: Money,
        get: Money,
    ) -> Result<watch::Receiver<Record>, Failure> {
        self.check_caught_up()?;
        let agreement = self.exchange(&uetr)?.agreement;
        self.known(&uetr, &digest_of(&agreement))?;
        let accepted = self.at_desk(|desk, means| desk.accept(means, uetr, give, get))?;
        let accepted = accepted.map_err(Status::from)?;
        if accepted.stage.is_over() {
            return Ok(watch::channel(accepted).1);
        }
        // Others may wait for it already.
        let watched = &mut self.parts.exchanges.watched;
        Ok(watched.entry(uetr).or_insert_with(|| watch::Sender::new(accepted)).subscribe())
    }

    /// Another agent offers an exchange.
    pub(crate) fn exchange_offered(
        &mut self,
        from: InstitutionId,
        offer: &Offer,
    ) -> Result<(), Failure> {
        self.check_caught_up()?;
        let &Offer { uetr, give, get, .. } = offer;
        let accepter = self.setting.institution;
        let agreement = Agreement { uetr, offerer: from, accepter, offered: give, asked: get };
        self.known(&uetr, &digest_of(&agreement))?;
        Ok(self.at_desk(|desk, means| desk.offer(means, from, offer))?.map_err(Status::from)?)
    }

    /// Time has passed.
    pub(crate) fn look_after_exchanges(&mut self) -> Result<(), Failure> {
        match self.exchanges().is_idle() {
            true => Ok(()),
            false => self.at_desk(|desk, means| desk.tick(means)),
        }
    }

    /// Looks after the exchanges from time to time.
    pub(crate) fn keep_looking_after_exchanges(&mut self) -> Result<(), Failure> {
        self.look_after_exchanges()?;
        self.after(TICK, Self::keep_looking_after_exchanges);
        Ok(())
    }

    /// A block has come: what was signed may have landed.
    pub(crate) fn exchanges_after_block(&mut self) {
        if self.check_caught_up().is_ok() && !self.exchanges().is_idle() {
            self.after(Duration::ZERO, Self::look_after_exchanges);
        }
    }

    /// The candidate of an exchange is lost.
    pub(crate) fn exchange_lost(&mut self, lost: &Lost) {
        self.parts.exchanges.desk.lost(now(), lost);
    }

    /// Stores what is to be stored, in one batch, and tells of it.
    fn store_records(&mut self, effects: &[Effect]) -> Result<(), Failure> {
        let mut changes = Changes::now();
        for effect in effects {
            match effect {
                Effect::Save { record, changed } => {
                    self.store_record(record, *changed, &mut changes)?;
                }
                Effect::Forget(uetr) => changes.batch.delete(EXCHANGES, &uetr.0),
                _ => {}
            }
        }
        Ok(self.commit(changes)?)
    }

    fn store_record(
        &self,
        record: &Record,
        changed: bool,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        let uetr = record.uetr();
        changes.batch.put(EXCHANGES, &uetr.0, record);
        self.store_instruction(record, changes)?;
        if !changed {
            return Ok(());
        }
        let shown = show::exchange(record, &self.setting)?;
        tracing::info!(%uetr, state = ?shown.state(), "an exchange has moved on");
        changes.event(Event::Exchange(shown));
        let record = record.clone();
        changes.afterwards(move |core| {
            let (watched, over) = (&mut core.parts.exchanges.watched, record.stage.is_over());
            if let Some(watched) = watched.get(&uetr) {
                watched.send_replace(record);
            }
            if over {
                watched.remove(&uetr);
            }
        });
        Ok(())
    }

    /// The reference belongs to the exchange as soon as the bank has asked for it.
    fn store_instruction(&self, record: &Record, changes: &mut Changes) -> Result<(), Failure> {
        let uetr = record.uetr();
        let wanted = record.offered_by(self.setting.institution)
            || matches!(record.stage, Stage::Accepted | Stage::Signed { .. });
        let digest = digest_of(&record.agreement);
        match self.store.instruction(&uetr)? {
            // Another instruction's it stays.
            Some(known) if known.what.digest().is_some_and(|other| other != digest) => {
                return Ok(());
            }
            None if !wanted => return Ok(()),
            _ => {}
        }
        let (state, may_land_until) = match &record.stage {
            Stage::Offered | Stage::Accepted => (State::Accepted, self.wallet.height()),
            Stage::Signed { expiry, .. } => (State::Accepted, *expiry),
            &Stage::Final { transaction, height } => (State::Final { transaction, height }, height),
            Stage::Expired { reason } | Stage::Failed { reason } => {
                (State::failed(reason.clone()), self.wallet.height())
            }
        };
        let what = What::Exchange { digest };
        let instruction = Instruction { uetr, place: 0, what, state, may_land_until };
        changes.batch.put_instruction(&instruction);
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), Failure> {
        let peers = self.parts.exchanges.peers.clone();
        match effect {
            Effect::Save { .. } | Effect::Forget(_) => {}
            Effect::Drafted { candidate, uetr } => self.enlist(candidate, Errand::Exchange(uetr)),
            Effect::Withdrawn(events) => {
                for event in &events {
                    if let WalletEvent::Lost(lost) = event {
                        self.lost(lost, None)?;
                    }
                }
                self.pump()?;
            }
            Effect::UseUp(asset) => {
                self.absorption.use_up(asset);
                self.pump()?;
            }
            Effect::Offer { to, offer } => {
                self.spawn(async move { peers.offer(to, &offer).await }, move |core, result| {
                    core.at_desk(|desk, means| desk.offer_delivered(means, &offer.uetr, result))?;
                    // Those who wait see the end of it.
                    core.parts.exchanges.delivering.remove(&offer.uetr);
                    Ok(())
                })
            }
            Effect::Join { to, uetr, candidate, join } => {
                self.spawn(async move { peers.join(to, uetr, &join).await }, move |core, result| {
                    core.at_desk(|desk, means| desk.join_answered(means, &uetr, candidate, result))
                })
            }
            Effect::Complete { to, uetr, range_proof, signature } => self.spawn(
                async move {
                    let (proof, signature) = (range_proof.to_bytes(), signature.to_bytes());
                    peers.complete(to, uetr, proof, signature).await
                },
                move |core, result| {
                    core.at_desk(|desk, means| desk.complete_answered(means, &uetr, result))
                },
            ),
            Effect::Submit { candidate: Some(candidate), transaction } => {
                self.ready(candidate, transaction.into_unverified())?;
            }
            Effect::Submit { candidate: None, transaction } => {
                let submitter = self.setting.submitter.clone();
                let transaction = transaction.into_unverified();
                // What becomes of it is read from the chain.
                self.spawn(async move { submitter.settle(&transaction).await }, |_, _| Ok(()));
            }
        }
        Ok(())
    }
}
