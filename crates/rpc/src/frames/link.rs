//! The one outgoing stream to another party.
//!
//! It is opened when a session first needs it, and tried again until it stands or nobody needs it
//! any more: until then nothing can be lost. A stream that has ended is not opened again for the
//! sessions that used it; the next session gets a new one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, mpsc};
use tokio::time::{Duration, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::transport::Channel;

use crate::client::Dialer;
use crate::config::Target;
use crate::limits;
use crate::proto::party::v1::FramesRequest;
use crate::proto::party::v1::party_client::PartyClient;
use crate::proto::party::v1::party_server::PartyServer;

/// Frames that wait to be sent; whoever has more waits.
const QUEUE: usize = 8;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// How one other party is reached.
pub(super) struct Link {
    target: Target,
    present: Mutex<Option<Arc<Connection>>>,
}

/// One stream, from its first use to its end.
struct Connection {
    frames: mpsc::Sender<FramesRequest>,
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

/// A session's use of a stream.
pub(super) struct Lease(Arc<Connection>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(target: Target) -> Self {
        Self { target, present: Mutex::new(None) }
    }

    /// The present stream, or a new one if there is none or it has ended.
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
        let (frames, queue) = mpsc::channel(QUEUE);
        let watchers = vec![Arc::downgrade(watcher)];
        let condition = Condition { stage: Stage::Connecting(None), users: 1, watchers };
        let ended = stopping.child_token();
        let connection = Arc::new(Connection { frames, condition: Mutex::new(condition), ended });
        let run = run(connection.clone(), dialer.clone(), self.target.clone(), queue);
        tokio::spawn(run);
        *present = Some(connection.clone());
        Lease(connection)
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
    /// Sends one frame, after waiting for its turn. The error is why the stream has ended.
    pub(super) async fn send(&self, frame: FramesRequest) -> Result<(), String> {
        let sent = tokio::select! {
            biased;
            () = self.0.ended.cancelled() => false,
            sent = self.0.frames.send(frame) => sent.is_ok(),
        };
        if sent { Ok(()) } else { Err(self.ended().unwrap_or_else(|| "closed".to_owned())) }
    }

    /// Why the stream has ended, if it has.
    pub(super) fn ended(&self) -> Option<String> {
        match &lock(&self.0.condition).stage {
            Stage::Ended(reason) => Some(reason.clone()),
            Stage::Connecting(_) | Stage::Open => None,
        }
    }

    /// Why there is no connection yet, if that has been tried without success.
    pub(super) fn unreachable(&self) -> Option<String> {
        match &lock(&self.0.condition).stage {
            Stage::Connecting(reason) => reason.clone(),
            Stage::Open | Stage::Ended(_) => None,
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

async fn run(
    connection: Arc<Connection>,
    dialer: Dialer,
    target: Target,
    queue: mpsc::Receiver<FramesRequest>,
) {
    let ended = connection.ended.clone();
    let reason = tokio::select! {
        () = ended.cancelled() => "this party is stopping".to_owned(),
        reason = carry(&connection, &dialer, &target, queue) => reason,
    };
    tracing::debug!(%target, reason, "the stream of frames has ended");
    connection.advance(Stage::Ended(reason));
}

/// Connects and sends until the stream ends; returns why.
async fn carry(
    connection: &Connection,
    dialer: &Dialer,
    target: &Target,
    queue: mpsc::Receiver<FramesRequest>,
) -> String {
    let channel = connect(connection, dialer, target).await;
    let (request, response) = limits::of_service(<PartyServer<()> as NamedService>::NAME);
    let mut party = PartyClient::new(channel)
        .max_encoding_message_size(request)
        .max_decoding_message_size(response);
    connection.advance(Stage::Open);
    let mut answers = match party.frames(ReceiverStream::new(queue)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status.message().to_owned(),
    };
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return "closed by the other side".to_owned(),
            Err(status) => return status.message().to_owned(),
        }
    }
}

/// Tries until there is a connection.
async fn connect(connection: &Connection, dialer: &Dialer, target: &Target) -> Channel {
    let mut pause = FIRST_RETRY;
    loop {
        match dialer.connect(target).await {
            Ok(channel) => return channel,
            Err(error) => {
                tracing::debug!(%error, "no stream of frames yet");
                connection.advance(Stage::Connecting(Some(error.to_string())));
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_RETRY);
    }
}
