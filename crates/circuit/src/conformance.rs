//! The suite that holds all readings of circuits to the same results.
//!
//! An interpreter's tests implement [`Subject`] and call [`check`]. Expected results are computed
//! here without any interpreter: by hand, by plain integer arithmetic, or by a walk over the gates
//! one by one.
//!
//! ```
//! use quittance_circuit::conformance::{Results, Stopped, Subject, check};
//! use quittance_circuit::{Circuit, Clear, Fr, Program, Run};
//!
//! struct InTheClear;
//!
//! impl Subject for InTheClear {
//!     fn circuit(&mut self, circuit: &Circuit, inputs: &[Vec<Fr>]) -> Result<Results, Stopped> {
//!         let result = Clear::run(circuit, inputs.to_vec())?;
//!         Ok(Results { revealed: result.revealed, outputs: result.outputs })
//!     }
//!
//!     fn program(&mut self, program: &Program, inputs: &[Vec<Fr>]) -> Result<Run<Fr>, Stopped> {
//!         Ok(program.run_in_clear(inputs.to_vec())?)
//!     }
//! }
//!
//! assert!(check(&mut InTheClear)? > 50);
//! # Ok::<(), quittance_circuit::conformance::Mismatch>(())
//! ```

mod comparisons;
mod gates;
mod programs;
mod random;

use std::fmt;

use ark_ff::PrimeField as _;
use thiserror::Error;

use crate::Fr;
use crate::circuit::Circuit;
use crate::evaluate::EvaluationError;
use crate::gate::{Destination, GateId, Owner};
use crate::program::{Program, Run, RunError};

/// What an evaluation yields, in gate order, as those see it whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// The revealed values.
    pub revealed: Vec<Fr>,
    /// The values of the outputs; those of commitments are the values committed to.
    pub outputs: Vec<Fr>,
}

/// Why there are no results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// This assertion failed.
    Assertion(GateId),
    /// A program reached its bound.
    NotConverged,
    /// Anything else, which the suite never expects.
    Failed(String),
}

impl<E: std::error::Error> From<EvaluationError<E>> for Stopped {
    fn from(error: EvaluationError<E>) -> Self {
        match error {
            EvaluationError::Assertion { gate, .. } => Self::Assertion(gate),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl<E: std::error::Error> From<RunError<E>> for Stopped {
    fn from(error: RunError<E>) -> Self {
        match error {
            RunError::NotConverged { .. } => Self::NotConverged,
            RunError::Evaluation { source, .. } => source.into(),
        }
    }
}

/// A reading that is tested. Inputs are by owner, in input order; committed inputs are to be
/// committed to by the subject.
pub trait Subject {
    /// Evaluates a circuit without carried state.
    fn circuit(&mut self, circuit: &Circuit, inputs: &[Vec<Fr>]) -> Result<Results, Stopped>;

    /// Runs a program.
    fn program(&mut self, program: &Program, inputs: &[Vec<Fr>]) -> Result<Run<Fr>, Stopped>;
}

/// A result that differs from the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("conformance case {case}: expected {expected}, found {found}")]
pub struct Mismatch {
    /// The name of the case.
    pub case: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// A circuit with inputs and what must come out.
struct Case {
    name: String,
    circuit: Circuit,
    inputs: Vec<Vec<Fr>>,
    expected: Result<Results, Stopped>,
}

/// A program with inputs and what must come out.
struct ProgramCase {
    name: String,
    program: Program,
    inputs: Vec<Vec<Fr>>,
    expected: Result<Run<Fr>, Stopped>,
}

/// Runs the whole suite and returns the number of cases.
pub fn check(subject: &mut impl Subject) -> Result<usize, Mismatch> {
    let mut cases = gates::cases();
    cases.extend(comparisons::cases());
    cases.extend(random::cases());
    let programs = programs::cases();
    for case in &cases {
        compare(&case.name, &case.expected, &subject.circuit(&case.circuit, &case.inputs))?;
    }
    for case in &programs {
        compare(&case.name, &case.expected, &subject.program(&case.program, &case.inputs))?;
    }
    Ok(cases.len() + programs.len())
}

fn compare<T: PartialEq + fmt::Debug>(case: &str, expected: &T, found: &T) -> Result<(), Mismatch> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
    Err(Mismatch { case: case.into(), expected, found })
}

impl Case {
    /// Outputs only.
    fn new(name: &str, circuit: Circuit, inputs: Vec<Vec<Fr>>, outputs: Vec<Fr>) -> Self {
        let expected = Ok(Results { revealed: Vec::new(), outputs });
        Self { name: name.into(), circuit, inputs, expected }
    }
}

/// The circuits of the suite are valid.
fn build(name: &str, owners: u16, define: impl FnOnce(&crate::Builder)) -> Circuit {
    match crate::Builder::build(name, owners, define) {
        Ok(circuit) => circuit,
        Err(error) => unreachable!("the suite has an invalid circuit: {error}"),
    }
}

fn fr(value: u128) -> Fr {
    Fr::from(value)
}

fn bit(value: bool) -> Fr {
    Fr::from(u64::from(value))
}

const ALICE: Owner = Owner(0);
const BOB: Owner = Owner(1);

/// Where output number `index` goes: all destinations in turn.
fn somewhere(index: usize) -> Destination {
    let owner = Owner((index % 2) as u16);
    match index % 3 {
        0 => Destination::Public,
        1 => Destination::Owner(owner),
        _ => Destination::Commitment { owner, group: (index % 2) as u32 },
    }
}

/// Numbers that look random and are the same on each run (splitmix64, Steele, Lea, Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// An integer of at most `bits` bits, 1 to 128.
    fn uint(&mut self, bits: u32) -> u128 {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        wide >> (128 - bits)
    }

    fn field(&mut self) -> Fr {
        let bytes: Vec<u8> = (0..6).flat_map(|_| self.next().to_le_bytes()).collect();
        Fr::from_le_bytes_mod_order(&bytes)
    }
}
