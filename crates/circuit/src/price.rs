//! The price of a circuit: what a joint computation of it costs, and how large a proof of it is.
//!
//! A [`Tariff`] says what each task costs; [`Price::of`] adds up a circuit. [`Committee`] is the
//! tariff of a committee on Shamir shares.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::{Add, Mul};

use crate::Fr;
use crate::circuit::Circuit;
use crate::clear::now;
use crate::evaluate::evaluate_with;
use crate::gate::Destination;
use crate::interpreter::{Comparison, InputRequest, Interpreter, Operand, OutputRequest, Product};
use crate::program::{Part, Program};

mod committee;

pub use committee::Committee;

/// Something that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A sum of products, of any number of pairs.
    Product,
    /// A comparison of integers of this many bits.
    LessThan {
        /// The width of the wider operand.
        bits: u32,
    },
    /// A test for zero.
    IsZero {
        /// The width, unless any field element is possible.
        bits: Option<u32>,
    },
    /// A decomposition into this many bits.
    Decompose {
        /// The width.
        bits: u32,
    },
    /// An assertion.
    AssertZero,
    /// A test for zero in public.
    ShowZero,
    /// A revealed value.
    Reveal,
    /// An output for everybody.
    PublicOutput,
    /// An output for one owner.
    OwnerOutput,
    /// An output as a commitment.
    CommittedOutput,
}

/// The cost of tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiplications of shared values, those for making random bits included.
    pub multiplications: u64,
    /// Shared random bits used up, over the field of the circuit. They depend on no input and can be
    /// made in advance.
    pub random_bits: u64,
    /// Messages that must wait for each other; making random bits is not counted.
    pub rounds: u64,
    /// Bytes that one party sends to all others and to owners, without framing.
    pub bytes: u64,
    /// Single bits that it sends besides, eight to a byte; the last byte of a message may not be full.
    pub bits: u64,
}

/// What each task costs.
pub trait Tariff {
    /// The cost of one task by itself.
    fn cost(&self, task: Task) -> Cost;
}

/// One after the other.
impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            multiplications: self.multiplications + other.multiplications,
            random_bits: self.random_bits + other.random_bits,
            rounds: self.rounds + other.rounds,
            bytes: self.bytes + other.bytes,
            bits: self.bits + other.bits,
        }
    }
}

/// Some number of times.
impl Mul<u64> for Cost {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            multiplications: self.multiplications * times,
            random_bits: self.random_bits * times,
            rounds: self.rounds * times,
            bytes: self.bytes * times,
            bits: self.bits * times,
        }
    }
}

/// The price of a circuit or program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Price {
    /// What a joint computation costs.
    pub cost: Cost,
    /// Multipliers of a rank-1 constraint system for the same statement (Bulletproofs, section 5):
    /// one for each pair of a product, two for a test for zero, one for each bit of an owner's
    /// input, of a decomposition and of the difference in a comparison.
    pub constraints: u64,
    /// Levels with interaction.
    pub levels: u64,
    /// How often each task occurs.
    pub tasks: BTreeMap<Task, u64>,
}

impl Price {
    /// The price of one evaluation of `circuit`.
    pub fn of(circuit: &Circuit, tariff: &impl Tariff) -> Self {
        let price = Self { levels: circuit.schedule().depth() as u64, ..Self::default() };
        let mut pricer = Pricer { tariff, price };
        let state = vec![(); circuit.carried_inputs().count()];
        let kept = vec![(); circuit.kept()];
        match now(evaluate_with(circuit, &mut pricer, state, &kept)) {
            Ok(_) => pricer.price,
            Err(error) => unreachable!("pricing cannot fail: {error}"),
        }
    }

    /// The price of a program that takes `steps` steps.
    pub fn of_program(program: &Program, steps: u32, tariff: &impl Tariff) -> Self {
        let part = |part| Self::of(program.part(part), tariff);
        part(Part::Start) + part(Part::Step) * u64::from(steps) + part(Part::Finish)
    }
}

/// One after the other.
impl Add for Price {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for (task, count) in other.tasks {
            *self.tasks.entry(task).or_default() += count;
        }
        Self {
            cost: self.cost + other.cost,
            constraints: self.constraints + other.constraints,
            levels: self.levels + other.levels,
            tasks: self.tasks,
        }
    }
}

/// Some number of times.
impl Mul<u64> for Price {
    type Output = Self;

