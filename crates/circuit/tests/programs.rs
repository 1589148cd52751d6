//! Programs that do not fit together, and runs that stop.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use quittance_circuit::clear::now;
use quittance_circuit::{
    Builder, Circuit, CircuitError, Clear, Destination, EvaluationError, Fr, GateError, MAX_STEPS,
    Owner, Part, Program, ProgramError, Repetition, RunError, Uint, evaluate,
};
use quittance_crypto::encoding::{Decode, Encode};

const UNTIL: Repetition = Repetition::UntilFlag { at_most: 4 };
const FIXED: Repetition = Repetition::Exactly { steps: 4 };

fn build(name: &str, define: impl FnOnce(&Builder)) -> Circuit {
    Builder::build(name, 1, define).unwrap()
}

fn start() -> Circuit {
    build("start", |b| b.carry(b.private(Owner(0)).uint(8)))
}

/// Reveals whether the state is zero and carries a constant that fits it.
fn step() -> Circuit {
    build("step", |b| {
        let state = b.carried().uint(8);
        b.reveal(state.equals(b.uint(0)));
        b.assert_zero((state - b.uint(200)).is_zero());
        b.carry(b.uint(0));
    })
}

fn quiet() -> Circuit {
    build("quiet", |b| {
        b.carried().uint(8);
        b.carry(b.uint(255));
    })
}

fn finish() -> Circuit {
    build("finish", |b| b.output(b.carried().uint(8), Destination::Public))
}

fn misplaced(circuit: &str, part: Part, gate: &'static str) -> ProgramError {
    ProgramError::Misplaced { circuit: circuit.into(), part, gate }
}

#[test]
fn what_fits_runs() {
    let program = Program::new(start(), step(), finish(), UNTIL).unwrap();
    let run = program.run_in_clear(vec![vec![Fr::from(9u64)]]).unwrap();
    assert_eq!((run.outputs, run.steps), (vec![Fr::from(0u64)], 2));
    let program = Program::new(start(), quiet(), finish(), FIXED).unwrap();
    let run = program.run_in_clear(vec![vec![Fr::from(9u64)]]).unwrap();
    assert_eq!((run.outputs, run.steps), (vec![Fr::from(255u64)], 4));
}

