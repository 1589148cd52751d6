//! The adversary matrix: every step of a round of netting, by each party, each field of its
//! message, changed in every way. Steps are those of a recorded honest run, so that new ones are
//! met without anybody having to think of them.
//!
//! Whatever one party does: nobody honest accepts a wrong result, everything ends, at the latest at
//! the deadline, and no honest party is accused. A message that is malformed, foreign or missing
//! shows whose it is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cells;
#[path = "../committee/mod.rs"]
mod committee;
mod verdict;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use quittance_circuit::{Fr, Owner, Part, Run};
use quittance_circuit_library::netting::{Bank, Netting};
use quittance_mpc::memory::Outcome;
use quittance_mpc::session::Frame;
use quittance_mpc::{Inputs, Output, Shared, VectorInput};

use cells::{Cell, Field, How, Recording};
use committee::Committee;
use committee::hidden::{Party, Scene};
use committee::reference::Case;
use verdict::Judge;

/// A round: who computes, on what, and what comes out.
struct Round {
    name: &'static str,
    committee: Committee,
    inputs: Vec<(Inputs, Vec<VectorInput>)>,
    protocol: Arc<dyn Fn(Shared, Vec<VectorInput>) -> Party + Send + Sync>,
    expected: Vec<Fr>,
}

/// The first bank can pay, the second cannot.
fn case() -> Case {
    Case { liquidity: vec![3, 0], queues: vec![vec![(1, 2)], vec![(0, 4)]] }
}

fn hidden(committee: Committee) -> Round {
    let scene = Scene::whole(case(), 1);
    let hidden = scene.hidden();
    let program = hidden.until_settled().unwrap();
    let inputs = hidden.inputs(&scene.banks()).unwrap();
    let expected = program.run_in_clear(inputs).unwrap().outputs;
    let inputs = committee.hidden(&scene.dealt());
    let protocol = Arc::new(scene.protocol(&program));
    Round { name: "hidden payees", committee, inputs, protocol, expected }
}

fn public(committee: Committee) -> Round {
    let netting = Netting::new(vec![vec![Owner(1)], vec![Owner(0)]]).unwrap();
    let case = case();
    let banks = case.liquidity.iter().zip(&case.queues).map(|(&liquidity, queue)| Bank {
        liquidity,
        amounts: queue.iter().map(|&(_, amount)| amount).collect(),
    });
    let inputs = netting.inputs(&banks.collect::<Vec<_>>()).unwrap();
    let program = netting.until_settled().unwrap();
    let expected = program.run_in_clear(inputs.clone()).unwrap().outputs;
    let start = program.part(Part::Start).clone();
    let statement = |owner| start.inputs_of(owner).map(|(committed, _)| committed).collect();
    let inputs = committee.inputs(&inputs, statement).into_iter().map(|it| (it, vec![])).collect();
    let protocol = Arc::new(move |mut shared: Shared, _| -> Party {
        let program = program.clone();
        Box::pin(async move {
            let run = shared.run(&program).await?;
            shared.engine().compare_transcripts().await?;
            Ok(run)
        })
    });
    Round { name: "public payees", committee, inputs, protocol, expected }
}

impl Round {
    /// One run, the same each time but for what `cell` says. Another attempt has other entropy.
    fn run(
        &self,
        attempt: u8,
        attack: Option<(&Cell, &Recording, &Recording)>,
    ) -> Outcome<Run<Output>> {
        let mut committee = self.committee.clone();
        (committee.attempt, committee.seed) = (attempt, 100 + u64::from(attempt));
        let protocol = Arc::clone(&self.protocol);
        let network = committee
            .network_with(self.inputs.clone(), move |shared, vectors| protocol(shared, vectors));
        let Some((cell, run, other)) = attack else { return network.recording().run() };
        let held = RefCell::new(Vec::<Frame>::new());
        let interfere = |frame: Frame| match (cell.field, cell.how) {
            (Field::Message, How::Omit) if cell.meets(&frame) => vec![],
            (Field::Message, How::Twice) if cell.meets(&frame) => vec![frame.clone(), frame],
            (Field::Message, How::Overtaken) if cell.meets(&frame) => {
                held.borrow_mut().push(frame);
                vec![]
            }
            (Field::Message, How::Overtaken) => {
                let link = (frame.from, frame.to);
                let mut held = held.borrow_mut();
                let behind = held.extract_if(.., |held| (held.from, held.to) == link);
                [frame].into_iter().chain(behind).collect()
            }
            _ => vec![frame],
        };
        let arrive = |frame: &mut Frame| {
            if !cell.meets(frame) {
                return true;
            }
            *frame = cell.change(frame, run, other);
            (cell.field, cell.how) != (Field::Message, How::Late)
        };
        network.interfering(interfere).arriving(arrive).run()
    }

