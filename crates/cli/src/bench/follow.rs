//! Learning when transfers become final: from the streams of blocks of all validators, of which
//! nothing is decoded but headers. So following costs little of the machine that is measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quittance_crypto::encoding::{Decode, Reader};
use quittance_ledger::block::Header;
use quittance_ledger::ids::{InstitutionId, Timestamp};
use quittance_rpc::proto::node::v1::node_client::NodeClient;
use quittance_rpc::proto::node::v1::{BlocksRequest, ChainStatusRequest};
use tokio::sync::mpsc;
use tonic::transport::Channel;

use super::bank::Prepared;
use super::error::BenchError;

/// The first bytes of a transfer, its account and its sequence number among them: no two are equal.
type Name = [u8; 128];

/// The bytes of a block between its header and its first transaction: how many there are.
const COUNT: usize = 4;

/// All transfers of a load, which are told apart by how they begin.
pub struct Load {
    /// In the order in which they are submitted.
    pub transfers: Vec<Prepared>,
    places: BTreeMap<Name, usize>,
}

impl Load {
    /// Of these. `None` if two of them begin alike.
    pub fn new(transfers: Vec<Prepared>) -> Option<Self> {
        let named = transfers.iter().enumerate();
        let named = named.map(|(place, it)| Some((*it.bytes.first_chunk()?, place)));
        let places: BTreeMap<Name, usize> = named.collect::<Option<_>>()?;
        (places.len() == transfers.len()).then_some(Self { transfers, places })
    }

    /// The time of a block, and the places of its transfers. An error says what is not from here.
    fn read(&self, block: &[u8]) -> Result<(Timestamp, Vec<usize>), String> {
        let mut reader = Reader::new(block);
        let header = Header::decode(&mut reader).map_err(|error| error.to_string())?;
        let mut rest = block.get(reader.offset() + COUNT..).ok_or("a block that is cut short")?;
        let mut places = Vec::new();
        while !rest.is_empty() {
            let place = rest.first_chunk::<128>().and_then(|name| self.places.get(name));
            let place = *place.ok_or("a transaction that is not of this load")?;
            let length = self.transfers.get(place).map_or(0, |transfer| transfer.bytes.len());
            rest = rest.get(length..).ok_or("a block that is cut short")?;
            places.push(place);
        }
        Ok((header.time, places))
    }
}

/// The clock of a run: times count from its start.
#[derive(Clone, Copy)]
pub struct Clock {
    start: Instant,
    unix: Duration,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), unix }
    }

    /// Now.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A block's time, which its proposer has from the clock of this same machine.
    fn of(&self, time: Timestamp) -> Duration {
        Duration::from_millis(time.0).saturating_sub(self.unix)
    }
}

/// A block with transfers, as one validator sends it.
pub struct Seen {
    /// The validator's place among the validators.
    pub validator: usize,
    /// When its proposer made it.
    pub proposed: Duration,
    /// When it came here.
    pub at: Duration,
    /// The places of its transfers.
    pub transfers: Vec<usize>,
}

/// A validator that is followed.
#[derive(Clone)]
pub struct Followed {
    /// Its place among the validators.
    pub place: usize,
    /// Who it is.
    pub id: InstitutionId,
    /// The connection.
    pub client: NodeClient<Channel>,
}

impl Followed {
    /// An answer of this validator that is none.
    pub fn refused(&self, status: tonic::Status) -> BenchError {
        BenchError::Call { validator: self.id, status: Box::new(status) }
    }

    /// The chain's height here.
    pub async fn height(&mut self) -> Result<u64, BenchError> {
        let status = self.client.chain_status(ChainStatusRequest {}).await;
        Ok(status.map_err(|status| self.refused(status))?.into_inner().height)
    }

    /// Tells of every block from the next one on, until nobody listens.
    pub async fn follow(
        mut self,
        load: Arc<Load>,
        clock: Clock,
        seen: mpsc::UnboundedSender<Seen>,
    ) -> Result<(), BenchError> {
        let from_height = self.height().await? + 1;
        let blocks = self.client.blocks(BlocksRequest { from_height, to_height: 0 }).await;
        let mut blocks = blocks.map_err(|status| self.refused(status))?.into_inner();
        loop {
            let block = blocks.message().await.map_err(|status| self.refused(status))?;
            let at = clock.now();
            let wrong = |reason: String| BenchError::Answer { validator: self.id, reason };
            let block = block.ok_or_else(|| wrong("the stream of blocks has ended".into()))?;
            let (time, transfers) = load.read(&block.block).map_err(wrong)?;
            let proposed = clock.of(time);
            if seen.send(Seen { validator: self.place, proposed, at, transfers }).is_err() {
                return Ok(());
            }
        }
    }
}
