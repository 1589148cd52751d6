//! Transfers: accepted once, carried out once, whatever happens in between.
//!
//! A transfer is stored before anybody is told that it is accepted. From then on it is drafted,
//! and drafted again whenever its candidate is lost, until the chain says that it is carried out or
//! it is certain that it never will be. The wallet sees to it that no two candidates for it land.
//!
//! One transfer that a node keeps rejecting steps aside for the others, and is tried again after a
//! pause; after some attempts it fails. It is said to have failed only when no candidate for it can
//! be included any more: of this life of the agent as far as the wallet knows, of earlier ones by
//! the height until which any may land, which is stored before a candidate is made. To make sure of
//! that soon, the sequence number of the last candidate is used up by a posting of no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_ledger::build::{BuildError, Receiver};
use quittance_ledger::ids::{AccountId, AssetId, Height, TransactionId, Uetr};
use quittance_ledger::state::State as Ledger;
use quittance_rpc::decimal;
use rand_core::OsRng;
use tokio::sync::watch;
use tonic::Status;

use crate::core::{Changes, Core, Failure, Setting};
use crate::lanes::Errand;
use crate::show;
use crate::store::{Instruction, State, Transfer, TransferReceiver, What, Writes};
use crate::wallet::{CandidateId, CarriedOut, WalletError};

/// How often a transfer is tried that a node rejects.
const ATTEMPTS: u32 = 7;

/// The pause after the first rejection. It doubles with each.
const PAUSE: Duration = Duration::from_millis(100);

/// Transfers that have neither been carried out nor failed.
pub(crate) struct Transfers {
    /// By place: in the order of their arrival.
    pub(crate) open: BTreeMap<u64, Open>,
    places: BTreeMap<Uetr, u64>,
    next_place: u64,
}

pub(crate) struct Open {
    instruction: Instruction,
    transfer: Transfer,
    outcome: watch::Sender<State>,
    candidate: Option<CandidateId>,
    /// Candidates may be about that the wallet does not know.
    of_earlier_life: bool,
    rejections: u32,
    /// Nothing is drafted until the pause is over.
    pausing: bool,
    /// Why it is to fail.
    failing: Option<String>,
}

impl Open {
    fn new(instruction: Instruction, of_earlier_life: bool) -> Option<Self> {
        let What::Transfer(transfer) = &instruction.what else { return None };
        Some(Self {
            transfer: transfer.clone(),
            outcome: watch::Sender::new(instruction.state.clone()),
            instruction,
            candidate: None,
            of_earlier_life,
            rejections: 0,
            pausing: false,
            failing: None,
        })
    }

    /// Whether it is to be drafted now.
    fn is_waiting(&self) -> bool {
        self.candidate.is_none() && !self.pausing && self.failing.is_none()
    }
}

impl Transfers {
    /// Those that an earlier life has left open.
    pub(crate) fn new(open: Vec<Instruction>, next_place: u64) -> Self {
        let mut transfers = Self { open: BTreeMap::new(), places: BTreeMap::new(), next_place };
        open.into_iter().filter_map(|one| Open::new(one, true)).for_each(|one| transfers.put(one));
        transfers
    }

    fn put(&mut self, open: Open) {
        let Instruction { uetr, place, .. } = open.instruction;
        self.places.insert(uetr, place);
        self.open.insert(place, open);
    }

    fn get(&mut self, uetr: &Uetr) -> Option<&mut Open> {
        self.open.get_mut(self.places.get(uetr)?)
    }

    fn take(&mut self, uetr: &Uetr) -> Option<Open> {
        self.open.remove(&self.places.remove(uetr)?)
    }

    /// What will be drafted on an account once it can be.
    fn pledged(&self, asset: AssetId) -> u128 {
        let waiting = self.open.values().filter(|open| open.candidate.is_none());
        let waiting = waiting.filter(|open| open.failing.is_none() && open.transfer.asset == asset);
        waiting.map(|open| open.transfer.total()).fold(0, u128::saturating_add)
    }
}

impl Core {
    /// The instruction with this UETR, if there is one; `ALREADY_EXISTS` if it has another content.
    pub(crate) fn known(
        &self,
        uetr: &Uetr,
        digest: &Digest,
    ) -> Result<Option<Instruction>, Failure> {
        let known = self.store.instruction(uetr)?;
        match known.as_ref().and_then(|known| known.what.digest()) {
            Some(other) if other != *digest => {
                let text = format!("uetr: {uetr} is another instruction's");
                Err(Status::already_exists(text).into())
            }
            _ => Ok(known),
        }
    }

