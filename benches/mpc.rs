//! Joint computation by three parties, each a thread of this process, beside what MP-SPDZ 0.4.2
//! takes for the same work over the same field on a machine of this size: honest majority, secure
//! against a lying party, the fastest of its protocols for each row.
//!
//! Everything that a party sends is encoded into frames. In rows that end with `loopback TLS` each
//! frame goes through TLS and a socket, over connections that are there already; in the others there
//! is no network in between. Agreement on seeds is left out, as it is there.

mod loopback;
mod netting;
mod threads;

use std::error::Error;
use std::time::Duration;

use quittance_benches::report::Row;
use quittance_mpc::session::Abort;
use quittance_mpc::stock::Amount;
use quittance_mpc::{Engine, LessThan, Share};

use crate::measure::Bench;
use loopback::Committee;
use threads::{Network, Outcome, Threads, Work};

const PEER: &str = "MP-SPDZ 0.4.2, recorded";

pub(crate) fn measure(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    // First, since what others have freed would be taken for nothing.
    netting::memory(bench)?;
    let (threads, committee) = (Threads::default(), Committee::start()?);
    multiplications(bench, &threads, "")?;
    multiplications(bench, &committee, OVER_TLS)?;
    sequence(bench, &threads, "")?;
    sequence(bench, &committee, OVER_TLS)?;
    comparisons(bench, &threads, "")?;
    comparisons(bench, &committee, OVER_TLS)?;
    netting::small(bench, &threads, "")?;
    netting::small(bench, &committee, OVER_TLS)?;
    sizes(bench, &threads)?;
    netting::measure(bench, &threads)
}

/// The sum of what `once` measures, as criterion wants it.
fn repeated(times: u64, once: impl Fn() -> Duration) -> Duration {
    (0..times).map(|_| once()).sum()
}

/// What is measured over sockets is called so.
const OVER_TLS: &str = ", loopback TLS";

const COUNT: usize = 100_000;

/// Products that do not wait for each other.
async fn independent(mut engine: Engine) -> Result<Outcome, Abort> {
    let (left, right) = (engine.random(COUNT), engine.random(COUNT));
    let work = Work::begin(&engine);
    let pairs: Vec<_> = left.iter().zip(&right).collect();
    engine.multiply(&pairs).await?;
    engine.check().await?;
    Ok(work.end(&engine))
}

fn multiplications(
    bench: &mut Bench,
    network: &impl Network,
    over: &str,
) -> Result<(), Box<dyn Error>> {
    let name = format!("mpc 100k multiplications{over}");
    let ours = bench.milliseconds(&name, |bencher| {
        bencher.iter_custom(|times| repeated(times, || network.jointly(independent).elapsed));
    })?;
    bench.row(Row::lower(&name, "ms, check included", ours, Some((PEER, 337.0))))
}

const DEPTH: u32 = 1_000;

/// Each product a factor of the next.
async fn products(mut engine: Engine) -> Result<Outcome, Abort> {
    let factor = engine.random(1).remove(0);
    let mut product = factor.clone();
    let work = Work::begin(&engine);
    for _ in 0..DEPTH {
        product = engine.multiply(&[(&product, &factor)]).await?.remove(0);
    }
    engine.check().await?;
    Ok(work.end(&engine))
}

fn sequence(bench: &mut Bench, network: &impl Network, over: &str) -> Result<(), Box<dyn Error>> {
    let name = format!("mpc sequential multiplication{over}");
    let ours = bench.milliseconds(&name, |bencher| {
        bencher.iter_custom(|times| repeated(times, || network.jointly(products).elapsed));
    })?;
    let each = ours * 1e3 / f64::from(DEPTH);
    bench.row(Row::lower(&name, "us, check included", each, Some((PEER, 61.0))))
}

/// A stored batch of masks, and what is compared with it. Agreement on the batch counts as online.
fn compare(network: &impl Network, count: usize) -> Outcome {
    let amount = Amount { comparisons: count as u32, bits: 0 };
    network.with_stored(amount, move |mut engine, mut stock| async move {
        let work = Work::begin(&engine);
        engine.draw(&mut stock).await?;
        let (left, right) = (Share::constant(3u64.into()), Share::constant(5u64.into()));
        let batch: Vec<_> =
            (0..count).map(|_| LessThan { left: &left, right: &right, bits: 64 }).collect();
        engine.less_than(&batch).await?;
        engine.check().await?;
        Ok(work.end(&engine))
    })
}

fn comparisons(
    bench: &mut Bench,
    network: &impl Network,
    over: &str,
) -> Result<(), Box<dyn Error>> {
    let name = format!("mpc 1000 comparisons, online{over}");
    let ours = bench.milliseconds(&name, |bencher| {
        bencher.iter_custom(|times| repeated(times, || compare(network, 1_000).elapsed));
    })?;
    bench.row(Row::lower(&name, "ms, check included", ours, Some((PEER, 7.0))))?;
    let name = format!("mpc 1000 comparisons, preprocessing{over}");
    let ours = bench.milliseconds(&name, |bencher| {
        bencher.iter_custom(|times| repeated(times, || compare(network, 1_000).preparing));
    })?;
    bench.row(Row::lower(&name, "ms, check included", ours, Some((PEER, 418.0))))
}

/// What is sent is the same over any network.
fn sizes(bench: &mut Bench, network: &impl Network) -> Result<(), Box<dyn Error>> {
    let each = network.jointly(independent).bytes as f64 / COUNT as f64;
    let name = "mpc bytes per multiplication";
    bench.row(Row::lower(name, "bytes, all parties, checked", each, Some((PEER, 192.0))))?;
    let each = compare(network, 10_000).bytes as f64 / 10_000.0;
    let name = "mpc 64-bit comparison bytes";
    bench.row(Row::lower(name, "bytes, all parties, all in", each, Some((PEER, 12_100.0))))
}
