//! All measurements, one after another: `make bench`, or some: `make bench ONLY="transfers"`.

mod chain;
mod execute;
mod measure;
mod mpc;
mod node;
mod range_proofs;
mod round;
mod solana;
mod tari;
mod transfers;

use std::error::Error;

use measure::Bench;
use mimalloc::MiMalloc;

// As in the program; the peers have it too.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures one thing after another and adds a row for each.
type Section = fn(&mut Bench) -> Result<(), Box<dyn Error>>;

const SECTIONS: [(&str, Section); 7] = [
    ("transfers", transfers::measure),
    ("range-proofs", range_proofs::measure),
    ("block", execute::measure),
    ("node", node::measure),
    ("mpc", mpc::measure),
    ("round", round::measure),
    ("growth", growth),
];

/// How costs grow with the size of batches and blocks, and with the number of banks.
fn growth(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    transfers::growth(bench)?;
    execute::growth(bench)
}

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds options of its own.
    let chosen: Vec<_> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let unknown = |name: &&String| SECTIONS.iter().all(|(section, _)| section != name);
    if let Some(name) = chosen.iter().find(unknown) {
        let known = SECTIONS.map(|(section, _)| section).join(", ");
        return Err(format!("no section is called {name}; there are {known}").into());
    }
    let mut bench = Bench::open()?;
    for (name, section) in SECTIONS {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            section(&mut bench)?;
        }
    }
    println!("\n{bench}");
    Ok(())
}
