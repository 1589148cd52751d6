//! Range proofs of two 64-bit values, 128 in a batch, from bytes, beside Tari's.

use std::error::Error;

use quittance_benches::report::Row;
use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_crypto::range_proof::{Batch, RangeProof, prove};
use rand_core::OsRng;

use crate::measure::Bench;
use crate::tari;

const COUNT: usize = 128;
const VALUES: [u64; 2] = [998_765_433, 1_234_567];

/// A proof with its two commitments, as bytes.
struct Item {
    commitments: [[u8; 32]; 2],
    proof: Vec<u8>,
}

pub(crate) fn measure(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    let context = Digest::of("bench", &[]);
    let ours = (0..COUNT).map(|_| item(&context)).collect::<Result<Vec<_>, _>>()?;
    let ours = bench.milliseconds("range proof batch 128, m=2", |bencher| {
        bencher.iter(|| verify(&context, &ours).expect("the batch holds"));
    })?;
    let peers = tari::Proofs::new(COUNT, &VALUES).expect("the peer proves");
    let peers = bench.milliseconds("range proof batch 128, m=2, peer", |bencher| {
        bencher.iter(|| peers.verify().expect("the peer's batch holds"));
    })?;
    let [ours, peers] = [ours, peers].map(|batch| batch / COUNT as f64);
    let peer = Some((tari::NAME, peers));
    bench.row(Row::lower("range proof batch 128, m=2", "ms per proof", ours, peer))
}

fn item(context: &Digest) -> Result<Item, Box<dyn Error>> {
    let openings = VALUES.map(|value| Opening::random(value, &mut OsRng));
    let proof = prove(context, &openings, &mut OsRng)?.as_bytes().to_vec();
    let commitments = openings.map(|opening| *opening.commit().as_bytes());
    Ok(Item { commitments, proof })
}

fn verify(context: &Digest, items: &[Item]) -> Result<(), Box<dyn Error>> {
    let mut batch = Batch::new();
    for item in items {
        let [first, second] = &item.commitments;
        let commitments = [Commitment::from_bytes(first)?, Commitment::from_bytes(second)?];
        batch.push(context, &commitments, &RangeProof::try_from(item.proof.clone())?);
    }
    batch.verify(&mut OsRng).into_iter().collect::<Result<(), _>>().map_err(Into::into)
}
