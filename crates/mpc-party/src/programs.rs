//! What this party can compute, by the name under which rounds ask for it.

use std::collections::BTreeMap;

use quittance_circuit::Program;
use quittance_circuit_library::netting::hidden::{Hidden, HiddenBankResult};
use quittance_crypto::digest::Digest;
use quittance_mpc::Output;
use quittance_round::committee::BankOutputs;
use quittance_round::program;

/// Makes a program for queues of so many places, by place in the roster.
pub(crate) type Maker = fn(Vec<usize>) -> Result<Made, String>;

/// A program for a certain roster, and what its outputs are.
pub(crate) struct Made {
    /// To be run on shares.
    pub(crate) program: Program,
    /// Sorts its outputs by bank.
    pub(crate) sort: Sort,
}

/// Sorts outputs by place in the roster.
type Sort = Box<dyn FnOnce(Vec<Output>) -> Result<Vec<BankOutputs>, String> + Send>;

/// Programs by the digest in the terms of a round.
pub(crate) struct Programs(BTreeMap<Digest, Maker>);

impl Programs {
    /// All that this version knows.
    pub(crate) fn known() -> Self {
        let netting: Maker = netting;
        Self(BTreeMap::from([(program::digest(program::NETTING), netting)]))
    }

    /// How to make the program of a round.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Maker> {
        self.0.get(digest).copied()
    }
}

fn netting(places: Vec<usize>) -> Result<Made, String> {
    let netting = Hidden::new(places).map_err(|error| error.to_string())?;
    let program = netting.until_settled().map_err(|error| error.to_string())?;
    let sort = move |outputs| {
        let results = netting.results(outputs).map_err(|error| error.to_string())?;
        Ok(results.banks.into_iter().map(bank).collect())
    };
    Ok(Made { program, sort: Box::new(sort) })
}

fn bank(result: HiddenBankResult<Output>) -> BankOutputs {
    let HiddenBankResult { notices, inflow, net } = result;
    BankOutputs { notices, inflow, net }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_their_digest_only() {
        let programs = Programs::known();
        let make = programs.get(&program::digest("netting/2")).unwrap();
        // The one that tells parties who is paid.
        assert!(programs.get(&program::digest("netting/1")).is_none());

        let made = make(vec![2, 2]).unwrap();
        let expected = Hidden::new(vec![2, 2]).unwrap().until_settled().unwrap();
        assert_eq!(made.program.fingerprint(), expected.fingerprint());
        assert_eq!(
            (made.sort)(vec![]).err().unwrap(),
            "0 outputs where there should be 8, or one more"
        );
        assert!(make(vec![2]).is_err());
    }
}
