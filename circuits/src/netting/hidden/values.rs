//! What goes into a netting with hidden payees, and what comes out.

use quittance_circuit::{Fr, Owner};

/// What one bank puts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenBank {
    /// What it can pay from, in minor units.
    pub liquidity: u64,
    /// Its queue in order, padding included.
    pub queue: Vec<HiddenPayment>,
}

/// A payment of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenPayment {
    /// In minor units.
    pub amount: u64,
    /// Who is paid; `None` for padding, and for a payment to a bank that takes no part.
    pub payee: Option<Owner>,
    /// What hides the notice: uniform, and used for this payment and round alone.
    pub pad: Fr,
}

impl HiddenPayment {
    /// A place that is not used. Its notice must look like any other, so it has a pad.
    pub fn padding(pad: Fr) -> Self {
        Self { amount: 0, payee: None, pad }
    }
}

/// What one bank gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenBankResult<T> {
    /// For each place of its queue the notice, public. See [`settled`].
    pub notices: Vec<T>,
    /// The sum of the settled payments addressed to it. Known to the bank.
    pub inflow: T,
    /// Inflow less outflow, as a commitment of group [`NETS`](crate::netting::NETS) which the bank
    /// can open.
    pub net: T,
}

/// All results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenResults<T> {
    /// By bank.
    pub banks: Vec<HiddenBankResult<T>>,
    /// Only after a fixed number of steps: 1 if they were enough, public. If 0, all else is 0.
    pub converged: Option<T>,
}

/// What a notice says to those who know the pad: whether the payment settles. `None` if it is no
/// notice under this pad.
pub fn settled(notice: Fr, pad: Fr) -> Option<bool> {
    match notice - pad {
        says if says == Fr::from(0u64) => Some(false),
        says if says == Fr::from(1u64) => Some(true),
        _ => None,
    }
}

/// The number of places for a queue of this length: the next power of two.
pub fn places(length: usize) -> usize {
    length.next_power_of_two()
}
