//! The section `[preprocessing]` of the configuration file.

use std::path::PathBuf;

use quittance_mpc::stock::{Amount, MAX_LISTED, MAX_STORED_BITS, MAX_STORED_COMPARISONS};
use quittance_rpc::config::Check;
use serde::{Deserialize, Serialize};

/// How much is made ahead of rounds, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreprocessingSection {
    /// The folder, apart from the party's records. It is not to be backed up.
    pub folder: PathBuf,
    /// How many batches are kept for each committee; with 0, nothing is made or used.
    pub batches: usize,
    /// Comparisons in each of them.
    pub comparisons: u32,
    /// Random bits in each of them.
    pub bits: u32,
}

impl Default for PreprocessingSection {
    /// Enough for ten banks with 200 payments: the range checks of all inputs, and twelve steps.
    fn default() -> Self {
        Self { folder: "stock".into(), batches: 4, comparisons: 1024, bits: 16_384 }
    }
}

/// The section, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) folder: PathBuf,
    pub(crate) batches: usize,
    pub(crate) amount: Amount,
}

impl PreprocessingSection {
    /// Checks the section at `key`. `None` if there is to be no stock.
    pub(crate) fn check(&self, key: &str, check: &mut Check) -> Option<Settings> {
        let folder = check.folder(&format!("{key}.folder"), &self.folder);
        let mut at_most = |name: &str, is: u64, most: u64| {
            if is > most {
                check.problem(format!("{key}.{name}"), format!("must be at most {most}"));
            }
        };
        at_most("batches", self.batches as u64, MAX_LISTED as u64);
        at_most("comparisons", self.comparisons.into(), MAX_STORED_COMPARISONS.into());
        at_most("bits", self.bits.into(), MAX_STORED_BITS.into());
        let amount = Amount { comparisons: self.comparisons, bits: self.bits };
        if self.batches > 0 && amount == Amount::default() {
            let reason = "comparisons or bits must be above 0; batches = 0 turns it off";
            check.problem(format!("{key}.comparisons"), reason);
        }
        let batches = self.batches;
        (batches > 0).then_some(Settings { folder, batches, amount })
    }
}
