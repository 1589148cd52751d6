//! What blocks change.

use quittance_crypto::signature::Purpose;
use quittance_ledger::block::Block;
use quittance_ledger::ids::Height;
use tonic::Status;

use super::{Changes, Core, Failure, Register};
use crate::config;
use crate::show;
use crate::store::Writes;
use crate::wallet::{StatementLine, WalletEvent};
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::event::Event;

impl Core {
    /// Takes in the next certified block.
    pub(crate) fn apply_block(&mut self, block: &Block) -> Result<(), Failure> {
        let height = block.header.height;
        let events = self.wallet.apply_block(block);
        let events = events.map_err(|error| Status::internal(error.to_string()))?;
        self.book.apply(block).map_err(|error| Status::internal(error.to_string()))?;
        self.take_register()?;
        let fresh = height > self.processed;
        let mut changes = Changes::at(block.header.time);
        let mut lines = 0;
        for event in &events {
            if fresh {
                self.record(event, height, &mut lines, &mut changes)?;
            }
        }
        self.on_block(block, &events, fresh, &mut changes)?;
        self.commit_block(changes, height)?;
        for event in &events {
            self.follow_up(event)?;
        }
        self.progress.send_modify(|progress| progress.height = height);
        self.look_at_progress()?;
        self.pump()
    }

    /// What governance has decided holds from the next block on, for all of the agent.
    fn take_register(&mut self) -> Result<(), Failure> {
        let (height, registry) = (self.book.height(), self.book.registry());
        let changed = *registry != self.setting.register.borrow().state;
        if changed {
            for asset in registry.assets() {
                let issuer = registry.asset(&asset).map(|about| about.issuer);
                issuer.into_iter().for_each(|issuer| self.wallet.list(asset, issuer));
            }
        }
        let register = Register { state: registry.clone(), height };
        self.setting.register.send_replace(register);
        if let Some(key) = self.book.key(&self.setting.institution, Purpose::Transaction) {
            self.wallet.sign_with(key.fingerprint());
        }
        match self.progress.borrow().caught_up {
            true => self.check_keys(),
            false => Ok(()),
        }
    }

    /// The agent has the keys that are registered for it: without them it can do nothing, and ends.
    fn check_keys(&self) -> Result<(), Failure> {
        let institution = self.setting.institution;
        let missing = self.book.missing_key(&self.setting.keys, &institution, &config::PURPOSES);
        missing
            .map_or(Ok(()), |missing| Err(Status::failed_precondition(missing.to_string()).into()))
    }

    /// The node has said how far it is.
    pub(crate) fn node_is_at(&mut self, node: Height) -> Result<(), Failure> {
        self.progress.send_modify(|progress| progress.node = Some(node));
        self.look_at_progress()?;
        // It may have forgotten what it was given.
        self.look_after_lanes()
    }

    /// Whether the wallet is up to date: it must have seen what the node has, and what this agent
    /// has seen before.
    fn look_at_progress(&mut self) -> Result<(), Failure> {
        let progress = *self.progress.borrow();
        let reached = |node: Height| progress.height >= node.max(self.processed);
        if progress.caught_up || !progress.node.is_some_and(reached) {
            return Ok(());
        }
        self.check_keys()?;
        tracing::info!(height = %progress.height, "the agent has caught up with the chain");
        self.progress.send_modify(|progress| progress.caught_up = true);
        self.on_caught_up()?;
        self.pump()
    }

    /// What is written of an event.
    fn record(
        &mut self,
        event: &WalletEvent,
        height: Height,
        lines: &mut u32,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        match event {
            WalletEvent::Booked(line) => {
                let shown = self.line(line)?;
                changes.batch.put_line(line.asset, height, *lines, shown.clone());
                *lines += 1;
                let asset = line.asset.to_string();
                changes.event(Event::Statement(api::StatementEvent { asset, line: Some(shown) }));
            }
            WalletEvent::CarriedOut { uetr, outcome } => {
                self.carried_out(*uetr, outcome, changes)?;
            }
            WalletEvent::Malformed { credit, asset, sender, reason } => {
                changes
                    .warn(format!("{asset}: credit {credit} from {sender} is refused: {reason}"));
            }
            WalletEvent::Unreadable { asset, sequence, reason } => changes.warn(format!(
                "{asset}: the balance after posting {sequence} is not known: {reason}"
            )),
            WalletEvent::Landed { .. }
            | WalletEvent::Lost(_)
            | WalletEvent::Locked { .. }
            | WalletEvent::Unlocked { .. } => {}
        }
        Ok(())
    }

    /// What an event means for that which is under way.
    fn follow_up(&mut self, event: &WalletEvent) -> Result<(), Failure> {
        match event {
            WalletEvent::Landed { candidate, .. } => {
                self.lanes.landed(*candidate);
                Ok(())
            }
            WalletEvent::Lost(lost) => self.lost(lost, None),
            _ => Ok(()),
        }
    }

    /// A line as the bank sees it; references that only the receivers find on the chain are taken
    /// from the instruction.
    fn line(&self, line: &StatementLine) -> Result<api::StatementLine, Failure> {
        let decimals = self.setting.asset(line.asset)?.decimals;
        let mut shown = show::line(line, decimals);
        if let Some(uetr) = line.uetr.filter(|_| line.end_to_end_id.is_none())
            && let Some(instruction) = self.store.instruction(&uetr)?
        {
            show::add_references(&mut shown, &instruction.what);
        }
        Ok(shown)
    }
}
