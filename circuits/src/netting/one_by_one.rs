//! Netting by the algorithm of Atapoor, Smart and Talibi Alaoui, *Private Liquidity Matching using
//! MPC* (CT-RSA 2022): in each step every bank that cannot pay for its settling payments takes out
//! the last one of them.
//!
//! It ends where [`Netting`] ends. Let `m` be the maximal result, and `k >= m` the present one. If
//! bank i is overdrawn, then `k_i > m_i`: with `k_i = m_i` its outflow would be the one of `m`, its
//! inflow at least that of `m`, and `m` is feasible. So with `k_i` one less, `k >= m` still holds.
//! The steps end where nobody is overdrawn, thus with a feasible result that is at least `m`.
//!
//! A step is cheap, one comparison for each bank, and there are many: more than the longest run of
//! payments that fall out of one queue. It is here to tell what is gained by another algorithm from
//! what is gained by another protocol. `docs/netting.md` compares the two.

use quittance_circuit::{Bit, Builder, Loop, Program, ProgramError, Repetition, Uint};

use super::{BankState, Netting, State};

/// The program that takes out at most one payment for each bank and step. Inputs and outputs are
/// those of the [`Netting`] that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneByOne(Netting);

impl OneByOne {
    /// For the same queues.
    pub fn new(netting: Netting) -> Self {
        Self(netting)
    }

    /// The program that always has a result and shows the number of steps, as
    /// [`Netting::until_settled`].
    pub fn until_settled(&self) -> Result<Program, ProgramError> {
        let at_most = self.0.payments() as u32 + 1;
        Program::build(self, Repetition::UntilFlag { at_most })
    }
}

impl Loop for OneByOne {
    fn name(&self) -> &str {
        "netting-one-by-one"
    }

    fn owners(&self) -> u16 {
        self.0.owners()
    }

    fn start(&self, b: &Builder) {
        self.0.start(b);
    }

    /// Takes the last settling payment out of the queue of each bank that is overdrawn.
    fn step<'b>(&self, b: &'b Builder, _: bool) -> Bit<'b> {
        let state = self.0.take(b);
        let inflows = self.0.inflows(b, &state);
        let short = state.banks.iter().zip(inflows).map(|(bank, inflow)| {
            let available = bank.liquidity + inflow;
            available.less_than(bank.outflow(b))
        });
        let short: Vec<_> = short.collect();
        let banks = state.banks.iter().zip(&short).map(|(bank, &short)| bank.shorten(b, short));
        State { banks: banks.collect() }.carry(b);
        b.sum(short.into_iter().map(Uint::from)).equals(b.uint(0))
    }

    fn finish(&self, b: &Builder) {
        self.0.finish(b);
    }
}

impl<'b> BankState<'b> {
    /// Takes out the last settling payment if the bit is 1. Bits are ones followed by zeros, so
    /// each takes over that of the payment behind it, at one product each.
    fn shorten(&self, b: &'b Builder, short: Bit<'b>) -> Self {
        let behind = self.queue.iter().skip(1).map(|&(_, settles)| settles).chain([b.bit(false)]);
        let queue = self.queue.iter().zip(behind);
        let queue = queue.map(|(&(amount, settles), next)| (amount, short.select(next, settles)));
        Self { liquidity: self.liquidity, queue: queue.collect() }
    }
}
