//! What `quittance demo --json` must say about an input, by the plain reference.

use std::collections::BTreeMap;

use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Input;
use quittance_ledger::ids::InstitutionId;
use serde_json::Value;

use crate::reference;

/// Currency, institution, amount in minor units.
type Amounts = BTreeMap<Currency, BTreeMap<InstitutionId, i128>>;

/// The outcome of one netting of everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Ids of payments that settle, sorted.
    pub settled: Vec<String>,
    /// Ids of payments that stay queued, sorted.
    pub queued: Vec<String>,
    /// Nets of all banks in all currencies.
    pub net: Amounts,
    /// Balances afterwards.
    pub balances: Amounts,
}

impl Expected {
    /// By [`reference::net`].
    pub fn of(input: &Input) -> Self {
        let (mut settled, mut queued) = (vec![], vec![]);
        let (mut net, mut balances) = (Amounts::new(), Amounts::new());
        for currency in input.currencies() {
            let outcome = reference::net(input, currency);
            let mut left = outcome.prefix;
            for payment in input.payments_in(currency) {
                let left = left.get_mut(&payment.payer).expect("a payer is a bank");
                let ids = if *left > 0 { &mut settled } else { &mut queued };
                ids.push(payment.id.clone());
                *left = left.saturating_sub(1);
            }
            let balance = |(bank, net): (&InstitutionId, &i128)| {
                (*bank, i128::from(input.position(currency, *bank)) + net)
            };
            balances.insert(currency, outcome.net.iter().map(balance).collect());
            net.insert(currency, outcome.net);
        }
        settled.sort();
        queued.sort();
        Self { settled, queued, net, balances }
    }

    /// What differs in a report; nothing if it is right.
    pub fn differences(&self, report: &Value) -> Vec<String> {
        let ids = |ids: &[String]| Value::from(ids.to_vec());
        let amounts = |amounts: &Amounts| {
            let per_currency = amounts.iter().map(|(currency, banks)| {
                let text = |(bank, amount): (&InstitutionId, &i128)| {
                    (bank.to_string(), Value::from(currency.format(*amount)))
                };
                (currency.to_string(), banks.iter().map(text).collect::<Value>())
            });
            per_currency.collect::<Value>()
        };
        let fields = [
            ("settled", ids(&self.settled)),
            ("queued", ids(&self.queued)),
            ("net", amounts(&self.net)),
            ("balances", amounts(&self.balances)),
        ];
        let differs = fields.into_iter().filter(|(name, value)| report[*name] != *value);
        differs.map(|(name, value)| format!("{name}: {} is not {value}", report[name])).collect()
    }
}
