//! What the demonstration found out, as data.
//!
//! [`Report::to_json`] is for programs, [`Report::to_text`] for people. Both are pure.

mod json;
mod text;

pub(in crate::demo) use text::duration;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use quittance_ledger::ids::InstitutionId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::currency::Currency;
use super::input::Payment;

/// All results of one run.
#[derive(Debug)]
pub struct Report {
    /// Where the network's files are.
    pub directory: PathBuf,
    /// Every account of every bank.
    pub accounts: BTreeMap<Currency, BTreeMap<InstitutionId, Account>>,
    /// Every payment, in the order of the input, and whether it settled.
    pub payments: Vec<(Payment, bool)>,
    /// The netting rounds that settled.
    pub rounds: Vec<Round>,
    /// The transfers made outside rounds.
    pub transfers: Vec<Transfer>,
    /// The exchange of two currencies, if one was made.
    pub exchange: Option<Exchange>,
    /// One bank's statements.
    pub view: BankView,
    /// The auditor's verdict.
    pub audit: Audit,
    /// What took how long, in the order of events.
    pub stages: Vec<(String, Duration)>,
}

/// One account, as its own bank's agent tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Starting balance in minor units.
    pub start: u64,
    /// Net of the round in minor units; zero if there was none.
    pub net: i128,
    /// Balance at the end, a decimal in major units.
    pub balance: String,
    /// The commitment to that balance, hexadecimal: what everybody else sees.
    pub commitment: String,
}

/// One netting round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Its currency.
    pub currency: Currency,
    /// How many payments would have settled one by one, in full.
    pub one_by_one: usize,
    /// Steps of the netting until nothing changed.
    pub iterations: u32,
    /// Duration of the joint computation.
    pub computation: Duration,
    /// From the request for the round to the settlement's finality, as the last bank heard of it.
    pub took: Duration,
    /// Bytes sent by each MPC party during it, in committee order.
    pub bytes_sent_per_party: Vec<u64>,
}

/// A transfer from one bank to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Who paid.
    pub sender: InstitutionId,
    /// In which currency.
    pub currency: Currency,
    /// Who was credited, and how much in minor units. Zero is a decoy.
    pub receivers: Vec<(InstitutionId, u64)>,
    /// The block that made it final.
    pub height: u64,
}

/// An exchange of two currencies between two banks, in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who offered it, what it gave, in minor units.
    pub offered_by: (InstitutionId, Currency, u64),
    /// Who accepted it, what it gave, in minor units.
    pub accepted_by: (InstitutionId, Currency, u64),
    /// The block that made it final.
    pub height: u64,
}

/// What one bank sees of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankView {
    /// Which bank.
    pub institution: InstitutionId,
    /// Its statement lines in all currencies, in ledger order.
    pub statement: Vec<StatementLine>,
}

/// One line of a statement. Texts as the agent gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// The block.
    pub height: u64,
    /// The account's currency.
    pub currency: Currency,
    /// What happened, in a word or two.
    pub what: String,
    /// Signed decimal, major units.
    pub amount: String,
    /// The balance after it, major units.
    pub balance: String,
    /// The others in it.
    pub counterparties: Vec<String>,
}

/// What the auditor's own program printed.
#[derive(Debug)]
pub struct Audit {
    /// Its output, byte for byte.
    pub raw: Box<RawValue>,
    /// What is shown of it.
    pub verdict: Verdict,
}

/// The part of the auditor's output that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    /// Whether everything held.
    pub verified: bool,
    /// Blocks replayed.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Range proofs verified one by one.
    pub range_proofs: u64,
    /// Signatures verified.
    pub signatures: u64,
}

impl Audit {
    /// Reads what the auditor printed.
    pub fn parse(output: &str) -> Result<Self, serde_json::Error> {
        let raw = RawValue::from_string(output.trim().to_owned())?;
        let verdict = serde_json::from_str(raw.get())?;
        Ok(Self { raw, verdict })
    }
}

#[cfg(test)]
mod tests;
