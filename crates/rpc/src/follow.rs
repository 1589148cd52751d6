//! Following the chain: certified blocks, one after the other, whatever becomes of the connection.
//!
//! The node is not trusted. A block is passed on only if its header follows the one before (chain,
//! suite, height, parent, time, validators), its transactions are those of the header, and its
//! certificate carries the signatures of the chain's validators. So a node can withhold the chain,
//! but not make one up. The transactions themselves are not verified again and the state is not
//! recomputed: that the quorum has done so is what the certificate says.
//!
//! ```no_run
//! # use quittance_rpc::{client::Dialer, config::Target, follow::{self, FollowError}};
//! # use quittance_ledger::{block::Tip, genesis::Genesis};
//! # async fn run(dialer: Dialer, node: Target, genesis: Genesis) -> Result<(), FollowError> {
//! let mut chain = follow::follow(&dialer, &node, &genesis, Tip::genesis(&genesis))?;
//! loop {
//!     let final_block = chain.next().await?;
//!     println!("{}", final_block.block.header.height);
//! }
//! # }
//! ```

use std::time::Duration;

use metrics::gauge;
use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_ledger::block::{HeaderError, Tip};
use quittance_ledger::certificate::{CertificateError, ValidatorSet};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{ChainId, Height};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::transport::Channel;

use crate::client::{ConnectError, Dialer};
use crate::config::Target;
use crate::convert::{FieldError, FinalBlock, decode};
use crate::metrics::{NODE_CONNECTED, NODE_HEIGHT, chain_is_at};
use crate::proto::node::v1::node_client::NodeClient;
use crate::proto::node::v1::{BlocksRequest, ChainStatusRequest};

/// Verified blocks that wait for whoever follows.
const AHEAD: usize = 4;

/// The first and the longest pause before the node is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// Why the chain cannot be followed any further. A node that is away is no such reason: it is
/// called again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FollowError {
    /// The node can never be called.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The node serves what is not this chain.
    #[error("{node} serves a wrong chain: {wrong}")]
    Wrong {
        /// Who.
        node: Target,
        /// What is wrong.
        wrong: WrongChain,
    },
    /// The task that follows has ended without a word: a defect, or the process is stopping.
    #[error("the chain is not followed any more")]
    Ended,
}

/// How a chain is not the one that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WrongChain {
    /// It began with another genesis.
    #[error("it is chain {found}; our genesis begins chain {expected}")]
    Chain {
        /// Ours.
        expected: ChainId,
        /// The node's.
        found: ChainId,
    },
    /// Not canonical bytes.
    #[error("after height {after}: {reason}")]
    Malformed {
        /// The last good block.
        after: Height,
        /// What does not decode.
        reason: FieldError,
    },
    /// A header that does not follow the one before.
    #[error("after height {after}: {reason}")]
    Header {
        /// The last good block.
        after: Height,
        /// Why it does not follow.
        reason: HeaderError,
    },
    /// Other transactions than the header's.
    #[error("the transactions of block {0} are not those of its header")]
    Transactions(Height),
    /// A certificate for something else.
    #[error("the certificate that comes with block {0} is of another block")]
    OtherBlock(Height),
    /// A certificate that does not hold.
    #[error("the certificate of block {height}: {reason}")]
    Certificate {
        /// Of the block.
        height: Height,
        /// What is wrong.
        reason: CertificateError,
    },
    /// Validators that this version knows no way to learn of.
    #[error("block {height} is decided by validators {found}, which the genesis does not name")]
    Validators {
        /// Of the block.
        height: Height,
        /// Their digest.
        found: Digest,
    },
}

/// What a chain's blocks are held against.
#[derive(Debug, Clone)]
struct Checker {
    chain: ChainId,
    validators: ValidatorSet,
    tip: Tip,
}

impl Checker {
    /// Takes the next block if it is the next block.
    fn take(&mut self, next: &FinalBlock) -> Result<(), WrongChain> {
        let FinalBlock { block, certificate } = next;
        let (after, height) = (self.tip.height(), block.header.height);
        self.tip.check(&block.header).map_err(|reason| WrongChain::Header { after, reason })?;
        block.check_transactions_root().map_err(|_| WrongChain::Transactions(height))?;
        if certificate.block != block.id() || certificate.height != height {
            return Err(WrongChain::OtherBlock(height));
        }
        if block.header.validators != self.validators.digest() {
            return Err(WrongChain::Validators { height, found: block.header.validators });
        }
        let verdict = certificate.verify(self.chain, &self.validators);
        planted!("certificate-not-verified", Ok(()), verdict)
            .map_err(|reason| WrongChain::Certificate { height, reason })?;
        self.tip = Tip::after(&block.header);
        Ok(())
    }
}

/// A chain that is being followed. Dropping it ends that.
#[derive(Debug)]
pub struct Following {
    blocks: mpsc::Receiver<Result<FinalBlock, FollowError>>,
    node_height: watch::Receiver<Option<Height>>,
    task: AbortHandle,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    /// The next certified block, as soon as there is one. After an error there is none any more.
    /// Safe to cancel.
    pub async fn next(&mut self) -> Result<FinalBlock, FollowError> {
        self.blocks.recv().await.unwrap_or(Err(FollowError::Ended))
    }

