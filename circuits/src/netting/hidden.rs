//! Netting that hides who is paid, and how long queues are beyond a padded length.
//!
//! The circuit depends on nothing but the number of banks n and, for each, the number of places in
//! its queue. Payment p of a queue comes with bits: `s_p`, 1 if it is addressed to *somebody*, a
//! bank of the roster, and `e_p1, ..., e_pn`, 1 for the bank that it is addressed to. Of padding,
//! and of a payment to a bank that takes no part, all are 0. With `v_p` for what settles of the
//! payment, the inflow of bank k is one inner product over all payments of all queues,
//!
//! ```text
//! inflow_k = sum over all p of v_p * e_pk.
//! ```
//!
//! **The bits must be right**: `s_p` the sum of the `e_pk`, at most one of these 1, and that one at
//! the payee that the payer is committed to. The circuit cannot check this: it takes a random number
//! drawn after they have been dealt. Who deals does not know the roster, so it deals longer vectors,
//! with an entry for padding and one for each institution that could be paid; whoever runs the
//! circuit checks that these are one-hot, and takes the bits from them. The entry of a bank of the
//! roster is `e_pk`, and the sum of these entries `s_p`: a bit, being a sum of different entries of
//! a one-hot vector.
//!
//! **A payment to nobody ends its queue**, as queues are strictly first in, first out. Payment p is
//! *alive* if it and all before it are addressed to somebody:
//!
//! ```text
//! alive_p = s_1 * ... * s_p,    a'_p = a_p * alive_p,
//! ```
//!
//! all prefixes of the product at once, in a number of levels that is the logarithm of the length.
//! The circuit nets the amounts `a'`. They are 0 from the first payment to nobody on, so prefix sums
//! do not change there, no sum or condition depends on the payments behind, and their bits are those
//! of the last payment before them, or 1 where there is none. So the steps change something exactly
//! when those of [`Netting`](super::Netting) on the queues that end there do, as
//! [`truncate`](super::truncate) makes them: same results, same number of steps. What settles in the
//! end is `x_p * alive_p`. No queue is refused, and on shares all look alike, padding included.
//!
//! A payment to oneself, which [`Netting`](super::Netting) refuses, is possible and harmless: it
//! adds the same to both sides of the payer's condition, and the maximal result is unique as before.
//! So no payer ends up better or worse off by it.
//!
//! **Notices.** A committee that does not know payees cannot send them anything. So each payment
//! has a *pad* w, a uniform field element which the payer is committed to and gives to the payee
//! with the opening of the payment. Everybody is shown the *notice* `x + w`, x being 1 if the
//! payment settles and 0 if not. It is uniform for whoever does not know w. Payer and payee read x
//! from it, and cannot be told different things, since the pad is committed to; signed by t + 1
//! parties it is a receipt which the opening of the pad makes readable for others. A pad serves
//! once: two notices with one pad show whether they say the same.

mod values;

use quittance_circuit::{
    Bit, Builder, Destination, Field, Fr, Loop, MAX_STEPS, Owner, Program, ProgramError,
    Repetition, Uint,
};

use super::{AMOUNT_BITS, NETS, NettingError, prefix, unchanged};

pub use values::{HiddenBank, HiddenBankResult, HiddenPayment, HiddenResults, places, settled};

/// Netting with hidden payees, for queues of certain padded lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// By bank: how many places its queue has.
    places: Vec<usize>,
    levels: u32,
}

impl Hidden {
    /// For banks whose queues have so many places.
    pub fn new(places: Vec<usize>) -> Result<Self, NettingError> {
        if !(2..usize::from(u16::MAX)).contains(&places.len()) {
            return Err(NettingError::Banks(places.len()));
        }
        let payments = places.iter().fold(0usize, |sum, &places| sum.saturating_add(places));
        if payments >= MAX_STEPS as usize {
            return Err(NettingError::Payments(payments));
        }
        let levels = prefix::cheapest(places.iter().copied());
        Ok(Self { places, levels })
    }

    /// As [`Netting::with_levels`](super::Netting::with_levels).
    pub fn with_levels(self, levels: u32) -> Self {
        Self { levels: levels.max(1), ..self }
    }

    /// How many places there are in all queues.
    pub fn payments(&self) -> usize {
        self.places.iter().sum()
    }

    /// The program that always has a result and shows everybody the number of steps.
    pub fn until_settled(&self) -> Result<Program, ProgramError> {
        self.program(Repetition::UntilFlag { at_most: self.payments() as u32 + 1 })
    }

    /// The same, showing the number of steps only rounded up to a power of two.
    pub fn in_doubling_steps(&self) -> Result<Program, ProgramError> {
        let at_most = (self.payments() as u32 + 1).next_power_of_two();
        self.program(Repetition::Doubling { at_most })
    }

