//! Walks a circuit with an interpreter.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::Fr;
use crate::circuit::Circuit;
use crate::gate::{Gate, GateId, Source, Wire};
use crate::interpreter::{
    Answers, Comparison, InputRequest, Interpreter, Level, Operand, OutputRequest, Product,
};
use crate::schedule::Step;

/// Why an evaluation stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvaluationError<E: std::error::Error + 'static> {
    /// The interpreter has no value for an input.
    #[error("circuit {circuit}, {gate} (input): {source}")]
    Input {
        /// The circuit's name.
        circuit: String,
        /// The input gate.
        gate: GateId,
        /// What the interpreter says.
        source: E,
    },
    /// The interpreter failed in a level.
    #[error("circuit {circuit}, level {level}, {first} to {last}: {source}")]
    Level {
        /// The circuit's name.
        circuit: String,
        /// The level, from 1.
        level: usize,
        /// The first interactive gate of the level.
        first: GateId,
        /// The last one.
        last: GateId,
        /// What the interpreter says.
        source: E,
    },
    /// The interpreter failed when it delivered the outputs.
    #[error("circuit {circuit}, outputs: {source}")]
    Output {
        /// The circuit's name.
        circuit: String,
        /// What the interpreter says.
        source: E,
    },
    /// A value that must be zero is not.
    #[error("circuit {circuit}, {gate} (assert): the value is not zero")]
    Assertion {
        /// The circuit's name.
        circuit: String,
        /// The assertion.
        gate: GateId,
    },
    /// The state handed over is not what the circuit takes.
    #[error("circuit {circuit} takes {expected} carried values, got {found}")]
    Carried {
        /// The circuit's name.
        circuit: String,
        /// How many values the circuit takes.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// The kept values handed over are not what the circuit takes.
    #[error("circuit {circuit} takes {expected} kept values, got {found}")]
    Kept {
        /// The circuit's name.
        circuit: String,
        /// How many values the circuit takes.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// The interpreter did not give one answer per request.
    #[error("circuit {circuit}, {what}: {found} answers to {expected} requests")]
    Answers {
        /// The circuit's name.
        circuit: String,
        /// What was requested.
        what: &'static str,
        /// How many answers were due.
        expected: usize,
        /// How many there were.
        found: usize,
    },
}

/// What an evaluation yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<V, O> {
    /// The revealed values, in gate order.
    pub revealed: Vec<Fr>,
    /// The state for the next circuit of the program, in gate order.
    pub carried: Vec<V>,
    /// What the circuit keeps for all that follow, in gate order.
    pub kept: Vec<V>,
    /// The outputs, in gate order.
    pub outputs: Vec<O>,
}

/// What [`evaluate`] returns with interpreter `I`.
pub type EvaluationResult<I> = Result<
    Evaluation<<I as Interpreter>::Value, <I as Interpreter>::Output>,
    EvaluationError<<I as Interpreter>::Error>,
>;

/// Evaluates `circuit`, with `carried` as the state that it takes over and no kept values.
pub async fn evaluate<I: Interpreter>(
    circuit: &Circuit,
    interpreter: &mut I,
    carried: Vec<I::Value>,
) -> EvaluationResult<I> {
    evaluate_with(circuit, interpreter, carried, &[]).await
}

