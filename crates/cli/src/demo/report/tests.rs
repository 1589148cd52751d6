use serde_json::json;

use super::*;
use crate::demo::currency::Currency::{Eur, Jpy};

fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

fn payment(id: &str, payer: &str, payee: &str, currency: Currency, amount: u64) -> Payment {
    let (payer, payee) = (payer.parse().unwrap(), payee.parse().unwrap());
    Payment { id: id.to_owned(), payer, payee, currency, amount }
}

fn account(start: u64, net: i128, balance: &str, commitment: &str) -> Account {
    let (balance, commitment) = (balance.to_owned(), commitment.to_owned());
    Account { start, net, balance, commitment }
}

fn line(height: u64, what: &str, amount: &str, balance: &str, with: &[&str]) -> StatementLine {
    StatementLine {
        height,
        currency: Eur,
        what: what.to_owned(),
        amount: amount.to_owned(),
        balance: balance.to_owned(),
        counterparties: with.iter().map(|bank| (*bank).to_owned()).collect(),
    }
}

fn report() -> Report {
    let (a, b) = (id("AAAAZZ01"), id("BBBBZZ01"));
    let audit = r#"{"verified": true,"blocks":12, "transactions":9,"range_proofs":11,"signatures":10,"height":12}"#;
    Report {
        directory: "net".into(),
        accounts: BTreeMap::from([
            (
                Eur,
                BTreeMap::from([
                    (a, account(100, -50, "0.25", "a1a1")),
                    (b, account(0, 50, "0.75", "b1b1")),
                ]),
            ),
            (
                Jpy,
                BTreeMap::from([(a, account(7, 0, "7", "a2a2")), (b, account(0, 0, "0", "b2b2"))]),
            ),
        ]),
        payments: vec![
            (payment("P2", "AAAAZZ01", "BBBBZZ01", Eur, 123_450), true),
            (payment("P10", "BBBBZZ01", "AAAAZZ01", Eur, 123_400), true),
            (payment("P1", "BBBBZZ01", "AAAAZZ01", Eur, 1_000_000), false),
        ],
        rounds: vec![Round {
            currency: Eur,
            one_by_one: 0,
            iterations: 2,
            computation: Duration::from_millis(140),
            took: Duration::from_millis(1540),
            bytes_sent_per_party: vec![1000, 2000, 999],
        }],
        transfers: vec![Transfer {
            sender: a,
            currency: Eur,
            receivers: vec![(b, 25), (id("CCCCZZ01"), 0)],
            height: 9,
        }],
        exchange: Some(Exchange {
            offered_by: (a, Eur, 1),
            accepted_by: (b, Jpy, 200),
            height: 11,
        }),
        view: BankView {
            institution: a,
            statement: vec![
                line(2, "received", "1.00", "0.00", &["CBNKZZ01"]),
                line(8, "settled", "-0.50", "0.50", &[]),
                line(9, "sent", "-0.25", "0.25", &["BBBBZZ01", "CCCCZZ01"]),
            ],
        },
        audit: Audit::parse(&format!("{audit}\n")).unwrap(),
        stages: vec![
            ("make the network".to_owned(), Duration::from_millis(80)),
            ("netting round in EUR".to_owned(), Duration::from_millis(61_000)),
        ],
    }
}

