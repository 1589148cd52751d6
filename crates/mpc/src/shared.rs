//! Circuits on shares: the interpreter of a committee.

use std::collections::{BTreeMap, BTreeSet};

use ark_ff::Field;
use quittance_circuit::price::{Committee, Price, Task};
use quittance_circuit::{
    Circuit, Comparison, Destination, Evaluation, EvaluationError, InputRequest, Interpreter, Kind,
    Operand, OutputRequest, Owner, Part, Product, Program, Run, RunError, evaluate,
};
use quittance_crypto::field::Fr;
use quittance_crypto::planted;

use crate::engine::{Engine, LessThan, OneHot, Products};
use crate::output::{CommittedOutput, CommittedShare};
use crate::session::Abort;
use crate::share::Share;
use crate::vss::InputShare;

/// The verified input shares of one party, by owner, each list in input order.
#[derive(Clone, Default)]
pub struct Inputs(BTreeMap<u16, Vec<InputShare>>);

impl Inputs {
    /// No inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what an owner dealt, as returned by [`Dealing::verify`](crate::vss::Dealing::verify).
    /// Nothing is known of the values.
    pub fn set(&mut self, owner: Owner, shares: Vec<InputShare>) {
        self.set_proven(owner, shares.into_iter().map(|share| (share, None)).collect());
    }

    /// As [`set`](Self::set), with the number of bits within which the commitment to each value has
    /// been proven to be, by a range proof that every party has verified or that the ledger vouches
    /// for. The session does not check these again: the shares lie on the one polynomial whose value
    /// at 0 is what the commitment binds to, and the proof is about that. So it says nothing of an
    /// input without a commitment, and of such inputs a width is ignored.
    ///
    /// All parties must say the same.
    pub fn set_proven(&mut self, owner: Owner, shares: Vec<(InputShare, Option<u32>)>) {
        let noted = shares.into_iter().map(|(input, bits)| {
            let covered = planted!("proof-without-commitment-taken", true, input.committed);
            let width = bits.filter(|_| covered).and_then(|bits| u8::try_from(bits).ok());
            InputShare { width, ..input }
        });
        self.0.insert(owner.0, noted.collect());
    }

    fn get(&self, owner: Owner, index: u32, committed: bool) -> Result<&InputShare, Abort> {
        let input = self.0.get(&owner.0).and_then(|inputs| inputs.get(index as usize));
        let input = input.filter(|input| input.committed || !committed);
        input.ok_or(Abort::Input { owner, index })
    }

    /// Notes that an input has been found to be within a width.
    fn found(&mut self, owner: Owner, index: u32, width: u32) {
        let inputs = self.0.get_mut(&owner.0);
        if let Some(input) = inputs.and_then(|inputs| inputs.get_mut(index as usize)) {
            input.width = u8::try_from(width).ok();
        }
    }
}

/// A vector that an owner has dealt beside its inputs, to be checked.
#[derive(Clone)]
pub struct VectorInput {
    /// Who dealt it.
    pub owner: Owner,
    /// The committed index.
    pub index: InputShare,
    /// The entries.
    pub entries: Vec<InputShare>,
}

/// An output as one party has it.
#[derive(Clone)]
pub enum Output {
    /// Known to everybody.
    Public(Fr),
    /// This party's share of a value for `owner`; see
    /// [`combine_private`](crate::output::combine_private).
    Private {
        /// Who may learn the value.
        owner: Owner,
        /// This party's share, for the owner alone.
        share: Share,
    },
    /// A value that is committed to.
    Committed {
        /// Who may learn value and blinding.
        owner: Owner,
        /// This party's share, for the owner alone.
        share: CommittedShare,
        /// The commitments, for everybody.
        public: Box<CommittedOutput>,
    },
}

/// Evaluates circuits on shares, all independent gates of a level in the same messages.
///
/// Inputs must have been found to be in the range that the circuit promises before it can use them:
/// [`run`](Self::run) and [`evaluate`](Self::evaluate) see to it. A value out of range would break
/// the masks of comparisons, and show secrets of others. Inputs whose commitments were proven to be
/// in range beforehand ([`Inputs::set_proven`]) are not checked again.
pub struct Shared {
    engine: Engine,
    inputs: Inputs,
}

