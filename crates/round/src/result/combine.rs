//! One result from the shares of all parties.

use quittance_circuit::Fr;
use quittance_crypto::commitment::{Blinding, Commitment};
use quittance_crypto::encoding::Encode;
use quittance_crypto::group::Point;
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::output::{CommittedOutput, OutputError, combine_private};
use quittance_mpc::{PartyId, Share};
use zeroize::Zeroizing;

use super::{BankResult, Part, ReceivedBit, ResultError, ResultShare};
use crate::queue::FrozenQueue;
use crate::start::Start;

/// What a participant knows before it asks for its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    start: Start,
    /// Its own place in the roster.
    place: usize,
    /// How many of its payments take part: up to the first payee outside the roster.
    queue: usize,
}

/// A result that fits together, but has not yet been held against the payments it is about.
pub struct Unchecked(pub(super) BankResult);

impl Expected {
    /// What the owner of `queue` expects of the computation that has been started. Nothing if it is
    /// not in the roster.
    pub fn new(start: &Start, queue: &FrozenQueue) -> Option<Self> {
        let roster = &start.roster;
        let place = roster.place(&queue.payer())?;
        let payees = queue.payments().iter().map(|payment| payment.payee);
        let queue = payees.take_while(|payee| roster.place(payee).is_some()).count();
        Some(Self { start: start.clone(), place, queue })
    }

    /// The participant's own place in the roster: that of its own net.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Who comes at a place of the roster.
    fn payer(&self, payer: u16) -> Result<InstitutionId, ResultError> {
        let place = usize::from(payer);
        let seat = self.start.roster.seats().get(place).filter(|_| place != self.place);
        seat.map(|seat| seat.institution).ok_or(ResultError::Payer { payer })
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
    let (expected_count, found) = (expected.start.roster.size(), nets.len());
    let own = own.ok_or(ResultError::Roster { expected: expected_count, found })?;
    let (net, blinding) = combine_net(own, shares)?;
    let (settled, received, inflow) = combine_bits(expected, first, shares)?;
    Ok(Unchecked(BankResult {
        round: expected.start.round,
        attempt: expected.start.attempt,
        session: first.session,
        steps: first.steps,
        bytes_sent: shares.iter().fold(0, |sum, (_, share)| share.bytes_sent.saturating_add(sum)),
        milliseconds: shares.iter().map(|(_, share)| share.milliseconds).max().unwrap_or(0),
        settled,
        received,
        inflow,
        net,
        blinding,
        nets,
    }))
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
    agree("the number of own payments", threshold, shares, |share| share.settled.len())?;
    agree("the payments addressed here", threshold, shares, |share| {
        share.received.iter().map(|bit| (bit.payer, bit.place)).collect::<Vec<_>>()
    })?;
    let active = expected.start.active;
    let (found, needed) = (shares.len(), active.count());
    let (_, first) = shares.first().ok_or(ResultError::TooFew { found, needed })?;
    let (expected_queue, found) = (expected.queue, first.settled.len());
    if found != expected_queue {
        return Err(ResultError::Queue { expected: expected_queue, found });
    }
    let (expected, found) = (expected.start.roster.size(), first.nets.len());
    if found != expected {
        return Err(ResultError::Roster { expected, found });
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

/// Own bits as the length of a prefix, bits of payments addressed here, and the inflow.
fn combine_bits(
    expected: &Expected,
    first: &ResultShare,
    shares: &[(PartyId, ResultShare)],
) -> Result<(u32, Vec<ReceivedBit>, u128), ResultError> {
    let mut parts: Vec<_> = (0..first.settled.len()).map(|place| Part::Settled { place }).collect();
    for bit in &first.received {
        parts.push(Part::Received { payer: expected.payer(bit.payer)?, place: bit.place });
    }
    parts.push(Part::Inflow);

    let private: Vec<_> = shares.iter().map(|(party, share)| (*party, private(share))).collect();
    let values =
        combine_private(expected.start.active.threshold(), &private).map_err(
            |error| match error {
                OutputError::Disputed { output } => match parts.get(output) {
                    Some(part) => ResultError::Disputed(*part),
                    None => ResultError::Disputed(Part::Inflow),
                },
                other => ResultError::Output(other),
            },
        )?;
    let values = Zeroizing::new(values);

    let (mut settled, mut received, mut inflow) = (0, Vec::new(), 0);
    let mut stopped = None;
    for (part, value) in parts.iter().zip(values.iter()) {
        match *part {
            Part::Settled { place } => match bit(value).ok_or(ResultError::NotABit(*part))? {
                true if settled as usize == place => settled += 1,
                true => return Err(ResultError::NotAPrefix { place }),
                false => {}
            },
            Part::Received { payer, place } => {
                let settles = bit(value).ok_or(ResultError::NotABit(*part))?;
                if settles && stopped == Some(payer) {
                    return Err(ResultError::Overtaken { payer, place });
                }
                if !settles {
                    stopped = Some(payer);
                }
                received.push(ReceivedBit { payer, place, settles });
            }
            Part::Inflow | Part::Net => {
                inflow = unsigned(value).ok_or(ResultError::OutOfRange(*part))?;
            }
        }
    }
    Ok((settled, received, inflow))
}

/// The shares of a result that come without commitments, in the order of the parts.
fn private(share: &ResultShare) -> Vec<Share> {
    let received = share.received.iter().map(|bit| &bit.share);
    let all = share.settled.iter().chain(received).chain([&share.inflow]);
    all.cloned().collect()
}

fn bit(value: &Fr) -> Option<bool> {
    if *value == Fr::from(0u64) {
        return Some(false);
    }
    (*value == Fr::from(1u64)).then_some(true)
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
