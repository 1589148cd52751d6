//! The task that follows: from one node to the next.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use quittance_ledger::ids::{ChainId, Height};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Status, Streaming};

use super::{ChainChecker, FollowError, WrongChain};
use crate::convert::{ChainView, FinalBlock, decode};
use crate::metrics::{NODE_CONNECTED, NODE_HEIGHT, NODE_WRONG_CHAINS, chain_is_at};
use crate::nodes::{DISTRUSTED, Node, Nodes};
use crate::proto::node::v1::{BlocksRequest, BlocksResponse, ChainStatusRequest};

/// The first and the longest pause before nodes are tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// How long a node may take to say how far it is.
const ANSWER: Duration = Duration::from_secs(10);

/// After so long without a block, other nodes are asked whether they have more.
const QUIET: Duration = Duration::from_secs(5);

/// How long they may take to say so; and how long the quiet one then has left.
const GRACE: Duration = Duration::from_secs(2);

/// Why the stream of one node is over.
enum Over {
    /// To be tried again.
    Away(Status),
    /// To be tried again later: it holds back what there is.
    Quiet(String),
    /// Not to be tried again for long.
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

pub(super) struct Follower {
    pub(super) nodes: Nodes,
    pub(super) checker: ChainChecker,
    pub(super) out: mpsc::Sender<Result<FinalBlock, FollowError>>,
    pub(super) height: watch::Sender<Option<Height>>,
}

impl Follower {
    pub(super) async fn run(mut self) {
        let (mut pause, mut complained) = (PAUSES.0, None);
        // The place to go on from, and the nodes that were tried since there was a block.
        let (mut place, mut tried) = (0, 0);
        while let Some(node) = self.nodes.starting_at(place).into_iter().next() {
            let (began, height) = (Instant::now(), self.checker.height());
            let over = self.connected(&node).await;
            if self.checker.height() > height || began.elapsed() > PAUSES.1 {
                (pause, complained, tried) = (PAUSES.0, None, 0);
            }
            match over {
                Over::Unwanted => return,
                Over::Wrong(wrong) => {
                    if self.give_up_on(&node, wrong).await {
                        return;
                    }
                }
                Over::Quiet(reason) => {
                    let pause = node.leave_alone();
                    tracing::warn!(node = %node.target(), %reason, ?pause, "another node is followed");
                }
                Over::Away(status) => {
                    // Said once, and not with every attempt.
                    if complained.as_ref() != Some(&status.code()) {
                        let (node, reason) = (node.target(), status.message());
                        tracing::warn!(%node, %reason, "the chain is not served; trying again");
                        complained = Some(status.code());
                    }
                }
            }
            (place, tried) = (node.next_place(), tried + 1);
            if tried >= self.nodes.count() {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }

    /// A node has served a wrong chain: it is left alone. `true` if no other one is left.
    async fn give_up_on(&self, node: &Node, wrong: WrongChain) -> bool {
        let (target, minutes) = (node.target(), DISTRUSTED.as_secs() / 60);
        tracing::error!(
            node = %target, %wrong, "this node serves a WRONG CHAIN: it is not used for {minutes} minutes"
        );
        counter!(NODE_WRONG_CHAINS).increment(1);
        node.distrust();
        if !self.nodes.are_all_wrong() {
            return false;
        }
        // Fails only if nobody listens any more.
        let _ = self.out.send(Err(FollowError::Wrong { node: target.clone(), wrong })).await;
        true
    }

    /// Passes blocks on for as long as one stream lasts.
    async fn connected(&mut self, node: &Arc<Node>) -> Over {
        let over = self.pass_on(node).await;
        gauge!(NODE_CONNECTED).set(0.0);
        match over {
            Ok(()) => Over::Away(Status::unavailable("the stream of blocks has ended")),
            Err(over) => over,
        }
    }

    async fn pass_on(&mut self, node: &Arc<Node>) -> Result<(), Over> {
        let told = self.begin(node).await?;
        gauge!(NODE_CONNECTED).set(1.0);
        gauge!(NODE_HEIGHT).set(told.0 as f64);
        let request = BlocksRequest { from_height: self.checker.height().next().0, to_height: 0 };
        let mut blocks = node.client().blocks(request).await?.into_inner();
        while let Some(response) = self.next(node, told, &mut blocks).await? {
            let after = self.checker.height();
            let next = FinalBlock::try_from(&response)
                .map_err(|reason| WrongChain::Malformed { after, reason })?;
            self.checker.take(&next)?;
            node.has_served();
            let (height, time) = (next.block.header.height, next.block.header.time);
            self.out.send(Ok(next)).await.map_err(|_| Over::Unwanted)?;
            gauge!(NODE_HEIGHT).set(height.max(told).0 as f64);
            chain_is_at(height, time);
        }
        Ok(())
    }

    /// How far a node says it is, if it is one of this chain and has what is known of it.
    async fn begin(&self, node: &Node) -> Result<Height, Over> {
        let after = self.checker.height();
        let mut client = node.client();
        let status = timeout(ANSWER, client.chain_status(ChainStatusRequest {})).await;
        let status = status.map_err(|_| {
            Status::deadline_exceeded(format!("the node does not answer within {ANSWER:?}"))
        })??;
        let status = status.into_inner();
        let malformed = |reason| WrongChain::Malformed { after, reason };
        let found: ChainId = decode("chain_id", &status.chain_id).map_err(malformed)?;
        let expected = self.checker.chain();
        if found != expected {
            return Err(WrongChain::Chain { expected, found }.into());
        }
        if status.height < after.0 {
            let reason = format!(
                "the node ends at block {}, and block {after} was certified before: it lags behind, \
                 or it runs on an older copy of its chain",
                status.height
            );
            return Err(Status::data_loss(reason).into());
        }
        self.height.send_replace(Some(Height(status.height)));
        Ok(Height(status.height))
    }

    /// What the node sends next. If there are others it must not be quiet for long while it has
    /// `told` of more, or another has more.
    async fn next(
        &self,
        node: &Arc<Node>,
        told: Height,
        blocks: &mut Streaming<BlocksResponse>,
    ) -> Result<Option<BlocksResponse>, Over> {
        if self.nodes.count() == 1 {
            return Ok(blocks.message().await?);
        }
        let after = self.checker.height();
        loop {
            if let Ok(response) = timeout(QUIET, blocks.message()).await {
                return Ok(response?);
            }
            let reason = match self.is_ahead(node).await {
                _ if told > after => format!("it told of block {told}"),
                Some(other) => format!("{other} has more"),
                None => continue,
            };
            return match timeout(GRACE, blocks.message()).await {
                Ok(response) => Ok(response?),
                Err(_) => {
                    Err(Over::Quiet(format!("it sends nothing after block {after}; {reason}")))
                }
            };
        }
    }

    /// Another node that says it has more, if there is one.
    async fn is_ahead(&self, node: &Node) -> Option<String> {
        let (chain, height) = (self.checker.chain(), self.checker.height());
        let mut asked = JoinSet::new();
        for other in self.nodes.starting_at(node.next_place()) {
            if !other.is(node) {
                asked.spawn(async move {
                    let mut client = other.client();
                    let answer = timeout(GRACE, client.chain_status(ChainStatusRequest {})).await;
                    let status = answer.ok()?.ok()?.into_inner();
                    let view = ChainView::try_from(&status).ok()?;
                    let ahead = view.chain == chain && view.height > height;
                    ahead.then(|| other.target().to_string())
                });
            }
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some(other)) = answer {
                return Some(other);
            }
        }
        None
    }
}
