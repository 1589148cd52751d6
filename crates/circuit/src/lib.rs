//! Circuits as data over the field of the commitments, and readings of them.
//!
//! A [`Circuit`] is a list of gates in topological order with typed wires. [`evaluate`] walks it
//! with an [`Interpreter`]: [`Clear`] computes in the clear and is the reference; a committee
//! computes the same circuit on secret shares.

mod builder;
mod circuit;
pub mod clear;
pub mod conformance;
mod encode;
mod evaluate;
mod gate;
mod interpreter;
mod kind;
pub mod price;
mod program;
mod schedule;

pub use quittance_crypto::field::Fr;

pub use builder::{Bit, Builder, Field, Input, Number, Uint, Value};
pub use circuit::{Circuit, CircuitError, MAX_GATES, MAX_NAME, MAX_WIRES};
pub use clear::{Clear, ClearError};
pub use evaluate::{Evaluation, EvaluationError, EvaluationResult, evaluate};
pub use gate::{Destination, Gate, GateId, Owner, Source, Wire};
pub use interpreter::{
    Answers, Comparison, InputRequest, Interpreter, Level, Operand, OutputRequest, Product,
};
pub use kind::{GateError, Kind, MAX_BITS, small};
pub use program::{
    Loop, MAX_STEPS, Part, Program, ProgramError, Repetition, Run, RunError, RunResult,
};
pub use schedule::{Schedule, Step};
