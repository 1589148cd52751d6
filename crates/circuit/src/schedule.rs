//! Levels: which gates can be evaluated together.
//!
//! The level of a wire is the number of interactive gates on the longest path to it. So all
//! interactive gates of one level are independent, and the number of levels is the number of times
//! that a joint computation must talk.

use crate::gate::{Gate, GateId};

/// The order in which an interpreter meets the gates of a circuit.
#[derive(Debug, Clone)]
pub struct Schedule {
    steps: Vec<Step>,
    last: Vec<GateId>,
}

/// The gates of one level.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Interactive gates, independent of each other; none on level 0.
    pub interactive: Vec<GateId>,
    /// Gates without interaction that need this level and no later one, in gate order.
    pub local: Vec<GateId>,
}

impl Schedule {
    /// Levels the gates of a valid circuit; `first` is the first wire of each gate.
    pub(crate) fn of(gates: &[Gate], first: &[u32], wires: usize) -> Self {
        let mut schedule = Self { steps: vec![Step::default()], last: Vec::new() };
        let mut levels = vec![0usize; wires];
        // The level of the last assertion so far: no later value is revealed before its verdict.
        let mut asserted = 0;
        for (index, gate) in gates.iter().enumerate() {
            let id = GateId(index as u32);
            let needs = gate.operands().iter().map(|wire| levels[wire.0 as usize]).max();
            let needs = needs.unwrap_or(0);
            let level = match gate {
                Gate::Output(..) | Gate::Carry(_) => {
                    schedule.last.push(id);
                    continue;
                }
                Gate::Input { .. } | Gate::Constant(_) | Gate::Linear { .. } => {
                    schedule.step(needs).local.push(id);
                    needs
                }
                Gate::Reveal(_) => {
                    let level = 1 + needs.max(asserted);
                    schedule.step(level).interactive.push(id);
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

    /// Outputs and carries: what happens once all levels have succeeded.
    pub fn last(&self) -> &[GateId] {
        &self.last
    }

    /// How many levels have interaction.
    pub fn depth(&self) -> usize {
        self.steps.len() - 1
    }
}
