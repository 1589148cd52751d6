//! The two files that the demonstration runs on.
//!
//! `positions.csv` has the columns `institution,currency,balance`: what each bank starts with.
//! `payments.csv` has `id,payer,payee,currency,amount`: the payments to settle, each payer's in the
//! order of the file. Amounts are decimals in major units. Whatever is wrong with the files is
//! found before anything starts, and all of it is told at once, with file and line.

mod problems;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::decimal;

use super::currency::Currency;
pub use problems::{Problem, Problems, Reason};
use rows::rows;

/// The fewest and the most banks of a demonstration.
pub const BANKS: std::ops::RangeInclusive<usize> = 2..=40;

/// The most payments of a demonstration.
pub const MAX_PAYMENTS: usize = 10_000;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// A file's name and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name that problems are reported under.
    pub name: String,
    /// The content.
    pub bytes: Vec<u8>,
}

impl Source {
    /// Content that is already in memory.
    pub fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), bytes: bytes.into() }
    }

    /// Reads a file of at most [`MAX_FILE`] bytes.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let name = path.display().to_string();
        let refuse = |reason| Problem { file: name.clone(), line: 1, reason };
        let unreadable = |error: std::io::Error| refuse(Reason::Unreadable(error.to_string()));
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MAX_FILE {
            return Err(refuse(Reason::FileTooLarge { size, limit: MAX_FILE }));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Ok(Self { name, bytes })
    }
}

/// A payment to be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The caller's name for it: 1 to 35 printable ASCII characters, as an EndToEndId.
    pub id: String,
    /// Who pays.
    pub payer: InstitutionId,
    /// Who is paid; never the payer.
    pub payee: InstitutionId,
    /// In which currency.
    pub currency: Currency,
    /// How much, in minor units; above zero.
    pub amount: u64,
}

/// Well-formed input of a demonstration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Starting balances in minor units. Who is not named here starts at zero.
    pub positions: BTreeMap<(Currency, InstitutionId), u64>,
    /// The payments in the order of the file. Ids are unique.
    pub payments: Vec<Payment>,
}

impl Input {
    /// The sample that ships with the program.
    pub fn sample() -> Result<Self, Problems> {
        Self::parse(
            &Source::new("positions.csv", include_str!("../../data/positions.csv")),
            &Source::new("payments.csv", include_str!("../../data/payments.csv")),
        )
    }

    /// Reads both files from disk.
    pub fn read(positions: &Path, payments: &Path) -> Result<Self, Problems> {
        match (Source::read(positions), Source::read(payments)) {
            (Ok(positions), Ok(payments)) => Self::parse(&positions, &payments),
            (positions, payments) => {
                let mut problems = Problems::default();
                problems.extend(positions.err().into_iter().chain(payments.err()));
                Err(problems)
            }
        }
    }

    /// Reads both files, or says everything that is wrong with them.
    pub fn parse(positions: &Source, payments: &Source) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let start = Place { file: positions.name.clone(), line: 1 };
        let mut banks = Banks { seen: BTreeSet::new(), last: start };
        let positions = parse_positions(positions, &mut banks, &mut problems);
        let payments = parse_payments(payments, &mut banks, &mut problems);
        // A count is only worth a word when no bank was lost to a malformed line.
        if problems.is_empty() && banks.seen.len() < *BANKS.start() {
            problems.push(banks.last.refuse(Reason::TooFewBanks));
        }
        if problems.is_empty() { Ok(Self { positions, payments }) } else { Err(problems) }
    }

    /// All banks, those without a position included.
    pub fn banks(&self) -> BTreeSet<InstitutionId> {
        let parties = self.payments.iter().flat_map(|payment| [payment.payer, payment.payee]);
        self.positions.keys().map(|(_, bank)| *bank).chain(parties).collect()
    }

    /// All currencies that occur.
    pub fn currencies(&self) -> BTreeSet<Currency> {
        let paid = self.payments.iter().map(|payment| payment.currency);
        self.positions.keys().map(|(currency, _)| *currency).chain(paid).collect()
    }

    /// What a bank starts with, in minor units.
    pub fn position(&self, currency: Currency, bank: InstitutionId) -> u64 {
        self.positions.get(&(currency, bank)).copied().unwrap_or(0)
    }

    /// The payments in one currency, in the order of the file.
    pub fn payments_in(&self, currency: Currency) -> impl Iterator<Item = &Payment> {
        self.payments.iter().filter(move |payment| payment.currency == currency)
    }
}

/// A line of a file, for pointing at.
#[derive(Debug, Clone)]
struct Place {
    file: String,
    line: u64,
}

