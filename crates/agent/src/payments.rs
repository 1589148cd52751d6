//! Payments queued for netting.

use std::collections::{BTreeMap, BTreeSet};

use quittance_ledger::ids::{AssetId, Height, InstitutionId, RoundId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_round::queue::QueuedPayment;
use quittance_rpc::proto::agent::v1::event::Event;
use tonic::Status;

use crate::core::{Changes, Core, Failure};
use crate::show;
use crate::store::{Instruction, Payment, PaymentState, State, What, Writes};

/// Open payments of one asset. More than a round can take at once.
const MAX_OPEN: usize = 65_536;

/// Payments that are still to be settled.
pub(crate) struct Payments {
    /// By place: in queue order.
    open: BTreeMap<u64, Payment>,
    next_place: u64,
    /// Whose queues have changed since that was last asked.
    changed: BTreeSet<AssetId>,
}

impl Payments {
    /// How many are still to be settled.
    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Those that an earlier life has left open.
    pub(crate) fn new(open: Vec<Payment>, next_place: u64) -> Self {
        let changed = open.iter().map(|payment| payment.asset).collect();
        let open = open.into_iter().map(|payment| (payment.place, payment)).collect();
        Self { open, next_place, changed }
    }

    /// Whose queues have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<AssetId> {
        std::mem::take(&mut self.changed)
    }

    /// The queue of an asset is to be looked at again.
    pub(crate) fn mark_changed(&mut self, asset: AssetId) {
        self.changed.insert(asset);
    }

    /// Payments of an asset that are still to be settled, also those in a round, in queue order.
    pub(crate) fn open(&self, asset: AssetId) -> impl Iterator<Item = &Payment> {
        self.open.values().filter(move |payment| payment.asset == asset)
    }

    /// Open payments in this state, in queue order.
    pub(crate) fn in_state(&self, state: PaymentState) -> Vec<Payment> {
        self.open.values().filter(|payment| payment.state == state).cloned().collect()
    }

    /// The rounds that hold payments.
    pub(crate) fn rounds(&self) -> BTreeSet<RoundId> {
        let round = |payment: &Payment| match payment.state {
            PaymentState::InRound(round) => Some(round),
            _ => None,
        };
        self.open.values().filter_map(round).collect()
    }
}

impl Core {
    /// Puts a payment at the end of the queue, or finds it.
    pub(crate) fn queue_payment(
        &mut self,
        asset: AssetId,
        payee: InstitutionId,
        amount: u64,
        particulars: Particulars,
    ) -> Result<Payment, Failure> {
        self.check_caught_up()?;
        let (place, state) = (self.payments.next_place, PaymentState::Queued);
        let payment = Payment { place, asset, payee, amount, particulars, state };
        let (uetr, digest) = (payment.uetr(), payment.digest());
        if let Some(known) = self.known(&uetr, &digest)? {
            return self.payment_of(&known);
        }
        let issuer = self.setting.asset(asset)?.issuer;
        if issuer == payee || issuer == self.setting.institution {
            let text = format!("{issuer} issues {asset} and takes no part in its rounds");
            return Err(Status::failed_precondition(text).into());
        }
        if self.payments.open(asset).count() >= MAX_OPEN {
            let text = format!("{MAX_OPEN} payments in {asset} wait already");
            return Err(Status::resource_exhausted(text).into());
        }
        let mut changes = Changes::now();
        let (what, may_land_until) = (What::Payment { place, digest }, self.wallet.height());
        let state = State::Accepted;
        let instruction = Instruction { uetr, place: 0, what, state, may_land_until };
        changes.batch.put_instruction(&instruction);
        self.payments.next_place += 1;
        self.put_payment(payment.clone(), &mut changes)?;
        self.commit(changes)?;
        self.prepare_queues()?;
        Ok(payment)
    }