    fn mul(mut self, times: u64) -> Self {
        self.tasks.values_mut().for_each(|count| *count *= times);
        Self {
            cost: self.cost * times,
            constraints: self.constraints * times,
            levels: self.levels * times,
            tasks: self.tasks,
        }
    }
}

/// Adds up while it walks; values are nothing.
struct Pricer<'t, T> {
    tariff: &'t T,
    price: Price,
}

impl<T: Tariff> Pricer<'_, T> {
    /// Adds tasks of one kind that are done together: their rounds coincide.
    fn add(&mut self, tasks: impl IntoIterator<Item = Task>) {
        let mut total = Cost::default();
        for task in tasks {
            *self.price.tasks.entry(task).or_default() += 1;
            let cost = self.tariff.cost(task);
            let rounds = total.rounds.max(cost.rounds);
            total = Cost { rounds, ..total + cost };
        }
        self.price.cost = self.price.cost + total;
    }

    fn constrain(&mut self, multipliers: impl IntoIterator<Item = u64>) {
        self.price.constraints += multipliers.into_iter().sum::<u64>();
    }
}

fn width(operand: &Operand<'_, ()>) -> u32 {
    operand.kind.bits().unwrap_or_default()
}

impl<T: Tariff> Interpreter for Pricer<'_, T> {
    type Value = ();
    type Output = ();
    type Error = Infallible;

    fn input(&mut self, request: &InputRequest) -> Result<(), Infallible> {
        self.constrain(request.kind.bits().map(u64::from));
        Ok(())
    }

    fn linear(&mut self, _: &[(Fr, &())], _: Fr) {}

    async fn products(&mut self, batch: &[Product<'_, ()>]) -> Result<Vec<()>, Infallible> {
        self.add(batch.iter().map(|_| Task::Product));
        self.constrain(batch.iter().map(|gate| gate.pairs.len() as u64));
        Ok(vec![(); batch.len()])
    }

    async fn less_than(&mut self, batch: &[Comparison<'_, ()>]) -> Result<Vec<()>, Infallible> {
        self.add(batch.iter().map(|gate| Task::LessThan { bits: gate.bits }));
        self.constrain(batch.iter().map(|gate| u64::from(gate.bits) + 1));
        Ok(vec![(); batch.len()])
    }

    async fn is_zero(&mut self, batch: &[Operand<'_, ()>]) -> Result<Vec<()>, Infallible> {
        self.add(batch.iter().map(|gate| Task::IsZero { bits: gate.kind.bits() }));
        self.constrain(batch.iter().map(|_| 2));
        Ok(vec![(); batch.len()])
    }

    async fn decompose(&mut self, batch: &[Operand<'_, ()>]) -> Result<Vec<Vec<()>>, Infallible> {
        self.add(batch.iter().map(|gate| Task::Decompose { bits: width(gate) }));
        self.constrain(batch.iter().map(|gate| u64::from(width(gate))));
        Ok(batch.iter().map(|gate| vec![(); width(gate) as usize]).collect())
    }

    async fn assert_zero(&mut self, batch: &[Operand<'_, ()>]) -> Result<Vec<bool>, Infallible> {
        self.add(batch.iter().map(|_| Task::AssertZero));
        Ok(vec![true; batch.len()])
    }

    async fn show_zero(&mut self, batch: &[Operand<'_, ()>]) -> Result<Vec<bool>, Infallible> {
        self.add(batch.iter().map(|_| Task::ShowZero));
        self.constrain(batch.iter().map(|_| 2));
        Ok(vec![true; batch.len()])
    }

    async fn reveal(&mut self, batch: &[Operand<'_, ()>]) -> Result<Vec<Fr>, Infallible> {
        self.add(batch.iter().map(|_| Task::Reveal));
        Ok(vec![Fr::from(0u64); batch.len()])
    }

    async fn output(&mut self, batch: &[OutputRequest<'_, ()>]) -> Result<Vec<()>, Infallible> {
        // The three forms of output are delivered one after the other.
        for form in [Task::CommittedOutput, Task::PublicOutput, Task::OwnerOutput] {
            let task = |gate: &OutputRequest<'_, ()>| match gate.to {
                Destination::Public => Task::PublicOutput,
                Destination::Owner(_) => Task::OwnerOutput,
                Destination::Commitment { .. } => Task::CommittedOutput,
            };
            self.add(batch.iter().map(task).filter(|task| *task == form));
        }
        Ok(vec![(); batch.len()])
    }
}