    /// How far the node said it was when it was last connected; `None` as long as it has not been
    /// reached. Only a hint for when to begin: it is not proven.
    pub fn node_height(&self) -> Option<Height> {
        *self.node_height.borrow()
    }

    /// Whether `height` is as far as the node was when it was last connected.
    pub fn has_caught_up(&self, height: Height) -> bool {
        self.node_height().is_some_and(|node| node <= height)
    }

    /// To look at [`Following::node_height`], and to wait until it changes, while blocks are taken
    /// elsewhere.
    pub fn watch_node_height(&self) -> watch::Receiver<Option<Height>> {
        self.node_height.clone()
    }
}

/// Follows the chain of `genesis` as `node` serves it, from the block after `tip` on;
/// [`Tip::genesis`] for the whole chain. Needs a tokio runtime.
///
/// A node that is away, refuses the call, or has fewer blocks than it has certified before, is called
/// again with pauses that grow to a few seconds; what has been passed on is never repeated. The stream ends with an error only when the
/// node serves a wrong chain.
pub fn follow(
    dialer: &Dialer,
    node: &Target,
    genesis: &Genesis,
    tip: Tip,
) -> Result<Following, ConnectError> {
    let client = dialer.node(node)?;
    let checker =
        Checker { chain: genesis.chain_id(), validators: genesis.validators.clone(), tip };
    let (out, blocks) = mpsc::channel(AHEAD);
    let (height, node_height) = watch::channel(None);
    let follower = Follower { client, checker, out, height };
    let node = node.clone();
    let task = tokio::spawn(async move { follower.run(node).await }).abort_handle();
    Ok(Following { blocks, node_height, task })
}

struct Follower {
    client: NodeClient<Channel>,
    checker: Checker,
    out: mpsc::Sender<Result<FinalBlock, FollowError>>,
    height: watch::Sender<Option<Height>>,
}

/// Why one connection is over.
enum Over {
    /// To be tried again.
    Away(Status),
    /// Not to be tried again.
    Wrong(WrongChain),
    /// Nobody listens any more.
    Unwanted,
}

impl From<Status> for Over {
    fn from(status: Status) -> Self {
        Self::Away(status)
    }
}

impl From<WrongChain> for Over {
    fn from(wrong: WrongChain) -> Self {
        Self::Wrong(wrong)
    }
}

impl Follower {
    async fn run(mut self, node: Target) {
        let mut pause = PAUSES.0;
        let mut complained = None;
        loop {
            let (began, height) = (Instant::now(), self.checker.tip.height());
            let status = match self.connected().await {
                Over::Unwanted => return,
                Over::Wrong(wrong) => {
                    // Fails only if nobody listens any more.
                    let _ = self.out.send(Err(FollowError::Wrong { node, wrong })).await;
                    return;
                }
                Over::Away(status) => status,
            };
            if self.checker.tip.height() > height || began.elapsed() > PAUSES.1 {
                (pause, complained) = (PAUSES.0, None);
            }
            // Said once, and not with every attempt.
            if complained.as_ref() != Some(&status.code()) {
                tracing::warn!(%node, reason = %status.message(), "the chain is not served; trying again");
                complained = Some(status.code());
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Passes blocks on for as long as one stream lasts.
    async fn connected(&mut self) -> Over {
        let over = self.pass_on().await;
        gauge!(NODE_CONNECTED).set(0.0);
        match over {
            Ok(()) => Over::Away(Status::unavailable("the stream of blocks has ended")),
            Err(over) => over,
        }
    }

    async fn pass_on(&mut self) -> Result<(), Over> {
        let status = self.client.chain_status(ChainStatusRequest {}).await?.into_inner();
        let after = self.checker.tip.height();
        let malformed = |reason| WrongChain::Malformed { after, reason };
        let found: ChainId = decode("chain_id", &status.chain_id).map_err(malformed)?;
        if found != self.checker.chain {
            return Err(WrongChain::Chain { expected: self.checker.chain, found }.into());
        }
        if status.height < after.0 {
            let reason = format!(
                "the node ends at block {}, and has certified block {after} before: it runs on an \
                 older copy of its chain",
                status.height
            );
            return Err(Status::data_loss(reason).into());
        }
        self.height.send_replace(Some(Height(status.height)));
        gauge!(NODE_CONNECTED).set(1.0);
        gauge!(NODE_HEIGHT).set(status.height as f64);
        let request = BlocksRequest { from_height: after.next().0, to_height: 0 };
        let mut blocks = self.client.blocks(request).await?.into_inner();
        while let Some(response) = blocks.message().await? {
            let after = self.checker.tip.height();
            let next = FinalBlock::try_from(&response)
                .map_err(|reason| WrongChain::Malformed { after, reason })?;
            self.checker.take(&next)?;
            let (height, time) = (next.block.header.height, next.block.header.time);
            self.out.send(Ok(next)).await.map_err(|_| Over::Unwanted)?;
            gauge!(NODE_HEIGHT).set(height.0.max(status.height) as f64);
            chain_is_at(height, time);
        }
        Ok(())
    }
}
