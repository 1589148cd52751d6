//! A committee in memory, from dealing to combined results.
#![allow(dead_code, reason = "each test uses its part")]

pub mod hidden;
#[path = "../../../../circuits/tests/netting/reference.rs"]
pub mod reference;

use std::future::Future;
use std::sync::Arc;

use quittance_circuit::Owner;
use quittance_crypto::commitment::{Blinding, commit_scalar};
use quittance_crypto::digest::Digest;
use quittance_crypto::field::{Fr, to_scalar};
use quittance_mpc::memory::{Network, Outcome};
use quittance_mpc::output::combine_private;
use quittance_mpc::session::{Abort, Binding};
use quittance_mpc::vss::{deal, deal_compressed};
use quittance_mpc::{ActiveSet, Inputs, Output, Parties, Shared};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use reference::Case;

/// A committee, and the seed of all randomness of its next session.
pub struct Committee {
    pub parties: Parties,
    /// Who takes part in its next session: its first parties, if nobody says otherwise.
    pub active: ActiveSet,
    pub seed: u64,
    pub attempt: u8,
}

impl Committee {
    pub fn new(count: usize, threshold: u8) -> Self {
        let parties = Parties::new(count, threshold).unwrap();
        Self { parties, active: parties.first_active(), seed: 0, attempt: 0 }
    }

    pub fn binding(&self) -> Binding {
        let [chain, round, circuit, roster, dealings] = [Digest::ZERO; 5];
        let committee = self.parties.ids().map(|id| Digest([id.number(); 32])).collect();
        let threshold = self.parties.threshold() as u8;
        let (active, attempt) = (self.active, self.attempt);
        Binding { chain, round, attempt, circuit, roster, dealings, committee, threshold, active }
    }

    /// Each owner deals its inputs, each party verifies its shares of them. `statement` says which
    /// inputs of an owner are committed.
    pub fn inputs(
        &self,
        inputs: &[Vec<Fr>],
        statement: impl Fn(Owner) -> Vec<bool>,
    ) -> Vec<Inputs> {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        let mut all: Vec<_> = self.parties.ids().map(|_| Inputs::new()).collect();
        for (owner, values) in inputs.iter().enumerate() {
            let owner = Owner(owner as u16);
            let secrets: Vec<_> =
                values.iter().map(|value| (*value, Blinding::random(&mut rng))).collect();
            let (dealing, shares) = deal(self.parties, &secrets, &mut rng);
            let published: Vec<_> = secrets
                .iter()
                .zip(statement(owner))
                .map(|((value, blinding), committed)| {
                    committed.then(|| commit_scalar(&to_scalar(value), blinding.as_scalar()))
                })
                .collect();
            for ((me, inputs), shares) in self.parties.ids().zip(&mut all).zip(&shares) {
                let verified =
                    dealing.verify(owner, self.parties, me, &published, shares, &mut rng);
                inputs.set(owner, verified.ok().unwrap());
            }
        }
        all
    }

    /// As [`inputs`](Self::inputs), but only the first `committed` inputs of an owner are dealt with
    /// commitments, the rest compressed.
    pub fn compressed(
        &self,
        inputs: &[Vec<Fr>],
        committed: impl Fn(Owner) -> usize,
    ) -> Vec<Inputs> {
        let mut rng = ChaCha20Rng::seed_from_u64(!self.seed);
        let mut all: Vec<_> = self.parties.ids().map(|_| Inputs::new()).collect();
        for (owner, values) in inputs.iter().enumerate() {
            let owner = Owner(owner as u16);
            let (values, vectors) = values.split_at(committed(owner));
            let secrets: Vec<_> =
                values.iter().map(|value| (*value, Blinding::random(&mut rng))).collect();
            let published: Vec<_> = secrets
                .iter()
                .map(|(value, r)| Some(commit_scalar(&to_scalar(value), r.as_scalar())))
                .collect();
            let (dealing, shares) = deal(self.parties, &secrets, &mut rng);
            let (public, compressed) = deal_compressed(self.parties, owner, vectors, &mut rng);
            let parties = self.parties.ids().zip(&mut all);
            for ((me, inputs), (shares, compressed)) in parties.zip(shares.iter().zip(compressed)) {
                let verified =
                    dealing.verify(owner, self.parties, me, &published, shares, &mut rng);
                let mut verified = verified.ok().unwrap();
                let vectors = public.verify(owner, self.parties, me, &compressed, vectors.len());
                verified.extend(vectors.ok().unwrap());
                inputs.set(owner, verified);
            }
        }
        all
    }