impl Shared {
    /// With the inputs of all owners.
    pub fn new(engine: Engine, inputs: Inputs) -> Self {
        Self { engine, inputs }
    }

    /// Runs a program whose inputs are these, after checking their ranges.
    pub async fn run(&mut self, program: &Program) -> Result<Run<Output>, Abort> {
        self.check_inputs(program.part(Part::Start)).await?;
        Ok(program.run(self).await?)
    }

    /// Evaluates a circuit whose inputs are these, after checking their ranges.
    pub async fn evaluate(
        &mut self,
        circuit: &Circuit,
    ) -> Result<Evaluation<Share, Output>, Abort> {
        self.check_inputs(circuit).await?;
        Ok(evaluate(circuit, self, vec![]).await?)
    }

    /// Checks that each input is of the kind that the circuit promises, and names the first owner
    /// who dealt another. Of inputs in range nothing becomes known. About a dozen exchanges.
    pub async fn check_inputs(&mut self, circuit: &Circuit) -> Result<(), Abort> {
        let mut checked = vec![];
        for owner in (0..circuit.owners()).map(Owner) {
            for (index, (committed, kind)) in (0u32..).zip(circuit.inputs_of(owner)) {
                let input = self.inputs.get(owner, index, committed)?;
                let bits = unchecked(input, kind);
                checked.extend(bits.map(|bits| ((owner, index), (&input.share, bits))));
            }
        }
        let values: Vec<_> = checked.iter().map(|&(_, value)| value).collect();
        let verdicts = match values.as_slice() {
            [] => vec![],
            values => self.engine.in_range(values).await?,
        };
        let found: Vec<_> = checked.iter().map(|&(place, (_, bits))| (place, bits)).collect();
        for (((owner, index), bits), in_range) in found.into_iter().zip(verdicts) {
            if !in_range {
                return Err(Abort::OutOfRange { owner, index });
            }
            self.inputs.found(owner, index, bits);
        }
        Ok(())
    }

    /// Checks that vectors are 1 at one place and 0 elsewhere, and that the label of that place is
    /// the committed index; see [`Engine::one_hot`]. The first owner with a wrong vector is named to
    /// all parties.
    ///
    /// Then each vector, in this order, gives further inputs of its owner, behind those that are
    /// there: the sum of the entries at the places `kept`, then these entries. They are bits, for
    /// different entries of a one-hot vector are, and so is their sum:
    /// [`check_inputs`](Self::check_inputs) has nothing left to do for them.
    pub async fn check_one_hot(
        &mut self,
        vectors: &[VectorInput],
        labels: &[Fr],
        kept: &[usize],
    ) -> Result<(), Abort> {
        let distinct: BTreeSet<_> = kept.iter().filter(|place| **place < labels.len()).collect();
        if distinct.len() < kept.len() || vectors.iter().any(|vector| !vector.index.committed) {
            let what = "entries that are kept twice, or an index without commitment";
            return Err(Abort::Unsupported(what.to_owned()));
        }
        let mut dealers = BTreeMap::<u16, Vec<OneHot<'_>>>::new();
        for VectorInput { owner, index, entries } in vectors {
            let entries = entries.iter().map(|entry| &entry.share).collect();
            dealers.entry(owner.0).or_default().push(OneHot { entries, index: &index.share });
        }
        let dealers: Vec<_> = dealers.into_iter().map(|(owner, of)| (Owner(owner), of)).collect();
        let verdicts = self.engine.one_hot(&dealers, labels).await?;
        for (&(owner, _), sound) in dealers.iter().zip(verdicts) {
            if !sound {
                return Err(Abort::NotOneHot { owner });
            }
        }
        vectors.iter().for_each(|vector| self.keep(vector, kept));
        Ok(())
    }

    /// Makes inputs of a vector that is one-hot.
    fn keep(&mut self, vector: &VectorInput, kept: &[usize]) {
        let entries: Vec<_> = kept.iter().filter_map(|&place| vector.entries.get(place)).collect();
        let mut sum = Share::zero();
        entries.iter().for_each(|entry| sum += &entry.share);
        let owner = vector.owner.0;
        let inputs = self.inputs.0.entry(owner).or_default();
        let shares = [sum].into_iter().chain(entries.into_iter().map(|entry| entry.share.clone()));
        inputs.extend(shares.map(|share| InputShare { share, committed: false, width: Some(1) }));
    }

