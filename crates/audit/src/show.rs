//! Receipts and what they prove, as text.

use std::collections::BTreeSet;

use quittance_audit::Fault;
use quittance_audit::evidence::{Case, Verdict as Convicted};
use quittance_audit::receipt::Verdict;
use quittance_ledger::ids::{ChainId, Timestamp};
use quittance_ledger::receipt::{Receipt, Summary, SummaryClaim};
use time::OffsetDateTime;

/// What a receipt has proven, to `now` if it is to be said.
pub fn proof(verdict: &Verdict, now: Option<Timestamp>) {
    let Verdict { root, proven, signed, .. } = verdict;
    let what = match root.is_genesis() {
        true => "genesis".to_owned(),
        false => format!("checkpoint at block {} ({})", root.height, root.block),
    };
    println!("root           {what} of {}", time(root.time));
    println!("root's digest  {}", root.digest);
    println!("root's age     {} at the receipt's block", duration(root.age));
    if let Some(now) = now {
        println!("               {} now", duration(now.0.saturating_sub(root.time.0)));
        println!("receipt's age  {} now", duration(now.0.saturating_sub(proven.time.0)));
    }
    summary(proven);
    println!(
        "signed by      {} of {} validators, with power {} of {}",
        signed.signers, signed.validators, signed.power, signed.total_power
    );
    let trusted = if root.is_genesis() { "the genesis" } else { "the checkpoint" };
    println!(
        "VERIFIED: final, if {trusted} is the chain's and no set of validators since has sold its keys."
    );
}

/// What a receipt says.
pub fn receipt(receipt: &Receipt) {
    summary(&Summary::of(receipt));
    for change in &receipt.changes {
        println!(
            "new set        {} validators after block {}",
            change.validators.validators().len(),
            change.header.height
        );
    }
    let signers: Vec<_> =
        receipt.certificate.signatures.iter().map(|by| by.institution.to_string()).collect();
    println!("signed by      {}", signers.join(", "));
}

/// A fault, with its block if it has one.
pub fn fault(fault: &Fault) -> String {
    match fault.place.height {
        0 => format!("{}: {}", fault.rule, fault.detail),
        _ => fault.to_string(),
    }
}

fn summary(summary: &Summary) {
    println!("chain          {}", summary.chain);
    println!("block          {} of {}", summary.height, time(summary.time));
    println!("block's id     {}", summary.block);
    println!("validators     changed {} times since the root", summary.set_changes);
    summary.claims.iter().for_each(claim);
}

fn claim(claim: &SummaryClaim) {
    match claim {
        SummaryClaim::Transaction { id, position, postings } => {
            println!("transaction    {id}, at position {position} of the block");
            for posting in postings {
                let (institution, asset) = (posting.institution, posting.asset);
                println!("  posting      {institution}/{asset}, sequence {}", posting.sequence);
                println!("  its balance  {} (commitment)", posting.new_balance);
            }
        }
        SummaryClaim::Account { institution, asset, sequence, balance } => {
            println!("account        {institution}/{asset} after the block, sequence {sequence}");
            match balance {
                Some(balance) => println!("  its balance  {balance} (commitment)"),
                None => println!("  its balance  zero: it has never been touched"),
            }
        }
    }
}

/// As RFC 3339 has it, in UTC; or the number, if it is none that a calendar has.
fn time(time: Timestamp) -> String {
    let seconds = i64::try_from(time.0 / 1000).ok();
    let Some(Ok(at)) = seconds.map(OffsetDateTime::from_unix_timestamp) else {
        return format!("{time} ms");
    };
    let (hour, minute, second) = at.to_hms();
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn duration(milliseconds: u64) -> String {
    let minutes = milliseconds / 60_000;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    match (days, hours, minutes % 60) {
        (0, 0, 0) => format!("{} s", milliseconds / 1000),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} days {hours} h"),
    }
}

/// Who is convicted.
pub fn convicted(proof: &Convicted) {
    let Convicted { root, chain, cases } = proof;
    let what = match root.is_genesis() {
        true => "genesis".to_owned(),
        false => format!("checkpoint at block {} ({})", root.height, root.block),
    };
    println!("root           {what} of {}", time(root.time));
    println!("root's digest  {}", root.digest);
    println!("root's age     {} at the last block", duration(root.age));
    self::cases(*chain, cases);
    let names: BTreeSet<_> = cases.iter().map(|case| case.validator.to_string()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    println!("VERIFIED: contradicted by its own signatures, each at the height named: {names}.");
}

/// What evidence says.
pub fn cases(chain: ChainId, cases: &[Case]) {
    println!("chain          {chain}");
    for Case { validator, height, round, kind, said: [one, other] } in cases {
        println!("{validator:<14} two {kind} at height {height}, round {round}");
        println!("  for          {one}");
        println!("  and for      {other}");
    }
}