    /// Takes a payment out of the queue. One that is out of it stays out.
    pub(crate) fn cancel_payment(&mut self, uetr: Uetr) -> Result<Payment, Failure> {
        self.check_caught_up()?;
        let known = self.store.instruction(&uetr)?;
        let known = known.filter(|known| matches!(known.what, What::Payment { .. }));
        let known = known.ok_or_else(|| Status::not_found(format!("uetr: no payment {uetr}")))?;
        let mut payment = self.payment_of(&known)?;
        match payment.state {
            PaymentState::Queued => {}
            PaymentState::Cancelled => return Ok(payment),
            PaymentState::InRound(round) => {
                let text = format!("payment {uetr} is in round {round}");
                return Err(Status::failed_precondition(text).into());
            }
            PaymentState::Settled { round, .. } => {
                let text = format!("payment {uetr} has been settled by round {round}");
                return Err(Status::failed_precondition(text).into());
            }
        }
        payment.state = PaymentState::Cancelled;
        let mut changes = Changes::now();
        self.put_payment(payment.clone(), &mut changes)?;
        self.commit(changes)?;
        self.prepare_queues()?;
        Ok(payment)
    }

    /// A payment is in this state, by the chain. One that is not on record, since the store was
    /// lost, is put there: then this is true.
    pub(crate) fn adopt_payment(
        &mut self,
        asset: AssetId,
        queued: &QueuedPayment,
        state: PaymentState,
        height: Height,
        changes: &mut Changes,
    ) -> Result<bool, Failure> {
        let uetr = queued.particulars.uetr();
        let known = self.store.instruction(&uetr)?;
        // What has been put on record by an earlier step of the same block is not in the store yet.
        let place = match known.as_ref().map(|known| &known.what) {
            Some(What::Payment { place, .. }) => Some(*place),
            _ => {
                self.payments.open.values().find(|open| open.uetr() == uetr).map(|open| open.place)
            }
        };
        let payment = Payment {
            place: place.unwrap_or(self.payments.next_place),
            asset,
            payee: queued.payee,
            amount: queued.amount,
            particulars: queued.particulars.clone(),
            state,
        };
        if self.payments.open.get(&payment.place).is_some_and(|open| open.state == state) {
            return Ok(false);
        }
        let digest = payment.digest();
        let mut adopted = false;
        match known.map(|known| known.what) {
            Some(What::Payment { digest: other, .. }) if other == digest => {}
            None if place.is_some() => {}
            Some(What::Unknown) | None => {
                adopted = true;
                self.payments.next_place += 1;
                let what = What::Payment { place: payment.place, digest };
                let (state, may_land_until) = (State::Accepted, height);
                let found = Instruction { uetr, place: 0, what, state, may_land_until };
                changes.batch.put_instruction(&found);
            }
            Some(_) => {
                changes.warn(format!("payment {uetr} on the chain is another one than on record"));
                return Ok(false);
            }
        }
        self.put_payment(payment, changes)?;
        Ok(adopted)
    }

    /// A payment has a new state.
    pub(crate) fn put_payment(
        &mut self,
        payment: Payment,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        let decimals = self.setting.asset(payment.asset)?.decimals;
        changes.batch.put_payment(&payment);
        changes.event(Event::Payment(show::payment(&payment, decimals)));
        self.payments.changed.insert(payment.asset);
        match payment.state.is_open() {
            true => drop(self.payments.open.insert(payment.place, payment)),
            false => drop(self.payments.open.remove(&payment.place)),
        }
        Ok(())
    }

    fn payment_of(&self, instruction: &Instruction) -> Result<Payment, Failure> {
        let missing = || Status::internal("a payment is missing");
        let What::Payment { place, .. } = instruction.what else {
            let text = format!("uetr: {} has been carried out already", instruction.uetr);
            return Err(Status::already_exists(text).into());
        };
        if let Some(open) = self.payments.open.get(&place) {
            return Ok(open.clone());
        }
        Ok(self.store.payment(place)?.ok_or_else(missing)?)
    }
}
