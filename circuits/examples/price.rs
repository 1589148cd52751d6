//! What a step of netting costs, by number of banks and payments, in equal queues: the figures of
//! the page on netting.
//!
//! `cargo run --release -p quittance-circuit-library --example price`

use std::error::Error;

use quittance_circuit::price::{Committee, Price, Task};
use quittance_circuit::{Owner, Part, Program};
use quittance_circuit_library::netting::hidden::Hidden;
use quittance_circuit_library::netting::{Netting, OneByOne};

/// Each bank pays all others in turn.
fn queues(banks: usize, payments: usize) -> Vec<Vec<Owner>> {
    let payee =
        |payer: usize, place: usize| Owner(((payer + 1 + place % (banks - 1)) % banks) as u16);
    let queue = |payer| (0..payments / banks).map(|place| payee(payer, place)).collect();
    (0..banks).map(queue).collect()
}

fn print(name: &str, banks: usize, payments: usize, program: &Program, committee: &Committee) {
    let Price { cost, levels, tasks, .. } = Price::of(program.part(Part::Step), committee);
    let comparisons = tasks.iter().filter(|(task, _)| matches!(task, Task::LessThan { .. }));
    println!(
        "| {name} | {banks} | {payments} | {} | {} | {} | {} | {levels} | {} | {:.3} |",
        comparisons.map(|(_, count)| count).sum::<u64>(),
        tasks.get(&Task::Product).unwrap_or(&0),
        cost.multiplications,
        cost.bits,
        cost.rounds,
        (cost.bytes + cost.bits / 8) as f64 / 1e6,
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let committee = Committee::new(3, 1).ok_or("no honest majority")?;
    println!(
        "| program | banks | payments | comparisons | products | multiplications | single bits | levels | rounds | MB |"
    );
    for (banks, payments) in [(10, 100), (10, 200), (40, 1_000), (100, 10_000)] {
        let netting = Netting::new(queues(banks, payments))?;
        let print =
            |name: &str, program: &Program| print(name, banks, payments, program, &committee);
        print("one level", &netting.clone().with_levels(1).until_settled()?);
        print("two levels", &netting.clone().with_levels(2).until_settled()?);
        print("default", &netting.until_settled()?);
        print("one by one", &OneByOne::new(netting).until_settled()?);
        print("hidden", &Hidden::new(vec![payments / banks; banks])?.until_settled()?);
    }
    Ok(())
}
