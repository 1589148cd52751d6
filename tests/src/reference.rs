//! Settling in the clear, written for being read: what the joint computation is compared with.
//!
//! [`net`] is section 8 of the design. [`pay_in_order`] and [`pay_in_passes`] are what banks do
//! without it: pay one by one in full.

use std::collections::BTreeMap;

use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::{Input, Payment};
use quittance_ledger::ids::InstitutionId;

/// What became of the payments of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How many of each payer's payments settled, counted from the first.
    pub prefix: BTreeMap<InstitutionId, usize>,
    /// Inflow less outflow of each bank, in minor units.
    pub net: BTreeMap<InstitutionId, i128>,
    /// Applications of the step until it changed nothing, that last one included.
    pub iterations: u32,
}

/// The queue of each bank, empty ones included.
fn queues(input: &Input, currency: Currency) -> BTreeMap<InstitutionId, Vec<&Payment>> {
    let mut queues: BTreeMap<_, Vec<_>> =
        input.banks().into_iter().map(|bank| (bank, vec![])).collect();
    for payment in input.payments_in(currency) {
        queues.get_mut(&payment.payer).expect("a payer is a bank").push(payment);
    }
    queues
}

/// Inflow less outflow of each bank when each payer pays the first `prefix` of its queue.
fn nets(
    queues: &BTreeMap<InstitutionId, Vec<&Payment>>,
    prefix: &BTreeMap<InstitutionId, usize>,
) -> BTreeMap<InstitutionId, i128> {
    let mut nets: BTreeMap<_, i128> = queues.keys().map(|bank| (*bank, 0)).collect();
    for (payer, queue) in queues {
        for payment in &queue[..prefix[payer]] {
            *nets.get_mut(payer).expect("a bank") -= i128::from(payment.amount);
            *nets.get_mut(&payment.payee).expect("a bank") += i128::from(payment.amount);
        }
    }
    nets
}

/// The greatest prefixes that leave nobody below zero.
pub fn net(input: &Input, currency: Currency) -> Outcome {
    let queues = queues(input, currency);
    let mut prefix: BTreeMap<_, usize> = queues.iter().map(|(b, q)| (*b, q.len())).collect();
    for iterations in 1.. {
        let nets = nets(&queues, &prefix);
        let affordable = |payer: &InstitutionId, queue: &[&Payment]| {
            let outflow: i128 = queue[..prefix[payer]].iter().map(|p| i128::from(p.amount)).sum();
            let mut left = i128::from(input.position(currency, *payer)) + nets[payer] + outflow;
            let paid = queue.iter().take_while(|payment| {
                left -= i128::from(payment.amount);
                left >= 0
            });
            paid.count()
        };
        let next = queues.iter().map(|(payer, queue)| (*payer, affordable(payer, queue))).collect();
        if next == prefix {
            return Outcome { prefix, net: nets, iterations };
        }
        prefix = next;
    }
    unreachable!("prefixes only shrink")
}

/// Pays in the order of the file, once; a payer that cannot pay makes its later payments wait.
pub fn pay_in_order(input: &Input, currency: Currency) -> usize {
    pass(input, currency, &mut Balances::new(input, currency))
}

/// The same again and again, since what came in later may pay what came earlier.
pub fn pay_in_passes(input: &Input, currency: Currency) -> usize {
    let mut balances = Balances::new(input, currency);
    let mut settled = 0;
    loop {
        match pass(input, currency, &mut balances) {
            0 => return settled,
            more => settled += more,
        }
    }
}

/// Balances and the number of payments that each bank has paid.
struct Balances(BTreeMap<InstitutionId, (i128, usize)>);

impl Balances {
    fn new(input: &Input, currency: Currency) -> Self {
        let start = |bank| (i128::from(input.position(currency, bank)), 0);
        Self(input.banks().into_iter().map(|bank| (bank, start(bank))).collect())
    }
}

/// One pass over the file; the number of payments made in it.
fn pass(input: &Input, currency: Currency, balances: &mut Balances) -> usize {
    let mut made = 0;
    let mut place: BTreeMap<InstitutionId, usize> = BTreeMap::new();
    for payment in input.payments_in(currency) {
        let place = place.entry(payment.payer).or_default();
        let (balance, paid) = balances.0.get_mut(&payment.payer).expect("a bank");
        let next_in_queue = *place == *paid;
        *place += 1;
        if next_in_queue && *balance >= i128::from(payment.amount) {
            *balance -= i128::from(payment.amount);
            *paid += 1;
            balances.0.get_mut(&payment.payee).expect("a bank").0 += i128::from(payment.amount);
            made += 1;
        }
    }
    made
}