    /// Accepts a transfer, or finds it. Answers with its outcome as it goes on.
    pub(crate) fn transfer(
        &mut self,
        uetr: Uetr,
        transfer: Transfer,
    ) -> Result<watch::Receiver<State>, Failure> {
        self.check_caught_up()?;
        let what = What::Transfer(transfer);
        let digest = what.digest().unwrap_or(Digest::ZERO);
        if let Some(known) = planted!("instruction-forgotten", None, self.known(&uetr, &digest)?) {
            return Ok(match self.transfers.get(&uetr) {
                Some(open) => open.outcome.subscribe(),
                None => watch::channel(known.state).1,
            });
        }
        let place = self.transfers.next_place;
        let (state, may_land_until) = (State::Accepted, self.expiry());
        let instruction = Instruction { uetr, place, what, state, may_land_until };
        let Some(open) = Open::new(instruction, false) else {
            return Err(Status::internal("not a transfer").into());
        };
        self.check_quota(&open.transfer)?;
        self.check_funds(&open.transfer)?;
        let mut changes = Changes::now();
        changes.batch.put_instruction(&open.instruction);
        changes.event(show::instruction_event(uetr, &State::Accepted));
        self.commit(changes)?;
        let outcome = open.outcome.subscribe();
        self.transfers.next_place += 1;
        self.transfers.put(open);
        self.pump()?;
        Ok(outcome)
    }

    /// Refuses a transfer with more credits for one receiver than the chain ever lets pend.
    fn check_quota(&self, transfer: &Transfer) -> Result<(), Failure> {
        let quota = Quota::new(BTreeMap::new(), &self.setting);
        match quota.has_room_for(transfer) {
            true => Ok(()),
            false => {
                let limit = quota.limit;
                let text = format!("receivers: more than {limit} credits for one of them");
                Err(Status::failed_precondition(text).into())
            }
        }
    }

    /// Refuses a transfer that the account could not pay now, with what waits to be absorbed and
    /// after all that is under way.
    fn check_funds(&self, transfer: &Transfer) -> Result<(), Failure> {
        let asset = transfer.asset;
        let available = self.wallet.available(asset);
        let available = available.map_err(|e| Status::failed_precondition(e.to_string()))?;
        let available = available.saturating_sub(self.transfers.pledged(asset));
        let needed = transfer.total();
        if needed <= available {
            return Ok(());
        }
        let decimals = self.setting.asset(asset)?.decimals;
        let shown = |amount: u128| {
            decimal::format_signed(i128::try_from(amount).unwrap_or(i128::MAX), decimals)
        };
        let (needed, available) = (shown(needed), shown(available));
        let text = format!("insufficient funds: {needed} {asset} needed, {available} available");
        Err(Status::failed_precondition(text).into())
    }

    /// Drafts what waits, as far as accounts allow, and lets fail what is to fail.
    pub(crate) fn pump_transfers(&mut self) -> Result<(), Failure> {
        let (height, expiry) = (self.wallet.height(), self.expiry());
        let mut changes = Changes::now();
        let (mut drafts, mut blocked) = (Vec::new(), BTreeSet::new());
        let mut quota = Quota::new(self.wallet.outstanding(), &self.setting);
        let under_way = self.transfers.open.values().filter(|open| open.candidate.is_some());
        under_way.for_each(|open| quota.take(&open.transfer));
        let registry = self.setting.registry();
        for open in self.transfers.open.values_mut().filter(|open| open.is_waiting()) {
            let asset = open.transfer.asset;
            if self.parts.rounds.holds(asset) {
                continue;
            }
            if blocked.contains(&asset) || !quota.has_room_for(&open.transfer) {
                continue;
            }
            let until = open.instruction.may_land_until;
            // Half of the time is enough; less, and the height is moved on before the draft.
            let expiry = match until.0 >= height.0.saturating_add(self.setting.expiry_blocks / 2) {
                true => until,
                false => expiry,
            };
            let Some(receivers) = receivers(&open.transfer, &registry, height.next()) else {
                continue;
            };
            let uetr = open.instruction.uetr;
            match self.wallet.draft_transfer(asset, &receivers, uetr, expiry, &mut OsRng) {
                Ok(draft) => {
                    open.candidate = Some(draft.id());
                    quota.take(&open.transfer);
                    drafts.push((draft, uetr));
                    if expiry != until {
                        open.instruction.may_land_until = expiry;
                        changes.batch.put_instruction(&open.instruction);
                    }
                }
                Err(WalletError::Build(error)) => open.failing = Some(explain(&error)),
                Err(_) => drop(blocked.insert(asset)),
            }
        }
        self.commit(changes)?;
        for (draft, uetr) in drafts {
            self.dispatch(draft, Errand::Transfer(uetr));
        }
        self.fail_transfers()
    }

    /// Lets those fail that are to, as soon as no candidate of theirs can land.
    fn fail_transfers(&mut self) -> Result<(), Failure> {
        let height = self.wallet.height();
        let mut failed = Vec::new();
        for open in self.transfers.open.values().filter(|open| open.candidate.is_none()) {
            let Some(reason) = &open.failing else { continue };
            let Instruction { uetr, may_land_until, .. } = open.instruction;
            if self.wallet.may_still_land(&uetr) {
                self.absorption.use_up(open.transfer.asset);
            } else if !open.of_earlier_life || may_land_until <= height {
                failed.push((uetr, State::failed(reason.clone())));
            }
        }
        let mut changes = Changes::now();
        for (uetr, state) in failed {
            if let Some(mut open) = self.transfers.take(&uetr) {
                open.instruction.state = state.clone();
                changes.batch.put_instruction(&open.instruction);
                changes.event(show::instruction_event(uetr, &state));
                changes.afterwards(move |_| drop(open.outcome.send_replace(state)));
            }
        }
        Ok(self.commit(changes)?)
    }