    /// Makes what the checks of a program's inputs (those that are left, if some have been checked
    /// before) and so many of its steps need in advance: random bits, and masks for comparisons. A
    /// dozen exchanges and checks, and none later for these until more steps are taken than that.
    pub async fn prepare(&mut self, program: &Program, steps: u32) -> Result<(), Abort> {
        let parties = self.engine.parties();
        let tariff = Committee::new(parties.count() as u32, parties.threshold() as u32);
        let why = || Abort::Unsupported("pricing for a committee of this size".to_owned());
        let price = Price::of_program(program, steps, &tariff.ok_or_else(why)?);
        let comparisons = price.tasks.iter().filter_map(|(task, &count)| match task {
            Task::LessThan { bits } => Some((*bits, count as usize)),
            _ => None,
        });
        self.engine.prepare_comparisons(&comparisons.collect::<Vec<_>>()).await?;
        let start = program.part(Part::Start);
        let mut bits = price.cost.random_bits as usize;
        for owner in (0..start.owners()).map(Owner) {
            for (index, (committed, kind)) in (0u32..).zip(start.inputs_of(owner)) {
                let width = unchecked(self.inputs.get(owner, index, committed)?, kind);
                bits += width.map_or(0, |bits| bits.next_multiple_of(2) as usize);
            }
        }
        self.engine.prepare(bits).await
    }

    /// The engine, for preparing random bits and for what has been sent.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

/// Whether the left factors of two sums of products are the same wires.
fn same_left(one: &[(&Share, &Share)], other: &[(&Share, &Share)]) -> bool {
    let same = |(one, other): (&(&Share, _), &(&Share, _))| std::ptr::eq(one.0, other.0);
    one.len() > 1 && one.len() == other.len() && one.iter().zip(other).all(same)
}

/// The width within which an input must be found to be, unless it is known to be or may be anything.
fn unchecked(input: &InputShare, kind: Kind) -> Option<u32> {
    kind.bits().filter(|bits| input.width.is_none_or(|known| u32::from(known) > *bits))
}

/// The width of the operand of a comparison or decomposition; the circuit has checked the kinds.
fn width(operand: &Operand<'_, Share>) -> Result<u32, Abort> {
    let why = || Abort::Unsupported("bits of a field element without a width".to_owned());
    operand.kind.bits().ok_or_else(why)
}

impl Interpreter for Shared {
    type Value = Share;
    type Output = Output;
    type Error = Abort;

    fn input(&mut self, request: &InputRequest) -> Result<Share, Abort> {
        let &InputRequest { owner, index, committed, kind, .. } = request;
        let input = self.inputs.get(owner, index, committed)?;
        match unchecked(input, kind) {
            None => Ok(input.share.clone()),
            Some(_) => Err(Abort::Unsupported("inputs whose range was not checked".to_owned())),
        }
    }

    fn linear(&mut self, terms: &[(Fr, &Share)], constant: Fr) -> Share {
        let mut sum = Share::constant(constant);
        for (coefficient, value) in terms {
            if *coefficient == Fr::ONE {
                sum.0 += value.0;
            } else if *coefficient == -Fr::ONE {
                sum.0 -= value.0;
            } else {
                sum.0 += *coefficient * value.0;
            }
        }
        sum
    }

