//! What an attack may bring about, and what not.

use std::fmt::Write;

use quittance_circuit::{Fr, Run};
use quittance_crypto::encoding::{Decode, Encode};
use quittance_mpc::memory::Outcome;
use quittance_mpc::session::{Abort, Kind, Refusal};
use quittance_mpc::{Output, Parties, PartyId};

use crate::cells::{Cell, Field, How, Recording, To, holds_no_elements};

/// What became of a session, what says more later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All honest parties have the right result.
    Right,
    /// Some have waited for a liar until the deadline, and nobody has aborted before.
    Silent,
    /// Some have not the result, and nobody is named.
    Disputed,
    /// Some have not, and name a liar: its message shows its fault.
    Named,
}

pub struct Judge<'a> {
    pub parties: Parties,
    pub expected: &'a [Fr],
    pub run: &'a Recording,
    pub other: &'a Recording,
}

type Found<T> = Result<T, String>;

impl Judge<'_> {
    /// The verdict, or what must not be.
    pub fn verdict(&self, cell: &Cell, outcome: &Outcome<Run<Output>>) -> Found<Verdict> {
        let mut problem = format!("{cell}: ");
        let verdict = self.results(cell, outcome).and_then(|verdict| {
            self.claims(cell, outcome)?;
            Ok(verdict)
        });
        verdict.map_err(|error| {
            let _ = write!(problem, "{error}; results");
            for result in &outcome.results {
                let _ = match result {
                    Ok(_) => write!(problem, " [a result]"),
                    Err(abort) => write!(problem, " [{abort}]"),
                };
            }
            let _ = write!(problem, "; refusals {:?}", outcome.refusals);
            problem
        })
    }

    fn honest(&self, cell: &Cell) -> impl Iterator<Item = PartyId> {
        let cell = *cell;
        self.parties.ids().filter(move |id| !cell.lies(id.number()))
    }

    fn results(&self, cell: &Cell, outcome: &Outcome<Run<Output>>) -> Found<Verdict> {
        let result = |party: PartyId| &outcome.results[party.position()];
        let finished = |party| result(party).as_ref().ok().map(|run| (party, &run.outputs));
        let finished: Vec<_> = self.honest(cell).filter_map(finished).collect();
        self.right(&finished)?;

        let aborts =
            self.honest(cell).filter_map(|party| Some((party, result(party).as_ref().err()?)));
        let mut verdict = Verdict::Right;
        for (party, abort) in aborts {
            verdict = verdict.max(self.of_abort(cell, outcome, party, abort)?);
        }
        let waits = |party: PartyId| waits_for_liar(cell, result(party));
        if verdict == Verdict::Silent && !self.honest(cell).any(waits) {
            return Err("nobody waits for a liar".to_owned());
        }
        Ok(verdict)
    }

    /// What a party's abort says, which must accuse nobody who is honest.
    fn of_abort(
        &self,
        cell: &Cell,
        outcome: &Outcome<Run<Output>>,
        party: PartyId,
        abort: &Abort,
    ) -> Found<Verdict> {
        if abort.culprit().is_some_and(|culprit| !cell.lies(culprit.number())) {
            return Err(format!("{party} accuses an honest party"));
        }
        match abort.cause() {
            Abort::Malformed { .. } | Abort::SeedNotCommitted { .. } => Ok(Verdict::Named),
            Abort::Diverged { party, .. } if cell.lies(party.number()) => Ok(Verdict::Named),
            Abort::Inconsistent { .. }
            | Abort::WrongProduct { .. }
            | Abort::InconsistentCommitments { .. }
            | Abort::OtherTranscript { .. }
            | Abort::Equivocation { .. } => Ok(Verdict::Disputed),
            // Whoever waits for somebody honest waits for somebody who waits, or has aborted.
            Abort::Ended { missing } => {
                let excused = |other: &PartyId| {
                    cell.lies(other.number()) || outcome.results[other.position()].is_err()
                };
                match !missing.is_empty() && missing.iter().all(excused) {
                    true => Ok(Verdict::Silent),
                    false => Err(format!("{party} misses somebody who has finished")),
                }
            }
            _ => Err(format!("{party} ends for another reason")),
        }
    }

    /// Results of honest parties are the right ones; where t + 1 have them, their shares are too.
    fn right(&self, finished: &[(PartyId, &Vec<Output>)]) -> Found<()> {
        for (index, expected) in self.expected.iter().enumerate() {
            let outputs = finished.iter().map(|(party, outputs)| (*party, &outputs[index]));
            let outputs: Vec<_> = outputs.collect();
            let enough = outputs.len() > self.parties.threshold();
            let (mut shares, mut committed, mut publics) = (vec![], vec![], vec![]);
            for (party, output) in outputs {
                match output {
                    Output::Public(value) if value == expected => {}
                    Output::Public(_) => return Err(format!("output {index} is wrong")),
                    Output::Private { share, .. } => {
                        let share = Fr::from_bytes(&share.to_bytes());
                        shares.push((party.number(), share.map_err(|error| error.to_string())?));
                    }
                    Output::Committed { share, public, .. } => {
                        committed.push((party, share.clone()));
                        publics.push(public);
                    }
                }
            }
            if publics.windows(2).any(|pair| pair[0].commitment() != pair[1].commitment()) {
                return Err(format!("the commitments to output {index} differ"));
            }
            if enough && !shares.is_empty() {
                let value = interpolate(&shares, self.parties.threshold());
                if value != Some(*expected) {
                    return Err(format!("the shares of output {index} are wrong"));
                }
            }
            if let (true, Some(public)) = (enough, publics.first()) {
                let combined = public.combine(&committed);
                let right =
                    combined.as_ref().map(|it| it.value == *expected && it.faulty.is_empty());
                if right.ok() != Some(true) {
                    return Err(format!("output {index} is not what was committed to"));
                }
            }
        }
        Ok(())
    }

    /// What the docs promise of certain changes.
    fn claims(&self, cell: &Cell, outcome: &Outcome<Run<Output>>) -> Found<()> {
        let receivers = self.honest(cell).filter(|party| match cell.to {
            To::One(to) => party.number() == to,
            To::All | To::AllByTwo => true,
        });
        for party in receivers {
            let place = (cell.exchange, cell.liar, party.number());
            let before = &self.run.messages[&place];
            let after = cell.change(before, self.run, self.other);
            let result = &outcome.results[party.position()];
            let mut refused = outcome
                .refusals
                .iter()
                .filter(|(to, refusal)| *to == party.number() && peer(refusal) == Some(cell.liar));
            let over = outcome.refusals.contains(&(party.number(), Refusal::Over));
            let waits = waits_for_liar(cell, result);
            let named = result.as_ref().err().and_then(Abort::culprit).is_some();
            let diverged =
                matches!(result.as_ref().map_err(Abort::cause), Err(Abort::Diverged { .. }));
            let met = match (cell.field, cell.how) {
                (Field::Message, How::Omit) => waits,
                (Field::Message, How::Late) => waits && over,
                // Behind the last message of all there is none.
                (Field::Message, How::Overtaken) => waits,
                (Field::Message, How::Twice) => {
                    outcome.results.iter().all(Result::is_ok) && (refused.next().is_some() || over)
                }
                (Field::Kind, _) if after != *before => diverged,
                (Field::Message, How::OtherSession)
                | (
                    Field::Session
                    | Field::Sender
                    | Field::Receiver
                    | Field::Exchange
                    | Field::Part
                    | Field::Last,
                    _,
                ) if after != *before => waits && refused.next().is_some(),
                _ if after.payload.len() != before.payload.len() => named,
                _ if matches!(after.kind, Kind::Multiply | Kind::Open)
                    && holds_no_elements(&after.payload) =>
                {
                    named
                }
                _ => true,
            };
            if !met {
                return Err(format!("{party} does not say so"));
            }
        }
        Ok(())
    }
}

