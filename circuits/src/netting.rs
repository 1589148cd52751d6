//! Multilateral netting: which queued payments settle together, so that nobody is overdrawn.
//!
//! Bank i has liquidity `L_i` and an ordered queue of payments `a_i1, a_i2, ...`. A result is one
//! prefix of each queue. It is feasible if `L_i + inflow_i - outflow_i >= 0` for all i. If two
//! results are feasible, so is the component-wise longer of each: a bank's outflow is the one it
//! has in one of the two, and its inflow is no smaller than there. Hence there is exactly one
//! maximal result, and it is found from above: start with all payments; in each step, cut each
//! queue to the longest prefix `P_ij = a_i1 + ... + a_ij` that liquidity and the inflow of the
//! present result pay for; stop when a step changes nothing. The proof stands in `docs/netting.md`;
//! how the prefixes are found by few comparisons, in the module `prefix`.
//!
//! Liquidity and amounts are secret. The shape of the queues and who is paid are parameters of the
//! circuit, thus known to whoever computes it.
//!
//! ```
//! use quittance_circuit::{Fr, Owner};
//! use quittance_circuit_library::netting::{Bank, Netting};
//!
//! // Three banks without any liquidity owe each other 5 in a circle, and the first 1 more.
//! let netting = Netting::new(vec![vec![Owner(1), Owner(2)], vec![Owner(2)], vec![Owner(0)]])?;
//! let amounts = [vec![5, 1], vec![5], vec![5]];
//! let banks = amounts.map(|amounts| Bank { liquidity: 0, amounts });
//!
//! let run = netting.until_settled()?.run_in_clear(netting.inputs(&banks)?)?;
//! let results = netting.results(run.outputs)?;
//! assert_eq!(results.banks[0].settled, [Fr::from(1u64), Fr::from(0u64)]);
//! assert_eq!(results.banks[0].net, Fr::from(0u64));
//! assert_eq!(run.steps, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod hidden;
mod one_by_one;
mod prefix;
mod values;

use quittance_circuit::{
    Bit, Builder, Destination, Field, Fr, Loop, MAX_STEPS, Owner, Program, ProgramError,
    Repetition, Uint,
};

pub use one_by_one::OneByOne;
pub use values::{Bank, BankResult, NettingError, Payment, Results, truncate};

/// The group whose commitments sum to the identity: the nets of all banks.
pub const NETS: u32 = 0;

/// The width of liquidity and amounts.
const AMOUNT_BITS: u32 = 64;

/// Netting among a roster, for queues of a certain shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netting {
    /// By payer: the payees in queue order.
    queues: Vec<Vec<Owner>>,
    /// In how many levels at most the end of a prefix is searched.
    levels: u32,
}

impl Netting {
    /// For queues with these payees, by payer. A payer's role is its position.
    pub fn new(queues: Vec<Vec<Owner>>) -> Result<Self, NettingError> {
        if !(2..=usize::from(u16::MAX)).contains(&queues.len()) {
            return Err(NettingError::Banks(queues.len()));
        }
        let payments = queues.iter().map(Vec::len).sum();
        if payments >= MAX_STEPS as usize {
            return Err(NettingError::Payments(payments));
        }
        for (payer, queue) in queues.iter().enumerate() {
            let payer = Owner(payer as u16);
            for (place, &payee) in queue.iter().enumerate() {
                if usize::from(payee.0) >= queues.len() {
                    return Err(NettingError::UnknownPayee { payer, place, payee });
                }
                if payee == payer {
                    return Err(NettingError::OwnPayee { payer, place });
                }
            }
        }
        let levels = prefix::cheapest(queues.iter().map(Vec::len));
        Ok(Self { queues, levels })
    }

    /// The same, with searches for the ends of prefixes in at most so many levels, at least one.
    /// More levels take fewer comparisons, and more messages that wait for each other. The results
    /// are the same.
    ///
    /// Without this, the number is what pays off for a committee whose messages take about a
    /// millisecond. Parties further apart are better off with fewer levels.
    pub fn with_levels(self, levels: u32) -> Self {
        Self { levels: levels.max(1), ..self }
    }

    /// How many payments there are in all queues.
    pub fn payments(&self) -> usize {
        self.queues.iter().map(Vec::len).sum()
    }

