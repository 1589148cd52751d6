//! Netting to the fixed point, its dealing, and the memory of a party.
//!
//! Ranges of inputs count as proven: verifying range proofs is measured by itself, in the section
//! `range-proofs`.

#[path = "../../crates/mpc/examples/netting/case.rs"]
mod case;

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use quittance_benches::report::Row;
use quittance_mpc::stock::Single;
use quittance_mpc::{Engine, Parties, Shared};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::PEER;
use super::threads::{self, Network, Outcome, Threads};
use crate::measure::Bench;
use case::{Dealt, Work, gridlock};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How often what takes seconds is repeated.
const RUNS: usize = 3;

pub(super) fn measure(bench: &mut Bench, network: &Threads) -> Result<()> {
    // With a tenth of what each bank owes, and with nothing. The recorded run is one payment at a
    // time, with nothing.
    large(bench, network, "netting 100x10000 public payees", 10, None)?;
    large(bench, network, "netting 100x10000 tight", 0, Some([23.9, 1889.0]))?;
    dealing(bench)
}

/// A case and what it takes.
struct Prepared {
    work: Work,
    dealt: Dealt,
    steps: u32,
}

impl Prepared {
    fn new(work: Work, rng: &mut ChaCha20Rng) -> Result<Self> {
        let (steps, dealt) = (work.steps()?, work.deal(Parties::new(3, 1)?, rng)?);
        Ok(Self { work, dealt, steps })
    }

    /// Something to run with this, as often as wanted. What it needs is made in the same session, or
    /// in one before and stored.
    fn runner(self, network: &impl Network, stored: bool) -> impl Fn() -> Outcome {
        let labels = Arc::new(self.work.labels());
        let amount = stored.then(|| self.work.amount(self.steps).expect("a price"));
        let Self { work: Work { program, .. }, dealt, steps } = self;
        let (program, inputs) = (Arc::new(program), Arc::new(dealt.inputs));
        move || {
            let program = Arc::clone(&program);
            let (inputs, labels) = (Arc::clone(&inputs), Arc::clone(&labels));
            let protocol = move |engine: Engine, mut stock: Single| async move {
                let (own, vectors) = inputs[engine.me().position()].clone();
                let mut shared = Shared::new(engine, own);
                let work = threads::Work::begin(shared.engine());
                if stored {
                    shared.engine().draw(&mut stock).await?;
                }
                if !vectors.is_empty() {
                    let kept: Vec<_> = (1..labels.len()).collect();
                    shared.check_one_hot(&vectors, &labels, &kept).await?;
                }
                let checked = work.end(shared.engine());
                let work = threads::Work::begin(shared.engine());
                shared.prepare(&program, steps).await?;
                let prepared = work.end(shared.engine());
                let work = threads::Work::begin(shared.engine());
                let run = shared.run(&program).await?;
                assert_eq!(run.steps, steps, "as many as in the clear");
                let online = work.end(shared.engine());
                Ok(Outcome {
                    // What depends on inputs: the check of payees is no preparation.
                    elapsed: checked.elapsed + online.elapsed,
                    preparing: prepared.elapsed,
                    bytes: checked.bytes + prepared.bytes + online.bytes,
                })
            };
            match amount {
                Some(amount) => network.with_stored(amount, protocol),
                None => network.jointly(move |engine| protocol(engine, Single(None))),
            }
        }
    }
}

pub(super) fn small(bench: &mut Bench, network: &impl Network, over: &str) -> Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let work = Work::hidden(&gridlock(10, 100, 10, &mut rng), &mut rng)?;
    let prepared = Prepared::new(work, &mut rng)?;
    let unit = format!("ms online, {} steps", prepared.steps);
    let run = prepared.runner(network, true);
    let name = format!("netting 10x100 hidden payees{over}");
    let ours = bench.milliseconds(&name, |bencher| {
        bencher.iter_custom(|times| super::repeated(times, || run().elapsed));
    })?;
    bench.row(Row::lower(&name, &unit, ours, None))
}

fn large(
    bench: &mut Bench,
    network: &Threads,
    name: &str,
    percent: u64,
    peer: Option<[f64; 2]>,
) -> Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let queues = gridlock(100, 10_000, percent, &mut rng);
    let work = Work::open(&queues, |netting| netting.until_settled())?;
    let prepared = Prepared::new(work, &mut rng)?;
    let steps = prepared.steps;
    let run = prepared.runner(network, false);
    let outcomes: Vec<_> = (0..RUNS).map(|_| run()).collect();
    let seconds = median(outcomes.iter().map(|it| it.preparing + it.elapsed)).as_secs_f64();
    let [time, size] = [0, 1].map(|place| peer.map(|peer| (PEER, peer[place])));
    bench.row(Row::lower(name, &format!("s all in, {steps} steps"), seconds, time))?;
    let megabytes = outcomes[0].bytes as f64 / 1e6;
    bench.row(Row::lower(&format!("{name}, sent"), "MB all in, all parties", megabytes, size))
}

/// The middle one of an odd number.
fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn dealing(bench: &mut Bench) -> Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let queues = gridlock(100, 10_000, 10, &mut rng);
    let open = Work::open(&queues, |netting| netting.until_settled())?;
    let hidden = Work::hidden(&queues, &mut rng)?;
    for (kind, work) in [("public", open), ("hidden", hidden)] {
        let name = format!("dealing 100x10000 {kind} payees");
        let dealt = work.deal(Parties::new(3, 1)?, &mut rng)?;
        let row = Row::lower(&name, "s, all banks in a row", dealt.dealing.as_secs_f64(), None);
        bench.row(row)?;
        let name = format!("{name}, verified");
        let row = Row::lower(&name, "s, each party", dealt.verifying.as_secs_f64(), None);
        bench.row(row)?;
    }
    Ok(())
}

/// What a party with a process of its own takes at 100 x 10,000 with hidden payees: the program, and
/// a third of what is added while three of them compute.
pub(super) fn memory(bench: &mut Bench) -> Result<()> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let queues = gridlock(100, 10_000, 10, &mut rng);
    let empty = status("VmRSS")?;
    let work = Work::hidden(&queues, &mut rng)?;
    let program = status("VmRSS")? - empty;
    let threads = Threads::default();
    let run = Prepared::new(work, &mut rng)?.runner(&threads, false);
    let _: Outcome = run();
    let each = program + (status("VmHWM")? - empty - program) / 3.0;
    bench.row(Row::lower("party memory at 100x10000", "MiB, hidden payees", each, None))
}

/// A size of this process in MiB, as Linux tells it.
fn status(field: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes: f64 =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no such field")?.parse()?;
    Ok(kilobytes / 1024.0)
}
