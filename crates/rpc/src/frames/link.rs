//! The one outgoing connection to another party.
//!
//! It is opened when a session first needs it, and tried again until it stands or nobody needs it
//! any more: until then nothing can be lost. A connection that has ended is not opened again for
//! the sessions that used it; the next session gets a new one.
//!
//! A session writes into the socket itself, without waking anybody. What the socket does not take at
//! once, the connection's own task writes when it can.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use quittance_mpc::session::Frame;
use tokio::sync::Notify;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::outgoing::Outgoing;
use crate::client::{Dialer, FramesStream};
use crate::config::Target;

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// How one other party is reached.
pub(super) struct Link {
    target: Target,
    present: Mutex<Option<Arc<Connection>>>,
}

/// One connection, from its first use to its end.
struct Connection {
    outgoing: Outgoing,
    condition: Mutex<Condition>,
    /// Cancelled when it has ended, or must.
    ended: CancellationToken,
}

struct Condition {
    stage: Stage,
    /// Sessions that use it.
    users: usize,
    /// To be told of its end.
    watchers: Vec<Weak<Notify>>,
}

enum Stage {
    /// With the reason why the last attempt has failed.
    Connecting(Option<String>),
    Open,
    Ended(String),
}

/// A session's use of a connection.
pub(super) struct Lease(Arc<Connection>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(target: Target) -> Self {
        Self { target, present: Mutex::new(None) }
    }

    /// The present connection, or a new one if there is none or it has ended.
    pub(super) fn lease(
        &self,
        dialer: &Dialer,
        stopping: &CancellationToken,
        watcher: &Arc<Notify>,
    ) -> Lease {
        let mut present = lock(&self.present);
        if let Some(lease) = present.as_ref().and_then(|present| present.lease(watcher)) {
            return lease;
        }
        let watchers = vec![Arc::downgrade(watcher)];
        let condition = Condition { stage: Stage::Connecting(None), users: 1, watchers };
        let (outgoing, ended) = (Outgoing::default(), stopping.child_token());
        let connection = Arc::new(Connection { outgoing, condition: Mutex::new(condition), ended });
        tokio::spawn(run(connection.clone(), dialer.clone(), self.target.clone()));
        *present = Some(connection.clone());
        Lease(connection)
    }

    /// Why there is no connection yet, if that has been tried without success.
    pub(super) fn unreachable(&self) -> Option<String> {
        let present = lock(&self.present).clone()?;
        match &lock(&present.condition).stage {
            Stage::Connecting(reason) => reason.clone(),
            Stage::Open | Stage::Ended(_) => None,
        }
    }
}

impl Connection {
    /// Another use of it, unless it has ended.
    fn lease(self: &Arc<Self>, watcher: &Arc<Notify>) -> Option<Lease> {
        let mut condition = lock(&self.condition);
        if matches!(condition.stage, Stage::Ended(_)) || self.ended.is_cancelled() {
            return None;
        }
        condition.users += 1;
        condition.watchers.retain(|watcher| watcher.strong_count() > 0);
        condition.watchers.push(Arc::downgrade(watcher));
        Some(Lease(self.clone()))
    }

    fn advance(&self, stage: Stage) {
        let mut condition = lock(&self.condition);
        if matches!(condition.stage, Stage::Ended(_)) {
            return;
        }
        if matches!(stage, Stage::Ended(_)) {
            self.ended.cancel();
            condition.watchers.iter().filter_map(Weak::upgrade).for_each(|it| it.notify_one());
        }
        condition.stage = stage;
    }
}

impl Lease {
    /// Takes a frame to be sent, after waiting until there is room for it; [`Lease::flush`] sends
    /// it. The error is why the connection has ended.
    pub(super) async fn push(&self, frame: &Frame) -> Result<(), String> {
        let pushed = tokio::select! {
            biased;
            () = self.0.ended.cancelled() => false,
            () = self.0.outgoing.push(frame) => true,
        };
        if pushed { Ok(()) } else { Err(self.ended().unwrap_or_else(|| "closed".to_owned())) }
    }

    /// Sends what was pushed, as far as the socket takes it; the rest follows by itself.
    pub(super) fn flush(&self) {
        self.0.outgoing.flush();
    }

    /// Why the connection has ended, if it has.
    pub(super) fn ended(&self) -> Option<String> {
        match &lock(&self.0.condition).stage {
            Stage::Ended(reason) => Some(reason.clone()),
            Stage::Connecting(_) | Stage::Open => None,
        }
    }
}

impl Drop for Lease {
    /// Frames of a session that is over are not carried to somebody who was never reached.
    fn drop(&mut self) {
        let unused = {
            let mut condition = lock(&self.0.condition);
            condition.users -= 1;
            condition.users == 0 && matches!(condition.stage, Stage::Connecting(_))
        };
        if unused {
            self.0.advance(Stage::Ended("not needed any more".to_owned()));
        }
    }
}

async fn run(connection: Arc<Connection>, dialer: Dialer, target: Target) {
    let ended = connection.ended.clone();
    let carrying = async {
        let stream = connect(&connection, &dialer, &target).await;
        connection.outgoing.open(stream);
        connection.advance(Stage::Open);
        connection.outgoing.carry(dialer.limits()).await
    };
    let reason = tokio::select! {
        () = ended.cancelled() => "this party is stopping".to_owned(),
        reason = carrying => reason,
    };
    tracing::debug!(%target, reason, "a connection for frames has ended");
    connection.advance(Stage::Ended(reason));
    connection.outgoing.close();
}

/// Tries until there is a connection.
async fn connect(connection: &Connection, dialer: &Dialer, target: &Target) -> FramesStream {
    let mut pause = FIRST_RETRY;
    loop {
        match dialer.frames(target).await {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::debug!(%error, "no connection for frames yet");
                connection.advance(Stage::Connecting(Some(error.to_string())));
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_RETRY);
    }
}