#[test]
fn json_has_the_promised_shape() {
    let text = report().to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({
            "settled": ["P10", "P2"],
            "queued": ["P1"],
            "net": {
                "EUR": {"AAAAZZ01": "-0.50", "BBBBZZ01": "0.50"},
                "JPY": {"AAAAZZ01": "0", "BBBBZZ01": "0"},
            },
            "balances": {
                "EUR": {"AAAAZZ01": "0.25", "BBBBZZ01": "0.75"},
                "JPY": {"AAAAZZ01": "7", "BBBBZZ01": "0"},
            },
            "rounds": [{
                "currency": "EUR",
                "iterations": 2,
                "milliseconds": 140,
                "opening_to_finality_milliseconds": 1540,
                "bytes_sent_per_party": [1000, 2000, 999],
            }],
            "audit": {
                "verified": true, "blocks": 12, "transactions": 9, "range_proofs": 11,
                "signatures": 10, "height": 12,
            },
        })
    );
    // Copied as it was, with its own spacing and with fields that this program does not know.
    assert!(text.contains(r#"{"verified": true,"blocks":12, "transactions":9,"#));
    assert!(text.ends_with("}\n"));
}

#[test]
fn an_auditor_that_says_too_little_is_not_believed() {
    assert!(Audit::parse("").is_err());
    assert!(Audit::parse("{}").is_err());
    assert!(
        Audit::parse(r#"{"verified":true,"blocks":1,"transactions":1,"range_proofs":1}"#).is_err()
    );
}

#[test]
fn text_is_readable() {
    let expected = "
What settled. One by one is what the banks would have reached without netting,
paying each payment in full as soon as they could.

  currency  payments      worth  settled one by one  settled by netting     worth  stayed queued
  --------  --------  ---------  ------------------  ------------------  --------  -------------
  EUR              3  12,468.50                   0                   2  2,468.50              1

What stayed queued: payments that their payer cannot afford even with all that
comes in, and those behind them.

  payment  payer     payee        amount  currency
  -------  --------  --------  ---------  --------
  P1       BBBBZZ01  AAAAZZ01  10,000.00  EUR

The banks' accounts in EUR. Each line comes from that bank's own agent: only
this demonstration, which stands in for all banks, can put them side by side.
The last column also has what was paid outside the round, see below.

  bank      balance at first  net of the round  balance at last
  --------  ----------------  ----------------  ---------------
  AAAAZZ01              1.00             -0.50             0.25
  BBBBZZ01              0.00              0.50             0.75

The banks' accounts in JPY. Each line comes from that bank's own agent: only
this demonstration, which stands in for all banks, can put them side by side.
The last column also has what was paid outside the round, see below.

  bank      balance at first  net of the round  balance at last
  --------  ----------------  ----------------  ---------------
  AAAAZZ01                 7                 0                7
  BBBBZZ01                 0                 0                0

What AAAAZZ01 sees of itself: its statement.

  block  what      amount  currency  balance  with
  -----  --------  ------  --------  -------  -------------------
  2      received    1.00  EUR          0.00  CBNKZZ01
  8      settled    -0.50  EUR          0.50
  9      sent       -0.25  EUR          0.25  BBBBZZ01 and 1 more

What validators see of AAAAZZ01: one commitment per account. They verify that
every change adds up and that no balance is negative, and learn no amount.

  bank      currency  balance, as validators know it
  --------  --------  ------------------------------
  AAAAZZ01  EUR       a1a1
  AAAAZZ01  JPY       a2a2

Payments outside the rounds. A decoy of zero hides who is paid; the two sides of
an exchange are one transaction.

  block  kind      from      to        amount  currency
  -----  --------  --------  --------  ------  --------
  9      transfer  AAAAZZ01  BBBBZZ01    0.25  EUR
  9      decoy     AAAAZZ01  CCCCZZ01    0.00  EUR
  11     exchange  AAAAZZ01  BBBBZZ01    0.01  EUR
  11     exchange  BBBBZZ01  AAAAZZ01     200  JPY

What the committee did: it netted on secret shares and saw neither amounts nor
payees.

  currency  iterations  computation  opening to finality     sent by each party
  --------  ----------  -----------  -------------------  ---------------------
  EUR                2       140 ms                1.5 s  1.0 kB, 2.0 kB, 999 B

What the auditor replayed from the beginning, with code and libraries of its
own.

  blocks  transactions  signatures  range proofs  verdict
  ------  ------------  ----------  ------------  -----------------------------
      12             9          10            11  all verified, nothing created

How long each stage took.

  stage                      took
  --------------------  ---------
  make the network          80 ms
  netting round in EUR  1 min 1 s
";
    assert_eq!(report().to_text(), expected);
}

#[test]
fn what_did_not_happen_is_not_shown() {
    let mut report = report();
    report.transfers.clear();
    report.exchange = None;
    report.payments.iter_mut().for_each(|(_, settled)| *settled = true);
    let text = report.to_text();
    assert!(!text.contains("outside the rounds") && !text.contains("stayed queued:"));
}

#[test]
fn long_lists_are_cut_and_say_so() {
    let mut report = report();
    report.payments = (0..25)
        .map(|i| (payment(&format!("P{i}"), "AAAAZZ01", "BBBBZZ01", Eur, 1), false))
        .collect();
    let text = report.to_text();
    assert!(text.contains("P19 ") && !text.contains("P20 "));
    assert!(text.contains("\n  and 5 more\n"));
    report.audit.verdict.verified = false;
    assert!(report.to_text().contains("FAILED"));
}