    /// The program that ends in this way.
    pub fn program(&self, repetition: Repetition) -> Result<Program, ProgramError> {
        Program::build(self, repetition)
    }

    /// The inputs of all banks in the order of the circuit: the committed ones, which are liquidity
    /// and, by place, amount and pad; then the private ones, by place: whether somebody is paid,
    /// and for each bank whether it is.
    pub fn inputs(&self, banks: &[HiddenBank]) -> Result<Vec<Vec<Fr>>, NettingError> {
        let (expected, found) = (self.places.len(), banks.len());
        if expected != found {
            return Err(NettingError::Roster { expected, found });
        }
        banks.iter().enumerate().map(|(role, bank)| self.input(Owner(role as u16), bank)).collect()
    }

    fn input(&self, owner: Owner, bank: &HiddenBank) -> Result<Vec<Fr>, NettingError> {
        let (expected, found) = (self.places[usize::from(owner.0)], bank.queue.len());
        if expected != found {
            return Err(NettingError::Shape { bank: owner, expected, found });
        }
        let mut inputs = vec![Fr::from(bank.liquidity)];
        for payment in &bank.queue {
            inputs.extend([Fr::from(payment.amount), payment.pad]);
        }
        for (place, payment) in bank.queue.iter().enumerate() {
            if let Some(payee) = payment.payee
                && usize::from(payee.0) >= self.places.len()
            {
                return Err(NettingError::UnknownPayee { payer: owner, place, payee });
            }
            let is = |payee| Fr::from(u64::from(payment.payee == Some(payee)));
            inputs.push(Fr::from(u64::from(payment.payee.is_some())));
            inputs.extend(self.banks().map(is));
        }
        Ok(inputs)
    }

    /// Sorts the outputs of one of the programs.
    pub fn results<T>(&self, outputs: Vec<T>) -> Result<HiddenResults<T>, NettingError> {
        let expected = self.payments() + 2 * self.places.len();
        let found = outputs.len();
        let wrong = NettingError::Outputs { expected, found };
        if found != expected && found != expected + 1 {
            return Err(wrong);
        }
        let mut outputs = outputs.into_iter();
        let mut banks = Vec::with_capacity(self.places.len());
        for &places in &self.places {
            let notices = outputs.by_ref().take(places).collect();
            let (Some(inflow), Some(net)) = (outputs.next(), outputs.next()) else {
                return Err(wrong);
            };
            banks.push(HiddenBankResult { notices, inflow, net });
        }
        Ok(HiddenResults { banks, converged: outputs.next() })
    }
}

/// A payment. All but whether it settles is kept; that is carried from step to step.
struct Entry<'b> {
    /// Zero from the first payment to nobody on.
    amount: Uint<'b>,
    settles: Bit<'b>,
    /// Whether it and all before it are addressed to somebody.
    alive: Bit<'b>,
    pad: Field<'b>,
    /// By bank: whether it is addressed to it.
    payee: Vec<Bit<'b>>,
}

struct Queue<'b> {
    liquidity: Uint<'b>,
    entries: Vec<Entry<'b>>,
}

impl<'b> Queue<'b> {
    fn keep(&self, b: &'b Builder) {
        b.keep(self.liquidity);
        for entry in &self.entries {
            b.keep(entry.amount);
            b.keep(entry.alive);
            b.keep(entry.pad);
            entry.payee.iter().for_each(|&bit| b.keep(bit));
        }
    }

    fn carry(&self, b: &'b Builder) {
        self.entries.iter().for_each(|entry| b.carry(entry.settles));
    }

    /// What settles, by payment.
    fn settled_amounts(&self) -> Vec<Uint<'b>> {
        self.entries.iter().map(|entry| entry.settles * entry.amount).collect()
    }
}

/// The products of all prefixes, after each bit: Sklansky's network, *Conditional-sum addition
/// logic* (IRE Transactions on Electronic Computers, 1960). Of m bits at most m/2 * log2(m)
/// products, in log2(m) levels.
fn products_up_to<'b>(bits: &[Bit<'b>]) -> Vec<Bit<'b>> {
    let (first, second) = bits.split_at(bits.len().div_ceil(2));
    if second.is_empty() {
        return first.to_vec();
    }
    let mut all = products_up_to(first);
    let before = all[all.len() - 1];
    all.extend(products_up_to(second).into_iter().map(|product| before & product));
    all
}

