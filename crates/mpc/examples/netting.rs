//! Measures netting on shares: three parties in one thread. Times of a party include its waiting
//! for the others.
//!
//! `cargo run --release -p quittance-mpc --example netting -- [banks] [payments]
//! [one-by-one|hidden]`

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use quittance_circuit::{Fr, Owner, Part, Program, ProgramError};
use quittance_circuit_library::netting::hidden::{Hidden, HiddenBank, HiddenPayment};
use quittance_circuit_library::netting::{Bank, Netting, OneByOne};
use quittance_crypto::commitment::{Blinding, commit_scalar};
use quittance_crypto::digest::Digest;
use quittance_crypto::field::{random_field, to_scalar};
use quittance_mpc::memory::Network;
use quittance_mpc::session::Binding;
use quittance_mpc::vss::{deal, deal_compressed};
use quittance_mpc::{Inputs, Parties, Shared, VectorInput};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Something to be run on shares.
struct Work {
    program: Program,
    inputs: Vec<Vec<Fr>>,
    /// By owner, if payees are hidden: the label and the vector of each payment.
    vectors: Vec<Vec<(Fr, Vec<Fr>)>>,
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |place: usize, default| {
        arguments.get(place).map_or(Ok(default), |argument| argument.parse::<usize>())
    };
    let (banks, payments) = (number(0, 10)?, number(1, 100)?);
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let queues = gridlock(banks, payments, &mut rng);
    let work = match arguments.get(2).map(String::as_str) {
        None => open(&queues, |netting| netting.until_settled())?,
        Some("one-by-one") => open(&queues, |netting| OneByOne::new(netting).until_settled())?,
        Some("hidden") => hidden(&queues, &mut rng)?,
        Some(other) => return Err(format!("unknown program {other}").into()),
    };
    let clear = work.program.run_in_clear(work.inputs.clone())?;
    println!("{banks} banks, {payments} payments, {} steps", clear.steps);
    let parties = Parties::new(3, 1)?;
    let shares = deal_all(parties, &work, &mut rng)?;
    run(parties, work, shares, clear.steps)
}

/// With payees that the committee knows.
fn open(
    queues: &[Queue],
    program: impl Fn(Netting) -> std::result::Result<Program, ProgramError>,
) -> Result<Work> {
    let payees = |queue: &Queue| queue.payments.iter().map(|&(to, _)| to).collect();
    let netting = Netting::new(queues.iter().map(payees).collect())?;
    let bank = |queue: &Queue| Bank {
        liquidity: queue.liquidity,
        amounts: queue.payments.iter().map(|&(_, amount)| amount).collect(),
    };
    let inputs = netting.inputs(&queues.iter().map(bank).collect::<Vec<_>>())?;
    Ok(Work { program: program(netting)?, inputs, vectors: vec![] })
}

/// With payees that it does not know, without padding.
fn hidden(queues: &[Queue], rng: &mut ChaCha20Rng) -> Result<Work> {
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
        let entries = (0..=queues.len()).map(|k| Fr::from(u64::from(k == 1 + usize::from(to.0))));
        (Fr::from(1 + to.0), entries.collect())
    };
    let vectors = queues.iter().map(|queue| queue.payments.iter().map(vector).collect());
    Ok(Work { program: hidden.until_settled()?, inputs, vectors: vectors.collect() })
}