    pub fn network<'a, T, F, P>(&mut self, inputs: Vec<Inputs>, protocol: P) -> Network<'a, T>
    where
        F: Future<Output = Result<T, Abort>> + Send + 'static,
        P: FnOnce(Shared) -> F + Clone + Send + 'static,
        T: 'static,
    {
        self.seed += 1;
        let inputs = Arc::new(inputs);
        let network = Network::of_engines(&self.binding(), self.seed, move |engine| {
            let own = inputs[engine.me().position()].clone();
            protocol(Shared::new(engine, own))
        });
        network.unwrap()
    }

    /// Deals, runs, and returns all parties' results, or the first party's abort.
    pub fn run<T, F, P>(
        &mut self,
        inputs: &[Vec<Fr>],
        statement: impl Fn(Owner) -> Vec<bool>,
        protocol: P,
    ) -> Result<Vec<T>, Abort>
    where
        F: Future<Output = Result<T, Abort>> + Send + 'static,
        P: FnOnce(Shared) -> F + Clone + Send + 'static,
        T: 'static,
    {
        let inputs = self.inputs(inputs, statement);
        let Outcome { results, .. } = self.network(inputs, protocol).run();
        results.into_iter().collect()
    }

    /// What the owners make of all parties' outputs, given by party.
    pub fn combine(&self, outputs: &[Vec<Output>]) -> Vec<Fr> {
        (0..outputs[0].len()).map(|index| self.combine_one(outputs, index)).collect()
    }

    fn combine_one(&self, outputs: &[Vec<Output>], index: usize) -> Fr {
        let of_all = self.active.ids().zip(outputs).map(|(id, outputs)| (id, &outputs[index]));
        match &outputs[0][index] {
            Output::Public(value) => {
                assert!(
                    of_all.into_iter().all(
                        |(_, output)| matches!(output, Output::Public(other) if other == value)
                    )
                );
                *value
            }
            Output::Private { .. } => {
                let shares: Vec<_> = of_all
                    .map(|(id, output)| match output {
                        Output::Private { share, .. } => (id, vec![share.clone()]),
                        _ => unreachable!("all parties have the same outputs"),
                    })
                    .collect();
                combine_private(self.parties.threshold(), &shares).unwrap()[0]
            }
            Output::Committed { public, .. } => {
                let shares: Vec<_> = of_all
                    .map(|(id, output)| match output {
                        Output::Committed { share, .. } => (id, share.clone()),
                        _ => unreachable!("all parties have the same outputs"),
                    })
                    .collect();
                public.combine(&shares).ok().unwrap().value
            }
        }
    }
}

/// So many banks, each with so many payments to any of the others, and liquidity for one of
/// `part` of what it is to pay. The same each time.
pub fn large(banks: usize, payments: usize, part: u64) -> Case {
    let mut state = 1u64;
    // The constants are Knuth's (MMIX); the high bits are the better ones.
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let mut queue = |payer: usize| -> Vec<(usize, u64)> {
        let payee = |away: u64| (payer + 1 + away as usize) % banks;
        (0..payments).map(|_| (payee(next(banks as u64 - 1)), 1 + next(1_000_000))).collect()
    };
    let queues: Vec<_> = (0..banks).map(&mut queue).collect();
    let outflow = |queue: &Vec<(usize, u64)>| queue.iter().map(|(_, it)| it).sum::<u64>();
    Case { liquidity: queues.iter().map(|queue| outflow(queue) / part).collect(), queues }
}
