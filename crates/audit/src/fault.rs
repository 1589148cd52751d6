//! What is wrong with a chain, and where.

use std::fmt;

use serde::Serialize;

/// Where a fault lies. Transactions and entries count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Place {
    /// Height of the block; 0 for the genesis.
    pub height: u64,
    /// Position of the transaction in the block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u32>,
    /// Position of the entry in the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u32>,
}

/// A rule that a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// Which rule: a short, stable name.
    pub rule: &'static str,
    /// What exactly is wrong, for people.
    pub detail: String,
}

impl Fault {
    /// A fault whose place is filled in by whoever knows it.
    pub(crate) fn new(rule: &'static str, detail: impl fmt::Display) -> Self {
        Self { place: Place::default(), rule, detail: detail.to_string() }
    }

    /// That something to be verified does not decode.
    pub fn format(detail: impl fmt::Display) -> Self {
        Self::new("format", detail)
    }

    pub(crate) fn in_entry(mut self, entry: u32) -> Self {
        self.place.entry = Some(entry);
        self
    }

    pub(crate) fn in_transaction(mut self, transaction: u32) -> Self {
        self.place.transaction = Some(transaction);
        self
    }

    pub(crate) fn at(mut self, height: u64) -> Self {
        self.place.height = height;
        self
    }
}

/// `Ok` if the condition holds, otherwise a fault.
pub(crate) fn require(
    holds: bool,
    rule: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), Fault> {
    match holds {
        true => Ok(()),
        false => Err(Fault::new(rule, detail())),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}", self.height)?;
        if let Some(transaction) = self.transaction {
            write!(f, ", transaction {transaction}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, ", entry {entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule, self.detail)
    }
}

impl std::error::Error for Fault {}
