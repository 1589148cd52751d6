//! Amounts as people write them: decimal strings in major units, converted exactly.
//!
//! An asset with `d` decimals counts minor units of `10^-d`: with two decimals, `"1250.5"` is
//! 125050. The accepted form is `digits [ "." digits ]` and nothing else: no sign, no exponent, no
//! grouping, no blanks, no digits beyond the asset's decimals (not even zeros). No floating point
//! is involved anywhere.

use std::num::IntErrorKind;

use thiserror::Error;

/// The longest text that is looked at.
pub const MAX_LENGTH: usize = 40;

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Nothing there.
    #[error("the amount is empty")]
    Empty,
    /// Longer than any amount.
    #[error("the amount is {0} characters long; at most {MAX_LENGTH} are read")]
    TooLong(usize),
    /// Begins with a minus sign.
    #[error("{0:?} is negative")]
    Negative(String),
    /// Has a character that is neither a digit nor the one decimal point.
    #[error("{text:?} is not a decimal number: unexpected {found:?} at position {position}")]
    Unexpected {
        /// The whole text.
        text: String,
        /// The character.
        found: char,
        /// Its place, counted from 1.
        position: usize,
    },
    /// No digit before or after the decimal point.
    #[error("{0:?} is not a decimal number: a digit is missing {1} the decimal point")]
    MissingDigit(String, &'static str),
    /// More digits after the decimal point than the asset has.
    #[error("{text:?} is too precise: {found} decimals where the asset has {decimals}")]
    TooPrecise {
        /// The whole text.
        text: String,
        /// Digits after the point.
        found: usize,
        /// Digits that the asset has.
        decimals: u8,
    },
    /// Does not fit 64 bits of minor units.
    #[error("{text:?} is too large: the largest amount is {largest}")]
    TooLarge {
        /// The whole text.
        text: String,
        /// `u64::MAX` minor units, as a decimal.
        largest: String,
    },
    /// Zero where something is to be paid.
    #[error("{0:?} is zero; the amount must be above zero")]
    Zero(String),
}

/// The minor units of an asset with `decimals` decimals that `text` means, zero included.
pub fn parse(text: &str, decimals: u8) -> Result<u64, AmountError> {
    let (whole, fraction) = split(text)?;
    if fraction.len() > usize::from(decimals) {
        let found = fraction.len();
        return Err(AmountError::TooPrecise { text: text.to_owned(), found, decimals });
    }
    let too_large =
        || AmountError::TooLarge { text: text.to_owned(), largest: format(u64::MAX, decimals) };
    // The digits of the minor units: those before the point, then exactly `decimals` after it.
    let padding = usize::from(decimals) - fraction.len();
    let mut digits = String::with_capacity(whole.len() + usize::from(decimals));
    digits.push_str(whole);
    digits.push_str(fraction);
    digits.extend(std::iter::repeat_n('0', padding));
    digits.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => too_large(),
        // `split` let nothing but digits pass, at least one of them.
        _ => AmountError::Empty,
    })
}

/// As [`parse`], but zero is refused: the amount of a payment.
pub fn parse_positive(text: &str, decimals: u8) -> Result<u64, AmountError> {
    match parse(text, decimals)? {
        0 => Err(AmountError::Zero(text.to_owned())),
        amount => Ok(amount),
    }
}

/// Splits at the decimal point; both sides are checked to be digits.
fn split(text: &str) -> Result<(&str, &str), AmountError> {
    if text.is_empty() {
        return Err(AmountError::Empty);
    }
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(AmountError::TooLong(length));
    }
    if text.starts_with('-') {
        return Err(AmountError::Negative(text.to_owned()));
    }
    let mut points = 0;
    for (place, found) in text.chars().enumerate() {
        points += usize::from(found == '.');
        if !(found.is_ascii_digit() || found == '.' && points == 1) {
            let position = place + 1;
            return Err(AmountError::Unexpected { text: text.to_owned(), found, position });
        }
    }
    let missing = |side| AmountError::MissingDigit(text.to_owned(), side);
    match text.split_once('.') {
        None => Ok((text, "")),
        Some(("", _)) => Err(missing("before")),
        Some((_, "")) => Err(missing("after")),
        Some(parts) => Ok(parts),
    }
}

/// `amount` minor units as a decimal with exactly `decimals` digits after the point.
pub fn format(amount: u64, decimals: u8) -> String {
    format_unsigned(u128::from(amount), decimals)
}

/// As [`format()`] with a minus sign if `amount` is negative: an issuer's balance, a net, a sum.
pub fn format_signed(amount: i128, decimals: u8) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    format!("{sign}{}", format_unsigned(amount.unsigned_abs(), decimals))
}