    /// The payments addressed to `bank`, by payer and place.
    pub fn addressed_to(&self, bank: Owner) -> impl Iterator<Item = Payment> + '_ {
        self.in_order().filter(move |(_, payee)| *payee == bank).map(|(payment, _)| payment)
    }

    /// All payments and their payees, by payer and place.
    fn in_order(&self) -> impl Iterator<Item = (Payment, Owner)> + '_ {
        self.queues.iter().enumerate().flat_map(|(payer, queue)| {
            let payment = move |place| Payment { payer: Owner(payer as u16), place };
            queue.iter().enumerate().map(move |(place, &payee)| (payment(place), payee))
        })
    }

    /// The program that always has a result. It shows everybody the number of steps.
    ///
    /// Each step but the last takes at least one payment out, so one step more than there are
    /// payments is enough.
    pub fn until_settled(&self) -> Result<Program, ProgramError> {
        self.within(self.payments() as u32 + 1)
    }

    /// The same, but without a result if there is a change in each of `at_most` steps.
    pub fn within(&self, at_most: u32) -> Result<Program, ProgramError> {
        Program::build(self, Repetition::UntilFlag { at_most })
    }

    /// The program that shows everybody the number of steps only rounded up to a power of two, and
    /// always has a result.
    pub fn in_doubling_steps(&self) -> Result<Program, ProgramError> {
        let at_most = (self.payments() as u32 + 1).next_power_of_two();
        Program::build(self, Repetition::Doubling { at_most })
    }

    /// The program of exactly `steps` steps, which shows nothing but whether they were enough: if
    /// not, all outputs are zero, and nothing settles.
    pub fn in_fixed_steps(&self, steps: u32) -> Result<Program, ProgramError> {
        Program::build(self, Repetition::Exactly { steps })
    }

    /// The inputs of all banks in the order of the circuit: the liquidity, then the amounts.
    pub fn inputs(&self, banks: &[Bank]) -> Result<Vec<Vec<Fr>>, NettingError> {
        let (expected, found) = (self.queues.len(), banks.len());
        if expected != found {
            return Err(NettingError::Roster { expected, found });
        }
        banks.iter().enumerate().map(|(role, bank)| self.input(Owner(role as u16), bank)).collect()
    }

    /// The inputs of one bank.
    fn input(&self, role: Owner, bank: &Bank) -> Result<Vec<Fr>, NettingError> {
        let expected = self.queues[usize::from(role.0)].len();
        let found = bank.amounts.len();
        if expected != found {
            return Err(NettingError::Shape { bank: role, expected, found });
        }
        Ok(std::iter::once(&bank.liquidity).chain(&bank.amounts).map(|&v| Fr::from(v)).collect())
    }

    /// Sorts the outputs of one of the programs.
    pub fn results<T>(&self, outputs: Vec<T>) -> Result<Results<T>, NettingError> {
        let expected = 2 * (self.payments() + self.queues.len());
        let found = outputs.len();
        let wrong = NettingError::Outputs { expected, found };
        if found != expected && found != expected + 1 {
            return Err(wrong);
        }
        let mut outputs = outputs.into_iter();
        let mut banks = Vec::with_capacity(self.queues.len());
        for (role, queue) in self.queues.iter().enumerate() {
            let addressed = self.addressed_to(Owner(role as u16)).count();
            let settled = outputs.by_ref().take(queue.len()).collect();
            let received = outputs.by_ref().take(addressed).collect();
            let (Some(inflow), Some(net)) = (outputs.next(), outputs.next()) else {
                return Err(wrong);
            };
            banks.push(BankResult { settled, received, inflow, net });
        }
        Ok(Results { banks, converged: outputs.next() })
    }

    /// Takes what [`State::keep`] keeps, and the state in the order in which [`State::carry`] hands
    /// it on.
    fn take<'b>(&self, b: &'b Builder) -> State<'b> {
        let kept: Vec<(_, Vec<_>)> = self
            .queues
            .iter()
            .map(|queue| {
                let liquidity = b.kept().uint(AMOUNT_BITS);
                (liquidity, queue.iter().map(|_| b.kept().uint(AMOUNT_BITS)).collect())
            })
            .collect();
        let bank = |(liquidity, amounts): (_, Vec<_>)| {
            let queue = amounts.into_iter().map(|amount| (amount, b.carried().bit())).collect();
            BankState { liquidity, queue }
        };
        State { banks: kept.into_iter().map(bank).collect() }
    }

    /// For each bank the sum of the settling payments addressed to it.
    fn inflows<'b>(&self, b: &'b Builder, state: &State<'b>) -> Vec<Uint<'b>> {
        let mut addressed = vec![Vec::new(); self.queues.len()];
        for (Payment { payer, place }, payee) in self.in_order() {
            let (amount, settles) = state.banks[usize::from(payer.0)].queue[place];
            addressed[usize::from(payee.0)].push((amount, Uint::from(settles)));
        }
        addressed.into_iter().map(|pairs| b.inner_product(pairs)).collect()
    }
}