impl Place {
    fn refuse(&self, reason: Reason) -> Problem {
        Problem { file: self.file.clone(), line: self.line, reason }
    }
}

/// The banks met so far, and the line that was read last.
struct Banks {
    seen: BTreeSet<InstitutionId>,
    last: Place,
}

impl Banks {
    /// Reads the id of a bank and counts it.
    fn read(&mut self, text: &str) -> Result<InstitutionId, Reason> {
        let bank: InstitutionId = text.parse().map_err(Reason::Id)?;
        if crate::testnet::names::is_reserved(bank) {
            return Err(Reason::Reserved(bank));
        }
        // Only the first bank too many is reported: its line is where the file grows too large.
        if self.seen.insert(bank) && self.seen.len() == BANKS.end() + 1 {
            return Err(Reason::TooManyBanks(bank));
        }
        Ok(bank)
    }
}

fn parse_positions(
    source: &Source,
    banks: &mut Banks,
    problems: &mut Problems,
) -> BTreeMap<(Currency, InstitutionId), u64> {
    let mut positions = BTreeMap::new();
    let mut lines = BTreeMap::new();
    let mut totals: BTreeMap<Currency, u64> = BTreeMap::new();
    for (place, fields) in rows(source, ["institution", "currency", "balance"]) {
        banks.last = place.clone();
        let mut line = Line { place: &place, problems };
        let Some([bank, currency, balance]) = line.check(fields) else { continue };
        let bank = line.check(banks.read(&bank));
        let currency = line.check(currency.parse().map_err(Reason::Currency));
        let balance =
            currency.and_then(|c: Currency| line.check(c.parse(&balance).map_err(Reason::Amount)));
        let (Some(bank), Some(currency)) = (bank, currency) else { continue };
        if let Some(first) = lines.insert((currency, bank), place.line) {
            line.report(Reason::DuplicatePosition { bank, currency, first });
            continue;
        }
        let Some(balance) = balance else { continue };
        // The issuer owes the sum of all balances, and its debt is range-proven like they are.
        let total = totals.entry(currency).or_default();
        match total.checked_add(balance) {
            Some(sum) => *total = sum,
            None => line.report(Reason::TotalTooLarge(currency)),
        }
        positions.insert((currency, bank), balance);
    }
    positions
}

fn parse_payments(source: &Source, banks: &mut Banks, problems: &mut Problems) -> Vec<Payment> {
    let mut payments = Vec::new();
    let mut lines = BTreeMap::new();
    for (place, fields) in rows(source, ["id", "payer", "payee", "currency", "amount"]) {
        banks.last = place.clone();
        let mut line = Line { place: &place, problems };
        let Some([id, payer, payee, currency, amount]) = line.check(fields) else { continue };
        let id = line.check(parse_id(id, place.line, &mut lines));
        let payer = line.check(banks.read(&payer));
        let payee = line.check(banks.read(&payee));
        let currency = line.check(currency.parse().map_err(Reason::Currency));
        let amount = currency.and_then(|c: Currency| {
            line.check(decimal::parse_positive(&amount, c.decimals()).map_err(Reason::Amount))
        });
        if let (Some(payer), Some(payee)) = (payer, payee)
            && payer == payee
        {
            line.report(Reason::PaysItself(payer));
        }
        if lines.len() == MAX_PAYMENTS + 1 && id.is_some() {
            line.report(Reason::TooManyPayments);
        }
        if let (Some(id), Some(payer), Some(payee), Some(currency), Some(amount)) =
            (id, payer, payee, currency, amount)
        {
            payments.push(Payment { id, payer, payee, currency, amount });
        }
    }
    payments
}

/// Reads a payment's id and remembers its line.
fn parse_id(id: String, line: u64, lines: &mut BTreeMap<String, u64>) -> Result<String, Reason> {
    if !(1..=35).contains(&id.len()) || !id.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Reason::PaymentId(id));
    }
    match lines.get(&id) {
        Some(first) => Err(Reason::DuplicatePayment { first: *first, id }),
        None => {
            lines.insert(id.clone(), line);
            Ok(id)
        }
    }
}

/// One line under examination: several of its fields may be wrong.
struct Line<'a> {
    place: &'a Place,
    problems: &'a mut Problems,
}

impl Line<'_> {
    fn report(&mut self, reason: Reason) {
        self.problems.push(self.place.refuse(reason));
    }

    /// The value, or a report of what is wrong with it.
    fn check<T>(&mut self, result: Result<T, Reason>) -> Option<T> {
        result.map_err(|reason| self.report(reason)).ok()
    }
}

#[cfg(test)]
mod tests;