/// Evaluates `circuit`, with `carried` as the state that it takes over. It takes the first of the
/// values in `kept`, which may be more.
pub async fn evaluate_with<I: Interpreter>(
    circuit: &Circuit,
    interpreter: &mut I,
    carried: Vec<I::Value>,
    kept: &[I::Value],
) -> EvaluationResult<I> {
    let (expected, found) = (circuit.kept(), kept.len());
    let wrong = || EvaluationError::Kept { circuit: circuit.name().into(), expected, found };
    let kept = kept.get(..expected).ok_or_else(wrong)?;
    let mut walk = Walk::start(circuit, interpreter, carried, kept)?;
    for (level, step) in circuit.schedule().steps().iter().enumerate() {
        if let (Some(&first), Some(&last)) = (step.interactive.first(), step.interactive.last()) {
            let differences = walk.differences(interpreter, step);
            let request = walk.request(step, &differences);
            let answers =
                interpreter.level(&request).await.map_err(|source| EvaluationError::Level {
                    circuit: circuit.name().into(),
                    level,
                    first,
                    last,
                    source,
                })?;
            walk.check_answers(&request, &answers)?;
            walk.accept(interpreter, step, answers)?;
        }
        for &gate in &step.local {
            walk.local(interpreter, gate);
        }
    }
    walk.finish(interpreter).await
}

struct Walk<'c, V> {
    circuit: &'c Circuit,
    /// Of the first wires.
    kept: &'c [V],
    /// Of all others. Each wire is set at its level, thus before any gate reads it.
    values: Vec<Option<V>>,
    /// What reveals have shown so far, level by level.
    revealed: Vec<(GateId, Fr)>,
    /// By wire: the bits of tests for zero in public.
    shown: BTreeMap<usize, Fr>,
}

impl<'c, V: Clone> Walk<'c, V> {
    /// Sets all inputs.
    fn start<I: Interpreter<Value = V>>(
        circuit: &'c Circuit,
        interpreter: &mut I,
        carried: Vec<V>,
        kept: &'c [V],
    ) -> Result<Self, EvaluationError<I::Error>> {
        let (expected, found) = (circuit.carried_inputs().count(), carried.len());
        if expected != found {
            return Err(EvaluationError::Carried {
                circuit: circuit.name().into(),
                expected,
                found,
            });
        }
        let mut walk = Self {
            circuit,
            kept,
            values: vec![None; circuit.wires() - kept.len()],
            revealed: Vec::new(),
            shown: BTreeMap::new(),
        };
        let mut carried = carried.into_iter();
        let mut asked = vec![0u32; usize::from(circuit.owners())];
        for &gate in circuit.inputs() {
            let Gate::Input { source, kind } = walk.gate(gate) else { continue };
            let (owner, committed) = match *source {
                Source::Kept => continue,
                Source::Carried => {
                    let slot = walk.slot(circuit.produced(gate).start);
                    walk.values[slot] = carried.next();
                    continue;
                }
                Source::Private(owner) => (owner, false),
                Source::Committed(owner) => (owner, true),
            };
            let asked = &mut asked[usize::from(owner.0)];
            let request = InputRequest { gate, owner, index: *asked, committed, kind: *kind };
            *asked += 1;
            let value = interpreter.input(&request).map_err(|source| EvaluationError::Input {
                circuit: circuit.name().into(),
                gate,
                source,
            })?;
            walk.set(gate, value);
        }
        Ok(walk)
    }

    fn shows(&self, gate: GateId) -> bool {
        self.circuit.schedule().shows(gate)
    }

