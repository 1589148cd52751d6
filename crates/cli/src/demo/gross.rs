//! What banks reach without netting: each payment alone, in full.

use std::collections::BTreeMap;

use quittance_ledger::ids::InstitutionId;

use super::currency::Currency;
use super::input::{Input, Payment};

/// How many payments of a currency settle when each payer pays the head of its queue as soon as
/// its balance allows, until nobody can pay any more.
///
/// The order in which payers are served does not matter: serving one only raises what others have.
pub fn settled(input: &Input, currency: Currency) -> usize {
    let mut balances: BTreeMap<InstitutionId, u128> = BTreeMap::new();
    for bank in input.banks() {
        balances.insert(bank, input.position(currency, bank).into());
    }
    let mut queues: BTreeMap<InstitutionId, Vec<&Payment>> = BTreeMap::new();
    for payment in input.payments_in(currency) {
        queues.entry(payment.payer).or_default().push(payment);
    }
    let mut heads: BTreeMap<InstitutionId, usize> = BTreeMap::new();
    loop {
        let payable = queues.iter().find_map(|(payer, queue)| {
            let next = queue.get(heads.get(payer).copied().unwrap_or(0))?;
            let left = balances.get(payer)?.checked_sub(next.amount.into())?;
            Some((*next, left))
        });
        let Some((payment, left)) = payable else { return heads.values().sum() };
        balances.insert(payment.payer, left);
        *balances.entry(payment.payee).or_default() += u128::from(payment.amount);
        *heads.entry(payment.payer).or_default() += 1;
    }
}
