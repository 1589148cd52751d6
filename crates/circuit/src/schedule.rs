//! Levels: which gates can be evaluated together.
//!
//! The level of a wire is the number of interactive gates on the longest path to it. So all
//! interactive gates of one level are independent, and the number of levels is the number of times
//! that a joint computation must talk.
//!
//! A test for zero whose bit is revealed, and used for nothing else, is one in public: whoever
//! computes jointly need not make a secret bit first, which costs far more. Its level is that of the
//! reveal.

use std::collections::{BTreeMap, BTreeSet};

use crate::gate::{Gate, GateId, Wire};

/// The order in which an interpreter meets the gates of a circuit.
#[derive(Debug, Clone)]
pub struct Schedule {
    steps: Vec<Step>,
    last: Vec<GateId>,
    shown: BTreeSet<GateId>,
}

/// The gates of one level.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Interactive gates, independent of each other; none on level 0.
    pub interactive: Vec<GateId>,
    /// Gates without interaction that need this level and no later one, in gate order; without
    /// inputs, which are there from the start.
    pub local: Vec<GateId>,
}

impl Schedule {
    /// Levels the gates of a valid circuit; `first` is the first wire of each gate.
    pub(crate) fn of(gates: &[Gate], first: &[u32], wires: usize) -> Self {
        let shown = shown_zeros(gates, first);
        let mut schedule = Self {
            steps: vec![Step::default()],
            last: Vec::new(),
            shown: shown.values().copied().collect(),
        };
        let mut levels = vec![0usize; wires];
        // The level of the last assertion so far: no later value is revealed before its verdict.
        let mut asserted = 0;
        for (index, gate) in gates.iter().enumerate() {
            let id = GateId(index as u32);
            let needs = gate.operands().iter().map(|wire| levels[wire.0 as usize]).max();
            let needs = needs.unwrap_or(0);
            let level = match gate {
                Gate::Output(..) | Gate::Carry(_) | Gate::Keep(_) => {
                    schedule.last.push(id);
                    continue;
                }
                Gate::Input { .. } => 0,
                Gate::Constant(_) | Gate::Linear { .. } => {
                    schedule.step(needs).local.push(id);
                    needs
                }
                // Comes with its reveal; what it needs stands on its wire until then.
                Gate::IsZero(_) if schedule.shown.contains(&id) => needs,
                Gate::Reveal(wire) => {
                    let level = 1 + needs.max(asserted);
                    let step = schedule.step(level);
                    match shown.get(wire) {
                        None => step.interactive.push(id),
                        Some(&test) => {
                            step.interactive.push(test);
                            step.local.push(id);
                        }
                    }
                    level
                }
                _ => {
                    schedule.step(needs + 1).interactive.push(id);
                    needs + 1
                }
            };
            if matches!(gate, Gate::AssertZero(_)) {
                asserted = asserted.max(level);
            }
            let end = first.get(index + 1).map_or(wires, |&wire| wire as usize);
            levels[first[index] as usize..end].fill(level);
        }
        schedule
    }

    fn step(&mut self, level: usize) -> &mut Step {
        if self.steps.len() <= level {
            self.steps.resize_with(level + 1, Step::default);
        }
        &mut self.steps[level]
    }

    /// The levels, from 0.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Outputs, carries and keeps: what happens once all levels have succeeded.
    pub fn last(&self) -> &[GateId] {
        &self.last
    }

    /// Whether a gate is a test for zero in public: its bit is revealed, and nothing else.
    pub fn shows(&self, gate: GateId) -> bool {
        self.shown.contains(&gate)
    }

    /// How many levels have interaction.
    pub fn depth(&self) -> usize {
        self.steps.len() - 1
    }
}

/// By wire, the tests for zero whose bits are used once, for being revealed.
fn shown_zeros(gates: &[Gate], first: &[u32]) -> BTreeMap<Wire, GateId> {
    let ids = (0..).map(GateId).zip(first.iter().copied().map(Wire));
    let tests = ids.zip(gates).filter(|(_, gate)| matches!(gate, Gate::IsZero(_)));
    let mut unused: BTreeMap<_, _> = tests.map(|((id, wire), _)| (wire, id)).collect();
    let mut shown = BTreeMap::new();
    if unused.is_empty() {
        return shown;
    }
    for gate in gates {
        for wire in gate.operands() {
            match (unused.remove(&wire), gate) {
                (Some(test), Gate::Reveal(_)) => shown.insert(wire, test),
                _ => shown.remove(&wire),
            };
        }
    }
    shown
}
