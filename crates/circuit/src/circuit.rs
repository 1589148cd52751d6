//! A validated circuit, and how one comes to be.

use std::collections::BTreeMap;
use std::ops::Range;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode as _;
use thiserror::Error;

use crate::gate::{Destination, Gate, GateId, Owner, Source, Wire};
use crate::kind::{GateError, Kind, infer};
use crate::schedule::Schedule;

/// The most gates in a circuit.
pub const MAX_GATES: usize = 1 << 22;
/// The most wires in a circuit.
pub const MAX_WIRES: usize = 1 << 22;
/// The most operands of all gates of a circuit together.
pub const MAX_OPERANDS: usize = 1 << 23;
/// The longest name of a circuit, in bytes.
pub const MAX_NAME: usize = 64;

/// Why there is no such circuit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CircuitError {
    /// The name is empty, too long, or not printable ASCII.
    #[error("a circuit's name has 1 to {MAX_NAME} printable ASCII characters")]
    Name,
    /// A gate is wrong.
    #[error("circuit {circuit}, {gate} ({name}): {source}")]
    Gate {
        /// The circuit's name.
        circuit: String,
        /// The gate's position.
        gate: GateId,
        /// What the gate does.
        name: &'static str,
        /// What is wrong with it.
        source: GateError,
    },
    /// A group with one commitment only, whose blinding would be zero: it would show its value.
    #[error("circuit {circuit}, {gate} (output): the only commitment of group {group}")]
    LonelyCommitment {
        /// The circuit's name.
        circuit: String,
        /// The output.
        gate: GateId,
        /// Its group.
        group: u32,
    },
}

/// A circuit: gates in topological order, each operand a wire of an earlier gate and of a kind
/// that the gate works on. There is no way to have one that is not valid.
#[derive(Debug, Clone)]
pub struct Circuit {
    name: String,
    owners: u16,
    gates: Vec<Gate>,
    kinds: Vec<Kind>,
    /// The first wire of each gate.
    first: Vec<u32>,
    /// How many kept values are taken: the first gates and wires.
    kept: usize,
    /// All other inputs.
    inputs: Vec<GateId>,
    /// By owner, its inputs.
    owned: Vec<Vec<GateId>>,
    schedule: Schedule,
}

impl PartialEq for Circuit {
    fn eq(&self, other: &Self) -> bool {
        // All else follows from these.
        (&self.name, self.owners, &self.gates) == (&other.name, other.owners, &other.gates)
    }
}

impl Eq for Circuit {}

impl Circuit {
    /// Validates `gates`; `owners` is the size of the roster.
    pub fn new(name: &str, owners: u16, gates: Vec<Gate>) -> Result<Self, CircuitError> {
        let mut assembly = Assembly::new(name, owners)?;
        for gate in gates {
            let (id, name) = (assembly.next_gate(), gate.name());
            assembly.push(gate).map_err(|source| assembly.error(id, name, source))?;
        }
        assembly.finish()
    }

    /// The circuit's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of the roster: owners are numbered from 0 to below this.
    pub fn owners(&self) -> u16 {
        self.owners
    }

    /// The gates.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// The kind of a wire.
    ///
    /// # Panics
    /// If the circuit has no such wire.
    pub fn kind(&self, wire: Wire) -> Kind {
        self.kinds[wire.0 as usize]
    }

    /// How many wires there are.
    pub fn wires(&self) -> usize {
        self.kinds.len()
    }

    /// The wires that a gate produces.
    ///
    /// # Panics
    /// If the circuit has no such gate.
    pub fn produced(&self, gate: GateId) -> Range<usize> {
        let index = gate.0 as usize;
        let end = self.first.get(index + 1).map_or(self.kinds.len(), |&wire| wire as usize);
        self.first[index] as usize..end
    }

    /// The order in which an interpreter meets the gates.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The inputs of `owner` in order: whether committed, and of which kind.
    pub fn inputs_of(&self, owner: Owner) -> impl Iterator<Item = (bool, Kind)> + '_ {
        let inputs = self.owned.get(usize::from(owner.0)).into_iter().flatten();
        inputs.filter_map(|id| match &self.gates[id.0 as usize] {
            Gate::Input { source, kind } => Some((matches!(source, Source::Committed(_)), *kind)),
            _ => None,
        })
    }

    /// The inputs other than kept values, of owners and carried, in order.
    pub(crate) fn inputs(&self) -> &[GateId] {
        &self.inputs
    }

    /// How many kept values the circuit takes: its first gates, and its first wires.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// The kinds of the kept values that the circuit takes, in order.
    pub fn kept_inputs(&self) -> impl Iterator<Item = Kind> + '_ {
        self.kinds[..self.kept].iter().copied()
    }

    /// The kinds of the values that the circuit keeps, in order.
    pub fn keeps(&self) -> impl Iterator<Item = Kind> + '_ {
        self.gates.iter().filter_map(|gate| match gate {
            Gate::Keep(wire) => Some(self.kind(*wire)),
            _ => None,
        })
    }

    /// The kinds of the carried inputs in order.
    pub fn carried_inputs(&self) -> impl Iterator<Item = Kind> + '_ {
        self.gates.iter().filter_map(|gate| match gate {
            Gate::Input { source: Source::Carried, kind } => Some(*kind),
            _ => None,
        })
    }

    /// The kinds of the values carried on, in order.
    pub fn carries(&self) -> impl Iterator<Item = Kind> + '_ {
        self.gates.iter().filter_map(|gate| match gate {
            Gate::Carry(wire) => Some(self.kind(*wire)),
            _ => None,
        })
    }

    /// The kinds of the revealed values, in order.
    pub fn reveals(&self) -> impl Iterator<Item = Kind> + '_ {
        self.gates.iter().filter_map(|gate| match gate {
            Gate::Reveal(wire) => Some(self.kind(*wire)),
            _ => None,
        })
    }

    /// Where the outputs go, in order.
    pub fn outputs(&self) -> impl Iterator<Item = Destination> + '_ {
        self.gates.iter().filter_map(|gate| match gate {
            Gate::Output(_, to) => Some(*to),
            _ => None,
        })
    }

    /// What parties agree on before they run a circuit: a digest of its canonical bytes.
    pub fn fingerprint(&self) -> Digest {
        Digest::of("quittance/v1/circuit", &[&self.to_bytes()])
    }
}

