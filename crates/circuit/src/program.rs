//! Programs: circuits that are repeated until nothing changes.
//!
//! A program is three circuits: `start` takes the inputs and carries a state; `step` turns a state
//! into the next one; `finish` turns the last state into the outputs. The state stays secret all
//! the way: it is handed on as values of the interpreter, thus as shares, and nothing of it is
//! opened. What never changes is no part of it: the start *keeps* such values, once, and both others
//! take them from there, however many steps there are.
//!
//! Three ways to end:
//!
//! - [`Repetition::UntilFlag`]: each step reveals one bit, and the first 1 ends the loop. **What
//!   leaks is the number of steps**, to everybody who takes part. Where the bound is reached
//!   first, there is no result.
//! - [`Repetition::Doubling`]: the bit is revealed only after steps 1, 2, 4, 8, ... and at the
//!   bound, and the first 1 that is revealed ends the loop. **What leaks is the number of steps,
//!   rounded up to a power of two.** It takes at most twice the steps.
//! - [`Repetition::Exactly`]: a fixed number of steps, whatever the data. Nothing is revealed on
//!   the way; outputs are `select(converged, result, nothing)`, where *nothing* is zero, and one
//!   more public output, the last, says whether there was a result.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Problem, Reader, Writer};
use thiserror::Error;

use crate::Fr;
use crate::builder::{Bit, Builder};
use crate::circuit::{Circuit, CircuitError};
use crate::clear::{Clear, now};
use crate::evaluate::{Evaluation, EvaluationError, evaluate, evaluate_with};
use crate::gate::{Destination, Gate, Source};
use crate::interpreter::Interpreter;
use crate::kind::Kind;

/// The most steps that a program may take.
pub const MAX_STEPS: u32 = 1 << 20;

const VERSION: u8 = 1;

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// Each step reveals one bit; the first 1 ends the loop, which shows the number of steps.
    UntilFlag {
        /// The number of steps after which there is no result.
        at_most: u32,
    },
    /// A fixed number of steps, each revealing nothing.
    Exactly {
        /// The number of steps.
        steps: u32,
    },
    /// Each step carries one bit, the last value of the state; after steps 1, 2, 4, ... and
    /// `at_most` it is revealed, and the first 1 ends the loop.
    Doubling {
        /// The number of steps after which there is no result.
        at_most: u32,
    },
}

impl Repetition {
    fn bound(self) -> u32 {
        match self {
            Self::UntilFlag { at_most: bound }
            | Self::Exactly { steps: bound }
            | Self::Doubling { at_most: bound } => bound,
        }
    }

    /// Whether what the last value of the state says is revealed after this step.
    fn looks(self, step: u32) -> bool {
        let due = step.is_power_of_two() || step == self.bound();
        matches!(self, Self::Doubling { .. }) && due
    }
}

/// One of the three circuits of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From the inputs to the first state.
    Start,
    /// From a state to the next.
    Step,
    /// From the last state to the outputs.
    Finish,
}

/// Why three circuits are no program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// One of the circuits is wrong.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// The circuits are made for rosters of different sizes.
    #[error("circuit {0} is for a roster of another size than the start")]
    Roster(String),
    /// A circuit has a gate that has no place in its part of a program.
    #[error("circuit {circuit} is the {part:?} of a program and has a gate of the type {gate}")]
    Misplaced {
        /// The circuit's name.
        circuit: String,
        /// Its part.
        part: Part,
        /// The gate's name.
        gate: &'static str,
    },
    /// A step does not reveal exactly what the repetition needs.
    #[error("circuit {0} must reveal, or as the last carry, one Bit if its flag ends the program")]
    Flag(String),
    /// The state that one circuit carries is not what the other takes.
    #[error("circuit {to} takes another state than circuit {from} carries")]
    State {
        /// The circuit that carries.
        from: String,
        /// The circuit that takes over.
        to: String,
    },
    /// The start does not keep what a circuit takes of kept values.
    #[error("circuit {0} takes other kept values than the start keeps")]
    Kept(String),
    /// The number of steps is zero or above [`MAX_STEPS`].
    #[error("{0} steps; a program has 1 to {MAX_STEPS}")]
    Bound(u32),
}

/// A validated program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    start: Circuit,
    step: Circuit,
    finish: Circuit,
    repetition: Repetition,
}

/// A loop, defined once and built with either [`Repetition`].
///
/// The law: where a step's flag is 1, one more step leaves the state as it is and gives 1 again.
/// Without it the two repetitions would have different results.
pub trait Loop {
    /// The program's name, the prefix of its circuits' names.
    fn name(&self) -> &str;

    /// The size of the roster.
    fn owners(&self) -> u16;

    /// Takes the inputs, keeps what never changes, and carries the first state.
    fn start(&self, b: &Builder);

