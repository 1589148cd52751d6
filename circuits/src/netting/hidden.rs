//! Netting that hides who is paid, and how long queues are beyond a padded length.
//!
//! The circuit depends on nothing but the number of banks n and, for each, the number of places in
//! its queue. A payment comes with a vector of bits `e_0, ..., e_n`: 1 at `k + 1` for a payment to
//! bank k, 1 at 0 for one to *nobody*, 0 elsewhere. With `v_p = x_p * a_p` for what settles of
//! payment p, the inflow of bank k is one inner product over all payments,
//!
//! ```text
//! inflow_k = sum over all p of v_p * e_p,(k+1).
//! ```
//!
//! **The vectors must be one-hot**, and at the place that the payer is committed to. The circuit
//! cannot check this: it takes a random number drawn after they have been dealt. Whoever runs the
//! circuit checks the vectors at [`Hidden::payees`] first.
//!
//! **Nobody.** Padding is payments of zero to nobody; a payment to a bank that takes no part, and
//! all behind it, are payments of whatever amount to nobody. The start sets amounts to nobody to
//! zero, and refuses a queue with a payment to somebody behind one to nobody, since that would skip
//! payments. So payments to nobody stand at the end, change no sum, and no bit before them: the
//! result is that of [`Netting`](super::Netting) on queues that end there, with the same number of
//! steps. On shares all payments look alike. An arbitrary one-hot vector would do for padding in
//! sums, but its payee would be somebody, for whom a payment of nothing settled.
//!
//! A payment to oneself, which [`Netting`](super::Netting) refuses, is possible and harmless: it
//! adds the same to both sides of the payer's condition, and the maximal result is unique as before.
//! So no payer ends up better or worse off by it.
//!
//! **Notices.** A committee that does not know payees cannot send them anything. So each payment
//! has a *pad* w, a uniform field element which the payer is committed to and gives to the payee
//! with the opening of the payment. Everybody is shown the *notice* `s + w`, s being 1 if the
//! payment settles and 0 if not. It is uniform for whoever does not know w. Payer and payee read s
//! from it, and cannot be told different things, since the pad is committed to; signed by t + 1
//! parties it is a receipt which the opening of the pad makes readable for others. A pad serves
//! once: two notices with one pad show whether they say the same.

mod values;

use quittance_circuit::{
    Bit, Builder, Destination, Field, Fr, Gate, GateId, Loop, MAX_STEPS, Owner, Part, Program,
    ProgramError, Repetition, Uint,
};

use super::{AMOUNT_BITS, NETS, NettingError, prefix, unchanged};

pub use values::{
    HiddenBank, HiddenBankResult, HiddenPayment, HiddenResults, PayeeInput, places, settled,
};

/// How many committed inputs a payment has: amount, index of the payee, pad.
const COMMITTED: usize = 3;

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

    /// Where the vectors are that must be one-hot, by payer and place.
    pub fn payees(&self) -> impl Iterator<Item = PayeeInput> + '_ {
        let length = self.places.len() + 1;
        (0u16..).map(Owner).zip(&self.places).flat_map(move |(owner, &places)| {
            (0..places).map(move |place| {
                let start = (1 + COMMITTED * places + length * place) as u32;
                let index = (2 + COMMITTED * place) as u32;
                PayeeInput { owner, index, entries: start..start + length as u32 }
            })
        })
    }

    /// Whose queue is refused where this assertion of the start fails: one with a payment to
    /// somebody behind one to nobody.
    pub fn refused(&self, program: &Program, assertion: GateId) -> Option<Owner> {
        let gates = program.part(Part::Start).gates().iter().zip((0..).map(GateId));
        let mut assertions = gates.filter(|(gate, _)| matches!(gate, Gate::AssertZero(_)));
        let place = assertions.position(|(_, id)| id == assertion)?;
        let long = self.places.iter().zip((0u16..).map(Owner)).filter(|(places, _)| **places > 1);
        long.map(|(_, owner)| owner).nth(place)
    }

    /// The inputs of all banks in the order of the circuit: the committed ones, which are liquidity
    /// and, by place, amount, index and pad; then the vectors, which are private, by place.
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
            inputs.extend([Fr::from(payment.amount), payment.index, payment.pad]);
        }
        for (place, payment) in bank.queue.iter().enumerate() {
            let one = match payment.payee {
                None => 0,
                Some(payee) if usize::from(payee.0) < self.places.len() => 1 + usize::from(payee.0),
                Some(payee) => {
                    return Err(NettingError::UnknownPayee { payer: owner, place, payee });
                }
            };
            let entry = |k| Fr::from(u64::from(k == one));
            inputs.extend((0..=self.places.len()).map(entry));
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
    /// Zero for a payment to nobody.
    amount: Uint<'b>,
    settles: Bit<'b>,
    /// Whether it is addressed to somebody.
    somebody: Bit<'b>,
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
            b.keep(entry.somebody);
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

/// How many payments settle.
fn count<'b>(b: &'b Builder, queues: &[Queue<'b>]) -> Uint<'b> {
    let entries = queues.iter().flat_map(|queue| &queue.entries);
    b.sum(entries.map(|entry| Uint::from(entry.settles)))
}

impl Hidden {
    fn banks(&self) -> impl Iterator<Item = Owner> {
        (0..self.places.len() as u16).map(Owner)
    }

    /// A bank's inputs; payments to nobody become payments of nothing.
    fn dealt<'b>(&self, b: &'b Builder, owner: Owner, places: usize) -> Queue<'b> {
        let liquidity = b.committed(owner).uint(AMOUNT_BITS);
        let payment = |_| {
            let amount = b.committed(owner).uint(AMOUNT_BITS);
            // The index of the payee, which the check of the vector takes.
            b.committed(owner).field();
            (amount, b.committed(owner).field())
        };
        let payments: Vec<_> = (0..places).map(payment).collect();
        let vector = |(amount, pad): (Uint<'b>, Field<'b>)| {
            let somebody = !b.private(owner).bit();
            let payee = self.banks().map(|_| b.private(owner).bit()).collect();
            let (amount, settles) = (somebody * amount, b.bit(true));
            Entry { amount, settles, somebody, pad, payee }
        };
        Queue { liquidity, entries: payments.into_iter().map(vector).collect() }
    }

    /// Takes what [`Queue::keep`] keeps, and the state in the order in which [`Queue::carry`] hands
    /// it on.
    fn take<'b>(&self, b: &'b Builder) -> Vec<Queue<'b>> {
        let entry = |_| {
            let (amount, somebody) = (b.kept().uint(AMOUNT_BITS), b.kept().bit());
            let (pad, payee) = (b.kept().field(), self.banks().map(|_| b.kept().bit()).collect());
            // Whether it settles is known once the carried bits are taken, behind all that is kept.
            Entry { amount, settles: somebody, somebody, pad, payee }
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
            if places > 1 {
                // How often somebody is paid behind nobody.
                let pairs = queue.entries.windows(2);
                let pairs = pairs.map(|pair| (!pair[0].somebody, pair[1].somebody));
                b.assert_zero(b.inner_product(pairs.map(|(a, c)| (Uint::from(a), Uint::from(c)))));
            }
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
                let notice = Field::from(entry.settles & entry.somebody) + entry.pad;
                b.output(notice, Destination::Public);
            }
            b.output(inflow, Destination::Owner(owner));
            let net: Field<'_> = inflow - b.sum(amounts);
            b.output(net, Destination::Commitment { owner, group: NETS });
        }
    }
}
