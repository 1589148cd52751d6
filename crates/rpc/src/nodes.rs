//! The validators that a process uses: a list in the order of preference.
//!
//! Who follows the chain and who submits share it, with what has been found out about each. One
//! that holds blocks back, or that serves a wrong chain, is left alone for some time by both.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;

use crate::client::{ConnectError, Dialer};
use crate::config::Target;
use crate::proto::node::v1::node_client::NodeClient;

/// How long a node is left alone that has held blocks back: the first time, and at most. It doubles.
const LEFT_ALONE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// How long one is left alone that has served a wrong chain.
pub(crate) const DISTRUSTED: Duration = Duration::from_secs(3600);

/// After so long without a lapse the earlier ones are forgotten.
const FORGIVEN: Duration = Duration::from_secs(60);

/// Validators, in the order in which they are used. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Nodes(Arc<Vec<Arc<Node>>>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Node {
    place: usize,
    target: Target,
    client: NodeClient<Channel>,
    standing: Mutex<Standing>,
}

/// What has been found out about a node.
#[derive(Debug, Default)]
struct Standing {
    lapses: u32,
    /// It is left alone until then.
    until: Option<Instant>,
    wrong: bool,
}

impl Nodes {
    /// These, which are connected when they are first used; at least one.
    pub fn new(dialer: &Dialer, targets: &[Target]) -> Result<Self, ConnectError> {
        let node = |(place, target): (usize, &Target)| {
            let (target, client) = (target.clone(), dialer.node(target)?);
            Ok(Arc::new(Node { place, target, client, standing: Mutex::default() }))
        };
        let nodes: Vec<_> = targets.iter().enumerate().map(node).collect::<Result<_, _>>()?;
        match nodes.is_empty() {
            true => Err(ConnectError::Nobody),
            false => Ok(Self(Arc::new(nodes))),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Those that are not left alone, from a place on and around; all of them if there are no such,
    /// first the one whose time is over soonest.
    pub(crate) fn starting_at(&self, place: usize) -> Vec<Arc<Node>> {
        let place = place.checked_rem(self.count()).unwrap_or(0);
        let around = || self.0.iter().skip(place).chain(self.0.iter().take(place)).cloned();
        let now = Instant::now();
        let usable: Vec<_> = around().filter(|node| !node.is_left_alone(now)).collect();
        if !usable.is_empty() {
            return usable;
        }
        let mut all: Vec<_> = around().collect();
        all.sort_by_key(|node| node.standing().until);
        all
    }

    /// Whether each of them has served a wrong chain.
    pub(crate) fn are_all_wrong(&self) -> bool {
        self.0.iter().all(|node| node.standing().wrong)
    }
}

impl Node {
    /// The place of the one after it.
    pub(crate) fn next_place(&self) -> usize {
        self.place.saturating_add(1)
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn is(&self, other: &Node) -> bool {
        self.place == other.place
    }

    pub(crate) fn client(&self) -> NodeClient<Channel> {
        self.client.clone()
    }

    /// It has held blocks back. Returns for how long it is left alone.
    pub(crate) fn leave_alone(&self) -> Duration {
        let (now, mut standing) = (Instant::now(), self.standing());
        if standing.until.is_some_and(|until| now > until + FORGIVEN) {
            standing.lapses = 0;
        }
        let pause = LEFT_ALONE.0.saturating_mul(1 << standing.lapses.min(8)).min(LEFT_ALONE.1);
        standing.lapses = standing.lapses.saturating_add(1);
        standing.until = Some(now + pause);
        pause
    }

    /// It has served a wrong chain.
    pub(crate) fn distrust(&self) {
        let mut standing = self.standing();
        (standing.until, standing.wrong) = (Some(Instant::now() + DISTRUSTED), true);
    }

    /// It has served a block of the chain.
    pub(crate) fn has_served(&self) {
        self.standing().wrong = false;
    }

    fn is_left_alone(&self, now: Instant) -> bool {
        self.standing().until.is_some_and(|until| now < until)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
