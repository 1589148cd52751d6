//! Multilateral netting: which queued payments settle together, so that nobody is overdrawn.
//!
//! Bank i has liquidity `L_i` and an ordered queue of payments `a_i1, a_i2, ...`. A result is one
//! prefix of each queue. It is feasible if `L_i + inflow_i - outflow_i >= 0` for all i. If two
//! results are feasible, so is the component-wise longer of each: a bank's outflow is the one it
//! has in one of the two, and its inflow is no smaller than there. Hence there is exactly one
//! maximal result, and it is found from above: start with all payments; in each step, cut each
//! queue to the longest prefix `P_ij = a_i1 + ... + a_ij` that liquidity and the inflow of the
//! present result pay for; stop when a step changes nothing. The proof stands in `docs/netting.md`.
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

use quittance_circuit::{
    Bit, Builder, Destination, Field, Fr, Loop, MAX_STEPS, Owner, Program, ProgramError,
    Repetition, Uint,
};
use thiserror::Error;

/// The group whose commitments sum to the identity: the nets of all banks.
pub const NETS: u32 = 0;

/// The width of liquidity and amounts.
const AMOUNT_BITS: u32 = 64;

/// Netting among a roster, for queues of a certain shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netting {
    /// By payer: the payees in queue order.
    queues: Vec<Vec<Owner>>,
}

/// What one bank puts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bank {
    /// What it can pay from, in minor units.
    pub liquidity: u64,
    /// The amounts of its queue, in order.
    pub amounts: Vec<u64>,
}

/// A payment, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payment {
    /// Whose queue it is in.
    pub payer: Owner,
    /// Its place there, from 0.
    pub place: usize,
}

/// What one bank gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankResult<T> {
    /// For each payment of its queue, in order: 1 if it settles. Known to the bank.
    pub settled: Vec<T>,
    /// For each payment addressed to it, in the order of [`Netting::addressed_to`]: 1 if it
    /// settles. Known to the bank.
    pub received: Vec<T>,
    /// The sum of the settled payments addressed to it. Known to the bank.
    pub inflow: T,
    /// Inflow less outflow, as a commitment of group [`NETS`] which the bank can open.
    pub net: T,
}

/// All results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results<T> {
    /// By bank.
    pub banks: Vec<BankResult<T>>,
    /// Only after a fixed number of steps: 1 if they were enough, public. If 0, all else is 0.
    pub converged: Option<T>,
}

/// Why there is no such netting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NettingError {
    /// Too few banks to net anything, or more than there are roles.
    #[error("{0} banks; netting is among 2 to 65535")]
    Banks(usize),
    /// More payments than a program can take steps for.
    #[error("{0} payments are too many")]
    Payments(usize),
    /// A payee outside the roster; see [`truncate`].
    #[error("payment {place} of {payer} is addressed to {payee}, outside the roster")]
    UnknownPayee {
        /// Whose queue it is in.
        payer: Owner,
        /// Its place there.
        place: usize,
        /// The payee.
        payee: Owner,
    },
    /// A payment of a bank to itself.
    #[error("payment {place} of {payer} is addressed to itself")]
    OwnPayee {
        /// Whose queue it is in.
        payer: Owner,
        /// Its place there.
        place: usize,
    },
    /// Inputs that are not of the shape of the queues.
    #[error("{bank} has {found} amounts for a queue of {expected}")]
    Shape {
        /// The bank.
        bank: Owner,
        /// The length of its queue.
        expected: usize,
        /// How many amounts there are.
        found: usize,
    },
    /// Inputs of too few or too many banks.
    #[error("inputs of {found} banks for a roster of {expected}")]
    Roster {
        /// The size of the roster.
        expected: usize,
        /// For how many there are inputs.
        found: usize,
    },
    /// Outputs of another program.
    #[error("{found} outputs where there should be {expected}, or one more")]
    Outputs {
        /// The number of outputs without `converged`.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// The payees of a queue as roles of `roster`, up to the first that is not in the roster: a payment
/// to a bank that takes no part ends its payer's prefix, since queues are strictly first in, first
/// out.
pub fn truncate<T: PartialEq>(roster: &[T], payees: &[T]) -> Vec<Owner> {
    let role = |payee: &T| {
        let index = roster.iter().position(|member| member == payee)?;
        u16::try_from(index).ok().map(Owner)
    };
    payees.iter().map_while(role).collect()
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
        Ok(Self { queues })
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

    /// Takes over the state, in the order in which [`State::carry`] hands it on.
    fn take<'b>(&self, b: &'b Builder) -> State<'b> {
        let banks = self.queues.iter().map(|queue| {
            let liquidity = b.carried().uint(AMOUNT_BITS);
            let amount = |_| (b.carried().uint(AMOUNT_BITS), b.carried().bit());
            BankState { liquidity, queue: queue.iter().map(amount).collect() }
        });
        State { banks: banks.collect() }
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

/// What is carried from step to step.
struct State<'b> {
    banks: Vec<BankState<'b>>,
}

struct BankState<'b> {
    liquidity: Uint<'b>,
    /// Each payment's amount, and whether it settles.
    queue: Vec<(Uint<'b>, Bit<'b>)>,
}

impl<'b> State<'b> {
    fn carry(&self, b: &'b Builder) {
        for bank in &self.banks {
            b.carry(bank.liquidity);
            for &(amount, settles) in &bank.queue {
                b.carry(amount);
                b.carry(settles);
            }
        }
    }

    /// How many payments settle.
    fn count(&self, b: &'b Builder) -> Uint<'b> {
        let queues = self.banks.iter().flat_map(|bank| &bank.queue);
        b.sum(queues.map(|&(_, settles)| Uint::from(settles)))
    }
}

impl<'b> BankState<'b> {
    /// The longest prefix that liquidity and `inflow` pay for. Amounts are not negative, so the
    /// bits `[P_j <= L + inflow]` are ones followed by zeros without further ado.
    fn cut(&self, b: &'b Builder, inflow: Uint<'b>) -> Self {
        let available = self.liquidity + inflow;
        let mut prefix = b.uint(0);
        let keep = |&(amount, _): &(Uint<'b>, Bit<'b>)| {
            prefix = prefix + amount;
            (amount, prefix.at_most(available))
        };
        Self { liquidity: self.liquidity, queue: self.queue.iter().map(keep).collect() }
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
        State { banks: banks.collect() }.carry(b);
    }

    /// Cuts each queue to what its bank can pay with the present inflow.
    ///
    /// Inflows never grow from step to step, so no payment comes back, and nothing has changed
    /// exactly if no fewer payments settle than before. Comparing the counts is cheaper than
    /// testing their difference for zero, for they are narrow.
    fn step<'b>(&self, b: &'b Builder) -> Bit<'b> {
        let state = self.take(b);
        let inflows = self.inflows(b, &state);
        let cut = |(bank, inflow): (&BankState<'b>, Uint<'b>)| bank.cut(b, inflow);
        let next = State { banks: state.banks.iter().zip(inflows).map(cut).collect() };
        next.carry(b);
        state.count(b).at_most(next.count(b))
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
            let pairs = bank.queue.iter().map(|&(amount, settles)| (amount, Uint::from(settles)));
            let outflow = b.inner_product(pairs);
            b.output(inflow, Destination::Owner(owner));
            let net: Field<'_> = inflow - outflow;
            b.output(net, Destination::Commitment { owner, group: NETS });
        }
    }
}
