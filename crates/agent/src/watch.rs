//! Streams of events.

use std::sync::Arc;
use std::time::Duration;

use quittance_rpc::proto::agent::v1::Event;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::core::View;
use crate::store::Store;

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
    let (store, durable) = (view.store.clone(), view.events.clone());
    of_store(store, durable, after, PATIENCE, stopping)
}

/// The events of a store in which `durable` is the position of the last one.
fn of_store(
    store: Arc<Store>,
    mut durable: watch::Receiver<u64>,
    after: u64,
    patience: Duration,
    stopping: CancellationToken,
) -> impl Stream<Item = Item> + use<> {
    let (events, stream) = mpsc::channel(WAITING);
    // One place is kept for the last word.
    let last = events.clone().try_reserve_owned();
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = send_all(&store, &mut durable, after, &events, patience) => ended,
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
    store: &Store,
    durable: &mut watch::Receiver<u64>,
    mut after: u64,
    events: &mpsc::Sender<Item>,
    patience: Duration,
) -> Result<(), Status> {
    loop {
        let last = *durable.borrow_and_update();
        while after < last {
            let page = store.events(after, PAGE).map_err(|error| {
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
        if durable.changed().await.is_err() {
            return Err(Status::unavailable("the agent is stopping"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Writes;
    use quittance_crypto::digest::Digest;
    use quittance_ledger::ids::ChainId;
    use quittance_storage::Batch;
    use tokio_stream::StreamExt;

    /// A store with events at the positions from 1 to `last`.
    fn store(last: u64) -> (tempfile::TempDir, Arc<Store>) {
        let folder = tempfile::tempdir().unwrap();
        let chain = ChainId(Digest([1; 32]));
        let store = Store::open(folder.path(), chain, "AAAABE01".parse().unwrap()).unwrap();
        let mut batch = Batch::new();
        for position in 1..=last {
            batch.put_event(Event { position, ..Event::default() });
        }
        store.write(batch).unwrap();
        (folder, Arc::new(store))
    }

    #[tokio::test]
    async fn a_watcher_gets_every_event_once_and_then_new_ones() {
        let (_folder, store) = store(600);
        let durable = watch::Sender::new(599);
        let stopping = CancellationToken::new();
        let events = of_store(store, durable.subscribe(), 3, PATIENCE, stopping.clone());
        tokio::pin!(events);
        for position in 4..=599 {
            assert_eq!(events.next().await.unwrap().unwrap().position, position);
        }
        durable.send_replace(600);
        assert_eq!(events.next().await.unwrap().unwrap().position, 600);
        stopping.cancel();
        assert_eq!(events.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn a_watcher_that_takes_nothing_is_cut_and_told_why() {
        let (_folder, store) = store(200);
        let durable = watch::Sender::new(200);
        let patience = Duration::from_millis(20);
        let stopping = CancellationToken::new();
        let events = of_store(store, durable.subscribe(), 0, patience, stopping);
        tokio::time::sleep(patience * 5).await;
        let events: Vec<_> = events.collect().await;
        let (last, first) = events.split_last().unwrap();
        assert_eq!(first.len(), WAITING - 1);
        let last = last.as_ref().unwrap_err();
        assert_eq!(last.code(), tonic::Code::ResourceExhausted);
        assert!(last.message().contains("event 64"), "{last}");
    }
}