#[test]
fn errors_of_a_run_name_part_step_and_gate() {
    let program = Program::new(start(), step(), finish(), UNTIL).unwrap();
    let error = program.run_in_clear(vec![vec![Fr::from(200u64)]]).unwrap_err();
    assert!(matches!(
        &error,
        RunError::Evaluation {
            part: Part::Step,
            step: 1,
            source: EvaluationError::Assertion { .. }
        }
    ));
    let error = program.run_in_clear(vec![vec![]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Start, after 0 steps begun: circuit start, gate 0 (input): owner 0 has no input 0"
    );
}

#[test]
fn the_flag_is_one_bit_or_none() {
    let flag = |circuit: Circuit, repetition| {
        Program::new(start(), circuit, finish(), repetition).unwrap_err()
    };
    assert_eq!(flag(quiet(), UNTIL), ProgramError::Flag("quiet".into()));
    assert_eq!(flag(step(), FIXED), ProgramError::Flag("step".into()));
    let two = build("two", |b| {
        let state = b.carried().uint(8);
        b.reveal(state.bits()[0]);
        b.reveal(state.bits()[1]);
        b.carry(state);
    });
    assert_eq!(flag(two, UNTIL), ProgramError::Flag("two".into()));
    let whole = build("whole", |b| {
        let state = b.carried().uint(8);
        b.reveal(state);
        b.carry(state);
    });
    assert_eq!(flag(whole, UNTIL), ProgramError::Flag("whole".into()));
}

/// Takes the lowest set bit out of three; the last value of the state says whether none was left.
fn consuming() -> Circuit {
    build("consuming", |b| {
        let [low, middle, high] = [(); 3].map(|()| b.carried().bit());
        b.carried().bit();
        b.carry(b.bit(false));
        b.carry(low & middle);
        b.carry((low | middle) & high);
        b.carry(!low & !middle & !high);
    })
}

#[test]
fn a_program_that_doubles_looks_after_powers_of_two_and_at_its_bound() {
    let start = build("bits", |b| {
        (0..3).for_each(|_| b.carry(b.private(Owner(0)).bit()));
        b.carry(b.bit(false));
    });
    let finish = build("left", |b| {
        let left = [(); 4].map(|()| b.carried().bit());
        b.output(b.sum(left.map(Uint::from)), Destination::Public);
    });
    // By the number of bits set, and the bound: how many steps are taken, if there is a result.
    for (set, at_most, expected) in [
        (0, 1, Some(1)),
        (1, 1, None),
        (1, 2, Some(2)),
        (2, 3, Some(3)),
        (2, 4, Some(4)),
        (2, 9, Some(4)),
        (3, 3, None),
        (3, 9, Some(4)),
    ] {
        let doubling = Repetition::Doubling { at_most };
        let program = Program::new(start.clone(), consuming(), finish.clone(), doubling).unwrap();
        let input = (0..3).map(|bit| Fr::from(u64::from(bit < set))).collect();
        match (program.run_in_clear(vec![input]), expected) {
            (Ok(run), Some(steps)) => {
                assert_eq!((run.steps, run.outputs), (steps, vec![Fr::from(1u64)]), "{set}");
            }
            (Err(RunError::NotConverged { steps, .. }), None) => assert_eq!(steps, at_most),
            (other, _) => unreachable!("{set} within {at_most}: {other:?}"),
        }
        let bytes = program.to_bytes();
        assert_eq!(Program::from_bytes(&bytes), Ok(program));
    }
    // There must be a bit to look at, and nothing else to see.
    let doubling = Repetition::Doubling { at_most: 4 };
    let flag =
        |circuit| Program::new(self::start(), circuit, self::finish(), doubling).unwrap_err();
    assert_eq!(flag(quiet()), ProgramError::Flag("quiet".into()));
    assert_eq!(flag(step()), ProgramError::Flag("step".into()));
}

#[test]
fn states_must_fit() {
    let carrying = |name: &str, bits: u32, count: usize| {
        build(name, |b| (0..count).for_each(|_| b.carry(b.private(Owner(0)).uint(bits))))
    };
    let state = |start: Circuit| Program::new(start, step(), finish(), UNTIL).unwrap_err();
    for wrong in [carrying("wide", 9, 1), carrying("many", 8, 2), carrying("none", 8, 0)] {
        let from = wrong.name().to_owned();
        assert_eq!(state(wrong), ProgramError::State { from, to: "step".into() });
    }
    // Narrower fits.
    assert!(Program::new(carrying("narrow", 3, 1), step(), finish(), UNTIL).is_ok());

    let growing = build("growing", |b| {
        let state = b.carried().uint(8);
        b.carry(state + b.uint(1));
    });
    let error = Program::new(start(), growing, finish(), FIXED).unwrap_err();
    assert_eq!(error, ProgramError::State { from: "growing".into(), to: "growing".into() });
    let last = build("last", |b| b.output(b.carried().bit(), Destination::Public));
    let error = Program::new(start(), quiet(), last, FIXED).unwrap_err();
    assert_eq!(error, ProgramError::State { from: "quiet".into(), to: "last".into() });
}

#[test]
fn kept_values_must_fit_and_come_first() {
    let keeping = |name: &str, bits: u32, count: usize| {
        build(name, |b| {
            let value = b.private(Owner(0)).uint(bits);
            (0..count).for_each(|_| b.keep(value));
            b.carry(value);
        })
    };
    let taking = |name: &str, count: usize| {
        build(name, |b| {
            let kept: Vec<_> = (0..count).map(|_| b.kept().uint(8)).collect();
            b.carried().uint(8);
            b.carry(kept[0]);
        })
    };
    let program = |start: Circuit, step: Circuit| Program::new(start, step, finish(), FIXED);
    // More than are taken are no harm, nor are narrower ones.
    let fits = program(keeping("start", 7, 3), taking("step", 2)).unwrap();
    let run = fits.run_in_clear(vec![vec![Fr::from(5u64)]]).unwrap();
    assert_eq!(run.outputs, [Fr::from(5u64)]);
    assert_eq!(Program::from_bytes(&fits.to_bytes()), Ok(fits));
    let kept = |start, step| program(start, step).unwrap_err();
    assert_eq!(kept(keeping("start", 8, 1), taking("two", 2)), ProgramError::Kept("two".into()));
    assert_eq!(kept(start(), taking("one", 1)), ProgramError::Kept("one".into()));
    let wide = build("wide", |b| {
        b.keep(b.private(Owner(0)).uint(9));
        b.carry(b.private(Owner(0)).uint(8));
    });
    assert_eq!(kept(wide, taking("one", 1)), ProgramError::Kept("one".into()));

    let late = Builder::build("late", 1, |b| {
        b.carried().bit();
        b.kept().bit();
    });
    assert!(matches!(late, Err(CircuitError::Gate { source: GateError::LateKept, .. })));
    let step = taking("step", 2);
    let error = now(evaluate(&step, &mut Clear::new(vec![]), vec![Fr::from(1u64)])).unwrap_err();
    let circuit = "step".into();
    assert_eq!(error, EvaluationError::Kept { circuit, expected: 2, found: 0 });
}

#[test]
fn gates_have_their_part() {
    let late = build("late", |b| {
        b.carried().uint(8);
        b.carry(b.private(Owner(0)).uint(8));
    });
    let error = Program::new(start(), late, finish(), FIXED).unwrap_err();
    assert_eq!(error, misplaced("late", Part::Step, "input"));

    let early = build("early", |b| {
        let value = b.private(Owner(0)).uint(8);
        b.output(value, Destination::Public);
        b.carry(value);
    });
    let error = Program::new(early, quiet(), finish(), FIXED).unwrap_err();
    assert_eq!(error, misplaced("early", Part::Start, "output"));

    let keeping = build("keeping", |b| {
        let state = b.carried().uint(8);
        b.keep(state);
        b.carry(state);
    });
    let error = Program::new(start(), keeping, finish(), FIXED).unwrap_err();
    assert_eq!(error, misplaced("keeping", Part::Step, "keep"));

    let error = Program::new(quiet(), quiet(), finish(), FIXED).unwrap_err();
    assert_eq!(error, misplaced("quiet", Part::Start, "input"));
    let error = Program::new(start(), quiet(), quiet(), FIXED).unwrap_err();
    assert_eq!(error, misplaced("quiet", Part::Finish, "carry"));
    let telling = build("telling", |b| b.reveal(b.carried().uint(8)));
    let error = Program::new(start(), quiet(), telling, FIXED).unwrap_err();
    assert_eq!(error, misplaced("telling", Part::Finish, "reveal"));
}

#[test]
fn rosters_and_bounds_are_checked() {
    let other = Builder::build("other", 2, |b| b.output(b.carried().uint(8), Destination::Public));
    let error = Program::new(start(), quiet(), other.unwrap(), FIXED).unwrap_err();
    assert_eq!(error, ProgramError::Roster("other".into()));
    for steps in [0, MAX_STEPS + 1] {
        for repetition in [Repetition::Exactly { steps }, Repetition::UntilFlag { at_most: steps }]
        {
            let error = Program::new(start(), quiet(), finish(), repetition).unwrap_err();
            assert_eq!(error, ProgramError::Bound(steps));
        }
    }
}