    /// Takes what is kept, then a state, carries the next one, and returns whether nothing changed.
    ///
    /// `shown` says whether that bit is revealed at once, and used for nothing else. Then a test for
    /// zero is the cheapest way to make it, even of a field element without a width.
    fn step<'b>(&self, b: &'b Builder, shown: bool) -> Bit<'b>;

    /// Takes what is kept, then the last state, and makes the outputs.
    fn finish(&self, b: &Builder);
}

impl Program {
    /// Validates that the three circuits fit together.
    pub fn new(
        start: Circuit,
        step: Circuit,
        finish: Circuit,
        repetition: Repetition,
    ) -> Result<Self, ProgramError> {
        if !(1..=MAX_STEPS).contains(&repetition.bound()) {
            return Err(ProgramError::Bound(repetition.bound()));
        }
        for circuit in [&step, &finish] {
            if circuit.owners() != start.owners() {
                return Err(ProgramError::Roster(circuit.name().into()));
            }
        }
        check_places(&start, Part::Start)?;
        check_places(&step, Part::Step)?;
        check_places(&finish, Part::Finish)?;
        let revealed: Vec<_> = step.reveals().collect();
        let needed: &[Kind] = match repetition {
            Repetition::UntilFlag { .. } => &[Kind::Bit],
            Repetition::Exactly { .. } | Repetition::Doubling { .. } => &[],
        };
        let looks = matches!(repetition, Repetition::Doubling { .. });
        if revealed != needed || (looks && step.carries().last() != Some(Kind::Bit)) {
            return Err(ProgramError::Flag(step.name().into()));
        }
        for (from, to) in [(&start, &step), (&step, &step), (&step, &finish)] {
            check_state(from, to)?;
        }
        let kept: Vec<_> = start.keeps().collect();
        for circuit in [&step, &finish] {
            let taken = circuit.kept_inputs().enumerate();
            let fits = |(place, taken)| kept.get(place).is_some_and(|kept: &Kind| kept.fits(taken));
            if !taken.into_iter().all(fits) {
                return Err(ProgramError::Kept(circuit.name().into()));
            }
        }
        Ok(Self { start, step, finish, repetition })
    }

    /// Builds `definition` with `repetition`.
    pub fn build(definition: &impl Loop, repetition: Repetition) -> Result<Self, ProgramError> {
        let carries = !matches!(repetition, Repetition::UntilFlag { .. });
        let (name, owners) = (definition.name(), definition.owners());
        let start = Builder::build(&format!("{name}/start"), owners, |b| {
            definition.start(b);
            if carries {
                b.carry(b.bit(false));
            }
        })?;
        let step = Builder::build(&format!("{name}/step"), owners, |b| {
            let flag = definition.step(b, !carries);
            if carries {
                // The flag of the step before is taken over only to be replaced.
                b.carried().bit();
                b.carry(flag);
            } else {
                b.reveal(flag);
            }
        })?;
        let finish = Builder::build(&format!("{name}/finish"), owners, |b| {
            definition.finish(b);
            if !carries {
                return;
            }
            let converged = b.carried().bit();
            if matches!(repetition, Repetition::Exactly { .. }) {
                b.guard_outputs(converged);
                // Guarded like all others, which changes nothing: a bit is its own square.
                b.output(converged, Destination::Public);
            }
        })?;
        Self::new(start, step, finish, repetition)
    }

    /// The circuit of one part.
    pub fn part(&self, part: Part) -> &Circuit {
        match part {
            Part::Start => &self.start,
            Part::Step => &self.step,
            Part::Finish => &self.finish,
        }
    }

    /// How the program ends.
    pub fn repetition(&self) -> Repetition {
        self.repetition
    }

    /// The size of the roster.
    pub fn owners(&self) -> u16 {
        self.start.owners()
    }

    /// What parties agree on before they run a program: a digest of its canonical bytes.
    pub fn fingerprint(&self) -> Digest {
        Digest::of("quittance/v1/program", &[&self.to_bytes()])
    }

    /// Runs the program.
    pub async fn run<I: Interpreter>(&self, interpreter: &mut I) -> RunResult<I> {
        let one = Fr::from(1u64);
        let failed = |part, step| move |source| RunError::Evaluation { part, step, source };
        let first = evaluate(&self.start, interpreter, Vec::new()).await;
        let Evaluation { carried: mut state, kept, .. } = first.map_err(failed(Part::Start, 0))?;
        let mut steps = 0;
        let mut ended = false;
        while !ended && steps < self.repetition.bound() {
            steps += 1;
            let step = evaluate_with(&self.step, interpreter, state, &kept).await;
            let step = step.map_err(failed(Part::Step, steps))?;
            state = step.carried;
            ended = step.revealed.first() == Some(&one);
            if self.repetition.looks(steps) {
                let flag = look(interpreter, state.last()).await;
                ended = flag.map_err(failed(Part::Step, steps))? == Some(one);
            }
        }
        if !ended && !matches!(self.repetition, Repetition::Exactly { .. }) {
            return Err(RunError::NotConverged { circuit: self.step.name().into(), steps });
        }
        let last = evaluate_with(&self.finish, interpreter, state, &kept).await;
        Ok(Run { outputs: last.map_err(failed(Part::Finish, steps))?.outputs, steps })
    }

