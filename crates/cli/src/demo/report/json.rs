//! The report for programs.

use std::collections::BTreeMap;

use quittance_ledger::ids::InstitutionId;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Account, Report};
use crate::demo::currency::Currency;

type PerAccount = BTreeMap<Currency, BTreeMap<InstitutionId, String>>;

#[derive(Serialize)]
struct Json<'a> {
    /// Ids of settled payments, sorted.
    settled: Vec<&'a str>,
    /// Ids of payments that stayed queued, sorted.
    queued: Vec<&'a str>,
    /// Net of the round: currency, institution, signed decimal in major units.
    net: PerAccount,
    /// Balances at the end: currency, institution, decimal in major units.
    balances: PerAccount,
    rounds: Vec<Round<'a>>,
    /// The auditor's own output.
    audit: &'a RawValue,
}

#[derive(Serialize)]
struct Round<'a> {
    currency: Currency,
    iterations: u32,
    milliseconds: u128,
    opening_to_finality_milliseconds: u128,
    bytes_sent_per_party: &'a [u64],
}

impl Report {
    /// One JSON object, ending in a line break.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let json = Json {
            settled: self.ids(true),
            queued: self.ids(false),
            net: self.per_account(|currency, account| currency.format(account.net)),
            balances: self.per_account(|_, account| account.balance.clone()),
            rounds: self.rounds.iter().map(round).collect(),
            audit: &self.audit.raw,
        };
        serde_json::to_string_pretty(&json).map(|text| text + "\n")
    }

    fn ids(&self, settled: bool) -> Vec<&str> {
        let chosen = self.payments.iter().filter(|(_, done)| *done == settled);
        let mut ids: Vec<&str> = chosen.map(|(payment, _)| payment.id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    fn per_account(&self, text: impl Fn(Currency, &Account) -> String) -> PerAccount {
        let accounts = self.accounts.iter().map(|(currency, accounts)| {
            let accounts = accounts.iter().map(|(bank, it)| (*bank, text(*currency, it)));
            (*currency, accounts.collect())
        });
        accounts.collect()
    }
}

fn round(round: &super::Round) -> Round<'_> {
    Round {
        currency: round.currency,
        iterations: round.iterations,
        milliseconds: round.computation.as_millis(),
        opening_to_finality_milliseconds: round.took.as_millis(),
        bytes_sent_per_party: &round.bytes_sent_per_party,
    }
}
