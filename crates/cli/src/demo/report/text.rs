//! The report for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Account, Report, Round, StatementLine};
use crate::demo::currency::{Currency, grouped};
use crate::demo::input::Payment;
use crate::table::Table;

/// The most rows of a long table that are printed.
const ROWS: usize = 20;

impl Report {
    /// All tables, each under a line that says what it shows.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.settled(&mut text);
        self.queued(&mut text);
        self.nets(&mut text);
        self.view(&mut text);
        self.commitments(&mut text);
        self.direct(&mut text);
        self.committee(&mut text);
        self.audited(&mut text);
        self.durations(&mut text);
        text
    }

    fn payments_in(&self, currency: Currency) -> impl Iterator<Item = &(Payment, bool)> {
        self.payments.iter().filter(move |(payment, _)| payment.currency == currency)
    }

    fn settled(&self, text: &mut String) {
        let mut table = Table::new(&[
            "currency",
            ">payments",
            ">worth",
            ">settled one by one",
            ">settled by netting",
            ">worth",
            ">stayed queued",
        ]);
        for Round { currency, one_by_one, .. } in &self.rounds {
            let (mut count, mut worth, mut settled, mut settled_worth) = (0, 0, 0, 0);
            for (payment, done) in self.payments_in(*currency) {
                count += 1;
                worth += i128::from(payment.amount);
                settled += usize::from(*done);
                settled_worth += if *done { i128::from(payment.amount) } else { 0 };
            }
            table.row([
                currency.code(),
                &count.to_string(),
                &grouped(&currency.format(worth)),
                &one_by_one.to_string(),
                &settled.to_string(),
                &grouped(&currency.format(settled_worth)),
                &(count - settled).to_string(),
            ]);
        }
        section(
            text,
            "What settled. One by one is what the banks would have reached without netting, paying each payment in full as soon as they could.",
            &table,
        );
    }

    fn queued(&self, text: &mut String) {
        let mut table = Table::new(&["payment", "payer", "payee", ">amount", "currency"]);
        let queued: Vec<&Payment> =
            self.payments.iter().filter(|(_, done)| !done).map(|(payment, _)| payment).collect();
        for payment in queued.iter().take(ROWS) {
            let amount = grouped(&payment.currency.format(payment.amount));
            let (payer, payee) = (payment.payer.as_str(), payment.payee.as_str());
            table.row([&payment.id, payer, payee, &amount, payment.currency.code()]);
        }
        section(
            text,
            "What stayed queued: payments that their payer cannot afford even with all that comes in, and those behind them.",
            &table,
        );
        more(text, queued.len());
    }

    fn nets(&self, text: &mut String) {
        for (currency, accounts) in &self.accounts {
            let mut table =
                Table::new(&["bank", ">balance at first", ">net of the round", ">balance at last"]);
            for (bank, account) in accounts {
                table.row([
                    bank.as_str(),
                    &grouped(&currency.format(account.start)),
                    &grouped(&currency.format(account.net)),
                    &grouped(&account.balance),
                ]);
            }
            let mut title = format!(
                "The banks' accounts in {currency}. Each line comes from that bank's own agent: \
                 only this demonstration, which stands in for all banks, can put them side by side."
            );
            let outside = self
                .transfers
                .iter()
                .map(|it| it.currency)
                .chain(self.exchange.iter().flat_map(|it| [it.offered_by.1, it.accepted_by.1]));
            if outside.into_iter().any(|it| it == *currency) {
                title += " The last column also has what was paid outside the round, see below.";
            }
            section(text, &title, &table);
        }
    }

    fn view(&self, text: &mut String) {
        let mut table = Table::new(&["block", "what", ">amount", "currency", ">balance", "with"]);
        let lines = &self.view.statement;
        for line in lines.iter().take(ROWS) {
            let StatementLine { height, currency, what, amount, balance, counterparties } = line;
            let with = match &counterparties[..] {
                [] => String::new(),
                [one] => one.clone(),
                [first, rest @ ..] => format!("{first} and {} more", rest.len()),
            };
            table.row([
                &height.to_string(),
                what,
                &grouped(amount),
                currency.code(),
                &grouped(balance),
                &with,
            ]);
        }
        let title = format!("What {} sees of itself: its statement.", self.view.institution);
        section(text, &title, &table);
        more(text, lines.len());
    }

    fn commitments(&self, text: &mut String) {
        let mut table = Table::new(&["bank", "currency", "balance, as validators know it"]);
        let bank = self.view.institution;
        for (currency, accounts) in &self.accounts {
            if let Some(Account { commitment, .. }) = accounts.get(&bank) {
                table.row([bank.as_str(), currency.code(), commitment]);
            }
        }
        let title = format!(
            "What validators see of {bank}: one commitment per account. They verify that every \
             change adds up and that no balance is negative, and learn no amount."
        );
        section(text, &title, &table);
    }

    fn direct(&self, text: &mut String) {
        let mut table = Table::new(&["block", "kind", "from", "to", ">amount", "currency"]);
        for transfer in &self.transfers {
            let (currency, height) = (transfer.currency, transfer.height.to_string());
            for (receiver, amount) in &transfer.receivers {
                let kind = if *amount == 0 { "decoy" } else { "transfer" };
                let amount = grouped(&currency.format(*amount));
                let (from, to) = (transfer.sender.as_str(), receiver.as_str());
                table.row([&height, kind, from, to, &amount, currency.code()]);
            }
        }
        if let Some(exchange) = &self.exchange {
            let height = exchange.height.to_string();
            let (one, other) = (exchange.offered_by, exchange.accepted_by);
            for ((from, currency, amount), (to, ..)) in [(one, other), (other, one)] {
                let amount = grouped(&currency.format(amount));
                let (from, to) = (from.as_str(), to.as_str());
                table.row([&height, "exchange", from, to, &amount, currency.code()]);
            }
        }
        section(
            text,
            "Payments outside the rounds. A decoy of zero hides who is paid; the two sides of an exchange are one transaction.",
            &table,
        );
    }

    fn committee(&self, text: &mut String) {
        let mut table = Table::new(&[
            "currency",
            ">iterations",
            ">computation",
            ">opening to finality",
            ">sent by each party",
        ]);
        for round in &self.rounds {
            let sent: Vec<String> = round.bytes_sent_per_party.iter().map(|b| bytes(*b)).collect();
            table.row([
                round.currency.code(),
                &round.iterations.to_string(),
                &duration(round.computation),
                &duration(round.took),
                &sent.join(", "),
            ]);
        }
        section(
            text,
            "What the committee did: it netted on secret shares and saw neither amounts nor payees.",
            &table,
        );
    }

    fn audited(&self, text: &mut String) {
        let verdict = &self.audit.verdict;
        let mut table =
            Table::new(&[">blocks", ">transactions", ">signatures", ">range proofs", "verdict"]);
        table.row([
            &verdict.blocks.to_string(),
            &verdict.transactions.to_string(),
            &verdict.signatures.to_string(),
            &verdict.range_proofs.to_string(),
            if verdict.verified { "all verified, nothing created" } else { "FAILED" },
        ]);
        section(
            text,
            "What the auditor replayed from the beginning, with code and libraries of its own.",
            &table,
        );
    }

    fn durations(&self, text: &mut String) {
        let mut table = Table::new(&["stage", ">took"]);
        for (stage, took) in &self.stages {
            table.row([stage, &duration(*took)]);
        }
        section(text, "How long each stage took.", &table);
    }
}