/// A circuit under construction, valid after each gate.
pub(crate) struct Assembly {
    name: String,
    owners: u16,
    gates: Vec<Gate>,
    kinds: Vec<Kind>,
    first: Vec<u32>,
    kept: usize,
    inputs: Vec<GateId>,
    owned: Vec<Vec<GateId>>,
    operands: usize,
}

impl Assembly {
    pub(crate) fn new(name: &str, owners: u16) -> Result<Self, CircuitError> {
        let printable = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if name.is_empty() || name.len() > MAX_NAME || !printable {
            return Err(CircuitError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            owners,
            gates: Vec::new(),
            kinds: Vec::new(),
            first: Vec::new(),
            kept: 0,
            inputs: Vec::new(),
            owned: vec![Vec::new(); usize::from(owners)],
            operands: 0,
        })
    }

    /// The position of the gate that is pushed next.
    pub(crate) fn next_gate(&self) -> GateId {
        GateId(self.gates.len() as u32)
    }

    /// How many wires there are so far.
    pub(crate) fn wires(&self) -> usize {
        self.kinds.len()
    }

    pub(crate) fn kind(&self, wire: Wire) -> Option<Kind> {
        self.kinds.get(wire.0 as usize).copied()
    }

    /// Adds a gate and returns the wires that it produces; changes nothing if the gate is wrong.
    pub(crate) fn push(&mut self, gate: Gate) -> Result<Range<u32>, GateError> {
        self.check_owners(&gate)?;
        let produced = infer(&gate, &self.kinds)?;
        let kept = matches!(gate, Gate::Input { source: Source::Kept, .. });
        if kept && self.kept < self.gates.len() {
            return Err(GateError::LateKept);
        }
        let operands = self.operands + gate.operands().len();
        let wires = self.kinds.len() + produced.len();
        if self.gates.len() >= MAX_GATES || wires > MAX_WIRES || operands > MAX_OPERANDS {
            return Err(GateError::TooLarge);
        }
        let first = self.kinds.len() as u32;
        self.first.push(first);
        self.kinds.extend(produced);
        self.kept += usize::from(kept);
        self.list_input(&gate);
        self.gates.push(gate);
        self.operands = operands;
        Ok(first..wires as u32)
    }

    /// Notes the next gate if it is an input that is not a kept value.
    fn list_input(&mut self, gate: &Gate) {
        let Gate::Input { source, .. } = gate else { return };
        let id = self.next_gate();
        match source {
            Source::Kept => return,
            Source::Private(owner) | Source::Committed(owner) => {
                let owned = self.owned.get_mut(usize::from(owner.0));
                owned.into_iter().for_each(|owned| owned.push(id));
            }
            Source::Carried => {}
        }
        self.inputs.push(id);
    }

    fn check_owners(&self, gate: &Gate) -> Result<(), GateError> {
        let owner = match gate {
            Gate::Input { source: Source::Private(owner) | Source::Committed(owner), .. }
            | Gate::Output(_, Destination::Owner(owner) | Destination::Commitment { owner, .. }) => {
                *owner
            }
            _ => return Ok(()),
        };
        if owner.0 < self.owners { Ok(()) } else { Err(GateError::UnknownOwner(owner)) }
    }

    /// `source` as an error of this circuit.
    pub(crate) fn error(
        &self,
        gate: GateId,
        name: &'static str,
        source: GateError,
    ) -> CircuitError {
        CircuitError::Gate { circuit: self.name.clone(), gate, name, source }
    }

    pub(crate) fn finish(self) -> Result<Circuit, CircuitError> {
        if let Some((group, gate)) = lonely(&self.gates) {
            return Err(CircuitError::LonelyCommitment { circuit: self.name, gate, group });
        }
        let schedule = Schedule::of(&self.gates, &self.first, self.kinds.len());
        let Self { name, owners, gates, kinds, first, kept, inputs, owned, .. } = self;
        Ok(Circuit { name, owners, gates, kinds, first, kept, inputs, owned, schedule })
    }
}

/// The first group of commitments with just one member.
fn lonely(gates: &[Gate]) -> Option<(u32, GateId)> {
    let mut groups = BTreeMap::<u32, (GateId, usize)>::new();
    for (index, gate) in gates.iter().enumerate() {
        if let Gate::Output(_, Destination::Commitment { group, .. }) = gate {
            groups.entry(*group).or_insert((GateId(index as u32), 0)).1 += 1;
        }
    }
    groups.into_iter().find(|(_, (_, count))| *count == 1).map(|(group, (gate, _))| (group, gate))
}