fn waits_for_liar<T>(cell: &Cell, result: &Result<T, Abort>) -> bool {
    match result {
        Err(Abort::Ended { missing }) => missing.iter().any(|it| cell.lies(it.number())),
        _ => false,
    }
}

/// Who sent what was refused.
fn peer(refusal: &Refusal) -> Option<u8> {
    match refusal {
        Refusal::WrongSender { peer, .. }
        | Refusal::Foreign { peer }
        | Refusal::WrongReceiver { peer, .. }
        | Refusal::Replayed { peer, .. }
        | Refusal::Skipped { peer, .. }
        | Refusal::Ahead { peer, .. }
        | Refusal::BadSplit { peer, .. }
        | Refusal::TooLong { peer, .. } => Some(peer.number()),
        Refusal::Stranger { .. } | Refusal::Over => None,
    }
}

/// The value at 0 of the polynomial of this degree through all these points, if there is one.
fn interpolate(shares: &[(u8, Fr)], degree: usize) -> Option<Fr> {
    let (first, rest) = shares.split_at(degree + 1);
    let at = |x: Fr| -> Fr {
        let term = |&(k, value): &(u8, Fr)| {
            let others = first.iter().filter(|(other, _)| *other != k);
            others.fold(value, |product, &(other, _)| {
                let other = Fr::from(other);
                product * (x - other) / (Fr::from(k) - other)
            })
        };
        first.iter().map(term).sum()
    };
    rest.iter().all(|&(k, value)| at(Fr::from(k)) == value).then(|| at(Fr::from(0u64)))
}
