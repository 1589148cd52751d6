//! One result from the shares of all parties.

use quittance_circuit::Fr;
use quittance_crypto::commitment::{Blinding, Commitment};
use quittance_crypto::encoding::Encode;
use quittance_crypto::group::Point;
use quittance_mpc::PartyId;
use quittance_mpc::output::{CommittedOutput, OutputError, combine_private};
use zeroize::Zeroizing;

use super::{BankResult, Part, ResultError, ResultShare};
use crate::queue::FrozenQueue;
use crate::start::{Roster, Start};

/// What a participant knows before it asks for its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    start: Start,
    /// Its own place in the roster.
    place: usize,
    /// How many places its queue has.
    places: usize,
    /// How many of its payments take part: up to the first payee outside the roster.
    payments: usize,
}

/// A result that fits together, but has not yet been held against the payments it is about.
pub struct Unchecked {
    /// Without what only the notices say.
    pub(super) result: BankResult,
    pub(super) roster: Roster,
    /// How many of its payments take part.
    pub(super) payments: usize,
}

impl Expected {
    /// What the owner of `queue` expects of the computation that has been started. Nothing if it is
    /// not in the roster.
    pub fn new(start: &Start, queue: &FrozenQueue) -> Option<Self> {
        let roster = &start.roster;
        let place = roster.place(&queue.payer())?;
        let payees = queue.payments().iter().map(|payment| payment.payee);
        let payments = payees.take_while(|payee| roster.place(payee).is_some()).count();
        let places = queue.leaves().len();
        Some(Self { start: start.clone(), place, places, payments })
    }

    /// The participant's own place in the roster: that of its own net.
    pub fn place(&self) -> usize {
        self.place
    }
}

/// The result that the active parties' shares are shares of. There must be one of each, and all must
/// agree.
pub fn combine(
    expected: &Expected,
    shares: &[(PartyId, ResultShare)],
) -> Result<Unchecked, ResultError> {
    check_parties(expected, shares)?;
    let first = check_public(expected, shares)?;
    let nets: Vec<_> = first.nets.iter().map(|net| *net.commitment()).collect();
    if !nets.iter().map(Commitment::point).sum::<Point>().is_identity() {
        return Err(ResultError::NotBalanced);
    }
    let own = first.nets.get(expected.place);
    let (size, found) = (expected.start.roster.size(), nets.len());
    let own = own.ok_or(ResultError::Roster { what: "nets", expected: size, found })?;
    let (net, blinding) = combine_net(own, shares)?;
    let result = BankResult {
        round: expected.start.round,
        attempt: expected.start.attempt,
        session: first.session,
        steps: first.steps,
        bytes_sent: shares.iter().fold(0, |sum, (_, share)| share.bytes_sent.saturating_add(sum)),
        milliseconds: shares.iter().map(|(_, share)| share.milliseconds).max().unwrap_or(0),
        settled: 0,
        received: vec![],
        inflow: combine_inflow(expected, shares)?,
        net,
        blinding,
        nets,
        notices: first.notices.clone(),
    };
    let roster = expected.start.roster.clone();
    Ok(Unchecked { result, roster, payments: expected.payments })
}

/// The active parties, each once, for this round and attempt.
fn check_parties(
    expected: &Expected,
    shares: &[(PartyId, ResultShare)],
) -> Result<(), ResultError> {
    let mut seen = Vec::with_capacity(shares.len());
    for (party, share) in shares {
        if !expected.start.active.contains(*party) {
            return Err(ResultError::Unknown(*party));
        }
        if seen.contains(party) {
            return Err(ResultError::Repeated(*party));
        }
        seen.push(*party);
        if share.round != expected.start.round {
            return Err(ResultError::OtherRound { party: *party, found: share.round });
        }
        if share.attempt != expected.start.attempt {
            return Err(ResultError::OtherAttempt { party: *party, found: share.attempt });
        }
    }
    let (found, needed) = (shares.len(), expected.start.active.count());
    if found < needed {
        return Err(ResultError::TooFew { found, needed });
    }
    Ok(())
}

