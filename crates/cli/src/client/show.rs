//! Answers of an agent, as text.

use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::event::Event;

use crate::table::Table;

/// A state's name without its prefix, in lower case: `FINAL` of `STATE_FINAL`.
fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}

fn state(name: &str) -> String {
    word(name, "STATE_")
}

fn amount(money: Option<&api::Money>) -> String {
    money.map(|money| format!("{} {}", money.amount, money.asset)).unwrap_or_default()
}

/// The first digits of a long hexadecimal text.
fn short(digits: &str) -> String {
    match digits.get(..16) {
        Some(first) => format!("{first}.."),
        None => digits.to_owned(),
    }
}

fn or_none(table: &Table) -> String {
    if table.is_empty() { "  none\n".to_owned() } else { table.to_string() }
}

pub fn balance(answer: &api::BalanceResponse) -> String {
    let mut table =
        Table::new(&["asset", ">balance", ">not yet absorbed", "what others see", "held by round"]);
    for balance in &answer.balances {
        table.row([
            &balance.asset,
            &balance.balance,
            &balance.pending,
            &balance.commitment,
            &short(&balance.locked_by_round),
        ]);
    }
    format!("After block {}:\n\n{}", answer.height, or_none(&table))
}

pub fn statement(answer: &api::StatementResponse) -> String {
    let mut table = Table::new(&[">block", "what", ">amount", ">balance", "with", "remittance"]);
    for line in &answer.lines {
        table.row([
            &line.height.to_string(),
            &word(line.kind().as_str_name(), "KIND_"),
            &line.amount,
            &line.balance,
            &line.counterparties.join(" "),
            &line.remittance,
        ]);
    }
    or_none(&table)
}

pub fn payments(payments: &[api::Payment]) -> String {
    let mut table = Table::new(&["UETR", "payee", ">amount", "asset", "state", "round"]);
    for payment in payments {
        table.row([
            &payment.uetr,
            &payment.payee,
            &payment.amount,
            &payment.asset,
            &state(payment.state().as_str_name()),
            &short(&payment.round_id),
        ]);
    }
    or_none(&table)
}

pub fn exchanges(exchanges: &[api::Exchange]) -> String {
    let mut table = Table::new(&["UETR", "with", ">give", ">get", "offered by", "state", "reason"]);
    for exchange in exchanges {
        table.row([
            &exchange.uetr,
            &exchange.counterparty,
            &amount(exchange.give.as_ref()),
            &amount(exchange.get.as_ref()),
            if exchange.offered_by_us { "us" } else { "them" },
            &state(exchange.state().as_str_name()),
            &exchange.reason,
        ]);
    }
    or_none(&table)
}

pub fn outcome(outcome: Option<&api::Outcome>) -> String {
    let Some(outcome) = outcome else { return "no outcome\n".to_owned() };
    let mut text = state(outcome.state().as_str_name());
    if outcome.height > 0 {
        text += &format!(" in block {}", outcome.height);
    }
    if !outcome.transaction_id.is_empty() {
        text += &format!(", transaction {}", outcome.transaction_id);
    }
    if !outcome.reason.is_empty() {
        text += &format!(": {}", outcome.reason);
    }
    text + "\n"
}

pub fn status(answer: &api::AgentStatusResponse) -> String {
    let mut text = format!(
        "institution  {}\nchain        {}\nblock        {}\n",
        answer.institution, answer.chain_id, answer.height
    );
    for round in &answer.rounds {
        text += &format!("in round     {round}\n");
    }
    text
}

/// One line.
pub fn event(event: &api::Event) -> String {
    let what = match &event.event {
        None => "unknown".to_owned(),
        Some(Event::Warning(warning)) => format!("WARNING {warning}"),
        Some(Event::Statement(change)) => {
            let line = change.line.clone().unwrap_or_default();
            let kind = word(line.kind().as_str_name(), "KIND_");
            format!("{kind} {} {}, balance {}", line.amount, change.asset, line.balance)
        }
        Some(Event::Instruction(change)) => {
            format!("instruction {} {}", change.uetr, outcome(change.outcome.as_ref()).trim_end())
        }
        Some(Event::Exchange(exchange)) => {
            let state = state(exchange.state().as_str_name());
            format!("exchange {} with {} {state}", exchange.uetr, exchange.counterparty)
        }
        Some(Event::Payment(payment)) => {
            let state = state(payment.state().as_str_name());
            let api::Payment { uetr, amount, asset, payee, .. } = payment;
            format!("payment {uetr} of {amount} {asset} to {payee} {state}")
        }
        Some(Event::Round(round)) => {
            let stage = word(round.stage().as_str_name(), "STAGE_");
            let reason = if round.reason.is_empty() { "" } else { ": " };
            let id = short(&round.round_id);
            format!("round {id} in {} {stage}{reason}{}", round.asset, round.reason)
        }
    };
    format!("{:>6}  {what}\n", event.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_readable() {
        let answer = api::BalanceResponse {
            height: 7,
            balances: vec![api::AssetBalance {
                asset: "EUR".into(),
                balance: "12.50".into(),
                pending: "0.00".into(),
                commitment: "ab12".into(),
                locked_by_round: "0123456789abcdef0123456789abcdef".into(),
                queue_proven: true,
            }],
        };
        assert_eq!(
            balance(&answer),
            "After block 7:\n\n  \
             asset  balance  not yet absorbed  what others see  held by round\n  \
             -----  -------  ----------------  ---------------  ------------------\n  \
             EUR      12.50              0.00  ab12             0123456789abcdef..\n"
        );
        assert_eq!(payments(&[]), "  none\n");
        let mut done = api::Outcome::default();
        done.set_state(api::outcome::State::Failed);
        done.reason = "not enough".into();
        assert_eq!(outcome(Some(&done)), "failed: not enough\n");
        done.set_state(api::outcome::State::Final);
        (done.reason, done.height, done.transaction_id) = (String::new(), 9, "abcd".into());
        assert_eq!(outcome(Some(&done)), "final in block 9, transaction abcd\n");
    }

    #[test]
    fn events_are_lines() {
        let line = |event| self::event(&api::Event { position: 3, time_ms: 1, event: Some(event) });
        assert_eq!(line(Event::Warning("look".into())), "     3  WARNING look\n");
        let mut round = api::RoundEvent { asset: "EUR".into(), ..Default::default() };
        round.round_id = "0123456789abcdef0123".into();
        round.set_stage(api::round_event::Stage::Abandoned);
        round.reason = "too few".into();
        assert_eq!(
            line(Event::Round(round)),
            "     3  round 0123456789abcdef.. in EUR abandoned: too few\n"
        );
        let mut change = api::StatementLine { amount: "-1.00".into(), ..Default::default() };
        change.set_kind(api::statement_line::Kind::GivenBack);
        change.balance = "2.00".into();
        let change = api::StatementEvent { asset: "EUR".into(), line: Some(change) };
        assert_eq!(line(Event::Statement(change)), "     3  given back -1.00 EUR, balance 2.00\n");
    }
}
