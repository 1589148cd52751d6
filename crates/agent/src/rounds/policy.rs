//! Which rounds the bank joins.

use quittance_ledger::ids::CommitteeId;
use quittance_round::program;
use quittance_rpc::config::Check;
use serde::{Deserialize, Serialize};

/// The section `[rounds]` of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundsSection {
    /// The committees that may compute on shares of this bank's payments; all if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committees: Option<Vec<u32>>,
    /// The smallest roster that a round must require. With two banks each learns from its own net
    /// what the other's is.
    #[serde(default = "default_minimum_roster")]
    pub minimum_roster: u16,
    /// How many rounds are joined within an hour at most.
    #[serde(default = "default_rounds_per_hour")]
    pub rounds_per_hour: u32,
}

fn default_minimum_roster() -> u16 {
    2
}

fn default_rounds_per_hour() -> u32 {
    600
}

impl Default for RoundsSection {
    fn default() -> Self {
        Self {
            committees: None,
            minimum_roster: default_minimum_roster(),
            rounds_per_hour: default_rounds_per_hour(),
        }
    }
}

/// What a round must be for the bank to join it.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    committees: Option<Vec<CommitteeId>>,
    minimum_roster: u16,
    pub(super) per_hour: usize,
}

impl RoundsSection {
    pub(crate) fn check(self, check: &mut Check) -> Policy {
        let committees =
            self.committees.map(|numbers| numbers.into_iter().map(CommitteeId).collect::<Vec<_>>());
        if self.minimum_roster < 2 {
            check.problem("rounds.minimum_roster", "must be at least 2".to_owned());
        }
        Policy {
            committees,
            minimum_roster: self.minimum_roster,
            per_hour: self.rounds_per_hour as usize,
        }
    }
}

impl Policy {
    /// Why a round with these terms is not joined, if it is not.
    pub(super) fn objection(
        &self,
        terms: &quittance_ledger::transaction::RoundOpen,
    ) -> Option<String> {
        let allowed = self.committees.as_ref();
        if allowed.is_some_and(|allowed| !allowed.contains(&terms.committee)) {
            return Some(format!("committee {} is not on the bank's list", terms.committee));
        }
        if terms.program != program::digest(program::NETTING) {
            return Some("the round's program is not known".to_owned());
        }
        let (found, least) = (terms.minimum_roster, self.minimum_roster);
        (found < least).then(|| format!("a roster of {found} is below the bank's least of {least}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_crypto::digest::Digest;
    use quittance_ledger::ids::Height;
    use quittance_ledger::transaction::RoundOpen;

    fn terms() -> RoundOpen {
        RoundOpen {
            salt: [0; 16],
            opener: "COORZZ01".parse().unwrap(),
            key_fingerprint: Digest::ZERO,
            asset: "EUR".parse().unwrap(),
            program: program::digest(program::NETTING),
            committee: CommitteeId(1),
            minimum_roster: 3,
            attempts: 1,
            join_until: Height(5),
            deadline: Height(9),
        }
    }

    fn policy(committees: Option<Vec<u32>>, minimum_roster: u16) -> Policy {
        let committees = committees.map(|list| list.into_iter().map(CommitteeId).collect());
        Policy { committees, minimum_roster, per_hour: 1 }
    }

    #[test]
    fn committee_program_and_roster_decide() {
        assert_eq!(policy(None, 3).objection(&terms()), None);
        assert_eq!(policy(Some(vec![2, 1]), 2).objection(&terms()), None);
        assert!(policy(Some(vec![2]), 2).objection(&terms()).unwrap().contains("committee 1"));
        assert!(policy(Some(vec![]), 2).objection(&terms()).is_some());
        assert!(policy(None, 4).objection(&terms()).unwrap().contains("least of 4"));
        let unknown = RoundOpen { program: program::digest("netting/1"), ..terms() };
        assert!(policy(None, 2).objection(&unknown).unwrap().contains("program"));
    }

    #[test]
    fn what_the_section_leaves_out_has_a_default() {
        let section: RoundsSection = toml::from_str("").unwrap();
        assert_eq!(section, RoundsSection::default());
        assert!(toml::from_str::<RoundsSection>("comittees = [1]").is_err());
    }
}
