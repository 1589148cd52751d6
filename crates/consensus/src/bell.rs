//! How others wake an engine, and end it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// Rung when there may be work for the engine. Rings while it is busy count as one. Clones are the
/// same bell.
#[derive(Clone, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    heard: Mutex<Heard>,
    changed: Condvar,
    /// The same for an engine that waits for other things as well.
    notify: Notify,
}

#[derive(Default)]
struct Heard {
    rung: bool,
    stopped: bool,
}

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// There may be work.
    pub fn ring(&self) {
        self.lock().rung = true;
        self.tell();
    }

    /// The engine is to end after what it is doing now.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.tell();
    }

    fn tell(&self) {
        self.0.changed.notify_all();
        // Kept for the one engine that waits, if it does not wait yet.
        self.0.notify.notify_one();
    }

    /// Waits for a ring, at most until `end`. `false` if the engine is to end.
    pub(crate) fn wait(&self, end: Instant) -> bool {
        let mut heard = self.wait_while(end, |heard| !heard.rung);
        heard.rung = false;
        !heard.stopped
    }

    /// Waits until `end`; rings are kept. `false` if the engine is to end.
    pub(crate) fn pause(&self, end: Instant) -> bool {
        !self.wait_while(end, |_| true).stopped
    }

    /// Waits until something is heard that was not heard before.
    pub(crate) async fn heard(&self) {
        self.0.notify.notified().await;
    }

    /// Whether the engine is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn wait_while(&self, end: Instant, more: impl Fn(&Heard) -> bool) -> MutexGuard<'_, Heard> {
        let left = end.saturating_duration_since(Instant::now());
        let waiting = |heard: &mut Heard| !heard.stopped && more(heard);
        let waited = self.0.changed.wait_timeout_while(self.lock(), left, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Each change is complete, so what another thread's panic leaves is sound.
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
