//! The coordinator's word that the computation begins, and with whom.

#[cfg(test)]
mod tests;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::state::MAX_MEMBERS;
use quittance_mpc::ActiveSet;
use thiserror::Error;

use crate::envelope::Content;
use crate::{VERSION, expect_version};

/// The fewest banks that can settle with one another.
pub const MIN_ROSTER: usize = 2;

/// One bank of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub institution: InstitutionId,
    /// Digest of its dealing's common part: the inputs that are computed with.
    pub dealing: Digest,
}

/// Who takes part in a computation: [`MIN_ROSTER`] to [`MAX_MEMBERS`] banks in strict order of
/// institution. Owner `k` of the circuit is the bank at place `k`, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster(Vec<Seat>);

/// Why banks are not a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RosterError {
    /// Too few or too many.
    #[error("{0} banks are not between {MIN_ROSTER} and {MAX_MEMBERS}")]
    Size(usize),
    /// Twice, or not in order.
    #[error("{0} does not come after the bank before it")]
    Order(InstitutionId),
}

/// Computation begins. Signed by the coordinator who has opened the round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Of which round. Its id binds the chain.
    pub round: RoundId,
    /// Of which attempt, from 0.
    pub attempt: u8,
    /// By which parties of the round's committee.
    pub active: ActiveSet,
    /// With whom, on which inputs.
    pub roster: Roster,
}

impl Content for Start {
    const LABEL: &'static str = "quittance/v1/round-start";
}

impl Roster {
    /// The roster of these seats, which are in strict order of institution.
    pub fn new(seats: Vec<Seat>) -> Result<Self, RosterError> {
        if !(MIN_ROSTER..=MAX_MEMBERS).contains(&seats.len()) {
            return Err(RosterError::Size(seats.len()));
        }
        let mut pairs = seats.iter().zip(seats.iter().skip(1));
        match pairs.find(|(before, after)| before.institution >= after.institution) {
            Some((_, after)) => Err(RosterError::Order(after.institution)),
            None => Ok(Self(seats)),
        }
    }

    /// The seats, by place.
    pub fn seats(&self) -> &[Seat] {
        &self.0
    }

    /// The institutions, by place.
    pub fn institutions(&self) -> impl ExactSizeIterator<Item = InstitutionId> {
        self.0.iter().map(|seat| seat.institution)
    }

    /// How many banks there are.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The place of an institution, from 0.
    pub fn place(&self, institution: &InstitutionId) -> Option<usize> {
        self.0.binary_search_by_key(institution, |seat| seat.institution).ok()
    }

    /// `H("quittance/v1/roster", list of the institutions)`: the session's `roster`.
    pub fn digest(&self) -> Digest {
        let mut out = Writer::new();
        out.list(&self.institutions().collect::<Vec<_>>());
        Digest::of("quittance/v1/roster", &[&out.into_bytes()])
    }

    /// `H("quittance/v1/roster-dealings", list of the dealings' digests)`: the session's
    /// `dealings`.
    pub fn dealings_digest(&self) -> Digest {
        let mut out = Writer::new();
        out.list(&self.0.iter().map(|seat| seat.dealing).collect::<Vec<_>>());
        Digest::of("quittance/v1/roster-dealings", &[&out.into_bytes()])
    }
}

impl Encode for Seat {
    fn encode(&self, out: &mut Writer) {
        self.institution.encode(out);
        self.dealing.encode(out);
    }
}

impl Decode for Seat {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { institution: InstitutionId::decode(input)?, dealing: Digest::decode(input)? })
    }
}

impl Encode for Roster {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.0);
    }
}

impl Decode for Roster {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let seats = input.list(MAX_MEMBERS, "roster")?;
        let why = "too small, a bank twice or banks out of order";
        Self::new(seats).map_err(|_| input.invalid("roster", why))
    }
}

impl Encode for Start {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        self.round.encode(out);
        out.u8(self.attempt);
        self.active.encode(out);
        self.roster.encode(out);
    }
}

impl Decode for Start {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_version(input, "version of a start")?;
        Ok(Self {
            round: RoundId::decode(input)?,
            attempt: input.u8("attempt")?,
            active: ActiveSet::decode(input)?,
            roster: Roster::decode(input)?,
        })
    }
}
