//! Netting the queued payments of one currency.
//!
//! A round that not every bank has joined settles less than it could: payments to a bank that is
//! left out stay queued, and those behind them. Rounds are repeated until one has brought all
//! together. Nothing is lost by that: what an earlier round settled is a part of what all together
//! would have, and a later one continues from there to the same maximum.

use std::time::{Duration, Instant};

use quittance_rpc::proto::agent::v1::RoundEvent;
use quittance_rpc::proto::agent::v1::event::Event;
use quittance_rpc::proto::agent::v1::round_event::Stage as At;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::bank::Bank;
use super::currency::Currency;
use super::error::DemoError;
use super::progress::Stage;

/// How long to wait before a round is tried again. Accounts that had joined a round that came to
/// nothing stay locked until its deadline: all together is longer than that takes.
pub const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_secs(80),
];

/// How long a round may take. Forty banks on a small machine need minutes.
const ROUND: Duration = Duration::from_secs(1200);

/// How long after the first bank is done the last one may take.
const STRAGGLERS: Duration = Duration::from_secs(60);

/// What is known of a round that has settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Steps of the netting until nothing changed.
    pub iterations: u32,
    /// Duration of the joint computation in milliseconds.
    pub computation_ms: u64,
    /// Bytes that each MPC party sent, in committee order.
    pub bytes_sent_per_party: Vec<u64>,
}

/// A round that has settled, and how long it took.
#[derive(Debug, Clone)]
pub struct Timed {
    /// What the banks were told of it.
    pub settled: Settled,
    /// From the request for it to the settlement, as the last bank of it was told: opening, joining,
    /// dealing, computing, proving and finality.
    pub took: Duration,
}

/// How a round went for one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It took part until the settlement.
    Settled(Settled),
    /// The round ended without it, or for all.
    Abandoned(String),
}

/// Runs rounds until one has settled with all banks, once and then once after each of `pauses`. All
/// rounds that settled, in order.
pub async fn net(
    banks: &mut [Bank],
    currency: Currency,
    pauses: &[Duration],
    stage: &Stage,
) -> Result<Vec<Timed>, DemoError> {
    let mut done = Vec::new();
    let mut pauses = pauses.iter();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (settled, left_out) = attempt(banks, currency, attempts, stage).await?;
        done.extend(settled);
        let Some(reason) = left_out else { return Ok(done) };
        let Some(pause) = pauses.next() else {
            return Err(DemoError::Round { currency, attempts, reason });
        };
        stage.note(&format!("attempt {attempts} failed: {reason}"));
        sleep(*pause).await;
    }
}

/// One round: its settlement, if there was one, and why a bank was left out, if one was.
async fn attempt(
    banks: &mut [Bank],
    currency: Currency,
    number: u32,
    stage: &Stage,
) -> Result<(Option<Timed>, Option<String>), DemoError> {
    let Some(first) = banks.first_mut() else { return Ok((None, None)) };
    let asked = Instant::now();
    let round = match first.request_round(currency).await {
        Ok(round) => round,
        // Somebody who is needed is not there yet, or not any more.
        Err(DemoError::Call { reason, .. }) if reason.code() == Code::Unavailable => {
            return Ok((None, Some(reason.message().to_owned())));
        }
        Err(error) => return Err(error),
    };
    stage.note(&format!("round {}, attempt {number}", round.get(..8).unwrap_or(&round)));
    let parts = observe(banks, &round).await?;
    let took = asked.elapsed();
    let settled = parts.iter().find_map(|part| match part {
        Part::Settled(settled) => Some(Timed { settled: settled.clone(), took }),
        Part::Abandoned(_) => None,
    });
    let left_out = parts.iter().find_map(|part| match part {
        Part::Abandoned(why) => Some(why.clone()),
        Part::Settled(_) => None,
    });
    Ok((settled, left_out))
}

/// Follows a round at all banks until it is over for each.
async fn observe(banks: &[Bank], round: &str) -> Result<Vec<Part>, DemoError> {
    let mut followers = JoinSet::new();
    for bank in banks {
        followers.spawn(follow(bank.clone(), round.to_owned()));
    }
    let mut parts = Vec::new();
    while parts.len() < banks.len() {
        let patience = if parts.is_empty() { ROUND } else { STRAGGLERS };
        match timeout(patience, followers.join_next()).await {
            Ok(Some(Ok(part))) => parts.push(part?),
            // A follower panics only by a defect of this program; it is not waited for then.
            Ok(Some(Err(_)) | None) => break,
            Err(_) if parts.is_empty() => {
                return Err(DemoError::TooSlow {
                    what: "a netting round".to_owned(),
                    seconds: ROUND.as_secs(),
                });
            }
            Err(_) => break,
        }
    }
    let silent = banks.len() - parts.len();
    parts.extend((0..silent).map(|_| Part::Abandoned("a bank did not hear of it".to_owned())));
    Ok(parts)
}

/// Reads one bank's events until it is done with the round.
async fn follow(mut bank: Bank, round: String) -> Result<Part, DemoError> {
    let mut events = bank.watch().await?;
    let mut result = Settled { iterations: 0, computation_ms: 0, bytes_sent_per_party: vec![] };
    loop {
        let Some(Event::Round(event)) = bank.next(&mut events).await?.event else { continue };
        if event.round_id != round {
            continue;
        }
        let at = event.stage();
        let RoundEvent { reason, iterations, computation_ms, bytes_sent_per_party, .. } = event;
        if !bytes_sent_per_party.is_empty() {
            result = Settled { iterations, computation_ms, bytes_sent_per_party };
        }
        match at {
            At::Settled => return Ok(Part::Settled(result)),
            At::Abandoned => return Ok(Part::Abandoned(format!("{}: {reason}", bank.id))),
            _ => (),
        }
    }
}
