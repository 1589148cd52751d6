//! The committee reads circuits as everybody else does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use quittance_circuit::conformance::{Results, Stopped, Subject, check};
use quittance_circuit::{Circuit, Fr, Program, Run};
use quittance_mpc::session::Abort;
use quittance_mpc::{Output, Shared};

use committee::Committee;

fn stopped(abort: Abort) -> Stopped {
    match abort {
        Abort::Assertion { gate, .. } => Stopped::Assertion(gate),
        Abort::NotConverged { .. } => Stopped::NotConverged,
        other => Stopped::Failed(other.to_string()),
    }
}

impl Subject for Committee {
    fn circuit(&mut self, circuit: &Circuit, inputs: &[Vec<Fr>]) -> Result<Results, Stopped> {
        let shared = circuit.clone();
        let statement = |owner| circuit.inputs_of(owner).map(|(committed, _)| committed).collect();
        let results = self.run(inputs, statement, move |mut interpreter: Shared| async move {
            let evaluation = interpreter.evaluate(&shared).await?;
            Ok((evaluation.revealed, evaluation.outputs))
        });
        let results = results.map_err(stopped)?;
        let revealed = results[0].0.clone();
        assert!(results.iter().all(|(other, _)| *other == revealed));
        let outputs: Vec<Vec<Output>> = results.into_iter().map(|(_, outputs)| outputs).collect();
        Ok(Results { revealed, outputs: self.combine(&outputs) })
    }

    fn program(&mut self, program: &Program, inputs: &[Vec<Fr>]) -> Result<Run<Fr>, Stopped> {
        let shared = program.clone();
        let start = program.part(quittance_circuit::Part::Start);
        let statement = |owner| start.inputs_of(owner).map(|(committed, _)| committed).collect();
        let results = self.run(inputs, statement, move |mut interpreter: Shared| async move {
            interpreter.run(&shared).await
        });
        let results = results.map_err(stopped)?;
        let steps = results[0].steps;
        assert!(results.iter().all(|run| run.steps == steps));
        let outputs: Vec<Vec<Output>> = results.into_iter().map(|run| run.outputs).collect();
        Ok(Run { outputs: self.combine(&outputs), steps })
    }
}

#[test]
fn three_parties_conform() {
    assert!(check(&mut Committee::new(3, 1)).unwrap() > 50);
}

#[test]
fn five_parties_conform() {
    assert!(check(&mut Committee::new(5, 2)).unwrap() > 50);
}