/// How many payments settle.
fn count<'b>(b: &'b Builder, queues: &[Queue<'b>]) -> Uint<'b> {
    let entries = queues.iter().flat_map(|queue| &queue.entries);
    b.sum(entries.map(|entry| Uint::from(entry.settles)))
}

impl Hidden {
    fn banks(&self) -> impl Iterator<Item = Owner> {
        (0..self.places.len() as u16).map(Owner)
    }

    /// A bank's inputs, cut at the first payment to nobody.
    fn dealt<'b>(&self, b: &'b Builder, owner: Owner, places: usize) -> Queue<'b> {
        let liquidity = b.committed(owner).uint(AMOUNT_BITS);
        let payment = |_| (b.committed(owner).uint(AMOUNT_BITS), b.committed(owner).field());
        let payments: Vec<_> = (0..places).map(payment).collect();
        let payee = |_| {
            let somebody = b.private(owner).bit();
            (somebody, self.banks().map(|_| b.private(owner).bit()).collect())
        };
        let (somebody, payees): (Vec<_>, Vec<Vec<_>>) = (0..places).map(payee).unzip();
        let rest = payments.into_iter().zip(payees).zip(products_up_to(&somebody));
        let entry = |(((amount, pad), payee), alive): (((Uint<'b>, _), _), Bit<'b>)| Entry {
            amount: alive * amount,
            settles: b.bit(true),
            alive,
            pad,
            payee,
        };
        Queue { liquidity, entries: rest.map(entry).collect() }
    }

    /// Takes what [`Queue::keep`] keeps, and the state in the order in which [`Queue::carry`] hands
    /// it on.
    fn take<'b>(&self, b: &'b Builder) -> Vec<Queue<'b>> {
        let entry = |_| {
            let (amount, alive) = (b.kept().uint(AMOUNT_BITS), b.kept().bit());
            let (pad, payee) = (b.kept().field(), self.banks().map(|_| b.kept().bit()).collect());
            // Whether it settles is known once the carried bits are taken, behind all that is kept.
            Entry { amount, settles: alive, alive, pad, payee }
        };
        let queue = |&places: &usize| {
            let liquidity = b.kept().uint(AMOUNT_BITS);
            Queue { liquidity, entries: (0..places).map(entry).collect() }
        };
        let mut queues: Vec<_> = self.places.iter().map(queue).collect();
        let entries = queues.iter_mut().flat_map(|queue| &mut queue.entries);
        entries.for_each(|entry| entry.settles = b.carried().bit());
        queues
    }

    /// The inflow of each bank, given what settles by payer and place.
    fn inflows<'b>(
        &self,
        b: &'b Builder,
        queues: &[Queue<'b>],
        settled: &[Vec<Uint<'b>>],
    ) -> Vec<Uint<'b>> {
        let inflow = |bank: usize| {
            let payments = queues.iter().zip(settled).flat_map(|(queue, amounts)| {
                queue.entries.iter().map(|entry| entry.payee[bank]).zip(amounts)
            });
            b.inner_product(payments.map(|(bit, &amount)| (amount, Uint::from(bit))))
        };
        (0..self.places.len()).map(inflow).collect()
    }
}

impl Loop for Hidden {
    fn name(&self) -> &str {
        "netting-hidden"
    }

    fn owners(&self) -> u16 {
        self.places.len() as u16
    }

    /// All payments settle, to begin with.
    fn start(&self, b: &Builder) {
        for (owner, &places) in self.banks().zip(&self.places) {
            let queue = self.dealt(b, owner, places);
            queue.keep(b);
            queue.carry(b);
        }
    }

    /// Cuts each queue to what its bank can pay with the present inflow, as in
    /// [`Netting`](super::Netting).
    fn step<'b>(&self, b: &'b Builder, shown: bool) -> Bit<'b> {
        let queues = self.take(b);
        let settled: Vec<_> = queues.iter().map(Queue::settled_amounts).collect();
        let inflows = self.inflows(b, &queues, &settled);
        let before = count(b, &queues);
        let cut = |(mut queue, inflow): (Queue<'b>, Uint<'b>)| {
            let amounts: Vec<_> = queue.entries.iter().map(|entry| entry.amount).collect();
            let radices = prefix::radices(amounts.len() + 1, self.levels);
            let available = queue.liquidity + inflow;
            let bits = prefix::affordable(b, &amounts, available, &radices);
            queue.entries.iter_mut().zip(bits).for_each(|(entry, bit)| entry.settles = bit);
            queue.carry(b);
            queue
        };
        let next: Vec<_> = queues.into_iter().zip(inflows).map(cut).collect();
        unchanged(before, count(b, &next), shown)
    }

    fn finish(&self, b: &Builder) {
        let queues = self.take(b);
        let settled: Vec<_> = queues.iter().map(Queue::settled_amounts).collect();
        let inflows = self.inflows(b, &queues, &settled);
        for ((owner, queue), (amounts, inflow)) in
            self.banks().zip(queues).zip(settled.into_iter().zip(inflows))
        {
            for entry in &queue.entries {
                let notice = Field::from(entry.settles & entry.alive) + entry.pad;
                b.output(notice, Destination::Public);
            }
            b.output(inflow, Destination::Owner(owner));
            let net: Field<'_> = inflow - b.sum(amounts);
            b.output(net, Destination::Commitment { owner, group: NETS });
        }
    }
}
