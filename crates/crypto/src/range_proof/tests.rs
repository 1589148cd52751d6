//! Attacks on range proofs. Each verdict is taken three times: alone, in a batch with a valid
//! proof, and by the verifier of the crate `bulletproofs`.

mod batch;
mod forgery;
mod format;
mod generators;
mod prover;
mod transcript;
mod verdicts;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::commitment::{Commitment, Opening};
use crate::digest::Digest;

pub(super) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(super) fn context(name: &str) -> Digest {
    Digest::of("quittance/v1/test", &[name.as_bytes()])
}

pub(super) fn commitments(openings: &[Opening]) -> Vec<Commitment> {
    openings.iter().map(Opening::commit).collect()
}

/// A statement with a valid proof.
#[derive(Clone)]
struct Sample {
    context: Digest,
    commitments: Vec<Commitment>,
    proof: RangeProof,
}

impl Sample {
    fn new(values: &[u64], rng: &mut ChaCha20Rng) -> Self {
        let openings: Vec<_> = values.iter().map(|value| Opening::random(*value, rng)).collect();
        let context = context("sample");
        let proof = prove(&context, &openings, rng).unwrap();
        Self { context, commitments: commitments(&openings), proof }
    }

    /// The verdict, after all verifiers have been asked and agree.
    fn verdict(&self) -> Result<(), RangeProofError> {
        let alone = verify(&self.context, &self.commitments, &self.proof);
        let reference = reference::verify(&self.context, &self.commitments, &self.proof);
        assert_eq!(alone.is_ok(), reference.is_ok(), "{alone:?} {reference:?}");
        let mut batch = Batch::new();
        for sample in [Self::valid(), self] {
            batch.push(&sample.context, &sample.commitments, &sample.proof);
        }
        assert_eq!(batch.verify(&mut rng(0)), [Ok(()), alone.clone()]);
        alone
    }

    /// One valid sample, made once.
    fn valid() -> &'static Self {
        static SAMPLE: std::sync::LazyLock<Sample> =
            std::sync::LazyLock::new(|| Sample::new(&[5], &mut rng(100)));
        &SAMPLE
    }

    /// This sample with other proof bytes of the same length.
    fn with_bytes(&self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = self.proof.as_bytes().to_vec();
        change(&mut bytes);
        Self { proof: bytes.try_into().unwrap(), ..self.clone() }
    }
}

/// Places of the elements among the 32-byte words of a proof for one value.
fn layout() -> Vec<Element> {
    use Element::*;
    let halvings = (0..6).flat_map(|k| [L(k), R(k)]);
    [A, S, T1, T2, Tx, TxBlinding, EBlinding]
        .into_iter()
        .chain(halvings)
        .chain([LastA, LastB])
        .collect()
}

fn is_scalar(element: Element) -> bool {
    use Element::*;
    matches!(element, Tx | TxBlinding | EBlinding | LastA | LastB)
}
