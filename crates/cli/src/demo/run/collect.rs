//! Asking the banks' agents what has become of everything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use quittance_rpc::proto::agent::v1::payment::State;
use quittance_rpc::proto::agent::v1::statement_line::Kind;
use quittance_rpc::proto::agent::v1::{AssetBalance, StatementLine};
use tokio::time::sleep;

use super::{ABSORB, Accounts, Done, Run};
use crate::demo::bank::Bank;
use crate::demo::currency::Currency;
use crate::demo::error::DemoError;
use crate::demo::gross;
use crate::demo::input::Input;
use crate::demo::network::POLL;
use crate::demo::report::{self, Account, Audit, BankView, Report};
use crate::demo::rounds::Timed;

impl Run<'_> {
    /// Every account, as its own agent tells it, checked against its starting balance and net.
    pub(super) async fn accounts(&self, banks: &mut [Bank]) -> Result<Accounts, DemoError> {
        let mut accounts: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for currency in self.options.input.currencies() {
            for bank in banks.iter_mut() {
                let start = self.options.input.position(currency, bank.id);
                let net = net_settled(currency, &bank.statement(currency).await?);
                let found = bank.account(currency).await?;
                let expected = currency.format(i128::from(start) + net);
                if found.balance != expected {
                    let (bank, found) = (bank.id, found.balance);
                    return Err(DemoError::DoesNotAddUp { bank, currency, found, expected });
                }
                let AssetBalance { balance, commitment, .. } = found;
                let account = Account { start, net, balance, commitment };
                accounts.entry(currency).or_default().insert(bank.id, account);
            }
        }
        Ok(accounts)
    }

    /// Asks every bank for what has become of its payments and accounts.
    pub(super) async fn report(
        &mut self,
        banks: &mut [Bank],
        rounds: BTreeMap<Currency, Vec<Timed>>,
        mut accounts: Accounts,
        bilateral: Option<Done>,
        audit: Audit,
    ) -> Result<Report, DemoError> {
        let input = &self.options.input;
        let mut settled = BTreeMap::new();
        for bank in banks.iter_mut() {
            for payment in bank.payments().await? {
                let done = payment.state() == State::Settled;
                settled.insert((bank.id, payment.end_to_end_id), done);
            }
        }
        let payments = input.payments.iter().map(|payment| {
            let done = settled.get(&(payment.payer, payment.id.clone())).copied();
            let missing = || DemoError::Answer {
                bank: payment.payer,
                what: format!("that it knows nothing of payment {}", payment.id),
            };
            Ok((payment.clone(), done.ok_or_else(missing)?))
        });
        let payments = payments.collect::<Result<Vec<_>, DemoError>>()?;
        if bilateral.is_some() {
            self.settle_down(banks, &mut accounts).await?;
        }
        let (transfers, exchange) = match bilateral {
            Some(done) => (done.transfers, Some(done.exchange)),
            None => (vec![], None),
        };
        Ok(Report {
            directory: self.network.directory().to_owned(),
            accounts,
            view: self.view(banks, exchange.as_ref()).await?,
            payments,
            rounds: rounds.into_iter().flat_map(|(c, all)| round_reports(input, c, all)).collect(),
            transfers,
            exchange,
            audit,
            stages: vec![],
        })
    }

    /// Waits until all credits are absorbed, and takes the balances anew.
    async fn settle_down(
        &self,
        banks: &mut [Bank],
        accounts: &mut Accounts,
    ) -> Result<(), DemoError> {
        let deadline = Instant::now() + ABSORB;
        for (currency, accounts) in accounts {
            for bank in banks.iter_mut() {
                let found = loop {
                    let found = bank.account(*currency).await?;
                    if found.pending == currency.format(0) {
                        break found;
                    }
                    if Instant::now() > deadline {
                        let what = format!("absorbing {currency} at {}", bank.id);
                        return Err(DemoError::TooSlow { what, seconds: ABSORB.as_secs() });
                    }
                    sleep(POLL).await;
                };
                if let Some(account) = accounts.get_mut(&bank.id) {
                    account.balance = found.balance;
                    account.commitment = found.commitment;
                }
            }
        }
        Ok(())
    }

    /// The statements of one bank: of the one that accepted the exchange, else of the first.
    async fn view(
        &self,
        banks: &mut [Bank],
        exchange: Option<&report::Exchange>,
    ) -> Result<BankView, DemoError> {
        let chosen = exchange.map(|exchange| exchange.accepted_by.0);
        let place = banks.iter().position(|bank| Some(bank.id) == chosen).unwrap_or(0);
        let Some(bank) = banks.get_mut(place) else { return Err(DemoError::Interrupted) };
        let mut statement = Vec::new();
        for currency in self.options.input.currencies() {
            let lines = bank.statement(currency).await?.into_iter();
            statement.extend(lines.map(|line| report::StatementLine {
                height: line.height,
                currency,
                what: words(line.kind()).to_owned(),
                amount: line.amount,
                balance: line.balance,
                counterparties: line.counterparties,
            }));
        }
        // Lines of one block stay in the order of their account.
        statement.sort_by_key(|line| line.height);
        Ok(BankView { institution: bank.id, statement })
    }
}

/// The sum of what rounds have moved, from a statement.
fn net_settled(currency: Currency, statement: &[StatementLine]) -> i128 {
    let settled = statement.iter().filter(|line| line.kind() == Kind::Settled);
    settled.map(|line| signed(currency, &line.amount)).sum()
}

/// A signed decimal in minor units; zero if it is malformed, which the comparison with the balance
/// then shows.
fn signed(currency: Currency, text: &str) -> i128 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    currency.parse(digits).map_or(0, |amount| sign * i128::from(amount))
}

fn round_reports(input: &Input, currency: Currency, rounds: Vec<Timed>) -> Vec<report::Round> {
    let one_by_one = gross::settled(input, currency);
    let report = |Timed { settled, took }: Timed| report::Round {
        currency,
        one_by_one,
        iterations: settled.iterations,
        computation: Duration::from_millis(settled.computation_ms),
        took,
        bytes_sent_per_party: settled.bytes_sent_per_party,
    };
    rounds.into_iter().map(report).collect()
}

/// What a line of a statement is about.
fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "unknown",
        Kind::Sent => "sent",
        Kind::Received => "received",
        Kind::Absorbed => "absorbed",
        Kind::Settled => "netted",
        Kind::Returned => "came back",
        Kind::GivenBack => "given back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nets_are_summed_exactly() {
        let line = |kind: Kind, amount: &str| StatementLine {
            kind: kind.into(),
            amount: amount.to_owned(),
            ..Default::default()
        };
        let statement = [
            line(Kind::Received, "100.00"),
            line(Kind::Settled, "-184467440737095516.15"),
            line(Kind::Sent, "-3.00"),
            line(Kind::Settled, "0.05"),
            line(Kind::Settled, "+1.00"),
        ];
        assert_eq!(net_settled(Currency::Eur, &statement), 105 - i128::from(u64::MAX));
    }
}
