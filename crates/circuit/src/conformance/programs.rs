//! Programs: values kept for all circuits and state carried between them, all ways to end, and
//! bounds that are too small.

use super::{ProgramCase, Stopped, fr};
use crate::gate::{Destination, Owner};
use crate::program::{Loop, Program, Repetition, Run};
use crate::{Bit, Builder, Fr};

/// A chain of promises: each of `length` owners pays if the one before it does, the first if it is
/// able to. How many pay in the end takes one step per broken promise to find out. Who is able is
/// kept, and who pays is carried.
struct Chain {
    length: u16,
}

impl Loop for Chain {
    fn name(&self) -> &str {
        "chain"
    }

    fn owners(&self) -> u16 {
        self.length
    }

    fn start(&self, b: &Builder) {
        for owner in 0..self.length {
            let able = b.private(Owner(owner)).bit();
            b.keep(able);
            b.carry(able);
        }
    }

    fn step<'b>(&self, b: &'b Builder, _: bool) -> Bit<'b> {
        let able: Vec<_> = (0..self.length).map(|_| b.kept().bit()).collect();
        let pays: Vec<_> = (0..self.length).map(|_| b.carried().bit()).collect();
        b.carry(pays[0]);
        let next: Vec<_> = pays.iter().zip(&able[1..]).map(|(pays, able)| *pays & *able).collect();
        next.iter().for_each(|bit| b.carry(*bit));
        let count = |bits: &[Bit<'b>]| b.sum(bits.iter().map(|&bit| crate::Uint::from(bit)));
        count(&pays[1..]).equals(count(&next))
    }

    fn finish(&self, b: &Builder) {
        // The first of what is kept, and no more; it pays whatever the others do.
        let first = b.kept().bit();
        let mut pays: Vec<_> = (0..self.length).map(|_| b.carried().bit()).collect();
        pays[0] = first;
        b.output(b.sum(pays.iter().map(|&bit| crate::Uint::from(bit))), Destination::Public);
        for (owner, pays) in pays.into_iter().enumerate() {
            let owner = Owner(owner as u16);
            b.output(pays, Destination::Owner(owner));
            b.output(pays, Destination::Commitment { owner, group: 0 });
        }
    }
}

/// How many pay, and how many steps show it: the first step without change is the last.
fn expected(able: &[bool]) -> (Vec<Fr>, u32) {
    let paying = able.iter().take_while(|able| **able).count();
    let mut outputs = vec![fr(paying as u128)];
    for owner in 0..able.len() {
        outputs.extend([fr(u128::from(owner < paying)); 2]);
    }
    let longest = able[paying..].split(|able| !able).map(<[bool]>::len).max().unwrap_or(0);
    (outputs, longest as u32 + 1)
}

pub(super) fn cases() -> Vec<ProgramCase> {
    let mut cases = Vec::new();
    for able in [
        [true, true, true, true],
        [false, true, true, true],
        [true, false, true, false],
        [false; 4],
    ] {
        let (outputs, steps) = expected(&able);
        for at_most in [steps - 1, steps, steps + 2].into_iter().filter(|bound| *bound > 0) {
            let until = Ok(Run { outputs: outputs.clone(), steps });
            let until = if at_most < steps { Err(Stopped::NotConverged) } else { until };
            cases.push(case(&able, Repetition::UntilFlag { at_most }, until.clone()));

            // Ends at the first power of two, or at the bound.
            let doubled =
                until.map(|run| Run { steps: steps.next_power_of_two().min(at_most), ..run });
            cases.push(case(&able, Repetition::Doubling { at_most }, doubled));

            let mut fixed = outputs.clone();
            fixed.push(fr(1));
            if at_most < steps {
                fixed.fill(fr(0));
            }
            let fixed = Ok(Run { outputs: fixed, steps: at_most });
            cases.push(case(&able, Repetition::Exactly { steps: at_most }, fixed));
        }
    }
    cases
}

fn case(able: &[bool], repetition: Repetition, expected: Result<Run<Fr>, Stopped>) -> ProgramCase {
    let program = match Program::build(&Chain { length: able.len() as u16 }, repetition) {
        Ok(program) => program,
        Err(error) => unreachable!("the suite has an invalid program: {error}"),
    };
    let inputs = able.iter().map(|&able| vec![fr(u128::from(able))]).collect();
    ProgramCase { name: format!("chain {able:?}, {repetition:?}"), program, inputs, expected }
}