/// All owners deal: inputs and indices with commitments, vectors compressed. Amounts are said to be
/// proven, as in a round.
fn deal_all(
    parties: Parties,
    work: &Work,
    rng: &mut ChaCha20Rng,
) -> Result<Vec<(Inputs, Vec<VectorInput>)>> {
    let dealt = Instant::now();
    let mut verifying = std::time::Duration::ZERO;
    let mut shares: Vec<_> = parties.ids().map(|_| (Inputs::new(), vec![])).collect();
    for (owner, values) in (0..).map(Owner).zip(&work.inputs) {
        let kinds = work.program.part(Part::Start).inputs_of(owner);
        let kinds: Vec<_> = kinds.filter(|(committed, _)| *committed).collect();
        let vectors = work.vectors.get(usize::from(owner.0)).map_or(&[][..], Vec::as_slice);
        let secrets: Vec<_> = values[..kinds.len()]
            .iter()
            .chain(vectors.iter().map(|(index, _)| index))
            .map(|value| (*value, Blinding::random(rng)))
            .collect();
        let commitments: Vec<_> = secrets
            .iter()
            .map(|(value, r)| Some(commit_scalar(&to_scalar(value), r.as_scalar())))
            .collect();
        let (dealing, dealt) = deal(parties, &secrets, rng);
        let entries: Vec<_> = vectors.iter().flat_map(|(_, entries)| entries).copied().collect();
        let compressed = deal_compressed(parties, owner, &entries, rng);
        let start = Instant::now();
        let receivers = parties.ids().zip(&mut shares);
        for ((me, (inputs, own_vectors)), (dealt, compressed)) in
            receivers.zip(dealt.iter().zip(compressed))
        {
            let mut own = dealing.verify(owner, parties, me, &commitments, dealt, rng)?;
            let indices = own.split_off(kinds.len());
            let widths = kinds.iter().map(|(_, kind)| kind.bits());
            inputs.set_proven(owner, own.into_iter().zip(widths).collect());
            let mut entries = compressed.expand(owner, entries.len())?.into_iter();
            own_vectors.extend(indices.into_iter().zip(vectors).map(|(index, (_, vector))| {
                let entries = entries.by_ref().take(vector.len()).collect();
                VectorInput { owner, index, entries }
            }));
        }
        verifying += start.elapsed();
    }
    println!("dealing and verifying, all together: {:.1?}", dealt.elapsed());
    println!("verifying, each party: {:.1?}", verifying / 3);
    Ok(shares)
}

fn run(
    parties: Parties,
    work: Work,
    shares: Vec<(Inputs, Vec<VectorInput>)>,
    steps: u32,
) -> Result<()> {
    let Work { program, .. } = work;
    let name = |text| Digest::of(text, &[]);
    let binding = Binding {
        chain: name("chain"),
        round: name("round"),
        attempt: 0,
        circuit: program.fingerprint(),
        roster: name("roster"),
        dealings: name("dealings"),
        committee: parties.ids().map(|id| Digest([id.number(); 32])).collect(),
        threshold: parties.threshold() as u8,
    };
    let gates = program.part(Part::Step).gates().len();
    let labels: Vec<_> = (0..=program.owners()).map(Fr::from).collect();
    let kept: Vec<_> = (1..labels.len()).collect();
    let (program, shares) = (Arc::new(program), Arc::new(shares));
    let network = Network::of_engines(&binding, 1, move |engine| async move {
        let (own, vectors) = shares[engine.me().position()].clone();
        let mut shared = Shared::new(engine, own);
        let start = Instant::now();
        if !vectors.is_empty() {
            shared.check_one_hot(&vectors, &labels, &kept).await?;
        }
        let checked = start.elapsed();
        let start = Instant::now();
        shared.prepare(&program, steps).await?;
        let (prepared, bytes) = (start.elapsed(), shared.engine().traffic().bytes);
        let start = Instant::now();
        let run = shared.run(&program).await?;
        Ok((run.steps, checked, prepared, bytes, start.elapsed()))
    })?;
    let start = Instant::now();
    let outcome = network.run();
    let elapsed = start.elapsed();
    for (party, result) in parties.ids().zip(outcome.results) {
        let (taken, checked, prepared, bytes, online) = result?;
        assert_eq!(taken, steps);
        let megabytes = bytes as f64 / 1e6;
        println!("{party}: payees {checked:.1?}, random bits {prepared:.1?}, then {online:.1?}");
        println!("{party}: {megabytes:.2} MB before that");
    }
    let traffic = outcome.traffic[0];
    println!("{gates} gates per step");
    println!("in one thread, waiting included: {elapsed:.1?}, each about {:.1?}", elapsed / 3);
    println!(
        "each party sends {:.2} MB in {} exchanges",
        traffic.bytes as f64 / 1e6,
        traffic.exchanges
    );
    Ok(())
}

struct Queue {
    liquidity: u64,
    payments: Vec<(Owner, u64)>,
}

/// Queues between random banks, with little liquidity.
fn gridlock(banks: usize, payments: usize, rng: &mut ChaCha20Rng) -> Vec<Queue> {
    let mut queues: Vec<_> = (0..banks).map(|_| Queue { liquidity: 0, payments: vec![] }).collect();
    for number in 0..payments {
        let payer = number % banks;
        let payee = (payer + 1 + rng.next_u32() as usize % (banks - 1)) % banks;
        let amount = 1 + rng.next_u64() % 1_000_000;
        queues[payer].payments.push((Owner(payee as u16), amount));
        queues[payer].liquidity += amount / 10;
    }
    queues
}
