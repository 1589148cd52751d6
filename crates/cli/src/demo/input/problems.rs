//! What can be wrong with the input.

use std::fmt;

use quittance_ledger::ids::{IdError, InstitutionId};
use quittance_rpc::decimal::AmountError;
use thiserror::Error;

use super::{BANKS, MAX_PAYMENTS};
use crate::demo::currency::{Currency, UnknownCurrency};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {reason}")]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub reason: Reason,
}

/// The kinds of malformed input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file is larger than any sensible input.
    #[error("the file has {size} bytes, more than the limit of {limit}")]
    FileTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest size in bytes.
        limit: u64,
    },
    /// The first line is not the expected one.
    #[error("the first line must be {expected:?}")]
    Header {
        /// The columns in their order.
        expected: String,
    },
    /// A line has too many or too few fields.
    #[error("{found} fields instead of {expected}")]
    Fields {
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A line is not text.
    #[error("not UTF-8 text")]
    Encoding,
    /// An institution is not named like a BIC.
    #[error("{0}")]
    Id(IdError),
    /// An institution bears the name of one that the demonstration adds itself.
    #[error("{0} is the name of one of the demonstration's own institutions")]
    Reserved(InstitutionId),
    /// A currency that is not in the list.
    #[error("{0}")]
    Currency(UnknownCurrency),
    /// Not an amount of its currency.
    #[error("{0}")]
    Amount(AmountError),
    /// A payment's id cannot travel as an EndToEndId.
    #[error("{0:?} is not a payment id: 1 to 35 printable ASCII characters")]
    PaymentId(String),
    /// A second payment of the same id.
    #[error("the payment id {id:?} is used on line {first} already")]
    DuplicatePayment {
        /// The id.
        id: String,
        /// The line of its first use.
        first: u64,
    },
    /// A second starting balance of one account.
    #[error("{bank} has a balance in {currency} on line {first} already")]
    DuplicatePosition {
        /// Whose account.
        bank: InstitutionId,
        /// In which currency.
        currency: Currency,
        /// The line of the first one.
        first: u64,
    },
    /// Payer and payee are the same.
    #[error("{0} pays itself")]
    PaysItself(InstitutionId),
    /// The sum of all balances does not fit 64 bits.
    #[error(
        "the balances in {0} up to this line sum to more than {limit} {0}",
        limit = .0.format(i128::from(u64::MAX))
    )]
    TotalTooLarge(Currency),
    /// The first bank beyond the limit.
    #[error("{0} is one bank more than the limit of {limit}", limit = BANKS.end())]
    TooManyBanks(InstitutionId),
    /// Nobody to pay.
    #[error("the two files name fewer than {limit} banks", limit = BANKS.start())]
    TooFewBanks,
    /// The first payment beyond the limit.
    #[error("more than {MAX_PAYMENTS} payments")]
    TooManyPayments,
}

/// All that is wrong. The first ones are kept, the rest is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    first: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// How many are kept.
    pub const KEPT: usize = 50;

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The first [`Self::KEPT`] problems.
    pub fn first(&self) -> &[Problem] {
        &self.first
    }

    pub(super) fn push(&mut self, problem: Problem) {
        if self.first.len() < Self::KEPT {
            self.first.push(problem);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.first.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