/// What is public among the parties is the same from all of them, and of the right shape.
fn check_public<'a>(
    expected: &Expected,
    shares: &'a [(PartyId, ResultShare)],
) -> Result<&'a ResultShare, ResultError> {
    let threshold = expected.start.active.threshold();
    agree("the session", threshold, shares, |share| share.session)?;
    agree("the number of steps", threshold, shares, |share| share.steps)?;
    agree("the nets", threshold, shares, |share| &share.nets)?;
    agree("the notices", threshold, shares, |share| &share.notices)?;
    let active = expected.start.active;
    let (found, needed) = (shares.len(), active.count());
    let (_, first) = shares.first().ok_or(ResultError::TooFew { found, needed })?;
    let size = expected.start.roster.size();
    for (what, found) in [("nets", first.nets.len()), ("queues", first.notices.len())] {
        if found != size {
            return Err(ResultError::Roster { what, expected: size, found });
        }
    }
    let own = first.notices.get(expected.place);
    let (expected, found) = (expected.places, own.map_or(0, |notices| notices.0.len()));
    if found != expected {
        return Err(ResultError::Queue { expected, found });
    }
    if first.nets.iter().any(|net| net.parties() != active) {
        return Err(ResultError::Parties);
    }
    Ok(first)
}

/// More than t parties that agree have an honest one among them. With `2t + 1` answers and at most
/// t liars there is exactly one such group, and whoever is not in it lies.
fn agree<'a, T: PartialEq>(
    what: &'static str,
    threshold: usize,
    shares: &'a [(PartyId, ResultShare)],
    of: impl Fn(&'a ResultShare) -> T,
) -> Result<(), ResultError> {
    let said: Vec<_> = shares.iter().map(|(party, share)| (*party, of(share))).collect();
    let others = |value: &T| -> Vec<PartyId> {
        said.iter().filter(|(_, other)| other != value).map(|(party, _)| *party).collect()
    };
    let outside: Vec<_> = said.iter().map(|(_, value)| others(value)).collect();
    if outside.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let mut groups: Vec<_> =
        outside.into_iter().filter(|others| said.len() - others.len() > threshold).collect();
    groups.dedup();
    let parties = match <[Vec<PartyId>; 1]>::try_from(groups) {
        Ok([liars]) => liars,
        Err(_) => said.iter().map(|(party, _)| *party).collect(),
    };
    Err(ResultError::Differ { what, parties })
}

/// The participant's own net, against its published commitment.
fn combine_net(
    public: &CommittedOutput,
    shares: &[(PartyId, ResultShare)],
) -> Result<(i128, Blinding), ResultError> {
    let net: Vec<_> = shares.iter().map(|(party, share)| (*party, share.net.clone())).collect();
    let combined = public.combine(&net).map_err(|error| match error {
        OutputError::TooFew { faulty: parties, .. } => ResultError::NetShare { parties },
        other => ResultError::Output(other),
    })?;
    if !combined.faulty.is_empty() {
        return Err(ResultError::NetShare { parties: combined.faulty });
    }
    let value = Zeroizing::new(combined.value);
    let net = signed(&value).ok_or(ResultError::OutOfRange(Part::Net))?;
    Ok((net, combined.blinding))
}

/// The participant's inflow. Its shares come without commitments.
fn combine_inflow(
    expected: &Expected,
    shares: &[(PartyId, ResultShare)],
) -> Result<u128, ResultError> {
    let inflow = |(party, share): &(PartyId, ResultShare)| (*party, vec![share.inflow.clone()]);
    let shares: Vec<_> = shares.iter().map(inflow).collect();
    let threshold = expected.start.active.threshold();
    let values = combine_private(threshold, &shares).map_err(|error| match error {
        OutputError::Disputed { .. } => ResultError::Disputed(Part::Inflow),
        other => ResultError::Output(other),
    })?;
    let value = Zeroizing::new(values.first().copied().unwrap_or(Fr::from(0u64)));
    unsigned(&value).ok_or(ResultError::OutOfRange(Part::Inflow))
}

/// A field element below 2^128 as an integer.
fn unsigned(value: &Fr) -> Option<u128> {
    let bytes = Zeroizing::new(value.to_bytes());
    let (low, high) = bytes.split_first_chunk::<16>()?;
    high.iter().all(|byte| *byte == 0).then(|| u128::from_le_bytes(*low))
}

/// A field element of absolute value below 2^127 as an integer: upper half of the field, negative.
fn signed(value: &Fr) -> Option<i128> {
    match unsigned(value) {
        Some(positive) => i128::try_from(positive).ok(),
        None => i128::try_from(unsigned(&-*value)?).ok().map(|magnitude| -magnitude),
    }
}