/// Appends a table under its title; nothing if the table is empty.
fn section(text: &mut String, title: &str, table: &Table) {
    if !table.is_empty() {
        text.push_str(&format!("\n{}\n\n{table}", wrapped(title)));
    }
}

/// Says how many of `count` rows were left out.
fn more(text: &mut String, count: usize) {
    if count > ROWS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  and {} more", count - ROWS);
    }
}

/// Breaks a text into lines of at most 80 characters.
fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = vec![];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 80 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// A duration with three digits or so and its unit.
pub(in crate::demo) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds @ ..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

/// A number of bytes with its unit, in powers of 1000.
fn bytes(bytes: u64) -> String {
    match bytes {
        ..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_units() {
        let durations = [0, 999, 1000, 59_940, 60_000, 3_601_000].map(Duration::from_millis);
        assert_eq!(
            durations.map(duration),
            ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 0 s", "60 min 1 s"]
        );
        assert_eq!(
            [0, 999, 1000, 999_949, 12_345_678].map(bytes),
            ["0 B", "999 B", "1.0 kB", "999.9 kB", "12.3 MB"]
        );
    }

    #[test]
    fn lines_break_between_words() {
        let text = "word ".repeat(40);
        let lines = wrapped(&text);
        assert!(lines.lines().all(|line| line.len() <= 80));
        assert_eq!(lines.replace('\n', " "), text.trim_end());
        assert_eq!(lines.lines().count(), 3);
    }
}
