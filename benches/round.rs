//! A settlement round as `quittance demo` runs it: all processes on this machine, mutual TLS between
//! them, ten banks and the 200 payments of its sample, all of them in euros.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use quittance_benches::report::Row;
use serde_json::Value;

use crate::measure::{Bench, folder};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const POSITIONS: &str = include_str!("../crates/cli/data/positions.csv");
const PAYMENTS: &str = include_str!("../crates/cli/data/payments.csv");

/// Each a network of its own.
const RUNS: usize = 3;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let program = program()?;
    let mut rounds = (0..RUNS).map(|_| round(&program)).collect::<Result<Vec<_>>>()?;
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (whole, computation) = rounds[RUNS / 2];
    let name = "round of 10 banks, 200 payments";
    bench.row(Row::lower(name, "ms, opening to finality, median of 3", whole, None))?;
    let name = "round of 10 banks, 200 payments, computation";
    bench.row(Row::lower(name, "ms, of the same round", computation, None))
}

/// `quittance` stands beside the folder of this program.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).ok_or("no folder of programs")?;
    let program = folder.join("quittance");
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("{} is not built: run `make bench`", program.display()).into()),
    }
}

/// One run of the demonstration: its round, from request to finality, and the computation in it, in
/// milliseconds.
fn round(program: &Path) -> Result<(f64, f64)> {
    let home = folder()?;
    let path = |name: &str| home.path().join(name);
    let positions: String = lines(POSITIONS, |line| line.contains(",EUR,"));
    fs::write(path("positions.csv"), positions)?;
    fs::write(path("payments.csv"), PAYMENTS.replace(",USD,", ",EUR,"))?;
    let mut command = Command::new(program);
    command.arg("demo").stdin(Stdio::null()).stdout(Stdio::null());
    command.arg("--positions").arg(path("positions.csv"));
    command.arg("--payments").arg(path("payments.csv"));
    command.arg("--json").arg(path("out.json")).arg("--dir").arg(path("network"));
    if !command.status()?.success() {
        return Err("the demonstration has failed".into());
    }
    let report: Value = serde_json::from_slice(&fs::read(path("out.json"))?)?;
    let [round] = report["rounds"].as_array().map_or(&[][..], Vec::as_slice) else {
        return Err("not one round settled all that can settle".into());
    };
    let figure = |name: &str| round[name].as_f64().ok_or(format!("the report has no {name}"));
    Ok((figure("opening_to_finality_milliseconds")?, figure("milliseconds")?))
}

/// The first line, which has the names of the columns, and those that are wanted.
fn lines(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    let chosen = text.lines().enumerate().filter(|(number, line)| *number == 0 || wanted(line));
    chosen.map(|(_, line)| format!("{line}\n")).collect()
}
