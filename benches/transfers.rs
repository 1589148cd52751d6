//! Transfers (one posting and one credit, so 2 x 64 bits; ML-DSA-65) from bytes to verdict, and
//! from openings to bytes, beside Solana's.

use std::error::Error;

use quittance_benches::report::Row;
use quittance_benches::transfers::Banks;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::transaction::{Transaction, Unverified};
use quittance_ledger::verify::verify_batch;
use rand_core::OsRng;
use rayon::prelude::*;

use crate::measure::Bench;
use crate::solana;

const COUNT: usize = 128;

/// Besides 1 and 128, how many transfers are verified together.
const BATCHES: [usize; 5] = [2, 8, 32, 256, 512];

pub(crate) fn measure(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    let banks = Banks::new(COUNT)?;
    let transfers = (0..COUNT)
        .map(|payer| Ok(banks.transfer(payer, payer as u64)?.to_bytes()))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let peers = (0..COUNT)
        .map(|_| solana::Accounts::new().transfer())
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    verify(bench, &banks, &transfers, &peers)?;
    prove(bench, &banks)?;
    let size = |length: usize| length as f64;
    let peer = (solana::NAME, size(peers[0].size()));
    bench.row(Row::lower("bytes per single transfer", "B", size(transfers[0].len()), Some(peer)))
}

fn decode(bytes: &[u8]) -> Transaction<Unverified> {
    Transaction::from_bytes(bytes).expect("the transfer decodes")
}

fn verify(
    bench: &mut Bench,
    banks: &Banks,
    transfers: &[Vec<u8>],
    peers: &[solana::Transfer],
) -> Result<(), Box<dyn Error>> {
    let mut next = peers.iter().cycle();
    let peer = bench.milliseconds("transfer verify, peer", |bencher| {
        bencher.iter(|| next.next().map(solana::Transfer::verify));
    })?;
    for peer in peers {
        peer.verify()?;
    }

    let peer = Some((solana::NAME, peer));
    verify_together(bench, banks, transfers, peer)?;

    let mut next = transfers.iter().cycle();
    let single = bench.milliseconds("transfer verify single", |bencher| {
        bencher.iter(|| {
            let verdict = next.next().map(|bytes| decode(bytes).verify(banks));
            assert!(verdict.is_some_and(|verdict| verdict.is_ok()));
        });
    })?;
    bench.row(Row::lower("transfer verify single", "ms", single, peer))
}

/// A batch of all of them, on one thread.
fn verify_together(
    bench: &mut Bench,
    banks: &Banks,
    transfers: &[Vec<u8>],
    peer: Option<(&str, f64)>,
) -> Result<(), Box<dyn Error>> {
    let name = format!("transfer verify batch {}", transfers.len());
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let batch = bench.milliseconds(&name, |bencher| {
        let all = || {
            let decoded = transfers.iter().map(|bytes| decode(bytes)).collect();
            let verdicts = verify_batch(decoded, banks, &mut OsRng);
            assert!(verdicts.iter().all(Result::is_ok));
        };
        bencher.iter(|| one_thread.install(all));
    })?;
    bench.row(Row::lower(&name, "ms per transfer", batch / transfers.len() as f64, peer))
}

/// Smaller and larger batches.
pub(crate) fn growth(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    let banks = Banks::new(COUNT)?;
    let transfers = (0..*BATCHES.last().expect("sizes"))
        .map(|number| Ok(banks.transfer(number % COUNT, number as u64)?.to_bytes()))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    BATCHES.iter().try_for_each(|size| verify_together(bench, &banks, &transfers[..*size], None))
}

fn prove(bench: &mut Bench, banks: &Banks) -> Result<(), Box<dyn Error>> {
    let accounts = solana::Accounts::new();
    let peer = bench.milliseconds("transfer prove, peer", |bencher| {
        bencher.iter(|| accounts.transfer().expect("the peer proves"));
    })?;
    let peer = Some((solana::NAME, peer));

    let make = |payer: usize| banks.transfer(payer, payer as u64).expect("the transfer is proven");
    let mut payers = (0..COUNT).cycle();
    let ours = bench.milliseconds("transfer prove", |bencher| {
        bencher.iter(|| payers.next().map(make));
    })?;
    bench.row(Row::lower("transfer prove", "ms", ours, peer))?;

    // The peer, as it comes, uses one core.
    let count = 4 * rayon::current_num_threads();
    let ours = bench.milliseconds("transfer prove, all cores", |bencher| {
        bencher.iter(|| (0..count).into_par_iter().map(make).collect::<Vec<_>>());
    })?;
    let ours = ours / count as f64;
    bench.row(Row::lower("transfer prove, all cores", "ms per transfer", ours, peer))
}
