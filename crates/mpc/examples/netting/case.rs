//! Netting to be measured: queues, programs, and dealt inputs. Shared with the benches.

use std::error::Error;
use std::time::{Duration, Instant};

use quittance_circuit::price::{Committee, Price, Task};
use quittance_circuit::{Fr, Owner, Part, Program, ProgramError};
use quittance_circuit_library::netting::hidden::{Hidden, HiddenBank, HiddenPayment};
use quittance_circuit_library::netting::{Bank, Netting};
use quittance_crypto::commitment::{Blinding, commit_scalar};
use quittance_crypto::field::{random_field, to_scalar};
use quittance_mpc::stock::Amount;
use quittance_mpc::vss::{deal, deal_compressed};
use quittance_mpc::{Inputs, Parties, VectorInput};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a bank has and owes.
pub struct Queue {
    liquidity: u64,
    payments: Vec<(Owner, u64)>,
}

/// Payments between random banks, of uniform amounts. Each bank has this part, in percent, of what
/// it owes.
pub fn gridlock(banks: usize, payments: usize, percent: u64, rng: &mut ChaCha20Rng) -> Vec<Queue> {
    let mut queues: Vec<_> = (0..banks).map(|_| Queue { liquidity: 0, payments: vec![] }).collect();
    let below = |bound: usize, rng: &mut ChaCha20Rng| (rng.next_u64() % bound as u64) as usize;
    for _ in 0..payments {
        let payer = below(banks, rng);
        let payee = (payer + 1 + below(banks - 1, rng)) % banks;
        let amount = 1 + below(1_000_000, rng) as u64;
        queues[payer].payments.push((Owner(payee as u16), amount));
    }
    for queue in &mut queues {
        let owed: u64 = queue.payments.iter().map(|(_, amount)| amount).sum();
        queue.liquidity = owed * percent / 100;
    }
    queues
}

/// Something to be run on shares.
pub struct Work {
    pub program: Program,
    inputs: Vec<Vec<Fr>>,
    /// By owner, if payees are hidden: the label and the vector of each payment.
    vectors: Vec<Vec<(Fr, Vec<Fr>)>>,
}

impl Work {
    /// With payees that the committee knows.
    pub fn open(
        queues: &[Queue],
        program: impl Fn(Netting) -> std::result::Result<Program, ProgramError>,
    ) -> Result<Self> {
        let payees = |queue: &Queue| queue.payments.iter().map(|&(to, _)| to).collect();
        let netting = Netting::new(queues.iter().map(payees).collect())?;
        let bank = |queue: &Queue| Bank {
            liquidity: queue.liquidity,
            amounts: queue.payments.iter().map(|&(_, amount)| amount).collect(),
        };
        let inputs = netting.inputs(&queues.iter().map(bank).collect::<Vec<_>>())?;
        Ok(Self { program: program(netting)?, inputs, vectors: vec![] })
    }

    /// With payees that it does not know, without padding.
    pub fn hidden(queues: &[Queue], rng: &mut ChaCha20Rng) -> Result<Self> {
        let hidden = Hidden::new(queues.iter().map(|queue| queue.payments.len()).collect())?;
        let mut bank = |queue: &Queue| {
            let payment = |&(to, amount): &(Owner, u64)| HiddenPayment {
                amount,
                payee: Some(to),
                pad: random_field(rng),
            };
            let queued = queue.payments.iter().map(payment).collect();
            HiddenBank { liquidity: queue.liquidity, queue: queued }
        };
        let inputs = hidden.inputs(&queues.iter().map(&mut bank).collect::<Vec<_>>())?;
        let vector = |&(to, _): &(Owner, u64)| {
            let is = |k| Fr::from(u64::from(k == 1 + usize::from(to.0)));
            (Fr::from(1 + to.0), (0..=queues.len()).map(is).collect())
        };
        let vectors = queues.iter().map(|queue| queue.payments.iter().map(vector).collect());
        Ok(Self { program: hidden.until_settled()?, inputs, vectors: vectors.collect() })
    }

