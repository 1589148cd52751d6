//! Evaluation in the clear: the reference that all other readings are held to.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ark_ff::Zero as _;
use thiserror::Error;

use crate::Fr;
use crate::circuit::Circuit;
use crate::evaluate::{EvaluationResult, evaluate};
use crate::gate::Owner;
use crate::interpreter::{Comparison, InputRequest, Interpreter, Operand, OutputRequest, Product};
use crate::kind::{Kind, small};

/// Why an evaluation in the clear stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClearError {
    /// An owner has fewer inputs than the circuit takes.
    #[error("{owner} has no input {index}")]
    Missing {
        /// The owner.
        owner: Owner,
        /// Position among this owner's inputs.
        index: u32,
    },
    /// An input is not of the promised kind.
    #[error("input {index} of {owner} is not a {kind}")]
    OutOfRange {
        /// The owner.
        owner: Owner,
        /// Position among this owner's inputs.
        index: u32,
        /// The promised kind.
        kind: Kind,
    },
}

/// The interpreter in the clear: values are field elements, outputs likewise whoever they go to.
#[derive(Debug, Clone)]
pub struct Clear {
    /// By owner, in input order.
    inputs: Vec<Vec<Fr>>,
}

impl Clear {
    /// With the inputs of owners 0, 1, ..., each in input order.
    pub fn new(inputs: Vec<Vec<Fr>>) -> Self {
        Self { inputs }
    }

    /// Evaluates a circuit that takes no state over.
    pub fn run(circuit: &Circuit, inputs: Vec<Vec<Fr>>) -> EvaluationResult<Self> {
        now(evaluate(circuit, &mut Self::new(inputs), Vec::new()))
    }
}

/// The result of a future that never waits, such as any evaluation in the clear.
///
/// # Panics
/// If the future does wait.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future that must not wait did"),
    }
}

fn bit(value: bool) -> Fr {
    Fr::from(u64::from(value))
}

/// Compares by integer value, as wide as the field is.
fn less(left: &Fr, right: &Fr) -> bool {
    left < right
}

impl Interpreter for Clear {
    type Value = Fr;
    type Output = Fr;
    type Error = ClearError;

    fn input(&mut self, request: &InputRequest) -> Result<Fr, ClearError> {
        let &InputRequest { owner, index, kind, .. } = request;
        let inputs = self.inputs.get(usize::from(owner.0));
        let value = inputs.and_then(|inputs| inputs.get(index as usize));
        let value = *value.ok_or(ClearError::Missing { owner, index })?;
        if !kind.contains(&value) {
            return Err(ClearError::OutOfRange { owner, index, kind });
        }
        Ok(value)
    }

    fn linear(&mut self, terms: &[(Fr, &Fr)], constant: Fr) -> Fr {
        terms.iter().fold(constant, |sum, &(coefficient, &value)| sum + coefficient * value)
    }

    async fn products(&mut self, batch: &[Product<'_, Fr>]) -> Result<Vec<Fr>, ClearError> {
        let product = |product: &Product<'_, Fr>| product.pairs.iter().map(|&(a, b)| *a * *b).sum();
        Ok(batch.iter().map(product).collect())
    }

    async fn less_than(&mut self, batch: &[Comparison<'_, Fr>]) -> Result<Vec<Fr>, ClearError> {
        Ok(batch.iter().map(|gate| bit(less(gate.left, gate.right))).collect())
    }

    async fn is_zero(&mut self, batch: &[Operand<'_, Fr>]) -> Result<Vec<Fr>, ClearError> {
        Ok(batch.iter().map(|gate| bit(gate.value.is_zero())).collect())
    }

    async fn decompose(&mut self, batch: &[Operand<'_, Fr>]) -> Result<Vec<Vec<Fr>>, ClearError> {
        let bits = |gate: &Operand<'_, Fr>| {
            let value = small(gate.value).unwrap_or_default();
            let width = gate.kind.bits().unwrap_or_default();
            (0..width).map(|place| bit(value >> place & 1 == 1)).collect()
        };
        Ok(batch.iter().map(bits).collect())
    }

    async fn assert_zero(&mut self, batch: &[Operand<'_, Fr>]) -> Result<Vec<bool>, ClearError> {
        Ok(batch.iter().map(|gate| gate.value.is_zero()).collect())
    }

    async fn reveal(&mut self, batch: &[Operand<'_, Fr>]) -> Result<Vec<Fr>, ClearError> {
        Ok(batch.iter().map(|gate| *gate.value).collect())
    }

    async fn output(&mut self, batch: &[OutputRequest<'_, Fr>]) -> Result<Vec<Fr>, ClearError> {
        Ok(batch.iter().map(|gate| *gate.value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::Circuit;
    use crate::evaluate::EvaluationError;
    use crate::gate::{Destination, Gate, GateId, Source, Wire};

    /// `max(a, b)`, with the assertion that they differ.
    fn larger() -> Circuit {
        let uint = |owner| Gate::Input {
            source: Source::Private(Owner(owner)),
            kind: Kind::uint(64).unwrap(),
        };
        let gates = vec![
            uint(0),
            uint(1),
            Gate::LessThan(Wire(0), Wire(1)),
            Gate::Select { bit: Wire(2), yes: Wire(1), no: Wire(0) },
            Gate::Linear {
                terms: vec![(Fr::from(1u64), Wire(0)), (-Fr::from(1u64), Wire(1))],
                constant: Fr::from(0u64),
            },
            Gate::IsZero(Wire(4)),
            Gate::AssertZero(Wire(5)),
            Gate::Reveal(Wire(2)),
            Gate::Output(Wire(3), Destination::Public),
        ];
        Circuit::new("larger", 2, gates).unwrap()
    }

    fn values(values: &[u64]) -> Vec<Vec<Fr>> {
        values.iter().map(|&value| vec![Fr::from(value)]).collect()
    }

    #[test]
    fn a_circuit_evaluates() {
        for (a, b, expected) in [(1, 2, 2), (2, 1, 2), (u64::MAX, 0, u64::MAX)] {
            let result = Clear::run(&larger(), values(&[a, b])).unwrap();
            assert_eq!(result.outputs, [Fr::from(expected)]);
            assert_eq!(result.revealed, [bit(a < b)]);
        }
    }

    #[test]
    fn errors_name_circuit_and_gate() {
        let error = Clear::run(&larger(), values(&[7, 7])).unwrap_err();
        assert_eq!(error, EvaluationError::Assertion { circuit: "larger".into(), gate: GateId(6) });
        let error = Clear::run(&larger(), values(&[7])).unwrap_err();
        assert_eq!(error.to_string(), "circuit larger, gate 1 (input): owner 1 has no input 0");
        let too_large = vec![vec![Fr::from(1u128 << 64)], vec![Fr::from(0u64)]];
        let error = Clear::run(&larger(), too_large).unwrap_err();
        assert_eq!(
            error.to_string(),
            "circuit larger, gate 0 (input): input 0 of owner 0 is not a Uint<64>"
        );
    }

    #[test]
    fn evaluations_can_move_between_threads() {
        fn sendable<T: Send>(value: T) -> T {
            value
        }
        let circuit = larger();
        let mut clear = Clear::new(values(&[1, 2]));
        assert!(now(sendable(evaluate(&circuit, &mut clear, Vec::new()))).is_ok());
    }
}
