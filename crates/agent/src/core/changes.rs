//! What one step changes: written in one batch, and told afterwards.

use std::time::{SystemTime, UNIX_EPOCH};

use quittance_ledger::ids::{Height, Timestamp};
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::event::Event;
use quittance_storage::{Batch, StorageError};

use super::Core;
use crate::count;
use crate::store::Writes;

type Word = Box<dyn FnOnce(&mut Core) + Send>;

/// Changes that are to be made durable together.
pub(crate) struct Changes {
    /// Records, by [`Writes`] and by the tables of other modules.
    pub(crate) batch: Batch,
    time: Timestamp,
    events: Vec<Event>,
    afterwards: Vec<Word>,
}

/// The time of this machine.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

impl Changes {
    /// Changes that happen now.
    pub(crate) fn now() -> Self {
        Self::at(now())
    }

    /// Changes that a block of that time brings.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self { batch: Batch::new(), time, events: Vec::new(), afterwards: Vec::new() }
    }

    /// Adds an event for those who watch.
    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Adds a warning for those who watch.
    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.event(Event::Warning(warning.into()));
    }

    /// Has `word` done once the changes are on the disk: answers to those who wait.
    pub(crate) fn afterwards(&mut self, word: impl FnOnce(&mut Core) + Send + 'static) {
        self.afterwards.push(Box::new(word));
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.events.is_empty()
    }
}

impl Core {
    /// Writes all changes in one synced batch, then tells of them.
    pub(crate) fn commit(&mut self, changes: Changes) -> Result<(), StorageError> {
        let Changes { mut batch, time, events, afterwards } = changes;
        let mut position = *self.events.borrow();
        for event in &events {
            position += 1;
            let event = Some(event.clone());
            batch.put_event(api::Event { position, time_ms: time.0, event });
        }
        if !batch.is_empty() {
            self.store.write(batch)?;
        }
        events.iter().for_each(count::event);
        self.events.send_if_modified(|last| std::mem::replace(last, position) != position);
        afterwards.into_iter().for_each(|word| word(self));
        Ok(())
    }

    /// As [`Core::commit`], for the changes of a block.
    pub(super) fn commit_block(
        &mut self,
        mut changes: Changes,
        height: Height,
    ) -> Result<(), StorageError> {
        if !changes.is_empty() {
            changes.batch.put_processed(height);
        }
        self.commit(changes)
    }
}
