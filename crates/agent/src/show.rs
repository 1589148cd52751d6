//! Records as the bank's interface shows them.

use quittance_ledger::ids::Uetr;
use quittance_rpc::decimal;
use quittance_rpc::proto::agent::v1 as api;

use crate::store::{Payment, PaymentState, State, What};
use crate::wallet::{LineKind, StatementLine};

/// An instruction's outcome.
pub(crate) fn outcome(state: &State) -> api::Outcome {
    use api::outcome::State as Shown;
    let mut shown = api::Outcome::default();
    match state {
        State::Accepted => shown.set_state(Shown::Accepted),
        State::Submitted { transaction } => {
            shown.set_state(Shown::Submitted);
            shown.transaction_id = transaction.to_string();
        }
        State::Final { transaction, height } => {
            shown.set_state(Shown::Final);
            shown.transaction_id = transaction.to_string();
            shown.height = height.0;
        }
        State::Failed { reason } => {
            shown.set_state(Shown::Failed);
            shown.reason = reason.clone();
        }
    }
    shown
}

/// The event of an instruction that has changed its state.
pub(crate) fn instruction_event(uetr: Uetr, state: &State) -> api::event::Event {
    let outcome = Some(outcome(state));
    api::event::Event::Instruction(api::InstructionEvent { uetr: uetr.to_string(), outcome })
}

/// A payment of an asset with so many decimals.
pub(crate) fn payment(payment: &Payment, decimals: u8) -> api::Payment {
    use api::payment::State as Shown;
    let (state, round, height) = match payment.state {
        PaymentState::Queued => (Shown::Queued, None, 0),
        PaymentState::InRound(round) => (Shown::InRound, Some(round), 0),
        PaymentState::Settled { round, height } => (Shown::Settled, Some(round), height.0),
        PaymentState::Cancelled => (Shown::Cancelled, None, 0),
    };
    // The interface names the round once it has settled the payment.
    let round = round.filter(|_| state == Shown::Settled);
    api::Payment {
        uetr: payment.uetr().to_string(),
        asset: payment.asset.to_string(),
        payee: payment.payee.to_string(),
        amount: decimal::format(payment.amount, decimals),
        end_to_end_id: payment.particulars.end_to_end_id().to_owned(),
        remittance: payment.particulars.remittance().to_owned(),
        state: state.into(),
        round_id: round.map(|round| round.to_string()).unwrap_or_default(),
        height,
    }
}

/// A line of a statement in an asset with so many decimals.
pub(crate) fn line(line: &StatementLine, decimals: u8) -> api::StatementLine {
    use api::statement_line::Kind;
    let kind = match line.kind {
        LineKind::Sent => Kind::Sent,
        LineKind::Received => Kind::Received,
        LineKind::Absorbed => Kind::Absorbed,
        LineKind::Settled => Kind::Settled,
        LineKind::Returned => Kind::Returned,
        LineKind::GivenBack => Kind::GivenBack,
    };
    let counterparties = line.counterparties.iter();
    let balance = line.balance.map(|balance| decimal::format_signed(balance, decimals));
    api::StatementLine {
        height: line.height.0,
        time_ms: line.time.0,
        transaction_id: line.transaction.to_string(),
        kind: kind.into(),
        amount: decimal::format_signed(line.amount, decimals),
        counterparties: counterparties.map(|other| other.institution.to_string()).collect(),
        uetr: line.uetr.map(|uetr| uetr.to_string()).unwrap_or_default(),
        end_to_end_id: line.end_to_end_id.clone().unwrap_or_default(),
        remittance: line.remittance.clone().unwrap_or_default(),
        balance: balance.unwrap_or_default(),
    }
}

/// Puts the references of an own transfer into its line, where all receivers have the same ones.
pub(crate) fn add_references(line: &mut api::StatementLine, what: &What) {
    let What::Transfer(transfer) = what else { return };
    let Some((first, others)) = transfer.receivers.split_first() else { return };
    if others.iter().all(|other| other.particulars == first.particulars) {
        line.end_to_end_id = first.particulars.end_to_end_id().to_owned();
        line.remittance = first.particulars.remittance().to_owned();
    }
}