    /// Runs the program in the clear.
    pub fn run_in_clear(&self, inputs: Vec<Vec<Fr>>) -> RunResult<Clear> {
        now(self.run(&mut Clear::new(inputs)))
    }
}

/// Reveals one bit of a state.
async fn look<I: Interpreter>(
    interpreter: &mut I,
    flag: Option<&I::Value>,
) -> Result<Option<Fr>, EvaluationError<I::Error>> {
    match (look_circuit(), flag) {
        (Ok(circuit), Some(flag)) => {
            let shown = evaluate(&circuit, interpreter, vec![flag.clone()]).await?;
            Ok(shown.revealed.first().copied())
        }
        _ => Ok(None),
    }
}

/// The circuit that reveals the flag of a program that doubles.
fn look_circuit() -> Result<Circuit, CircuitError> {
    Builder::build("look", 0, |b| b.reveal(b.carried().bit()))
}

/// What a run yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<O> {
    /// The outputs in order.
    pub outputs: Vec<O>,
    /// How many steps were taken.
    pub steps: u32,
}

/// Why a run has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RunError<E: std::error::Error + 'static> {
    /// A circuit could not be evaluated.
    #[error("{part:?}, after {step} steps begun: {source}")]
    Evaluation {
        /// The part of the program.
        part: Part,
        /// How many steps had begun.
        step: u32,
        /// What went wrong.
        source: EvaluationError<E>,
    },
    /// The bound was reached and the flag was never 1.
    #[error("circuit {circuit}: no flag within {steps} steps")]
    NotConverged {
        /// The name of the step's circuit.
        circuit: String,
        /// The bound.
        steps: u32,
    },
}

/// What [`Program::run`] returns with interpreter `I`.
pub type RunResult<I> =
    Result<Run<<I as Interpreter>::Output>, RunError<<I as Interpreter>::Error>>;

/// Owners' inputs are for the start, which alone keeps values; outputs are for the finish. The start
/// takes nothing over and reveals nothing, the finish carries and reveals nothing.
fn check_places(circuit: &Circuit, part: Part) -> Result<(), ProgramError> {
    let misplaced = |gate: &&Gate| match gate {
        Gate::Input { source: Source::Carried | Source::Kept, .. } => part == Part::Start,
        Gate::Keep(_) => part != Part::Start,
        Gate::Input { .. } => part != Part::Start,
        Gate::Output(..) => part != Part::Finish,
        Gate::Carry(_) => part == Part::Finish,
        Gate::Reveal(_) => part != Part::Step,
        _ => false,
    };
    match circuit.gates().iter().find(misplaced) {
        None => Ok(()),
        Some(gate) => {
            let (circuit, gate) = (circuit.name().into(), gate.name());
            Err(ProgramError::Misplaced { circuit, part, gate })
        }
    }
}

fn check_state(from: &Circuit, to: &Circuit) -> Result<(), ProgramError> {
    let (carried, taken): (Vec<_>, Vec<_>) =
        (from.carries().collect(), to.carried_inputs().collect());
    let fits = carried.len() == taken.len()
        && carried.iter().zip(&taken).all(|(carried, taken)| carried.fits(*taken));
    if fits {
        return Ok(());
    }
    Err(ProgramError::State { from: from.name().into(), to: to.name().into() })
}

impl Encode for Program {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        let (tag, bound) = match self.repetition {
            Repetition::UntilFlag { at_most } => (0, at_most),
            Repetition::Exactly { steps } => (1, steps),
            Repetition::Doubling { at_most } => (2, at_most),
        };
        out.u8(tag);
        out.u32(bound);
        self.start.encode(out);
        self.step.encode(out);
        self.finish.encode(out);
    }
}

impl Decode for Program {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        if input.u8("program version")? != VERSION {
            return Err(input.error_at(offset, "program version", Problem::Invalid("not 1")));
        }
        let tag = input.tag(3, "repetition")?;
        let bound = input.u32("steps")?;
        let repetition = match tag {
            0 => Repetition::UntilFlag { at_most: bound },
            1 => Repetition::Exactly { steps: bound },
            _ => Repetition::Doubling { at_most: bound },
        };
        let [start, step, finish] =
            [Circuit::decode(input)?, Circuit::decode(input)?, Circuit::decode(input)?];
        let refused = Problem::Invalid("the circuits do not form a program");
        Self::new(start, step, finish, repetition)
            .map_err(|_| input.error_at(offset, "program", refused))
    }
}