    /// Tries all cells that `choose` picks; prints how many there were.
    fn attack(&self, choose: impl Fn(&Recording, &Recording) -> Vec<Cell>) -> usize {
        let record = |attempt| {
            let outcome = self.run(attempt, None);
            assert!(outcome.results.iter().all(Result::is_ok) && outcome.refusals.is_empty());
            Recording::of(&outcome.views)
        };
        let (run, other) = (record(0), record(1));
        let (parties, expected) = (self.committee.parties, &self.expected[..]);
        let judge = Judge { parties, expected, run: &run, other: &other };
        let cells = choose(&run, &other);
        let steps = run.steps();
        let (mut tally, mut problems) = (BTreeMap::<_, [usize; 4]>::new(), vec![]);
        for cell in &cells {
            let outcome = self.run(0, Some((cell, &run, &other)));
            match judge.verdict(cell, &outcome) {
                Ok(verdict) => {
                    let kind = steps[&cell.exchange];
                    tally.entry(kind as u8).or_default()[verdict as usize] += 1;
                }
                Err(problem) => problems.push(problem),
            }
        }
        self.print(&cells, &run, &tally);
        assert!(problems.is_empty(), "{} of {}: {problems:#?}", problems.len(), cells.len());
        cells.len()
    }

    fn print(&self, cells: &[Cell], run: &Recording, tally: &BTreeMap<u8, [usize; 4]>) {
        let (name, count, steps) = (self.name, run.parties, run.steps());
        let exchanges = steps.len();
        println!("{name}, {count} parties, {exchanges} exchanges: {} cells", cells.len());
        println!("{:>32}  right  silent  disputed  named", "");
        for (kind, [right, silent, disputed, named]) in tally {
            let kind = steps.values().find(|it| **it as u8 == *kind).unwrap().to_string();
            println!("{kind:>32} {right:>6} {silent:>7} {disputed:>9} {named:>6}");
        }
        let mut changes = BTreeMap::<_, usize>::new();
        cells.iter().for_each(|cell| *changes.entry((cell.field, cell.how)).or_default() += 1);
        let changes =
            changes.iter().map(|((field, how), count)| format!("{field:?} {how:?} {count}"));
        println!("{}", changes.collect::<Vec<_>>().join(", "));
    }
}

fn sample(run: &Recording, other: &Recording) -> Vec<Cell> {
    cells::sample(run, other, false)
}

fn small_sample(run: &Recording, other: &Recording) -> Vec<Cell> {
    cells::sample(run, other, true)
}

#[test]
fn three_parties_with_hidden_payees() {
    assert!(hidden(Committee::new(3, 1)).attack(sample) > 1000);
}

#[test]
fn three_parties_with_public_payees() {
    assert!(public(Committee::new(3, 1)).attack(small_sample) > 500);
}

#[test]
fn five_parties_with_hidden_payees() {
    assert!(hidden(Committee::new(5, 2)).attack(small_sample) > 1000);
}

#[test]
#[ignore = "every cell: a quarter of an hour"]
fn three_parties_every_cell() {
    for round in [hidden, public] {
        assert!(round(Committee::new(3, 1)).attack(cells::all) > 30_000);
    }
}

#[test]
#[ignore = "every step: half an hour"]
fn five_parties_every_step() {
    for round in [hidden, public] {
        assert!(round(Committee::new(5, 2)).attack(cells::in_turns) > 20_000);
    }
}
