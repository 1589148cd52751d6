//! Why a transaction will not be executed, for its sender.

use std::fmt::Debug;

use quittance_ledger::execute::ExecutionError;
use quittance_ledger::verify::VerificationError;

/// A rule that a transaction breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The name of the error's variant, in capitals: `StaleSequence` is `STALE_SEQUENCE`.
    pub code: String,
    /// What is wrong and where, for people.
    pub reason: String,
}

impl From<&VerificationError> for Rejection {
    fn from(error: &VerificationError) -> Self {
        Self { code: code(error), reason: error.to_string() }
    }
}

impl From<&ExecutionError> for Rejection {
    fn from(error: &ExecutionError) -> Self {
        Self { code: code(error), reason: error.to_string() }
    }
}

/// The variant's name, which the derived `Debug` begins with, in capitals.
fn code(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    let name = text.split(|symbol: char| !symbol.is_ascii_alphanumeric()).next();
    let mut code = String::new();
    for symbol in name.unwrap_or_default().chars() {
        if symbol.is_ascii_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(symbol.to_ascii_uppercase());
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_ledger::ids::Height;
    use quittance_ledger::transaction::Malformed;

    #[test]
    fn codes_are_stable() {
        let (expiry, height) = (Height(1), Height(2));
        for (error, code) in [
            (ExecutionError::BlockFull, "BLOCK_FULL"),
            (ExecutionError::Expired { expiry, height }, "EXPIRED"),
            (ExecutionError::Imbalanced { entry: 0 }, "IMBALANCED"),
            (
                ExecutionError::NotACoordinator { institution: "BANKDEFF".parse().unwrap() },
                "NOT_A_COORDINATOR",
            ),
        ] {
            assert_eq!(Rejection::from(&error).code, code);
            assert_eq!(Rejection::from(&error).reason, error.to_string());
        }
        for (error, code) in [
            (VerificationError::Malformed(Malformed::NoEntries), "MALFORMED"),
            (VerificationError::TooLarge(1), "TOO_LARGE"),
            (VerificationError::ProofCount { found: 0, expected: 1 }, "PROOF_COUNT"),
        ] {
            assert_eq!(Rejection::from(&error).code, code);
        }
    }
}
