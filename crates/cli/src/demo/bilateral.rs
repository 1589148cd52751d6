//! What the sample run does besides netting: transfers and an exchange.
//!
//! Who pays whom follows from the balances that the rounds left, so nobody is asked for more than
//! it has.

use std::collections::BTreeMap;

use quittance_ledger::ids::InstitutionId;

use super::currency::Currency;

/// Balances in minor units.
pub type Balances = BTreeMap<InstitutionId, u64>;

/// One bank pays one or more others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Who pays.
    pub sender: InstitutionId,
    /// In which currency.
    pub currency: Currency,
    /// Who is credited with how much, in minor units. Zero is a decoy.
    pub receivers: Vec<(InstitutionId, u64)>,
}

/// Two banks swap two currencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who offers, and what it gives.
    pub offering: (InstitutionId, Currency, u64),
    /// Who accepts, and what it gives.
    pub accepting: (InstitutionId, Currency, u64),
}

/// What to do, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bilateral {
    /// A plain payment, then one with several receivers and decoys.
    pub transfers: Vec<Transfer>,
    /// Euros for dollars.
    pub exchange: Exchange,
}

/// Twelve percent more dollars than euros: a rate for the example's sake.
const RATE: (u64, u64) = (112, 100);

/// The plan for these balances in euros and dollars; `None` if there is too little to move.
pub fn plan(euros: &Balances, dollars: &Balances) -> Option<Bilateral> {
    let mut ranked: Vec<(InstitutionId, u64)> = euros.iter().map(|(b, v)| (*b, *v)).collect();
    // The richest first; equals in order of name.
    ranked.sort_by_key(|(bank, balance)| (std::cmp::Reverse(*balance), *bank));
    let &[(first, most), (second, next), (third, _), (fourth, _), (fifth, _), ..] = &ranked[..]
    else {
        return None;
    };
    let (partner, partner_has) = dollars
        .iter()
        .filter(|(bank, _)| **bank != first)
        .map(|(bank, balance)| (*bank, *balance))
        .max_by_key(|(_, balance)| *balance)?;
    // As much as a tenth of what either has allows.
    let euros_given = (part(partner_has, 10) / RATE.0 * RATE.1).min(part(most, 10));
    let dollars_given = euros_given / RATE.1 * RATE.0;
    let transfer = |sender, receivers| Transfer { sender, currency: Currency::Eur, receivers };
    let plan = Bilateral {
        transfers: vec![
            transfer(first, vec![(second, part(most, 10))]),
            transfer(
                second,
                vec![(third, part(next, 20)), (fourth, 0), (fifth, part(next, 25)), (first, 0)],
            ),
        ],
        exchange: Exchange {
            offering: (first, Currency::Eur, euros_given),
            accepting: (partner, Currency::Usd, dollars_given),
        },
    };
    let moved = [part(most, 10), part(next, 25), euros_given, dollars_given];
    moved.iter().all(|amount| *amount > 0).then_some(plan)
}

/// `1/share` of a balance, rounded down to whole major units of a currency with two decimals.
fn part(balance: u64, share: u64) -> u64 {
    balance / share / 100 * 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balances(amounts: &[u64]) -> Balances {
        let bank = |index: usize| format!("BNK{index}ZZ01").parse().unwrap();
        amounts.iter().enumerate().map(|(index, amount)| (bank(index), *amount)).collect()
    }

    /// Applies the plan; panics if somebody pays what it does not have.
    fn apply(plan: &Bilateral, euros: &mut Balances, dollars: &mut Balances) {
        let mut pay = |from, to, currency, amount| {
            let balances = if currency == Currency::Eur { &mut *euros } else { &mut *dollars };
            let payer = balances.get_mut(&from).unwrap();
            *payer = payer.checked_sub(amount).expect("the payer has enough");
            *balances.get_mut(&to).unwrap() += amount;
        };
        for transfer in &plan.transfers {
            for (to, amount) in &transfer.receivers {
                pay(transfer.sender, *to, transfer.currency, *amount);
            }
        }
        let Exchange { offering, accepting } = plan.exchange.clone();
        pay(offering.0, accepting.0, offering.1, offering.2);
        pay(accepting.0, offering.0, accepting.1, accepting.2);
    }

    #[test]
    fn the_plan_can_be_paid() {
        let mut euros = balances(&[5_000_000, 900_000, 40_000, 0, 0, 77]);
        let mut dollars = balances(&[9_000_000, 0, 3_000_000, 0, 0, 0]);
        let plan = plan(&euros, &dollars).unwrap();
        apply(&plan, &mut euros, &mut dollars);
        let receivers = &plan.transfers[1].receivers;
        assert_eq!(receivers.iter().filter(|(_, amount)| *amount == 0).count(), 2);
        assert_eq!(receivers.iter().filter(|(_, amount)| *amount > 0).count(), 2);
        // The richest in dollars is the one that offers, so the next one accepts.
        let id = |text: &str| text.parse::<InstitutionId>().unwrap();
        assert_eq!(plan.exchange.offering, (id("BNK0ZZ01"), Currency::Eur, 267_800));
        assert_eq!(plan.exchange.accepting, (id("BNK2ZZ01"), Currency::Usd, 299_936));
    }

    #[test]
    fn nothing_is_planned_with_nothing() {
        let rich = balances(&[5_000_000; 5]);
        assert!(plan(&rich, &rich).is_some());
        assert!(plan(&balances(&[0; 5]), &rich).is_none());
        assert!(plan(&rich, &balances(&[0; 5])).is_none());
        assert!(plan(&balances(&[5_000_000; 4]), &rich).is_none());
        // The only one with dollars is the one that offers euros.
        assert!(plan(&rich, &balances(&[5_000_000])).is_none());
    }
}
