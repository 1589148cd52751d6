//! Circuits as data over the field of the commitments, and readings of them.
//!
//! A [`Circuit`] is a list of gates in topological order with typed wires, made by a [`Builder`].
//! [`evaluate`] walks it with an [`Interpreter`]: [`Clear`] computes in the clear and is the
//! reference; [`price`] adds up what it costs; a committee computes the same circuit on secret
//! shares. The [`conformance`] suite holds all of them to the same results. A [`Program`] repeats
//! circuits until nothing changes.
//!
//! A reading that is not an evaluation, such as a constraint system for a proof, can also be an
//! [`Interpreter`], with variables for values, or go over [`Circuit::gates`] itself.

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
pub use circuit::{Circuit, CircuitError, MAX_GATES, MAX_NAME, MAX_OPERANDS, MAX_WIRES};
pub use clear::{Clear, ClearError};
pub use evaluate::{Evaluation, EvaluationError, EvaluationResult, evaluate, evaluate_with};
pub use gate::{Destination, Gate, GateId, Owner, Source, Wire};
pub use interpreter::{
    Answers, Comparison, InputRequest, Interpreter, Level, Operand, OutputRequest, Product,
};
pub use kind::{GateError, Kind, MAX_BITS, small};
pub use program::{
    Loop, MAX_STEPS, Part, Program, ProgramError, Repetition, Run, RunError, RunResult,
};
pub use schedule::{Schedule, Step};