    /// A node has taken a candidate for a transfer.
    pub(crate) fn transfer_submitted(
        &mut self,
        uetr: Uetr,
        transaction: TransactionId,
    ) -> Result<(), Failure> {
        let state = State::Submitted { transaction };
        let Some(open) = self.transfers.get(&uetr) else { return Ok(()) };
        if open.instruction.state == state {
            return Ok(());
        }
        open.instruction.state = state.clone();
        let mut changes = Changes::now();
        changes.batch.put_instruction(&open.instruction);
        changes.event(show::instruction_event(uetr, &state));
        let outcome = open.outcome.clone();
        changes.afterwards(move |_| drop(outcome.send_replace(state)));
        Ok(self.commit(changes)?)
    }

    /// A candidate for a transfer is lost. It is drafted again: at once, or after a pause if a node
    /// has rejected it for `reason`.
    pub(crate) fn transfer_lost(
        &mut self,
        uetr: Uetr,
        candidate: CandidateId,
        reason: Option<&str>,
    ) {
        let Some(open) = self.transfers.get(&uetr) else { return };
        if open.candidate == Some(candidate) {
            open.candidate = None;
        }
        let Some(reason) = reason else { return };
        open.rejections += 1;
        if open.rejections >= ATTEMPTS {
            open.failing = Some(format!("rejected {ATTEMPTS} times, at last: {reason}"));
            return;
        }
        open.pausing = true;
        let pause = PAUSE.saturating_mul(1 << (open.rejections - 1));
        self.after(pause, move |core| {
            if let Some(open) = core.transfers.get(&uetr) {
                open.pausing = false;
            }
            core.pump()
        });
    }

    /// The chain says that an instruction is carried out, whichever it is.
    pub(crate) fn carried_out(
        &mut self,
        uetr: Uetr,
        outcome: &CarriedOut,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        let &CarriedOut { transaction, height, .. } = outcome;
        let (state, open) = (State::Final { transaction, height }, self.transfers.take(&uetr));
        let stored = match &open {
            Some(open) => Some(open.instruction.clone()),
            None => self.store.instruction(&uetr)?,
        };
        let unknown = || Instruction {
            uetr,
            place: 0,
            what: What::Unknown,
            state: State::Accepted,
            may_land_until: height,
        };
        let mut instruction = stored.unwrap_or_else(unknown);
        if instruction.state == state {
            return Ok(());
        }
        instruction.state = state.clone();
        changes.batch.put_instruction(&instruction);
        if !matches!(instruction.what, What::Exchange { .. }) {
            changes.event(show::instruction_event(uetr, &state));
        }
        if let Some(open) = open {
            changes.afterwards(move |_| drop(open.outcome.send_replace(state)));
        }
        Ok(())
    }
}

/// How many credits of this institution may still pend on each account. A transfer that finds no
/// room waits until its receivers have absorbed what they have.
struct Quota {
    limit: u32,
    taken: BTreeMap<AccountId, u32>,
}

impl Quota {
    fn new(taken: BTreeMap<AccountId, u32>, setting: &Setting) -> Self {
        Self { limit: setting.registry().limits().pending_per_sender, taken }
    }

    fn has_room_for(&self, transfer: &Transfer) -> bool {
        let mut with = Self { limit: self.limit, taken: BTreeMap::new() };
        with.take(transfer);
        with.taken.iter().all(|(account, more)| {
            let taken = self.taken.get(account).copied().unwrap_or(0);
            taken.saturating_add(*more) <= self.limit
        })
    }

    fn take(&mut self, transfer: &Transfer) {
        for TransferReceiver { institution, .. } in &transfer.receivers {
            let account = AccountId { institution: *institution, asset: transfer.asset };
            *self.taken.entry(account).or_default() += 1;
        }
    }
}

/// Whom a transfer credits, with the keys of that height; all of them or nobody.
fn receivers<'a>(
    transfer: &Transfer,
    registry: &'a Ledger,
    height: Height,
) -> Option<Vec<Receiver<'a>>> {
    let of = |receiver: &TransferReceiver| {
        let institution = receiver.institution;
        let sealing_key = registry.institution(&institution)?.sealing_key(height)?;
        let (amount, particulars) = (receiver.amount, receiver.particulars.clone());
        Some(Receiver { institution, sealing_key, amount, particulars })
    };
    transfer.receivers.iter().map(of).collect()
}

/// Why a transfer cannot be drafted, for the bank.
fn explain(error: &BuildError) -> String {
    match error {
        BuildError::InsufficientFunds { .. } => "insufficient funds".to_owned(),
        other => other.to_string(),
    }
}