    async fn products(&mut self, batch: &[Product<'_, Share>]) -> Result<Vec<Share>, Abort> {
        let pairs = batch.iter().map(|gate| gate.pairs.len()).sum();
        let mut products = Products::with_capacity(pairs);
        let mut before: &[_] = &[];
        for gate in batch {
            match same_left(before, &gate.pairs) {
                true => products.push_with_same_left(gate.pairs.iter().map(|(_, right)| *right)),
                false => products.push(gate.pairs.iter().copied()),
            }
            before = &gate.pairs;
        }
        self.engine.inner_products(products).await
    }

    async fn less_than(&mut self, batch: &[Comparison<'_, Share>]) -> Result<Vec<Share>, Abort> {
        let comparison =
            |gate: &Comparison<'_, Share>| (gate.left.clone(), gate.right.clone(), gate.bits);
        let operands: Vec<_> = batch.iter().map(comparison).collect();
        let batch: Vec<_> = operands
            .iter()
            .map(|(left, right, bits)| LessThan { left, right, bits: *bits })
            .collect();
        self.engine.less_than(&batch).await
    }

    async fn is_zero(&mut self, batch: &[Operand<'_, Share>]) -> Result<Vec<Share>, Abort> {
        let wide: Vec<_> = batch
            .iter()
            .filter(|gate| gate.kind != Kind::Bit)
            .map(|gate| (gate.value, gate.kind.bits()))
            .collect();
        let mut results = match wide.as_slice() {
            [] => vec![],
            wide => self.engine.is_zero(wide).await?,
        }
        .into_iter();
        let result = |gate: &Operand<'_, Share>| match gate.kind {
            Kind::Bit => Some(gate.value.not()),
            _ => results.next(),
        };
        Ok(batch.iter().filter_map(result).collect())
    }

    async fn decompose(&mut self, batch: &[Operand<'_, Share>]) -> Result<Vec<Vec<Share>>, Abort> {
        let operands = batch.iter().map(|gate| Ok((gate.value, width(gate)?)));
        let operands: Vec<_> = operands.collect::<Result<_, Abort>>()?;
        self.engine.decompose(&operands).await
    }

    async fn assert_zero(&mut self, batch: &[Operand<'_, Share>]) -> Result<Vec<bool>, Abort> {
        let values: Vec<_> = batch.iter().map(|gate| gate.value).collect();
        self.engine.are_zero(&values).await
    }

    async fn reveal(&mut self, batch: &[Operand<'_, Share>]) -> Result<Vec<Fr>, Abort> {
        let values: Vec<_> = batch.iter().map(|gate| gate.value).collect();
        self.engine.open(&values).await
    }

    async fn output(&mut self, batch: &[OutputRequest<'_, Share>]) -> Result<Vec<Output>, Abort> {
        // Shares that are handed to an owner are as good as opened.
        self.engine.check().await?;
        let mut committed = vec![];
        let mut public = vec![];
        for gate in batch {
            match gate.to {
                Destination::Commitment { group, .. } => committed.push((gate.value, group)),
                Destination::Public => public.push(gate.value),
                Destination::Owner(_) => {}
            }
        }
        let committed = match committed.as_slice() {
            [] => vec![],
            values => self.engine.commit(values).await?,
        };
        let public = match public.as_slice() {
            [] => vec![],
            values => self.engine.open(values).await?,
        };
        let (mut committed, mut public) = (committed.into_iter(), public.into_iter());
        let output = |gate: &OutputRequest<'_, Share>| match gate.to {
            Destination::Public => public.next().map(Output::Public),
            Destination::Owner(owner) => Some(Output::Private { owner, share: gate.value.clone() }),
            Destination::Commitment { owner, .. } => committed.next().map(|(share, public)| {
                let public = Box::new(public);
                Output::Committed { owner, share, public }
            }),
        };
        Ok(batch.iter().filter_map(output).collect())
    }
}

impl From<EvaluationError<Abort>> for Abort {
    fn from(error: EvaluationError<Abort>) -> Self {
        let text = error.to_string();
        match error {
            EvaluationError::Assertion { circuit, gate } => Self::Assertion { circuit, gate },
            EvaluationError::Input { source, .. }
            | EvaluationError::Level { source, .. }
            | EvaluationError::Output { source, .. } => {
                // The text ends with that of the source, which is kept as such.
                let place = text.strip_suffix(&format!(": {source}")).unwrap_or(&text).to_owned();
                Self::At { place, cause: Box::new(source) }
            }
            EvaluationError::Carried { .. }
            | EvaluationError::Kept { .. }
            | EvaluationError::Answers { .. } => Self::Unsupported(text),
        }
    }
}

impl From<RunError<Abort>> for Abort {
    fn from(error: RunError<Abort>) -> Self {
        match error {
            RunError::Evaluation { source, .. } => source.into(),
            RunError::NotConverged { circuit, steps } => Self::NotConverged { circuit, steps },
        }
    }
}
