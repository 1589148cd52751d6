//! What interpreters meet: whole levels, assertions before reveals; and what they cannot get away
//! with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use quittance_circuit::clear::now;
use quittance_circuit::conformance::{Results, Stopped, Subject, check};
use quittance_circuit::price::{Committee, Cost, Price, Task};
use quittance_circuit::{
    Builder, Circuit, Clear, ClearError, Comparison, Destination, EvaluationError,
    EvaluationResult, Fr, InputRequest, Interpreter, Operand, OutputRequest, Owner, Product,
    Program, Run, evaluate,
};

/// What is wrong with a [`Faulty`] interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    SecondInput,
    Coefficients,
    LinearConstant,
    OnlyFirstPair,
    AtMost,
    LowHalfOnly,
    NeverZero,
    ZeroIfEven,
    BitsReversed,
    AlwaysHolds,
    NeverHolds,
    RevealsReversed,
    NeverShown,
    OutputsReversed,
    TooFewProducts,
    TooFewBits,
}

/// The interpreter in the clear with a fault, recording the sizes of its batches.
struct Faulty {
    clear: Clear,
    fault: Fault,
    batches: Vec<(&'static str, usize)>,
}

type Answer<T> = Result<Vec<T>, ClearError>;

impl Faulty {
    fn new(fault: Fault, inputs: &[Vec<Fr>]) -> Self {
        Self { clear: Clear::new(inputs.to_vec()), fault, batches: vec![] }
    }

    fn reversed<T>(&self, fault: Fault, mut values: Vec<T>) -> Vec<T> {
        if self.fault == fault {
            values.reverse();
        }
        values
    }
}

impl Interpreter for Faulty {
    type Value = Fr;
    type Output = Fr;
    type Error = ClearError;

    fn input(&mut self, request: &InputRequest) -> Result<Fr, ClearError> {
        let swapped = self.fault == Fault::SecondInput && request.index < 2;
        let index = if swapped { 1 - request.index } else { request.index };
        let other = self.clear.input(&InputRequest { index, ..*request });
        other.or_else(|_| self.clear.input(request))
    }

    fn linear(&mut self, terms: &[(Fr, &Fr)], constant: Fr) -> Fr {
        match self.fault {
            Fault::Coefficients => constant + terms.iter().map(|(_, value)| **value).sum::<Fr>(),
            Fault::LinearConstant if !terms.is_empty() => self.clear.linear(terms, Fr::from(0u64)),
            _ => self.clear.linear(terms, constant),
        }
    }

