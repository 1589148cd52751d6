//! Measures netting on shares: three parties in one thread. Times of a party include its waiting
//! for the others. What needs no input is made in a session before, and drawn from a stock.
//!
//! `cargo run --release -p quittance-mpc --example netting -- [banks] [payments]
//! [open|one-by-one|hidden] [liquidity in percent of what is owed] [stored|unstored]`

mod case;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use case::{Dealt, Work, gridlock};
use quittance_circuit::Part;
use quittance_circuit_library::netting::OneByOne;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_mpc::memory::Network;
use quittance_mpc::session::{Binding, Traffic};
use quittance_mpc::stock::{Material, Single};
use quittance_mpc::{Parties, Shared};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |place: usize, default| {
        arguments.get(place).map_or(Ok(default), |argument| argument.parse::<usize>())
    };
    let (banks, payments, percent) = (number(0, 10)?, number(1, 100)?, number(3, 10)?);
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let queues = gridlock(banks, payments, percent as u64, &mut rng);
    let work = match arguments.get(2).map(String::as_str) {
        None | Some("open") => Work::open(&queues, |netting| netting.until_settled())?,
        Some("one-by-one") => {
            Work::open(&queues, |netting| OneByOne::new(netting).until_settled())?
        }
        Some("hidden") => Work::hidden(&queues, &mut rng)?,
        Some(other) => return Err(format!("unknown program {other}").into()),
    };
    let steps = work.steps()?;
    println!("{banks} banks, {payments} payments, {steps} steps");
    let parties = Parties::new(3, 1)?;
    let dealt = work.deal(parties, &mut rng)?;
    println!("dealing, all banks: {:.1?}", dealt.dealing);
    println!("verifying, each party: {:.1?}", dealt.verifying);
    let stored = match arguments.get(4).map(String::as_str) {
        None | Some("unstored") => vec![None; parties.count()],
        Some("stored") => store(parties, &work, steps)?,
        Some(other) => return Err(format!("unknown kind of preprocessing {other}").into()),
    };
    run(parties, work, dealt, steps, stored)
}

/// Makes a batch of preprocessing that is enough. By party, its side.
fn store(parties: Parties, work: &Work, steps: u32) -> Result<Vec<Option<Vec<u8>>>> {
    let amount = work.amount(steps)?;
    let binding = binding(parties, Digest::ZERO);
    let start = Instant::now();
    let made = Network::of_engines(&binding, 2, move |engine| async move {
        engine.into_material(1, amount).await
    })?;
    let outcome = made.run();
    println!("storing {amount:?}, three parties in one thread: {:.1?}", start.elapsed());
    let sides = outcome.results.into_iter().map(|side| Ok(Some(side?.to_bytes())));
    sides.collect()
}

fn binding(parties: Parties, circuit: Digest) -> Binding {
    let name = |text| Digest::of(text, &[]);
    Binding {
        chain: name("chain"),
        round: name("round"),
        attempt: 0,
        circuit,
        roster: name("roster"),
        dealings: name("dealings"),
        committee: parties.ids().map(|id| Digest([id.number(); 32])).collect(),
        threshold: parties.threshold() as u8,
        active: parties.first_active(),
    }
}

fn run(
    parties: Parties,
    work: Work,
    dealt: Dealt,
    steps: u32,
    stored: Vec<Option<Vec<u8>>>,
) -> Result<()> {
    let labels = work.labels();
    let kept: Vec<_> = (1..labels.len()).collect();
    let Work { program, .. } = work;
    let binding = binding(parties, program.fingerprint());
    println!("{} gates per step", program.part(Part::Step).gates().len());
    let (program, inputs) = (Arc::new(program), Arc::new(dealt.inputs));
    let network = Network::of_engines(&binding, 1, move |engine| async move {
        let position = engine.me().position();
        let (own, vectors) = inputs[position].clone();
        let side = stored[position].as_deref().map(Material::from_bytes);
        let mut stock = Single(side.and_then(std::result::Result::ok));
        let mut shared = Shared::new(engine, own);
        let start = Instant::now();
        shared.engine().draw(&mut stock).await?;
        if !vectors.is_empty() {
            shared.check_one_hot(&vectors, &labels, &kept).await?;
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
        Ok((run.steps, [checked, prepared, online], [before, traffic, checking]))
    })?;
    let start = Instant::now();
    let outcome = network.run();
    let elapsed = start.elapsed();
    for (party, result) in parties.ids().zip(outcome.results) {
        let (taken, [checked, prepared, online], traffic) = result?;
        assert_eq!(taken, steps);
        println!(
            "{party}: stock and payees {checked:.1?}, preparing {prepared:.1?}, then {online:.1?}"
        );
        let text =
            |it: Traffic| format!("{:.2} MB in {} exchanges", it.bytes as f64 / 1e6, it.exchanges);
        let [before, then, checks] = traffic.map(text);
        println!("{party}: sends {before}, then {then}, checks of that {checks}");
    }
    println!("in one thread, waiting included: {elapsed:.1?}, each about {:.1?}", elapsed / 3);
    Ok(())
}
