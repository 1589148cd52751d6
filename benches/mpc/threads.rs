//! Protocols of three parties: what is measured of them, and three parties that are threads.

use std::cell::Cell;
use std::future::Future;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_mpc::session::{Abort, Binding, Frame, Machine, Progress};
use quittance_mpc::stock::{Amount, Single};
use quittance_mpc::{Engine, Parties};
use rand_core::OsRng;

const PARTIES: u8 = 3;

/// What one party measured, or the slowest of all; and what was sent, by one or all.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    /// What was done in advance.
    pub(crate) preparing: Duration,
    pub(crate) bytes: u64,
}

/// A piece of work under way.
pub(crate) struct Work {
    start: Instant,
    bytes: u64,
}

impl Work {
    pub(crate) fn begin(engine: &Engine) -> Self {
        Self { start: Instant::now(), bytes: engine.traffic().bytes }
    }

    pub(crate) fn end(&self, engine: &Engine) -> Outcome {
        let bytes = engine.traffic().bytes - self.bytes;
        Outcome { elapsed: self.start.elapsed(), bytes, ..Outcome::default() }
    }
}

/// Three honest parties, and what connects them.
pub(crate) trait Network {
    /// What each party has in the end, in a session of its own, and the bytes that it has sent.
    fn by_party<T, F, P>(&self, protocol: P) -> Vec<(T, u64)>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Abort>> + Send + 'static,
        P: FnOnce(Engine) -> F + Clone + Send + 'static;

    /// Runs a protocol at all parties: the slowest, and what all have sent.
    fn jointly<F, P>(&self, protocol: P) -> Outcome
    where
        F: Future<Output = Result<Outcome, Abort>> + Send + 'static,
        P: FnOnce(Engine) -> F + Clone + Send + 'static,
    {
        joined(self.by_party(protocol).into_iter().map(|(outcome, _)| outcome))
    }

    /// The same after a batch of stored preprocessing was made, in a session of its own. Each party
    /// is given a stock with its side of it. What making it took is what was done in advance.
    fn with_stored<F, P>(&self, amount: Amount, protocol: P) -> Outcome
    where
        F: Future<Output = Result<Outcome, Abort>> + Send + 'static,
        P: FnOnce(Engine, Single) -> F + Clone + Send + 'static,
    {
        let made = self.by_party(move |engine| async move {
            let start = Instant::now();
            let material = engine.into_material(1, amount).await?;
            let made = Outcome { elapsed: start.elapsed(), ..Outcome::default() };
            Ok((Mutex::new(Some(material)), made))
        });
        let (sides, made): (Vec<_>, Vec<_>) =
            made.into_iter().map(|((side, made), bytes)| (side, Outcome { bytes, ..made })).unzip();
        let (sides, made) = (Arc::new(sides), joined(made.into_iter()));
        let used = self.jointly(move |engine| {
            let side = sides[engine.me().position()].lock().ok().and_then(|mut side| side.take());
            protocol(engine, Single(side))
        });
        Outcome { preparing: made.elapsed, bytes: made.bytes + used.bytes, ..used }
    }
}

/// Parties that are threads of this process and pass each other frames in memory.
#[derive(Default)]
pub(crate) struct Threads {
    sessions: Cell<u32>,
}

impl Network for Threads {
    fn by_party<T, F, P>(&self, protocol: P) -> Vec<(T, u64)>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Abort>> + Send + 'static,
        P: FnOnce(Engine) -> F + Clone + Send + 'static,
    {
        let binding = binding(&self.sessions);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..PARTIES).map(|_| channel()).unzip();
        let party = |(number, receiver): (u8, Receiver<Vec<u8>>)| {
            let (binding, senders, protocol) = (binding.clone(), senders.clone(), protocol.clone());
            thread::spawn(move || {
                let machine = Machine::new(&binding, number, |session| async move {
                    protocol(Engine::start(session, OsRng).await?).await
                });
                attend(machine.expect("a committee of three"), &senders, &receiver)
            })
        };
        let parties: Vec<_> = (1..=PARTIES).zip(receivers).map(party).collect();
        parties.into_iter().map(|party| party.join().expect("honest parties finish")).collect()
    }
}

/// The slowest party's times, and what all have sent.
fn joined(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let both = |one: Outcome, other: Outcome| Outcome {
        elapsed: one.elapsed.max(other.elapsed),
        preparing: one.preparing.max(other.preparing),
        bytes: one.bytes + other.bytes,
    };
    outcomes.reduce(both).expect("three outcomes")
}

/// What the next session of all parties is bound to.
pub(crate) fn binding(sessions: &Cell<u32>) -> Binding {
    let number = sessions.replace(sessions.get() + 1).to_be_bytes();
    let name = |text| Digest::of(text, &[]);
    Binding {
        chain: name("bench"),
        round: Digest::of("bench", &[&number]),
        attempt: 0,
        circuit: name("bench"),
        roster: name("bench"),
        dealings: name("bench"),
        committee: (1..=PARTIES).map(|number| Digest([number; 32])).collect(),
        threshold: 1,
        active: Parties::new(PARTIES.into(), 1).expect("three parties").first_active(),
    }
}

fn attend<T>(
    mut machine: Machine<T>,
    peers: &[Sender<Vec<u8>>],
    incoming: &Receiver<Vec<u8>>,
) -> (T, u64) {
    loop {
        let poll = machine.poll();
        for frame in poll.outgoing {
            let peer = &peers[usize::from(frame.to) - 1];
            // A party that has finished takes nothing any more.
            peer.send(frame.to_bytes()).unwrap_or_default();
        }
        match poll.progress {
            Progress::Waiting(_) => {}
            Progress::Done(result) => return (result, machine.traffic().bytes),
            Progress::Aborted(abort) => panic!("honest parties finish: {abort}"),
        }
        let first = incoming.recv().expect("peers go on");
        for bytes in std::iter::once(first).chain(incoming.try_iter()) {
            let frame = Frame::from_bytes(&bytes).expect("a frame");
            machine.deliver(frame.from, frame).expect("honest frames are taken");
        }
    }
}
