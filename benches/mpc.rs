//! Joint computation by three parties, each a thread of this process, beside what MP-SPDZ 0.4.2
//! takes for the same work over the same field on a machine of this size: honest majority, secure
//! against a lying party, the fastest of its protocols for each row.
//!
//! Everything that a party sends is encoded into frames, but there is no network in between. Agreement
//! on seeds is left out, as it is there.

use std::error::Error;
use std::future::Future;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use quittance_benches::report::Row;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_mpc::session::{Abort, Binding, Frame, Machine, Progress};
use quittance_mpc::{Engine, LessThan, Parties, Share};
use rand_core::OsRng;

use crate::measure::Bench;

const PARTIES: u8 = 3;
const PEER: &str = "MP-SPDZ 0.4.2, recorded";

pub(crate) fn measure(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    let multiplications = 100_000;
    let name = "mpc 100k multiplications";
    let mut sent = 0;
    let ours = bench.milliseconds(name, |bencher| {
        bencher.iter_custom(|times| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..times {
                let outcome = jointly(move |mut engine| async move {
                    let (left, right) =
                        (engine.random(multiplications), engine.random(multiplications));
                    let work = Work::begin(&engine);
                    let pairs: Vec<_> = left.iter().zip(&right).collect();
                    engine.multiply(&pairs).await?;
                    engine.check().await?;
                    Ok(work.end(&engine))
                });
                (elapsed, sent) = (elapsed + outcome.elapsed, outcome.bytes);
            }
            elapsed
        });
    })?;
    bench.row(Row::lower(name, "ms, check included", ours, Some((PEER, 337.0))))?;
    let each = sent as f64 / multiplications as f64;
    let name = "mpc bytes per multiplication";
    bench.row(Row::lower(name, "bytes, all parties, checked", each, Some((PEER, 192.0))))?;

    let name = "mpc sequential multiplication";
    let depth = 1_000;
    let ours = bench.milliseconds(name, |bencher| {
        bencher.iter_custom(|times| {
            let once = || {
                jointly(move |mut engine| async move {
                    let factor = engine.random(1).remove(0);
                    let mut product = factor.clone();
                    let work = Work::begin(&engine);
                    for _ in 0..depth {
                        product = engine.multiply(&[(&product, &factor)]).await?.remove(0);
                    }
                    engine.check().await?;
                    Ok(work.end(&engine))
                })
                .elapsed
            };
            (0..times).map(|_| once()).sum()
        });
    })?;
    let ours = ours * 1e3 / f64::from(depth);
    bench.row(Row::lower(name, "us, threads", ours, Some((PEER, 61.0))))?;
    comparisons(bench)
}

fn comparisons(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    let compare = |count: usize, prepared: bool| {
        jointly(move |mut engine| async move {
            let work = Work::begin(&engine);
            if prepared {
                engine.prepare_comparisons(&[(64, count)]).await?;
            }
            let online = Work::begin(&engine);
            let (left, right) = (Share::constant(3u64.into()), Share::constant(5u64.into()));
            let batch: Vec<_> =
                (0..count).map(|_| LessThan { left: &left, right: &right, bits: 64 }).collect();
            engine.less_than(&batch).await?;
            engine.check().await?;
            let (all, online) = (work.end(&engine), online.end(&engine));
            Ok(Outcome { elapsed: online.elapsed, total: all.elapsed, bytes: all.bytes })
        })
    };
    for (name, what, peer) in [("online", true, 7.0), ("with preprocessing", false, 425.0)] {
        let name = format!("mpc 1000 comparisons {name}");
        let ours = bench.milliseconds(&name, |bencher| {
            bencher.iter_custom(|times| {
                let outcomes = (0..times).map(|_| compare(1_000, true));
                outcomes.map(|it| if what { it.elapsed } else { it.total }).sum()
            });
        })?;
        bench.row(Row::lower(&name, "ms", ours, Some((PEER, peer))))?;
    }
    let each = compare(10_000, true).bytes as f64 / 10_000.0;
    let name = "mpc 64-bit comparison bytes";
    bench.row(Row::lower(name, "bytes, all parties, all in", each, Some((PEER, 12_100.0))))
}

/// What one party measured of its part, and what all sent.
#[derive(Clone, Copy)]
struct Outcome {
    elapsed: Duration,
    total: Duration,
    bytes: u64,
}

/// A piece of work under way.
struct Work {
    start: Instant,
    bytes: u64,
}

impl Work {
    fn begin(engine: &Engine) -> Self {
        Self { start: Instant::now(), bytes: engine.traffic().bytes }
    }

    fn end(&self, engine: &Engine) -> Outcome {
        let elapsed = self.start.elapsed();
        Outcome { elapsed, total: elapsed, bytes: engine.traffic().bytes - self.bytes }
    }
}

/// Runs a protocol at all parties. Times are those of the slowest party.
fn jointly<F, P>(protocol: P) -> Outcome
where
    F: Future<Output = Result<Outcome, Abort>> + Send + 'static,
    P: FnOnce(Engine) -> F + Clone + Send + 'static,
{
    let name = |text| Digest::of(text, &[]);
    let binding = Binding {
        chain: name("bench"),
        round: name("bench"),
        attempt: 0,
        circuit: name("bench"),
        roster: name("bench"),
        dealings: name("bench"),
        committee: (1..=PARTIES).map(|number| Digest([number; 32])).collect(),
        threshold: 1,
        active: Parties::new(PARTIES.into(), 1).expect("a committee").first_active(),
    };
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
    let outcomes = parties.into_iter().map(|party| party.join().expect("honest parties finish"));
    let joined = |one: Outcome, other: Outcome| Outcome {
        elapsed: one.elapsed.max(other.elapsed),
        total: one.total.max(other.total),
        bytes: one.bytes + other.bytes,
    };
    outcomes.reduce(joined).expect("three outcomes")
}

fn attend(
    mut machine: Machine<Outcome>,
    peers: &[Sender<Vec<u8>>],
    incoming: &Receiver<Vec<u8>>,
) -> Outcome {
    loop {
        let poll = machine.poll();
        for frame in poll.outgoing {
            let peer = &peers[usize::from(frame.to) - 1];
            // A party that has finished takes nothing any more.
            peer.send(frame.to_bytes()).unwrap_or_default();
        }
        match poll.progress {
            Progress::Waiting(_) => {}
            Progress::Done(outcome) => return outcome,
            Progress::Aborted(abort) => panic!("honest parties finish: {abort}"),
        }
        let first = incoming.recv().expect("peers go on");
        for bytes in std::iter::once(first).chain(incoming.try_iter()) {
            let frame = Frame::from_bytes(&bytes).expect("a frame");
            machine.deliver(frame.from, frame).expect("honest frames are taken");
        }
    }
}
