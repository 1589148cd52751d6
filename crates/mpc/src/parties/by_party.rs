//! One thing of each active party.

use std::ops::{Index, IndexMut};

use super::{ActiveSet, PartyId};

/// One thing of each active party of a session, by party: a message, for instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByParty<T> {
    parties: ActiveSet,
    things: Vec<T>,
}

impl<T> ByParty<T> {
    /// Made by a function of the party.
    pub fn from_fn(parties: ActiveSet, of: impl FnMut(PartyId) -> T) -> Self {
        Self { parties, things: parties.ids().map(of).collect() }
    }

    /// Whose they are.
    pub fn parties(&self) -> ActiveSet {
        self.parties
    }

    /// Each with its party, in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (PartyId, &T)> {
        self.parties.ids().zip(&self.things)
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PartyId, &mut T)> {
        self.parties.ids().zip(&mut self.things)
    }
}

/// Of a party that does not take part there is none: a panic.
impl<T> Index<PartyId> for ByParty<T> {
    type Output = T;

    fn index(&self, party: PartyId) -> &T {
        assert!(self.parties.contains(party), "{party} is not active");
        &self.things[self.parties.place(party)]
    }
}

impl<T> IndexMut<PartyId> for ByParty<T> {
    fn index_mut(&mut self, party: PartyId) -> &mut T {
        assert!(self.parties.contains(party), "{party} is not active");
        &mut self.things[self.parties.place(party)]
    }
}
