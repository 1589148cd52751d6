//! Streams of final blocks.

use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::Height;
use quittance_rpc::proto::node::v1::BlocksResponse;
use quittance_storage::StoredBlock;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::core::Core;
use crate::service::internal;

/// How long a subscriber may take to make room for the next block.
const PATIENCE: Duration = Duration::from_secs(10);

type Item = Result<BlocksResponse, Status>;

/// The blocks from one height to another as they become final. Every one is read from the store,
/// old or new: what is not there is not final.
///
/// At most one block waits for a subscriber. One that does not take it for [`PATIENCE`] is cut
/// with `RESOURCE_EXHAUSTED`, and may go on later from where it was.
pub(crate) fn stream(
    core: Arc<Core>,
    from: Height,
    to: Height,
    stopping: CancellationToken,
    lease: mpsc::Sender<()>,
) -> impl Stream<Item = Item> {
    let (blocks, stream) = mpsc::channel(2);
    // The second place is kept for the last word.
    let last = blocks.clone().try_reserve_owned();
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = send_all(&core, from, to, &blocks, PATIENCE) => ended,
            () = stopping.cancelled() => Err(Status::unavailable("the node is stopping")),
            () = blocks.closed() => Ok(()),
        };
        if let (Err(status), Ok(last)) = (ended, last) {
            last.send(Err(status));
        }
        drop((core, lease));
    });
    ReceiverStream::new(stream)
}

async fn send_all(
    core: &Core,
    from: Height,
    to: Height,
    blocks: &mpsc::Sender<Item>,
    patience: Duration,
) -> Result<(), Status> {
    let mut tip = core.follow();
    let mut height = from;
    loop {
        let final_height = tip.borrow_and_update().tip.height();
        while height <= final_height.min(to) {
            let stored = core.store.block(height).map_err(internal)?;
            let StoredBlock { block, certificate } =
                stored.ok_or_else(|| internal(format_args!("block {height} is missing")))?;
            let next = core.store.set_after(height).map_err(internal)?;
            let next_validators = next.as_ref().map(Encode::to_bytes).unwrap_or_default();
            let item = Ok(BlocksResponse { block, certificate, next_validators });
            match timeout(patience, blocks.send(item)).await {
                Ok(Ok(())) => height = height.next(),
                Ok(Err(_)) => return Ok(()),
                Err(_) => {
                    let slow = format!("too slow: block {height} was not taken in {patience:?}");
                    return Err(Status::resource_exhausted(slow));
                }
            }
        }
        if height > to || tip.changed().await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[tokio::test]
    async fn a_subscriber_that_takes_nothing_is_cut() {
        let mut fixture = Fixture::new();
        (0..3).for_each(|_| drop(fixture.block()));
        let (blocks, mut stream) = mpsc::channel(1);
        let patience = Duration::from_millis(20);
        let end = Height(u64::MAX);
        let ended = send_all(&fixture.core, Height(1), end, &blocks, patience).await;
        assert_eq!(ended.unwrap_err().code(), tonic::Code::ResourceExhausted);
        drop(blocks);
        assert!(stream.recv().await.unwrap().is_ok());
        assert!(stream.recv().await.is_none());
    }

    #[tokio::test]
    async fn the_last_word_reaches_a_subscriber_that_is_behind() {
        use tokio_stream::StreamExt;
        let mut fixture = Fixture::new();
        (0..3).for_each(|_| drop(fixture.block()));
        let (stopping, (lease, mut leases)) = (CancellationToken::new(), mpsc::channel(1));
        let end = Height(u64::MAX);
        let mut blocks = stream(fixture.core.clone(), Height(2), end, stopping.clone(), lease);
        assert!(blocks.next().await.unwrap().is_ok());
        tokio::task::yield_now().await;
        stopping.cancel();
        let rest: Vec<_> = blocks.collect().await;
        assert_eq!(rest.last().unwrap().as_ref().unwrap_err().code(), tonic::Code::Unavailable);
        assert!(leases.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_ends_where_it_was_told_to() {
        use tokio_stream::StreamExt;
        let mut fixture = Fixture::new();
        (0..3).for_each(|_| drop(fixture.block()));
        let (lease, _leases) = mpsc::channel(1);
        let stopping = CancellationToken::new();
        let blocks = stream(fixture.core.clone(), Height(2), Height(3), stopping, lease);
        assert_eq!(blocks.collect::<Vec<_>>().await.len(), 2);
    }
}
