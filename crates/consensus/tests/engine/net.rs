//! A network in memory, with delay, loss, duplication and partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use quittance_consensus::transport::{Inbox, Peer, Transport};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Frames that wait for one peer to take them; more are dropped.
const QUEUE: usize = 1024;

/// What the network does to frames.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// How late each is.
    pub delay: Duration,
    /// How many of a thousand are lost.
    pub loss: u64,
    /// How many of a thousand come twice.
    pub twice: u64,
}

#[derive(Clone)]
pub struct Net {
    state: Arc<Mutex<State>>,
    runtime: Handle,
}

struct State {
    weather: Weather,
    inboxes: BTreeMap<Peer, Inbox>,
    links: BTreeMap<(Peer, Peer), (mpsc::Sender<Bytes>, AbortHandle)>,
    cut: BTreeSet<(Peer, Peer)>,
    dice: u64,
    /// Where everything is written down before it is sent.
    tap: Option<File>,
}

impl State {
    /// A number below a thousand, from a sequence that is the same in each run.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.dice >> 33) % 1000
    }
}

struct Member {
    me: Peer,
    net: Net,
}

impl Net {
    pub fn new(runtime: Handle, weather: Weather) -> Self {
        let state = State {
            weather,
            inboxes: BTreeMap::new(),
            links: BTreeMap::new(),
            cut: BTreeSet::new(),
            dice: 7,
            tap: None,
        };
        Self { state: Arc::new(Mutex::new(state)), runtime }
    }

    /// Connects a peer with all that are there.
    pub fn join(&self, me: Peer, inbox: Inbox) -> Arc<dyn Transport> {
        let mut state = self.state.lock().unwrap();
        let others: Vec<(Peer, Inbox)> =
            state.inboxes.iter().map(|(peer, inbox)| (*peer, inbox.clone())).collect();
        for (other, theirs) in others {
            self.link(&mut state, me, other, theirs);
            self.link(&mut state, other, me, inbox.clone());
        }
        state.inboxes.insert(me, inbox);
        Arc::new(Member { me, net: self.clone() })
    }

    /// Ends all connections of a peer.
    pub fn leave(&self, me: Peer) {
        let mut state = self.state.lock().unwrap();
        state.inboxes.remove(&me);
        state.links.retain(|(from, to), (_, task)| {
            let stays = *from != me && *to != me;
            if !stays {
                task.abort();
            }
            stays
        });
    }

    /// Writes all that is sent from now on into a file: the length of each frame, and the frame.
    pub fn tap(&self, file: File) {
        self.state.lock().unwrap().tap = Some(file);
    }

    /// Nothing passes between the two groups any more.
    pub fn cut(&self, one: &[Peer], other: &[Peer]) {
        let mut state = self.state.lock().unwrap();
        for a in one {
            for b in other {
                state.cut.extend([(*a, *b), (*b, *a)]);
            }
        }
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.state.lock().unwrap().cut.clear();
    }

    fn link(&self, state: &mut State, from: Peer, to: Peer, inbox: Inbox) {
        let (sender, mut frames) = mpsc::channel::<Bytes>(QUEUE);
        let net = self.clone();
        let task = self.runtime.spawn(async move {
            let Ok(connection) = inbox.connect(from).await else { return };
            while let Some(frame) = frames.recv().await {
                let (delay, copies) = net.fate(from, to);
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                for _ in 0..copies {
                    if connection.deliver(frame.clone()).await.is_err() {
                        return;
                    }
                }
            }
        });
        state.links.insert((from, to), (sender, task.abort_handle()));
    }

    fn fate(&self, from: Peer, to: Peer) -> (Duration, usize) {
        let mut state = self.state.lock().unwrap();
        let Weather { delay, loss, twice } = state.weather;
        let copies = match state.cut.contains(&(from, to)) || state.roll() < loss {
            true => 0,
            false => 1 + usize::from(state.roll() < twice),
        };
        (delay, copies)
    }

    fn send(&self, from: Peer, to: Option<Peer>, frame: &Bytes) {
        let mut state = self.state.lock().unwrap();
        if let Some(tap) = &mut state.tap {
            let length = (frame.len() as u32).to_be_bytes();
            tap.write_all(&[&length[..], frame].concat()).unwrap();
        }
        for ((_, other), (link, _)) in state.links.iter().filter(|((of, _), _)| *of == from) {
            if to.is_none_or(|to| to == *other) {
                let _ = link.try_send(frame.clone());
            }
        }
    }
}

impl Transport for Member {
    fn send(&self, to: Peer, frame: Bytes) {
        self.net.send(self.me, Some(to), &frame);
    }

    fn send_to_all(&self, frame: Bytes) {
        self.net.send(self.me, None, &frame);
    }
}