    async fn products(&mut self, batch: &[Product<'_, Fr>]) -> Answer<Fr> {
        self.batches.push(("products", batch.len()));
        let mut products = self.clear.products(batch).await?;
        if self.fault == Fault::OnlyFirstPair {
            products = batch.iter().map(|gate| *gate.pairs[0].0 * *gate.pairs[0].1).collect();
        }
        if self.fault == Fault::TooFewProducts {
            products.pop();
        }
        Ok(products)
    }

    async fn less_than(&mut self, batch: &[Comparison<'_, Fr>]) -> Answer<Fr> {
        self.batches.push(("less_than", batch.len()));
        let bits = self.clear.less_than(batch).await?.into_iter().zip(batch);
        let low = |value: &Fr| quittance_circuit::small(value).unwrap() as u64;
        let bit = |(bit, gate): (Fr, &Comparison<'_, Fr>)| match self.fault {
            Fault::AtMost if gate.left == gate.right => Fr::from(1u64),
            Fault::LowHalfOnly => Fr::from(u64::from(low(gate.left) < low(gate.right))),
            _ => bit,
        };
        Ok(bits.map(bit).collect())
    }

    async fn is_zero(&mut self, batch: &[Operand<'_, Fr>]) -> Answer<Fr> {
        self.batches.push(("is_zero", batch.len()));
        let bits = self.clear.is_zero(batch).await?.into_iter().zip(batch);
        let bit = |(bit, gate): (Fr, &Operand<'_, Fr>)| match self.fault {
            Fault::NeverZero => Fr::from(0u64),
            Fault::ZeroIfEven if *gate.value == Fr::from(2u64) => Fr::from(1u64),
            _ => bit,
        };
        Ok(bits.map(bit).collect())
    }

    async fn decompose(&mut self, batch: &[Operand<'_, Fr>]) -> Answer<Vec<Fr>> {
        self.batches.push(("decompose", batch.len()));
        let mut all = self.clear.decompose(batch).await?;
        for bits in &mut all {
            if self.fault == Fault::BitsReversed {
                bits.reverse();
            }
            if self.fault == Fault::TooFewBits {
                bits.pop();
            }
        }
        Ok(all)
    }

    async fn assert_zero(&mut self, batch: &[Operand<'_, Fr>]) -> Answer<bool> {
        self.batches.push(("assert_zero", batch.len()));
        match self.fault {
            Fault::AlwaysHolds => Ok(vec![true; batch.len()]),
            Fault::NeverHolds => Ok(vec![false; batch.len()]),
            _ => self.clear.assert_zero(batch).await,
        }
    }

    async fn reveal(&mut self, batch: &[Operand<'_, Fr>]) -> Answer<Fr> {
        self.batches.push(("reveal", batch.len()));
        let values = self.clear.reveal(batch).await?;
        Ok(self.reversed(Fault::RevealsReversed, values))
    }

    async fn show_zero(&mut self, batch: &[Operand<'_, Fr>]) -> Answer<bool> {
        self.batches.push(("show_zero", batch.len()));
        match self.fault {
            Fault::NeverShown => Ok(vec![false; batch.len()]),
            _ => self.clear.show_zero(batch).await,
        }
    }

    async fn output(&mut self, batch: &[OutputRequest<'_, Fr>]) -> Answer<Fr> {
        self.batches.push(("output", batch.len()));
        let values = self.clear.output(batch).await?;
        Ok(self.reversed(Fault::OutputsReversed, values))
    }
}

impl Subject for Fault {
    fn circuit(&mut self, circuit: &Circuit, inputs: &[Vec<Fr>]) -> Result<Results, Stopped> {
        let result = now(evaluate(circuit, &mut Faulty::new(*self, inputs), vec![]))?;
        Ok(Results { revealed: result.revealed, outputs: result.outputs })
    }

    fn program(&mut self, program: &Program, inputs: &[Vec<Fr>]) -> Result<Run<Fr>, Stopped> {
        Ok(now(program.run(&mut Faulty::new(*self, inputs)))?)
    }
}

#[test]
fn the_suite_accepts_the_right_interpreter_and_finds_each_fault() {
    assert!(check(&mut Fault::None).unwrap() > 80);
    for mut fault in [
        Fault::SecondInput,
        Fault::Coefficients,
        Fault::LinearConstant,
        Fault::OnlyFirstPair,
        Fault::AtMost,
        Fault::LowHalfOnly,
        Fault::NeverZero,
        Fault::ZeroIfEven,
        Fault::BitsReversed,
        Fault::AlwaysHolds,
        Fault::NeverHolds,
        Fault::RevealsReversed,
        Fault::NeverShown,
        Fault::OutputsReversed,
        Fault::TooFewProducts,
        Fault::TooFewBits,
    ] {
        assert!(check(&mut fault).is_err(), "{fault:?} goes unnoticed");
    }
}

fn run(
    circuit: &Circuit,
    inputs: &[u64],
    fault: Fault,
) -> (EvaluationResult<Faulty>, Vec<(&'static str, usize)>) {
    let inputs = vec![inputs.iter().map(|&value| Fr::from(value)).collect()];
    let mut faulty = Faulty::new(fault, &inputs);
    let result = now(evaluate(circuit, &mut faulty, vec![]));
    (result, faulty.batches)
}

#[test]
fn independent_gates_come_in_one_batch() {
    let circuit = Builder::build("wide", 1, |b| {
        let values: Vec<_> = (0..10).map(|_| b.private(Owner(0)).uint(8)).collect();
        let squares: Vec<_> = values.iter().map(|&value| value * value).collect();
        // Written in between, needed on the same levels.
        let bits: Vec<_> = values.iter().map(|&value| value.less_than(values[0])).collect();
        let picked = bits.iter().zip(&squares).map(|(bit, square)| bit.select(*square, b.uint(0)));
        let picked: Vec<_> = picked.collect();
        b.output(b.sum(picked).equals(b.uint(1)), Destination::Public);
    })
    .unwrap();
    let (_, batches) = run(&circuit, &[1; 10], Fault::None);
    let expected =
        [("products", 10), ("less_than", 10), ("products", 10), ("is_zero", 1), ("output", 1)];
    assert_eq!(batches, expected);
    assert_eq!(circuit.schedule().depth(), 3);
}

#[test]
fn zeros_are_shown_where_their_bits_serve_for_nothing_else() {
    let batches = |define: fn(&Builder)| {
        let circuit = Builder::build("shown", 1, define).unwrap();
        run(&circuit, &[7], Fault::None).1
    };
    let once = batches(|b| b.reveal(b.private(Owner(0)).uint(8).equals(b.uint(7))));
    assert_eq!(once, [("show_zero", 1)]);
    let twice = batches(|b| {
        let bit = b.private(Owner(0)).uint(8).equals(b.uint(7));
        b.reveal(bit);
        b.carry(bit);
    });
    assert_eq!(twice, [("is_zero", 1), ("reveal", 1)]);
}

#[test]
fn nothing_is_revealed_or_delivered_after_a_failed_assertion() {
    let circuit = Builder::build("guarded", 1, |b| {
        let (secret, check) = (b.private(Owner(0)).uint(8), b.private(Owner(0)).uint(8));
        b.assert_zero((check * check * check).bits()[0]);
        // Needs nothing by itself, but stands after the assertion.
        b.reveal(secret);
        b.reveal(secret.equals(b.uint(7)));
        b.output(secret, Destination::Public);
    })
    .unwrap();
    let (result, batches) = run(&circuit, &[7, 2], Fault::None);
    assert_eq!(result.unwrap().revealed, [7u64, 1].map(Fr::from));
    assert!(batches.contains(&("reveal", 1)) && batches.contains(&("show_zero", 1)));
    let (result, batches) = run(&circuit, &[7, 3], Fault::None);
    assert!(matches!(result, Err(EvaluationError::Assertion { .. })));
    assert!(!batches.iter().any(|(what, _)| ["reveal", "show_zero", "output"].contains(what)));
}

#[test]
fn wrong_numbers_of_answers_are_an_error() {
    let circuit = Builder::build("count", 1, |b| {
        let value = b.private(Owner(0)).uint(8);
        b.output((value * value).bits()[0], Destination::Public);
    })
    .unwrap();
    let text = |fault| run(&circuit, &[3], fault).0.unwrap_err().to_string();
    assert_eq!(text(Fault::TooFewProducts), "circuit count, products: 0 answers to 1 requests");
    assert_eq!(
        text(Fault::TooFewBits),
        "circuit count, bits of a decomposition: 15 answers to 16 requests"
    );
}

#[test]
fn carried_state_must_be_complete() {
    let circuit = Builder::build("taker", 0, |b| {
        b.carried().bit();
    })
    .unwrap();
    for found in [0, 2] {
        let state = vec![Fr::from(0u64); found];
        let error = now(evaluate(&circuit, &mut Clear::new(vec![]), state)).unwrap_err();
        let circuit = "taker".into();
        assert_eq!(error, EvaluationError::Carried { circuit, expected: 1, found });
    }
}

#[test]
fn prices_add_up() {
    let circuit = Builder::build("priced", 1, |b| {
        let (x, y) = (b.private(Owner(0)).uint(4), b.committed(Owner(0)).uint(4));
        let product = b.inner_product([(x, y), (y, y), (x, x)]);
        let less = x.less_than(y) & y.less_than(b.uint(3));
        b.output(less.select(product, b.uint(0)), Destination::Public);
        b.output(x, Destination::Owner(Owner(0)));
        b.output(y, Destination::Commitment { owner: Owner(0), group: 0 });
        b.output(x, Destination::Commitment { owner: Owner(0), group: 0 });
    })
    .unwrap();
    let committee = Committee::new(3, 1).unwrap();
    let price = Price::of(&circuit, &committee);
    let tasks = [
        (Task::Product, 3),
        (Task::LessThan { bits: 4 }, 2),
        (Task::PublicOutput, 1),
        (Task::OwnerOutput, 1),
        (Task::CommittedOutput, 2),
    ];
    assert_eq!(price.tasks, tasks.into_iter().collect());
    assert_eq!(price.levels, 3);
    // Inputs 4 + 4; inner product 3; comparisons 5 + 5; and, select 1 + 1.
    assert_eq!(price.constraints, 23);
    // Rounds: product and comparisons one after the other (1 + 4), and, select, committed and
    // public outputs. Bytes: 3 products, 2 comparisons of 4 elements; outputs 2, 2 * (2 + 2) and 1.
    let cost = Cost {
        multiplications: 3 + 2 * 2,
        random_bits: 0,
        rounds: 1 + 4 + 1 + 1 + 1 + 1,
        bytes: 32 * (3 + 2 * 4 + 2 + 8 + 1),
        bits: 2 * 16,
    };
    assert_eq!(price.cost, cost);
}
