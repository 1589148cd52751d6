//! Following the chain: certified blocks, one after the other, whatever becomes of a connection.
//!
//! No node is trusted. A block is passed on only if its header follows the one before (chain,
//! suite, height, parent, time, validators), its transactions are those of the header, and its
//! certificate carries the signatures of the chain's validators. Where the validators change, the
//! block comes with those who decide from then on, and its header names their digest. So a node can
//! withhold the chain, but not make one up. The transactions themselves are not verified again and
//! the state is not recomputed: that the quorum has done so is what the certificate says.
//!
//! Of several nodes one is followed at a time. The next one takes its place when it is away, when
//! it sends nothing while another has more, or when it serves a wrong chain.
//!
//! ```no_run
//! # use quittance_rpc::{client::Dialer, config::Target, nodes::Nodes};
//! # use quittance_rpc::follow::{self, ChainChecker};
//! # use quittance_ledger::genesis::Genesis;
//! # async fn run(dialer: Dialer, nodes: Vec<Target>, genesis: Genesis) -> Result<(), Box<dyn std::error::Error>> {
//! let nodes = Nodes::new(&dialer, &nodes)?;
//! let mut chain = follow::follow(&nodes, ChainChecker::genesis(&genesis));
//! loop {
//!     let final_block = chain.next().await?;
//!     println!("{}", final_block.block.header.height);
//! }
//! # }
//! ```

mod checker;
mod follower;

use quittance_ledger::ids::Height;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::config::Target;
use crate::convert::FinalBlock;
use crate::nodes::Nodes;

pub use checker::{ChainChecker, WrongChain, WrongSet};
use follower::Follower;

/// Verified blocks that wait for whoever follows.
const AHEAD: usize = 4;

/// Why the chain cannot be followed any further. Nodes that are away are no such reason: they are
/// called again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FollowError {
    /// Every node serves what is not this chain; this is what the last of them does.
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

    /// How far a node said it was when one was last connected; `None` as long as none has been
    /// reached. Only a hint for when to begin: it is not proven.
    pub fn node_height(&self) -> Option<Height> {
        *self.node_height.borrow()
    }

    /// Whether `height` is as far as that node was.
    pub fn has_caught_up(&self, height: Height) -> bool {
        self.node_height().is_some_and(|node| node <= height)
    }

    /// To look at [`Following::node_height`], and to wait until it changes, while blocks are taken
    /// elsewhere.
    pub fn watch_node_height(&self) -> watch::Receiver<Option<Height>> {
        self.node_height.clone()
    }
}

/// Follows a chain as `nodes` serve it, from where `checker` is. Needs a tokio runtime.
///
/// The first node is followed as long as it serves the chain, and then the next. A node that is
/// away, refuses the call, or has fewer blocks than are certified already, is called again when the
/// others have been, with pauses that grow to a few seconds. One that holds blocks back is left
/// alone for half a minute, and for longer each time; one that serves a wrong chain for an hour.
/// What has been passed on is never repeated. The stream ends with an error only when every node
/// serves a wrong chain.
pub fn follow(nodes: &Nodes, checker: ChainChecker) -> Following {
    let (out, blocks) = mpsc::channel(AHEAD);
    let (height, node_height) = watch::channel(None);
    let follower = Follower { nodes: nodes.clone(), checker, out, height };
    let task = tokio::spawn(follower.run()).abort_handle();
    Following { blocks, node_height, task }
}