    fn gate(&self, id: GateId) -> &'c Gate {
        &self.circuit.gates()[id.0 as usize]
    }

    fn get(&self, wire: Wire) -> &V {
        let wire = wire.0 as usize;
        self.kept.get(wire).unwrap_or_else(|| {
            let value = self.values[self.slot(wire)].as_ref();
            value.expect("the schedule sets a wire before it is read")
        })
    }

    /// The place in `values` of a wire that is not kept.
    fn slot(&self, wire: usize) -> usize {
        wire - self.kept.len()
    }

    fn set(&mut self, gate: GateId, value: V) {
        let slot = self.slot(self.circuit.produced(gate).start);
        self.values[slot] = Some(value);
    }

    /// Gates without interaction; inputs are set already.
    fn local<I: Interpreter<Value = V>>(&mut self, interpreter: &mut I, id: GateId) {
        let value = match self.gate(id) {
            Gate::Constant(value) => interpreter.linear(&[], *value),
            Gate::Linear { terms, constant } => {
                let terms: Vec<_> = terms.iter().map(|&(c, wire)| (c, self.get(wire))).collect();
                interpreter.linear(&terms, *constant)
            }
            Gate::Reveal(wire) => {
                let bit = self.shown.get(&(wire.0 as usize));
                self.revealed.extend(bit.map(|bit| (id, *bit)));
                return;
            }
            _ => return,
        };
        self.set(id, value);
    }

    /// For each selection of the level, `yes - no`.
    fn differences<I: Interpreter<Value = V>>(&self, interpreter: &mut I, step: &Step) -> Vec<V> {
        let one = Fr::from(1u64);
        let mut differences = Vec::new();
        for &id in &step.interactive {
            if let Gate::Select { yes, no, .. } = self.gate(id) {
                let terms = [(one, self.get(*yes)), (-one, self.get(*no))];
                differences.push(interpreter.linear(&terms, Fr::from(0u64)));
            }
        }
        differences
    }

    /// The interactive gates of the level, sorted by what they ask for.
    fn request<'a>(&'a self, step: &Step, differences: &'a [V]) -> Level<'a, V> {
        let mut level = Level::empty();
        let mut differences = differences.iter();
        for &gate in &step.interactive {
            let operand =
                |wire: Wire| Operand { gate, value: self.get(wire), kind: self.circuit.kind(wire) };
            let product = |pairs: &[(Wire, Wire)]| Product {
                gate,
                pairs: pairs.iter().map(|&(a, b)| (self.get(a), self.get(b))).collect(),
            };
            match self.gate(gate) {
                Gate::Multiply(a, b) => level.products.push(product(&[(*a, *b)])),
                Gate::InnerProduct(pairs) => level.products.push(product(pairs)),
                Gate::Select { bit, .. } => {
                    let difference = differences.next().into_iter();
                    let pairs = difference.map(|difference| (self.get(*bit), difference)).collect();
                    level.products.push(Product { gate, pairs });
                }
                Gate::LessThan(a, b) => {
                    let width = |wire| self.circuit.kind(wire).bits().unwrap_or_default();
                    let bits = width(*a).max(width(*b));
                    let (left, right) = (self.get(*a), self.get(*b));
                    level.less_than.push(Comparison { gate, left, right, bits });
                }
                Gate::IsZero(wire) if self.shows(gate) => level.show_zero.push(operand(*wire)),
                Gate::IsZero(wire) => level.is_zero.push(operand(*wire)),
                Gate::Decompose(wire) => level.decompose.push(operand(*wire)),
                Gate::AssertZero(wire) => level.assert_zero.push(operand(*wire)),
                Gate::Reveal(wire) => level.reveal.push(operand(*wire)),
                // The schedule calls none of these interactive.
                Gate::Input { .. }
                | Gate::Constant(_)
                | Gate::Linear { .. }
                | Gate::Output(..)
                | Gate::Carry(_)
                | Gate::Keep(_) => {}
            }
        }
        level
    }

    fn count<E: std::error::Error + 'static>(
        &self,
        what: &'static str,
        expected: usize,
        found: usize,
    ) -> Result<(), EvaluationError<E>> {
        if expected == found {
            return Ok(());
        }
        Err(EvaluationError::Answers { circuit: self.circuit.name().into(), what, expected, found })
    }

    fn check_answers<E: std::error::Error + 'static>(
        &self,
        level: &Level<'_, V>,
        answers: &Answers<V>,
    ) -> Result<(), EvaluationError<E>> {
        self.count("products", level.products.len(), answers.products.len())?;
        self.count("less-than", level.less_than.len(), answers.less_than.len())?;
        self.count("is-zero", level.is_zero.len(), answers.is_zero.len())?;
        self.count("bit decompositions", level.decompose.len(), answers.decompose.len())?;
        for (operand, bits) in level.decompose.iter().zip(&answers.decompose) {
            let expected = operand.kind.bits().unwrap_or_default() as usize;
            self.count("bits of a decomposition", expected, bits.len())?;
        }
        self.count("assertions", level.assert_zero.len(), answers.assert_zero.len())?;
        self.count("reveals", level.reveal.len(), answers.reveal.len())?;
        self.count("tests for zero in public", level.show_zero.len(), answers.show_zero.len())
    }

    /// Sets what the level produced. The number of answers has been checked.
    fn accept<I: Interpreter<Value = V>>(
        &mut self,
        interpreter: &mut I,
        step: &Step,
        answers: Answers<V>,
    ) -> Result<(), EvaluationError<I::Error>> {
        let mut products = answers.products.into_iter();
        let mut bits = answers.less_than.into_iter();
        let mut zeros = answers.is_zero.into_iter();
        let mut decomposed = answers.decompose.into_iter();
        let mut verdicts = answers.assert_zero.into_iter();
        let mut revealed = answers.reveal.into_iter();
        let mut shown = answers.show_zero.into_iter();
        for &gate in &step.interactive {
            let value = match self.gate(gate) {
                Gate::Multiply(..) | Gate::InnerProduct(_) => products.next(),
                Gate::Select { no, .. } => products.next().map(|product| {
                    let one = Fr::from(1u64);
                    let terms = [(one, self.get(*no)), (one, &product)];
                    interpreter.linear(&terms, Fr::from(0u64))
                }),
                Gate::LessThan(..) => bits.next(),
                Gate::IsZero(_) if self.shows(gate) => shown.next().map(|zero| {
                    let bit = Fr::from(u64::from(zero));
                    self.shown.insert(self.circuit.produced(gate).start, bit);
                    interpreter.linear(&[], bit)
                }),
                Gate::IsZero(_) => zeros.next(),
                Gate::Decompose(_) => {
                    let first = self.slot(self.circuit.produced(gate).start);
                    let bits = decomposed.next().unwrap_or_default();
                    for (slot, bit) in self.values[first..].iter_mut().zip(bits) {
                        *slot = Some(bit);
                    }
                    None
                }
                Gate::AssertZero(_) if verdicts.next() != Some(true) => {
                    let circuit = self.circuit.name().into();
                    return Err(EvaluationError::Assertion { circuit, gate });
                }
                Gate::Reveal(_) => {
                    self.revealed.extend(revealed.next().map(|value| (gate, value)));
                    None
                }
                _ => None,
            };
            if let Some(value) = value {
                self.set(gate, value);
            }
        }
        Ok(())
    }

    /// Delivers outputs and hands on the carried state.
    async fn finish<I: Interpreter<Value = V>>(
        mut self,
        interpreter: &mut I,
    ) -> EvaluationResult<I> {
        let mut requests = Vec::new();
        let (mut carried, mut kept) = (Vec::new(), Vec::new());
        for &gate in self.circuit.schedule().last() {
            match self.gate(gate) {
                Gate::Output(wire, to) => requests.push(OutputRequest {
                    gate,
                    value: self.get(*wire),
                    kind: self.circuit.kind(*wire),
                    to: *to,
                }),
                Gate::Carry(wire) => carried.push(self.get(*wire).clone()),
                Gate::Keep(wire) => kept.push(self.get(*wire).clone()),
                _ => {}
            }
        }
        let outputs = match requests.as_slice() {
            [] => Vec::new(),
            batch => interpreter.output(batch).await.map_err(|source| EvaluationError::Output {
                circuit: self.circuit.name().into(),
                source,
            })?,
        };
        self.count("outputs", requests.len(), outputs.len())?;
        self.revealed.sort_by_key(|&(gate, _)| gate);
        let revealed = self.revealed.into_iter().map(|(_, value)| value).collect();
        Ok(Evaluation { revealed, carried, kept, outputs })
    }
}