fn format_unsigned(amount: u128, decimals: u8) -> String {
    let width = usize::from(decimals);
    // At least one digit before the point.
    let digits = format!("{amount:0>width$}", width = width + 1);
    match digits.split_at(digits.len() - width) {
        (whole, "") => whole.to_owned(),
        (whole, fraction) => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_read_exactly() {
        for (text, decimals, expected) in [
            ("0", 2, 0),
            ("0.00", 2, 0),
            ("1250.00", 2, 125_000),
            ("1250.5", 2, 125_050),
            ("1250", 2, 125_000),
            ("1250", 0, 1250),
            ("0.01", 2, 1),
            ("007", 0, 7),
            ("0.000000000000000001", 18, 1),
            ("18446744073709551615", 0, u64::MAX),
            ("184467440737095516.15", 2, u64::MAX),
            ("18.446744073709551615", 18, u64::MAX),
            // Binary floating point gets these wrong.
            ("0.29", 2, 29),
            ("1.005", 3, 1005),
            ("90071992547409.93", 2, 9_007_199_254_740_993),
        ] {
            assert_eq!(parse(text, decimals), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_the_problem() {
        for (text, decimals, expected) in [
            ("", 2, "the amount is empty"),
            ("-5", 2, "\"-5\" is negative"),
            ("+5", 2, "\"+5\" is not a decimal number: unexpected '+' at position 1"),
            ("1,000", 2, "\"1,000\" is not a decimal number: unexpected ',' at position 2"),
            ("1e3", 2, "\"1e3\" is not a decimal number: unexpected 'e' at position 2"),
            ("1.2.3", 2, "\"1.2.3\" is not a decimal number: unexpected '.' at position 4"),
            (" 1", 2, "\" 1\" is not a decimal number: unexpected ' ' at position 1"),
            ("5\n", 2, "\"5\\n\" is not a decimal number: unexpected '\\n' at position 2"),
            ("٣", 2, "\"٣\" is not a decimal number: unexpected '٣' at position 1"),
            ("NaN", 2, "\"NaN\" is not a decimal number: unexpected 'N' at position 1"),
            (
                ".5",
                2,
                "\".5\" is not a decimal number: a digit is missing before the decimal point",
            ),
            ("5.", 2, "\"5.\" is not a decimal number: a digit is missing after the decimal point"),
            (".", 2, "\".\" is not a decimal number: a digit is missing before the decimal point"),
            ("1.005", 2, "\"1.005\" is too precise: 3 decimals where the asset has 2"),
            ("1.000", 2, "\"1.000\" is too precise: 3 decimals where the asset has 2"),
            ("1.0", 0, "\"1.0\" is too precise: 1 decimals where the asset has 0"),
            (
                "184467440737095516.16",
                2,
                "\"184467440737095516.16\" is too large: the largest amount is \
                 184467440737095516.15",
            ),
            (
                "18446744073709551616",
                0,
                "\"18446744073709551616\" is too large: the largest amount is 18446744073709551615",
            ),
        ] {
            let error = parse(text, decimals).map_err(|error| error.to_string());
            assert_eq!(error, Err(expected.to_owned()), "{text:?}");
        }
        assert_eq!(parse(&"9".repeat(41), 2), Err(AmountError::TooLong(41)));
        assert_eq!(parse_positive("0.00", 2), Err(AmountError::Zero("0.00".to_owned())));
        assert_eq!(parse_positive("0.01", 2), Ok(1));
    }

    #[test]
    fn negative_amounts_have_one_sign() {
        assert_eq!(format_signed(-5, 2), "-0.05");
        assert_eq!(format_signed(0, 2), "0.00");
        assert_eq!(format_signed(-1250, 0), "-1250");
        assert_eq!(format_signed(i128::from(u64::MAX), 2), "184467440737095516.15");
        assert_eq!(format_signed(i128::MIN, 0), i128::MIN.to_string());
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(amount: u64, decimals in 0u8..=18) {
            let text = format(amount, decimals);
            prop_assert_eq!(parse(&text, decimals), Ok(amount));
            let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            prop_assert_eq!(fraction, usize::from(decimals));
        }

        #[test]
        fn reading_agrees_with_integer_arithmetic(
            whole: u64,
            fraction in proptest::collection::vec(0u8..10, 0..6),
            decimals in 0u8..6,
        ) {
            let digits: String = fraction.iter().map(u8::to_string).collect();
            let text = if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") };
            let mut expected = u128::from(whole) * 10u128.pow(decimals.into());
            for (place, digit) in fraction.iter().enumerate().take(decimals.into()) {
                expected += u128::from(*digit) * 10u128.pow(u32::from(decimals) - 1 - place as u32);
            }
            let precise = fraction.len() <= usize::from(decimals);
            let result = parse(&text, decimals);
            let right = match (precise, u64::try_from(expected)) {
                (false, _) => matches!(result, Err(AmountError::TooPrecise { .. })),
                (true, Ok(expected)) => result == Ok(expected),
                (true, Err(_)) => matches!(result, Err(AmountError::TooLarge { .. })),
            };
            prop_assert!(right, "{} with {} decimals: {:?}", text, decimals, result);
        }

        #[test]
        fn nothing_else_is_read(text in "\\PC{0,12}", decimals in 0u8..4) {
            if let Ok(amount) = parse(&text, decimals) {
                prop_assert!(text.chars().all(|symbol| symbol.is_ascii_digit() || symbol == '.'));
                let canonical = format(amount, decimals);
                let (short, long) = (text.trim_start_matches('0'), canonical.trim_start_matches('0'));
                prop_assert!(long.starts_with(short), "{} is not {}", text, canonical);
            }
        }
    }
}
