//! What a load has shown, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::drive::Times;
use crate::table::Table;

/// How long something took, over many times: in milliseconds, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half were not slower.
    pub p50_ms: f64,
    /// 95 of 100 were not slower.
    pub p95_ms: f64,
    /// 99 of 100 were not slower.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Spread {
    /// Of these; `None` if there are none.
    pub fn of(all: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut all: Vec<Duration> = all.into_iter().collect();
        all.sort_unstable();
        let rank = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1);
            all.get(rank - 1).map(|it| (it.as_secs_f64() * 1e5).round() / 1e2)
        };
        let (p50_ms, p95_ms, p99_ms) = (rank(50)?, rank(95)?, rank(99)?);
        Some(Self { p50_ms, p95_ms, p99_ms, max_ms: rank(100)? })
    }

    fn cells(&self) -> [String; 4] {
        [self.p50_ms, self.p95_ms, self.p99_ms, self.max_ms].map(milliseconds)
    }
}

fn milliseconds(value: f64) -> String {
    match value < 10.0 {
        true => format!("{value:.1}"),
        false => format!("{value:.0}"),
    }
}

/// From when a transfer was to be submitted until it was final, and the parts of that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Finality {
    /// From when it was due until its block had come back, final.
    pub total: Spread,
    /// Until it was sent: the load generator's own delay, or the wait for a place among the bank's
    /// calls.
    pub sending: Spread,
    /// Until the validator had verified it and said so.
    pub admission: Spread,
    /// Until a proposer made the block with it.
    pub waiting: Spread,
    /// Until that block was agreed on, written and sent.
    pub agreement: Spread,
}

impl Finality {
    /// Of these transfers; `None` unless all are final.
    pub fn of(times: &[Times]) -> Option<Self> {
        let seen: Vec<Duration> = times.iter().map(|it| it.seen).collect::<Option<_>>()?;
        let part = |from: fn(&Times) -> Duration, to: fn(&Times) -> Duration| {
            Spread::of(times.iter().map(|it| to(it).saturating_sub(from(it))))
        };
        let total = times.iter().zip(&seen).map(|(it, seen)| seen.saturating_sub(it.due));
        let agreed = times.iter().zip(&seen).map(|(it, seen)| seen.saturating_sub(it.proposed));
        Some(Self {
            total: Spread::of(total)?,
            sending: part(|it| it.due, |it| it.sent)?,
            admission: part(|it| it.sent, |it| it.admitted)?,
            waiting: part(|it| it.admitted, |it| it.proposed)?,
            agreement: Spread::of(agreed)?,
        })
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["ms", ">p50", ">p95", ">p99", ">max"]);
        for (name, spread) in [
            ("submission to finality", &self.total),
            ("  waiting to be sent", &self.sending),
            ("  sent and verified", &self.admission),
            ("  waiting for a block", &self.waiting),
            ("  agreed on, written and sent back", &self.agreement),
        ] {
            let [p50, p95, p99, max] = spread.cells();
            table.row([name, &p50, &p95, &p99, &max]);
        }
        table
    }
}

/// All results of one load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How many validators agreed.
    pub validators: usize,
    /// How many banks submitted.
    pub agents: usize,
    /// Processors of the machine, shared by all.
    pub processors: usize,
    /// How many transfers one processor verifies in a second, batches of 128, nothing else at work.
    pub verified_per_second_and_processor: f64,
    /// How many transfers were submitted one by one.
    pub singles: usize,
    /// Their finality.
    pub single: Option<Finality>,
    /// How many transfers were to be submitted in a second.
    pub asked_per_second: f64,
    /// How many were submitted.
    pub transfers: usize,
    /// How many became final in a second, from the first that was due to the last that was final.
    pub final_per_second: f64,
    /// Their finality.
    pub finality: Option<Finality>,
    /// How often a validator had no room for a transfer, which was then submitted again.
    pub refused_for_now: u64,
    /// Blocks with transfers.
    pub blocks: usize,
    /// Transfers of the largest.
    pub largest_block: usize,
    /// Processor time of one validator for one transfer, agreement included, in microseconds.
    pub validator_us_per_transfer: f64,
    /// Processor time of the load generator for one transfer, in microseconds.
    pub generator_us_per_transfer: f64,
}

impl Report {
    /// One JSON object, ending in a line break.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let Self { validators, agents, processors, singles, transfers, blocks, .. } = self;
        let mut text = format!(
            "\n{validators} validators and {agents} banks, mutual TLS, on {processors} processors \
             that all share.\n"
        );
        if let Some(single) = &self.single {
            let table = single.table();
            let _ =
                write!(text, "\n{singles} transfers, each after the last was final:\n\n{table}");
        }
        if let Some(finality) = &self.finality {
            let (asked, table) = (self.asked_per_second, finality.table());
            let title = format!("{transfers} transfers, {asked:.0} in a second:");
            let _ = write!(text, "\n{title}\n\n{table}");
        }
        let mut table = Table::new(&["under that load", ">"]);
        for (name, value) in [
            ("transfers final in a second", format!("{:.0}", self.final_per_second)),
            ("refused for want of room, and submitted again", self.refused_for_now.to_string()),
            ("blocks with transfers", blocks.to_string()),
            ("transfers of the largest block", self.largest_block.to_string()),
            (
                "processor time of one validator, us a transfer",
                format!("{:.0}", self.validator_us_per_transfer),
            ),
            (
                "processor time of the banks' side, us a transfer",
                format!("{:.0}", self.generator_us_per_transfer),
            ),
            (
                "one processor alone verifies, transfers a second",
                format!("{:.0}", self.verified_per_second_and_processor),
            ),
        ] {
            table.row([name, &value]);
        }
        let _ = write!(text, "\n{table}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn ranks_are_the_nearest() {
        let spread = Spread::of((1..=200).rev().map(ms)).unwrap();
        let Spread { p50_ms, p95_ms, p99_ms, max_ms } = spread;
        assert_eq!([p50_ms, p95_ms, p99_ms, max_ms], [100.0, 190.0, 198.0, 200.0]);
        let one = Spread::of([ms(7)]).unwrap();
        assert_eq!([one.p50_ms, one.max_ms], [7.0, 7.0]);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn parts_add_up_and_what_is_not_final_has_none() {
        let times = |due: u64, seen| Times {
            due: ms(due),
            sent: ms(due + 1),
            admitted: ms(due + 4),
            proposed: ms(due + 10),
            seen,
        };
        let all = [times(0, Some(ms(30))), times(50, Some(ms(80)))];
        let Finality { total, sending, admission, waiting, agreement } =
            Finality::of(&all).unwrap();
        let parts = [sending, admission, waiting, agreement].map(|part| part.p50_ms);
        assert_eq!(parts, [1.0, 3.0, 6.0, 20.0]);
        assert_eq!(parts.iter().sum::<f64>(), total.p50_ms);
        assert_eq!(Finality::of(&[times(0, Some(ms(9))), times(0, None)]), None);
    }
}