/// Whether as many payments settle as before, given that there are no more.
///
/// In public, testing the difference for zero takes one product. Otherwise comparing the counts is
/// cheaper, for they are narrow.
fn unchanged<'b>(before: Uint<'b>, after: Uint<'b>, shown: bool) -> Bit<'b> {
    match shown {
        true => before.equals(after),
        false => before.at_most(after),
    }
}

/// What is known at each step. Liquidity and amounts are kept, and the bits are carried on.
struct State<'b> {
    banks: Vec<BankState<'b>>,
}

struct BankState<'b> {
    liquidity: Uint<'b>,
    /// Each payment's amount, and whether it settles.
    queue: Vec<(Uint<'b>, Bit<'b>)>,
}

impl<'b> State<'b> {
    fn keep(&self, b: &'b Builder) {
        for bank in &self.banks {
            b.keep(bank.liquidity);
            bank.queue.iter().for_each(|&(amount, _)| b.keep(amount));
        }
    }

    fn carry(&self, b: &'b Builder) {
        let queues = self.banks.iter().flat_map(|bank| &bank.queue);
        queues.for_each(|&(_, settles)| b.carry(settles));
    }

    /// How many payments settle.
    fn count(&self, b: &'b Builder) -> Uint<'b> {
        let queues = self.banks.iter().flat_map(|bank| &bank.queue);
        b.sum(queues.map(|&(_, settles)| Uint::from(settles)))
    }
}

impl<'b> BankState<'b> {
    /// The sum of its settling payments.
    fn outflow(&self, b: &'b Builder) -> Uint<'b> {
        b.inner_product(self.queue.iter().map(|&(amount, settles)| (amount, settles.into())))
    }

    /// The longest prefix that liquidity and `inflow` pay for.
    fn cut(&self, b: &'b Builder, inflow: Uint<'b>, levels: u32) -> Self {
        let radices = prefix::radices(self.queue.len() + 1, levels);
        let amounts: Vec<_> = self.queue.iter().map(|&(amount, _)| amount).collect();
        let settles = prefix::affordable(b, &amounts, self.liquidity + inflow, &radices);
        Self { liquidity: self.liquidity, queue: amounts.into_iter().zip(settles).collect() }
    }
}

impl Loop for Netting {
    fn name(&self) -> &str {
        "netting"
    }

    fn owners(&self) -> u16 {
        self.queues.len() as u16
    }

    /// All payments settle, to begin with.
    fn start(&self, b: &Builder) {
        let all = b.bit(true);
        let banks = self.queues.iter().enumerate().map(|(role, queue)| {
            let input = || b.committed(Owner(role as u16)).uint(AMOUNT_BITS);
            let liquidity = input();
            BankState { liquidity, queue: queue.iter().map(|_| (input(), all)).collect() }
        });
        let state = State { banks: banks.collect() };
        state.keep(b);
        state.carry(b);
    }

    /// Cuts each queue to what its bank can pay with the present inflow.
    ///
    /// Inflows never grow from step to step, so no payment comes back, and nothing has changed
    /// exactly if no fewer payments settle than before.
    fn step<'b>(&self, b: &'b Builder, shown: bool) -> Bit<'b> {
        let state = self.take(b);
        let inflows = self.inflows(b, &state);
        let cut = |(bank, inflow): (&BankState<'b>, Uint<'b>)| bank.cut(b, inflow, self.levels);
        let next = State { banks: state.banks.iter().zip(inflows).map(cut).collect() };
        next.carry(b);
        unchanged(state.count(b), next.count(b), shown)
    }

    fn finish(&self, b: &Builder) {
        let state = self.take(b);
        let inflows = self.inflows(b, &state);
        for (role, (bank, inflow)) in state.banks.iter().zip(inflows).enumerate() {
            let owner = Owner(role as u16);
            for &(_, settles) in &bank.queue {
                b.output(settles, Destination::Owner(owner));
            }
            for Payment { payer, place } in self.addressed_to(owner) {
                let (_, settles) = state.banks[usize::from(payer.0)].queue[place];
                b.output(settles, Destination::Owner(owner));
            }
            b.output(inflow, Destination::Owner(owner));
            let net: Field<'_> = inflow - bank.outflow(b);
            b.output(net, Destination::Commitment { owner, group: NETS });
        }
    }
}
