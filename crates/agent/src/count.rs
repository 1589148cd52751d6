//! What an agent counts: how often things happen, never how much or with whom.

use std::time::Instant;

use metrics::{counter, gauge, histogram};
use quittance_rpc::metrics as names;
use quittance_rpc::proto::agent::v1::event::Event;

use crate::core::Core;

/// Counts an event that is on the disk.
pub(crate) fn event(event: &Event) {
    let (name, label, value) = match event {
        Event::Statement(statement) => {
            let kind = statement.line.as_ref().map_or("", |line| line.kind().as_str_name());
            (names::AGENT_STATEMENT_LINES, "kind", kind)
        }
        Event::Instruction(instruction) => {
            let outcome = instruction.outcome.as_ref();
            let state = outcome.map_or("", |outcome| outcome.state().as_str_name());
            (names::AGENT_INSTRUCTIONS, "state", state)
        }
        Event::Exchange(it) => (names::AGENT_EXCHANGES, "state", it.state().as_str_name()),
        Event::Payment(it) => (names::AGENT_PAYMENTS, "state", it.state().as_str_name()),
        Event::Round(it) => (names::AGENT_ROUNDS, "stage", it.stage().as_str_name()),
        Event::Warning(_) => {
            counter!(names::AGENT_WARNINGS).increment(1);
            return;
        }
    };
    counter!(name, label => plain(value)).increment(1);
}

/// `STATE_IN_ROUND` as `in_round`.
fn plain(name: &str) -> String {
    name.split_once('_').map_or(name, |(_, rest)| rest).to_ascii_lowercase()
}

/// Times a proof with its signature.
pub(crate) fn proving<T>(prove: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let proven = prove();
    histogram!(names::AGENT_PROVING_TIME).record(began.elapsed().as_secs_f64());
    proven
}

impl Core {
    /// Says what is still to be done.
    pub(crate) fn count_open(&self) {
        gauge!(names::AGENT_INSTRUCTIONS_OPEN).set(self.transfers.open.len() as f64);
        gauge!(names::AGENT_PAYMENTS_OPEN).set(self.payments.open_count() as f64);
    }
}

#[cfg(test)]
mod tests {
    use quittance_rpc::proto::agent::v1 as api;

    use super::*;

    #[test]
    fn labels_are_the_names_of_the_interface() {
        assert_eq!(plain(api::outcome::State::Final.as_str_name()), "final");
        assert_eq!(plain(api::payment::State::InRound.as_str_name()), "in_round");
        assert_eq!(plain(api::statement_line::Kind::GivenBack.as_str_name()), "given_back");
        assert_eq!(plain(api::round_event::Stage::Abandoned.as_str_name()), "abandoned");
    }
}
