//! What this party can compute, by the name under which rounds ask for it.

use std::collections::BTreeMap;

use quittance_circuit::{Owner, Program};
use quittance_circuit_library::netting::{BankResult, Netting};
use quittance_crypto::digest::Digest;
use quittance_mpc::Output;
use quittance_round::committee::BankOutputs;
use quittance_round::program;

/// Makes a program for queues: by place in the roster, the payees as places in the roster.
type Maker = fn(Vec<Vec<Owner>>) -> Result<Made, String>;

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

fn netting(queues: Vec<Vec<Owner>>) -> Result<Made, String> {
    let netting = Netting::new(queues).map_err(|error| error.to_string())?;
    let program = netting.until_settled().map_err(|error| error.to_string())?;
    let sort = move |outputs| {
        let results = netting.results(outputs).map_err(|error| error.to_string())?;
        Ok(results.banks.into_iter().map(bank).collect())
    };
    Ok(Made { program, sort: Box::new(sort) })
}

fn bank(result: BankResult<Output>) -> BankOutputs {
    let BankResult { settled, received, inflow, net } = result;
    BankOutputs { settled, received, inflow, net }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_their_digest_only() {
        let programs = Programs::known();
        let make = programs.get(&program::digest("netting/1")).unwrap();
        assert!(programs.get(&program::digest("netting/2")).is_none());

        let queues = vec![vec![Owner(1)], vec![Owner(0)]];
        let made = make(queues.clone()).unwrap();
        let expected = Netting::new(queues).unwrap().until_settled().unwrap();
        assert_eq!(made.program.fingerprint(), expected.fingerprint());
        assert_eq!(
            (made.sort)(vec![]).err().unwrap(),
            "0 outputs where there should be 8, or one more"
        );
        assert!(make(vec![vec![]]).is_err());
    }
}
