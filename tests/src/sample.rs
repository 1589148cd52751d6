//! Makes the sample that ships with `quittance demo`.
//!
//! Payments are drawn as cycles of three to five banks that owe each other about the same, plus a
//! tenth that belong to none, and then shuffled. Each bank starts with a part of its first payment
//! only, so nearly every queue is stuck at its head; one bank of each currency starts with enough
//! for its first payment. What each owes and is owed nearly cancels, so that netting settles most.

use std::fmt::Write;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// The banks of the sample. `ZZ` is no country, so no bank of the world has these names.
pub const BANKS: [&str; 10] = [
    "ALBAZZ21", "BORGZZ21", "CASAZZ21", "DELTZZ21", "ELBEZZ21", "FJORZZ21", "GARDZZ21", "HANSZZ21",
    "ISARZZ21", "JURAZZ21",
];

/// The seed of the sample that ships: searched for until netting settles most but not all of it.
pub const SEED: u64 = 563;

/// Payments per currency.
const PAYMENTS: [(&str, usize); 2] = [("EUR", 120), ("USD", 80)];

/// The two files for a seed: positions and payments.
pub fn generate(seed: u64) -> (String, String) {
    let mut rng = Rng(ChaCha20Rng::seed_from_u64(seed));
    let mut positions = String::from("institution,currency,balance\n");
    let mut payments = Vec::new();
    for (currency, count) in PAYMENTS {
        let drawn = rng.payments(count);
        let rich = rng.below(BANKS.len() as u64) as usize;
        for (index, bank) in BANKS.into_iter().enumerate() {
            let first = drawn.iter().find(|payment| payment.payer == index);
            let first = first.map_or(0, |payment| payment.amount);
            let percent = if index == rich { 105 } else { 15 + rng.below(60) };
            // Whole thousands of the currency.
            let balance = first * percent / 100 / 100_000 * 1000;
            writeln!(positions, "{bank},{currency},{balance}.00").expect("a string");
        }
        payments.extend(drawn.into_iter().map(|payment| (currency, payment)));
    }
    rng.shuffle_keeping_order(&mut payments);
    let mut lines = String::from("id,payer,payee,currency,amount\n");
    for (number, (currency, Drawn { payer, payee, amount })) in (1..).zip(payments) {
        let (payer, payee) = (BANKS[payer], BANKS[payee]);
        let (major, minor) = (amount / 100, amount % 100);
        writeln!(lines, "P{number:03},{payer},{payee},{currency},{major}.{minor:02}")
            .expect("a string");
    }
    (positions, lines)
}

struct Drawn {
    payer: usize,
    payee: usize,
    /// Cents.
    amount: u64,
}

struct Rng(ChaCha20Rng);

impl Rng {
    /// A number below `bound`; the bias of the remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    /// `items` in random order.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Mixes the currencies without changing the order within each.
    fn shuffle_keeping_order(&mut self, payments: &mut Vec<(&'static str, Drawn)>) {
        let mut slots: Vec<&str> = payments.iter().map(|(currency, _)| *currency).collect();
        self.shuffle(&mut slots);
        let mut mixed = Vec::with_capacity(payments.len());
        for currency in slots {
            let next = payments.iter().position(|(c, _)| *c == currency).expect("as many slots");
            mixed.push(payments.remove(next));
        }
        *payments = mixed;
    }

    /// Between 10,000 and 5,000,000, small ones as likely as large ones; half of them round.
    fn amount(&mut self) -> u64 {
        let magnitude = [10_000, 50_000, 250_000, 1_000_000][self.below(4) as usize];
        let major = magnitude + self.below(magnitude * 4);
        if self.below(2) == 0 { major / 1000 * 100_000 } else { major * 100 + self.below(100) }
    }

    fn payments(&mut self, count: usize) -> Vec<Drawn> {
        let mut drawn = Vec::new();
        while drawn.len() < count - count / 10 {
            let mut banks: Vec<usize> = (0..BANKS.len()).collect();
            self.shuffle(&mut banks);
            banks.truncate(3 + self.below(3) as usize);
            let amount = self.amount();
            for (position, payer) in banks.iter().enumerate() {
                let payee = banks[(position + 1) % banks.len()];
                let permille = 985 + self.below(31);
                drawn.push(Drawn { payer: *payer, payee, amount: amount * permille / 1000 });
            }
        }
        drawn.truncate(count - count / 10);
        while drawn.len() < count {
            let payer = self.below(BANKS.len() as u64) as usize;
            let payee = (payer + 1 + self.below(BANKS.len() as u64 - 1) as usize) % BANKS.len();
            drawn.push(Drawn { payer, payee, amount: self.amount() });
        }
        self.shuffle(&mut drawn);
        drawn
    }
}
