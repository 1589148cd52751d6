//! Where other modules take part in what the core does.
//!
//! A module keeps its state as a field of [`Parts`], and puts a line into each of the functions
//! below that concerns it.

use quittance_ledger::block::Block;
use quittance_storage::StorageError;

use super::{Changes, Core, Failure, Setting};
use crate::exchange::Exchanges;
use crate::lanes::Errand;
use crate::peers::Inbox;
use crate::rounds::Rounds;
use crate::store::Store;
use crate::wallet::{Lost, WalletEvent};

/// The state of other modules.
pub(crate) struct Parts {
    pub(crate) exchanges: Exchanges,
    pub(crate) inbox: Inbox,
    pub(crate) rounds: Rounds,
}

impl Parts {
    /// What the modules find in the store.
    pub(crate) fn open(setting: &Setting, store: &Store) -> Result<Self, StorageError> {
        Ok(Self {
            exchanges: Exchanges::open(setting, store)?,
            inbox: Inbox::default(),
            rounds: Rounds::open(setting, store)?,
        })
    }
}

impl Core {
    /// A block has been applied to the wallet. `fresh` says whether its changes are yet to be
    /// written: of a block that was processed before the last start only what is not kept in the
    /// store is to be taken in.
    pub(super) fn on_block(
        &mut self,
        block: &Block,
        events: &[WalletEvent],
        fresh: bool,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        self.rounds_on_block(block, events, fresh, changes)?;
        self.exchanges_after_block();
        self.tidy_inbox();
        Ok(())
    }

    /// A candidate is lost that is neither a transfer nor an absorption: to be drafted anew, or
    /// given up. `reason` is the node's, if that has rejected it.
    pub(crate) fn on_lost(
        &mut self,
        errand: Errand,
        lost: &Lost,
        _reason: Option<&str>,
    ) -> Result<(), Failure> {
        match errand {
            Errand::Exchange(_) => self.exchange_lost(lost),
            Errand::Join(round) => self.join_lost(round)?,
            Errand::Transfer(_) | Errand::Absorption => {}
        }
        Ok(())
    }

    /// The wallet is up to date for the first time since the start.
    pub(super) fn on_caught_up(&mut self) -> Result<(), Failure> {
        self.keep_looking_after_exchanges()?;
        self.attend()
    }
}