    /// How many steps it takes.
    pub fn steps(&self) -> Result<u32> {
        Ok(self.program.run_in_clear(self.inputs.clone())?.steps)
    }

    /// What is to be stored for so many steps of three parties.
    pub fn amount(&self, steps: u32) -> Result<Amount> {
        let tariff = Committee::new(3, 1).ok_or("pricing for three parties")?;
        let price = Price::of_program(&self.program, steps, &tariff);
        let comparisons = price.tasks.iter().filter_map(|(task, &count)| match task {
            Task::LessThan { .. } => Some(count),
            _ => None,
        });
        let comparisons = u32::try_from(comparisons.sum::<u64>())?;
        Ok(Amount { comparisons, bits: u32::try_from(price.cost.random_bits)? })
    }

    /// What the places of a payee's vector are called: nobody, then the banks.
    pub fn labels(&self) -> Vec<Fr> {
        (0..=self.program.owners()).map(Fr::from).collect()
    }

    /// All owners deal: inputs and indices with commitments, vectors compressed. Inputs are said to be
    /// proven to be in their ranges, as in a round; range proofs are not measured here.
    pub fn deal(&self, parties: Parties, rng: &mut ChaCha20Rng) -> Result<Dealt> {
        let start = Instant::now();
        let mut verifying = Duration::ZERO;
        let mut inputs: Vec<_> = parties.ids().map(|_| (Inputs::new(), vec![])).collect();
        for (owner, values) in (0..).map(Owner).zip(&self.inputs) {
            let kinds = self.program.part(Part::Start).inputs_of(owner);
            let committed = kinds.filter(|(committed, _)| *committed).map(|(_, kind)| kind);
            let kinds: Vec<_> = committed.collect();
            let vectors = self.vectors.get(usize::from(owner.0)).map_or(&[][..], Vec::as_slice);
            let indices = vectors.iter().map(|(index, _)| index);
            let secrets: Vec<_> = values[..kinds.len()]
                .iter()
                .chain(indices)
                .map(|value| (*value, Blinding::random(rng)))
                .collect();
            let commitments: Vec<_> = secrets
                .iter()
                .map(|(value, r)| Some(commit_scalar(&to_scalar(value), r.as_scalar())))
                .collect();
            let (dealing, dealt) = deal(parties, &secrets, rng);
            let entries = vectors.iter().flat_map(|(_, entries)| entries).copied();
            let entries: Vec<_> = entries.collect();
            let (public, compressed) = deal_compressed(parties, owner, &entries, rng);
            let received = Instant::now();
            let receivers = parties.ids().zip(&mut inputs);
            for ((me, (inputs, own_vectors)), (dealt, compressed)) in
                receivers.zip(dealt.iter().zip(compressed))
            {
                let mut own = dealing.verify(owner, parties, me, &commitments, dealt, rng)?;
                let indices = own.split_off(kinds.len());
                let widths = kinds.iter().map(|kind| kind.bits());
                inputs.set_proven(owner, own.into_iter().zip(widths).collect());
                let entries = public.verify(owner, parties, me, &compressed, entries.len())?;
                let mut entries = entries.into_iter();
                own_vectors.extend(indices.into_iter().zip(vectors).map(|(index, (_, vector))| {
                    let entries = entries.by_ref().take(vector.len()).collect();
                    VectorInput { owner, index, entries }
                }));
            }
            verifying += received.elapsed();
        }
        let dealing = start.elapsed() - verifying;
        Ok(Dealt { inputs, dealing, verifying: verifying / parties.count() as u32 })
    }
}

/// Dealt inputs.
pub struct Dealt {
    /// By party: inputs, and the payees to be checked, if they are hidden.
    pub inputs: Vec<(Inputs, Vec<VectorInput>)>,
    /// How long all dealers took, one after the other.
    pub dealing: Duration,
    /// How long a party took to verify.
    pub verifying: Duration,
}
