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
use quittance_mpc::{ActiveSet, Inputs, Output, Parties, Shared, VectorInput};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use reference::Case;

/// What an owner deals: inputs, and vectors with their indices.
#[derive(Clone)]
pub struct Dealt {
    pub inputs: Vec<Fr>,
    pub vectors: Vec<(Fr, Vec<Fr>)>,
}

/// A committee, and the seed of all randomness of its next session.
#[derive(Clone)]
pub struct Committee {
    pub parties: Parties,
    /// Who takes part in its next session: its first parties, if nobody says otherwise.
    pub active: ActiveSet,
    pub seed: u64,
    pub attempt: u8,
    /// Within which widths the first inputs of each owner are said to have been proven to be.
    pub proven: Vec<Option<u32>>,
}

impl Committee {
    pub fn new(count: usize, threshold: u8) -> Self {
        let parties = Parties::new(count, threshold).unwrap();
        Self { parties, active: parties.first_active(), seed: 0, attempt: 0, proven: vec![] }
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
                let widths = self.proven.iter().copied().chain(std::iter::repeat(None));
                inputs.set_proven(owner, verified.ok().unwrap().into_iter().zip(widths).collect());
            }
        }
        all
    }

    /// Each owner deals its inputs, all of them with commitments, then the indices with commitments
    /// and the vectors compressed. By party: inputs and vectors.
    pub fn hidden(&self, owners: &[Dealt]) -> Vec<(Inputs, Vec<VectorInput>)> {
        let mut rng = ChaCha20Rng::seed_from_u64(!self.seed);
        let mut all: Vec<_> = self.parties.ids().map(|_| (Inputs::new(), vec![])).collect();
        for (owner, Dealt { inputs, vectors }) in (0..).map(Owner).zip(owners) {
            let indices = vectors.iter().map(|(index, _)| index);
            let secrets: Vec<_> = inputs
                .iter()
                .chain(indices)
                .map(|value| (*value, Blinding::random(&mut rng)))
                .collect();
            let published: Vec<_> = secrets
                .iter()
                .map(|(value, r)| Some(commit_scalar(&to_scalar(value), r.as_scalar())))
                .collect();
            let (dealing, shares) = deal(self.parties, &secrets, &mut rng);
            let entries: Vec<_> =
                vectors.iter().flat_map(|(_, entries)| entries).copied().collect();
            let (public, compressed) = deal_compressed(self.parties, owner, &entries, &mut rng);
            let parties = self.parties.ids().zip(&mut all);
            for ((me, (own, own_vectors)), (shares, compressed)) in
                parties.zip(shares.iter().zip(compressed))
            {
                let verified =
                    dealing.verify(owner, self.parties, me, &published, shares, &mut rng);
                let mut verified = verified.ok().unwrap();
                let indices = verified.split_off(inputs.len());
                own.set(owner, verified);
                let entries = public.verify(owner, self.parties, me, &compressed, entries.len());
                let mut entries = entries.ok().unwrap().into_iter();
                own_vectors.extend(indices.into_iter().zip(vectors).map(|(index, (_, vector))| {
                    let entries = entries.by_ref().take(vector.len()).collect();
                    VectorInput { owner, index, entries }
                }));
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
        let inputs = inputs.into_iter().map(|inputs| (inputs, ())).collect();
        self.network_with(inputs, |shared, ()| protocol(shared))
    }

    /// Where each party has something beside its inputs.
    pub fn network_with<'a, X, T, F, P>(
        &mut self,
        all: Vec<(Inputs, X)>,
        protocol: P,
    ) -> Network<'a, T>
    where
        X: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, Abort>> + Send + 'static,
        P: FnOnce(Shared, X) -> F + Clone + Send + 'static,
        T: 'static,
    {
        self.seed += 1;
        let all = Arc::new(all);
        let network = Network::of_engines(&self.binding(), self.seed, move |engine| {
            let (inputs, beside) = all[engine.me().position()].clone();
            protocol(Shared::new(engine, inputs), beside)
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
