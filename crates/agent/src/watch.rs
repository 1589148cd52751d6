//! Streams of events.

use std::time::Duration;

use quittance_rpc::proto::agent::v1::Event;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::core::View;

/// How long a watcher may take to make room for the next event.
const PATIENCE: Duration = Duration::from_secs(10);

/// Events on their way to one watcher.
const WAITING: usize = 64;

/// Events that are read from the store at a time.
const PAGE: usize = 256;

type Item = Result<Event, Status>;

/// The events after a position, then live. All come from the store: what is shown is durable.
///
/// A watcher that makes no room for [`PATIENCE`] is cut with `RESOURCE_EXHAUSTED`, and may go on
/// later after the last position that it has seen.
pub(crate) fn stream(
    view: &View,
    after: u64,
    stopping: CancellationToken,
) -> impl Stream<Item = Item> + use<> {
    let (events, stream) = mpsc::channel(WAITING);
    // One place is kept for the last word.
    let last = events.clone().try_reserve_owned();
    let view = view.clone();
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = send_all(view, after, &events, PATIENCE) => ended,
            () = stopping.cancelled() => Err(Status::unavailable("the agent is stopping")),
            () = events.closed() => Ok(()),
        };
        if let (Err(status), Ok(last)) = (ended, last) {
            last.send(Err(status));
        }
    });
    ReceiverStream::new(stream)
}

async fn send_all(
    mut view: View,
    mut after: u64,
    events: &mpsc::Sender<Item>,
    patience: Duration,
) -> Result<(), Status> {
    loop {
        let durable = *view.events.borrow_and_update();
        while after < durable {
            let page = view.store.events(after, PAGE).map_err(|error| {
                tracing::error!(%error, "events cannot be read");
                Status::internal("the agent has failed; see its log")
            })?;
            if page.is_empty() {
                return Err(Status::internal("events are missing"));
            }
            for event in page {
                after = event.position;
                match timeout(patience, events.send(Ok(event))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => {
                        let slow = format!("too slow: event {after} was not taken in {patience:?}");
                        return Err(Status::resource_exhausted(slow));
                    }
                }
            }
        }
        if view.events.changed().await.is_err() {
            return Err(Status::unavailable("the agent is stopping"));
        }
    }
}
