//! Measures netting on shares: three parties in one thread. Times of a party include its waiting
//! for the others.
//!
//! `cargo run --release -p quittance-mpc --example netting -- [banks] [payments]
//! [one-by-one|hidden]`

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use quittance_circuit::{Fr, Owner, Part, Program, ProgramError};
use quittance_circuit_library::netting::hidden::{Hidden, HiddenBank, HiddenPayment, PayeeInput};
use quittance_circuit_library::netting::{Bank, Netting, OneByOne};
use quittance_crypto::commitment::{Blinding, commit_scalar};
use quittance_crypto::digest::Digest;
use quittance_crypto::field::{random_field, to_scalar};
use quittance_mpc::memory::Network;
use quittance_mpc::session::{Binding, Traffic};
use quittance_mpc::vss::{deal, deal_compressed};
use quittance_mpc::{Inputs, Parties, Shared, VectorInput};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Something to be run on shares.
struct Work {
    program: Program,
    inputs: Vec<Vec<Fr>>,
    /// The payees to be checked, if they are hidden.
    vectors: Vec<VectorInput>,
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
            index: Fr::from(1 + to.0),
            pad: random_field(rng),
        };
        let queued = queue.payments.iter().map(payment).collect();
        HiddenBank { liquidity: queue.liquidity, queue: queued }
    };
    let inputs = hidden.inputs(&queues.iter().map(&mut bank).collect::<Vec<_>>())?;
    let vector =
        |at: PayeeInput| VectorInput { owner: at.owner, index: at.index, entries: at.entries };
    let vectors = hidden.payees().map(vector).collect();
    Ok(Work { program: hidden.until_settled()?, inputs, vectors })
}

/// All owners deal: committed inputs with commitments, the rest compressed.
fn deal_all(parties: Parties, work: &Work, rng: &mut ChaCha20Rng) -> Result<Vec<Inputs>> {
    let dealt = Instant::now();
    let mut verifying = std::time::Duration::ZERO;
    let mut shares: Vec<_> = parties.ids().map(|_| Inputs::new()).collect();
    for (owner, values) in (0..).map(Owner).zip(&work.inputs) {
        let kinds = work.program.part(Part::Start).inputs_of(owner);
        let committed = kinds.filter(|(committed, _)| *committed).map(|(_, kind)| kind);
        let kinds: Vec<_> = committed.collect();
        let (values, vectors) = values.split_at(kinds.len());
        let secrets: Vec<_> = values.iter().map(|value| (*value, Blinding::random(rng))).collect();
        let commitments: Vec<_> = secrets
            .iter()
            .map(|(value, r)| Some(commit_scalar(&to_scalar(value), r.as_scalar())))
            .collect();
        let (dealing, dealt) = deal(parties, &secrets, rng);
        let (public, compressed) = deal_compressed(parties, owner, vectors, rng);
        let start = Instant::now();
        let receivers = parties.ids().zip(&mut shares);
        for ((me, inputs), (dealt, compressed)) in receivers.zip(dealt.iter().zip(compressed)) {
            let mut own = dealing.verify(owner, parties, me, &commitments, dealt, rng)?;
            // As after the verification of range proofs, which is not measured here.
            let widths = kinds.iter().map(|kind| kind.bits().and_then(|bits| bits.try_into().ok()));
            own.iter_mut().zip(widths).for_each(|(input, width)| input.width = width);
            own.extend(public.verify(owner, parties, me, &compressed, vectors.len())?);
            inputs.set(owner, own);
        }
        verifying += start.elapsed();
    }
    println!("dealing and verifying, all together: {:.1?}", dealt.elapsed());
    println!("verifying, each party: {:.1?}", verifying / 3);
    Ok(shares)
}

fn run(parties: Parties, work: Work, shares: Vec<Inputs>, steps: u32) -> Result<()> {
    let Work { program, vectors, .. } = work;
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
        active: parties.first_active(),
    };
    let gates = program.part(Part::Step).gates().len();
    let nobody = [None].into_iter();
    let labels: Vec<_> = nobody.chain((1..=program.owners()).map(|k| Some(Fr::from(k)))).collect();
    let (program, shares) = (Arc::new(program), Arc::new(shares));
    let network = Network::of_engines(&binding, 1, move |engine| async move {
        let own = shares[engine.me().position()].clone();
        let mut shared = Shared::new(engine, own);
        let start = Instant::now();
        if !vectors.is_empty() {
            shared.check_one_hot(&vectors, &labels).await?;
        }
        let checked = start.elapsed();
        let start = Instant::now();
        shared.prepare(&program, steps).await?;
        let (prepared, before) = (start.elapsed(), shared.engine().traffic());
        let checking = shared.engine().checking();
        let start = Instant::now();
        let run = shared.run(&program).await?;
        let online = start.elapsed();
        let checking = shared.engine().checking() - checking;
        let traffic = shared.engine().traffic() - before;
        Ok((run.steps, checked, prepared, online, (before, traffic, checking)))
    })?;
    let start = Instant::now();
    let outcome = network.run();
    let elapsed = start.elapsed();
    for (party, result) in parties.ids().zip(outcome.results) {
        let (taken, checked, prepared, online, (before, traffic, checking)) = result?;
        assert_eq!(taken, steps);
        println!("{party}: payees {checked:.1?}, preparing {prepared:.1?}, then {online:.1?}");
        let megabytes = |traffic: Traffic| traffic.bytes as f64 / 1e6;
        println!(
            "{party}: {:.2} MB in {} exchanges, then {:.2} MB in {}, of which {:.2} MB in {} for checks",
            megabytes(before),
            before.exchanges,
            megabytes(traffic),
            traffic.exchanges,
            megabytes(checking),
            checking.exchanges
        );
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
