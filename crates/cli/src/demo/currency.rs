//! The currencies that the demonstration knows, and exact amounts in them.
//!
//! An amount is a whole number of minor units (cents). Its text is a decimal in major units
//! (euros); see [`quittance_rpc::decimal`].

use std::fmt;
use std::str::FromStr;

use quittance_rpc::decimal::{self, AmountError};
use serde::{Serialize, Serializer};
use thiserror::Error;

/// A currency of the demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Currency {
    /// Euro, 2 decimals.
    Eur,
    /// Yen, no decimals.
    Jpy,
    /// US dollar, 2 decimals.
    Usd,
}

/// A text that names no currency of the demonstration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown currency {0:?}; known are EUR, JPY and USD")]
pub struct UnknownCurrency(pub String);

impl Currency {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Eur, Self::Jpy, Self::Usd];

    /// The code of ISO 4217.
    pub fn code(self) -> &'static str {
        match self {
            Self::Eur => "EUR",
            Self::Jpy => "JPY",
            Self::Usd => "USD",
        }
    }

    /// How many decimals an amount may have.
    pub fn decimals(self) -> u8 {
        match self {
            Self::Eur | Self::Usd => 2,
            Self::Jpy => 0,
        }
    }

    /// Reads an amount of zero or more, in minor units.
    pub fn parse(self, text: &str) -> Result<u64, AmountError> {
        decimal::parse(text, self.decimals())
    }

    /// Writes minor units as a decimal in major units: `1250.00`.
    pub fn format(self, minor: impl Into<i128>) -> String {
        decimal::format_signed(minor.into(), self.decimals())
    }
}

/// Sets the thousands of a decimal apart, for people: `-1,250.00`.
pub fn grouped(decimal: &str) -> String {
    let (whole, fraction) = decimal.split_at(decimal.find('.').unwrap_or(decimal.len()));
    let (sign, digits) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let mut grouped = String::from(sign);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let found = Self::ALL.into_iter().find(|currency| currency.code() == text);
        found.ok_or_else(|| UnknownCurrency(text.to_owned()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_currency_has_its_code_and_decimals() {
        for (code, decimals, text) in [("EUR", 2, "12.50"), ("JPY", 0, "1250"), ("USD", 2, "12.50")]
        {
            let currency: Currency = code.parse().unwrap();
            assert_eq!((currency.to_string().as_str(), currency.decimals()), (code, decimals));
            assert_eq!(currency.parse(text), Ok(1250));
            assert_eq!(currency.format(1250), text);
        }
        for unknown in ["GBP", "eur", "", "EUR "] {
            assert_eq!(unknown.parse::<Currency>(), Err(UnknownCurrency(unknown.to_owned())));
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (plain, expected) in [
            ("0", "0"),
            ("999.99", "999.99"),
            ("1000.00", "1,000.00"),
            ("-123.45", "-123.45"),
            ("-1234.5", "-1,234.5"),
            ("1234567", "1,234,567"),
            ("184467440737095516.15", "184,467,440,737,095,516.15"),
        ] {
            assert_eq!(grouped(plain), expected);
        }
    }
}
