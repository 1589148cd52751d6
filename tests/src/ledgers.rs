//! What balances and queues must be, kept beside a network by the plain reference.

use std::collections::{BTreeMap, BTreeSet};

use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::{Input, Payment};
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::payment::State;

use crate::reference;

/// What became of a payment: its state, the round that settled it, and at which height.
pub type Fate = (State, String, u64);

/// Balances and payments in euros of some banks, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    balances: BTreeMap<InstitutionId, u64>,
    /// Queued payments of all banks, each bank's in the order of its queue.
    queued: Vec<Payment>,
    /// Payments that are not queued any more, by payer and name.
    done: BTreeMap<(InstitutionId, String), Fate>,
}

impl Expectation {
    /// Nothing queued yet.
    pub fn new(balances: &[(InstitutionId, u64)]) -> Self {
        let balances = balances.iter().copied().collect();
        Self { balances, queued: vec![], done: BTreeMap::new() }
    }

    /// The balance of a bank.
    pub fn balance(&self, bank: InstitutionId) -> u64 {
        self.balances[&bank]
    }

    /// The payments that a bank has queued.
    pub fn queue_of(&self, bank: InstitutionId) -> impl Iterator<Item = &Payment> {
        self.queued.iter().filter(move |payment| payment.payer == bank)
    }

    /// A bank queues a payment.
    pub fn queue(&mut self, payment: Payment) {
        self.queued.push(payment);
    }

    /// A bank takes a payment out of its queue.
    pub fn cancel(&mut self, payer: InstitutionId, id: &str) {
        let found = self.queued.iter().position(|it| it.payer == payer && it.id == id);
        let payment = self.queued.remove(found.expect("a queued payment"));
        self.done.insert((payer, payment.id), (State::Cancelled, String::new(), 0));
    }

    /// Balances and queues of a roster. A queue ends at the first payee outside it.
    fn input(&self, roster: &BTreeSet<InstitutionId>) -> Input {
        let (mut ended, mut payments) = (BTreeSet::new(), Vec::new());
        for payment in &self.queued {
            if !roster.contains(&payment.payer) || ended.contains(&payment.payer) {
                continue;
            }
            match roster.contains(&payment.payee) {
                true => payments.push(payment.clone()),
                false => drop(ended.insert(payment.payer)),
            }
        }
        let position = |bank: &InstitutionId| ((Currency::Eur, *bank), self.balances[bank]);
        Input { positions: roster.iter().map(position).collect(), payments }
    }

    /// A round settles among these banks. Returns how many payments do.
    pub fn settle(&mut self, roster: &BTreeSet<InstitutionId>, round: &str, height: u64) -> usize {
        let reference::Outcome { mut prefix, net, .. } =
            reference::net(&self.input(roster), Currency::Eur);
        for (bank, net) in net {
            let balance = self.balances.get_mut(&bank).expect("a bank");
            *balance =
                balance.checked_add_signed(i64::try_from(net).expect("small")).expect("paid");
        }
        let before = self.queued.len();
        self.queued.retain(|payment| match prefix.get_mut(&payment.payer) {
            Some(left) if *left > 0 => {
                *left -= 1;
                let fate = (State::Settled, round.to_owned(), height);
                self.done.insert((payment.payer, payment.id.clone()), fate);
                false
            }
            _ => true,
        });
        before - self.queued.len()
    }

    /// What differs in what a bank's agent says; nothing if it is right.
    pub fn differences(
        &self,
        bank: InstitutionId,
        account: &api::AssetBalance,
        payments: &[api::Payment],
    ) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, found: String, expected: String| {
            if found != expected {
                differences.push(format!("{bank}: {what} {found} instead of {expected}"));
            }
        };
        compare("balance", account.balance.clone(), Currency::Eur.format(self.balance(bank)));
        compare("pending", account.pending.clone(), Currency::Eur.format(0));
        compare("lock", account.locked_by_round.clone(), String::new());
        let queued = payments.iter().filter(|payment| payment.state() == State::Queued);
        let queued: Vec<_> = queued.map(|payment| &payment.end_to_end_id).collect();
        let expected: Vec<_> = self.queue_of(bank).map(|payment| &payment.id).collect();
        compare("queue", format!("{queued:?}"), format!("{expected:?}"));
        let done = payments.iter().filter(|payment| payment.state() != State::Queued);
        let mut done: BTreeMap<&str, Fate> = done
            .map(|it| (&it.end_to_end_id[..], (it.state(), it.round_id.clone(), it.height)))
            .collect();
        for ((_, id), fate) in self.done.iter().filter(|((payer, _), _)| *payer == bank) {
            let found = done.remove(&id[..]);
            compare(id, format!("{found:?}"), format!("{:?}", Some(fate)));
        }
        compare("more", format!("{done:?}"), "{}".to_owned());
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ids;

    fn payment(id: &str, payer: InstitutionId, payee: InstitutionId, amount: u64) -> Payment {
        Payment { id: id.to_owned(), payer, payee, currency: Currency::Eur, amount }
    }

    #[test]
    fn a_queue_ends_where_the_roster_does() {
        let banks = ids(&["AAAAZZ01", "BBBBZZ01", "CCCCZZ01"]);
        let [a, b, c] = banks[..] else { unreachable!("three") };
        let mut expected = Expectation::new(&[(a, 10), (b, 0), (c, 5)]);
        for payment in [
            payment("1", a, b, 100),
            payment("2", b, a, 95),
            payment("3", a, c, 1),
            payment("4", a, b, 1),
            payment("5", c, a, 1),
        ] {
            expected.queue(payment);
        }
        assert_eq!(expected.settle(&[a, b].into(), "r", 7), 2);
        assert_eq!([a, b, c].map(|bank| expected.balance(bank)), [5, 5, 5]);
        let queued = |expected: &Expectation, bank| {
            expected.queue_of(bank).map(|it| it.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(queued(&expected, a), ["3", "4"]);
        assert_eq!(expected.settle(&banks.iter().copied().collect(), "s", 9), 3);
        assert_eq!([a, b, c].map(|bank| expected.balance(bank)), [4, 6, 5]);
        assert_eq!(expected.done[&(c, "5".to_owned())], (State::Settled, "s".to_owned(), 9));
    }
}
