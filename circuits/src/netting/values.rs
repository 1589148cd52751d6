//! What goes into a netting and what comes out, and why there is none.

use quittance_circuit::Owner;
use thiserror::Error;

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
    /// For each payment addressed to it, in the order of
    /// [`Netting::addressed_to`](super::Netting::addressed_to): 1 if it settles. Known to the bank.
    pub received: Vec<T>,
    /// The sum of the settled payments addressed to it. Known to the bank.
    pub inflow: T,
    /// Inflow less outflow, as a commitment of group [`NETS`](super::NETS) which the bank can open.
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
