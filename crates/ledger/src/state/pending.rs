//! Credits that have arrived at an account and wait there.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_crypto::group::Point;

use crate::ids::{CreditId, Height, InstitutionId};
use crate::merkle;
use crate::transaction::Condition;

/// A credit on an account that is neither absorbed nor gone back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCredit {
    /// The how-manieth arrival of its account it is, from 0.
    pub number: u64,
    /// Which credit.
    pub id: CreditId,
    /// Who gave it.
    pub sender: InstitutionId,
    /// How much.
    pub commitment: Commitment,
    /// Salted digest of the payment's particulars.
    pub details: Digest,
    /// What must hold before it may be absorbed.
    pub condition: Condition,
    /// At which height it arrived here.
    pub arrived: Height,
    /// Whether it has come back to its sender. Then it can only be absorbed, and no quota counts it.
    pub returned: bool,
}

/// The pending credits of one account, in the order of their arrival. Cheap to clone.
///
/// Their root, in the account's leaf, is the [`merkle::root`] of the list of their canonical bytes.
#[derive(Debug, Clone, Default)]
pub struct Pending(Arc<Contents>);

#[derive(Debug, Clone, Default)]
struct Contents {
    by_number: BTreeMap<u64, Arc<Held>>,
    numbers: BTreeMap<CreditId, u64>,
    /// How many each sender has here, returned ones left out. No zeros.
    per_sender: BTreeMap<InstitutionId, u32>,
    /// For the root; computed when it is asked for, and kept as long as credits only arrive.
    frontier: OnceLock<merkle::Frontier>,
}

#[derive(Debug)]
struct Held {
    credit: PendingCredit,
    leaf: Digest,
}

impl Pending {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.by_number.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.by_number.is_empty()
    }

    /// The credit with this id.
    pub fn get(&self, id: &CreditId) -> Option<&PendingCredit> {
        self.by_number(*self.0.numbers.get(id)?)
    }

    /// The credit that arrived with this number.
    pub fn by_number(&self, number: u64) -> Option<&PendingCredit> {
        self.0.by_number.get(&number).map(|held| &held.credit)
    }

    /// All of them, in the order of their arrival.
    pub fn iter(&self) -> impl Iterator<Item = &PendingCredit> {
        self.0.by_number.values().map(|held| &held.credit)
    }

    /// How many of this sender's credits wait here, those that came back left out.
    pub fn from_sender(&self, sender: &InstitutionId) -> u32 {
        self.0.per_sender.get(sender).copied().unwrap_or(0)
    }

    /// What they add up to.
    pub fn sum(&self) -> Point {
        self.iter().map(|credit| credit.commitment.point()).sum()
    }

    /// Their root.
    pub fn root(&self) -> Digest {
        let frontier = || self.0.by_number.values().map(|held| held.leaf).collect();
        self.0.frontier.get_or_init(frontier).root()
    }

    /// Shows that the credit with this id is in the list with [`Self::root`].
    pub fn prove(&self, id: &CreditId) -> Option<merkle::Proof> {
        let number = self.0.numbers.get(id)?;
        let index = self.0.by_number.range(..number).count();
        merkle::Proof::new(&self.leaves(), index)
    }

    fn leaves(&self) -> Vec<Digest> {
        self.0.by_number.values().map(|held| held.leaf).collect()
    }

    /// Adds a credit. `false`, and nothing changes, if its number or its id is taken.
    pub(crate) fn insert(&mut self, credit: PendingCredit) -> bool {
        if self.0.by_number.contains_key(&credit.number) || self.0.numbers.contains_key(&credit.id)
        {
            return false;
        }
        let contents = Arc::make_mut(&mut self.0);
        if !credit.returned {
            *contents.per_sender.entry(credit.sender).or_default() += 1;
        }
        contents.numbers.insert(credit.id, credit.number);
        let leaf = merkle::leaf_hash(&credit.to_bytes());
        let last = contents.by_number.last_key_value().map(|(number, _)| *number);
        match contents.frontier.get_mut() {
            Some(frontier) if last < Some(credit.number) => frontier.push(leaf),
            _ => contents.frontier = OnceLock::new(),
        }
        contents.by_number.insert(credit.number, Arc::new(Held { credit, leaf }));
        true
    }

    /// Removes the credit with this id.
    pub(crate) fn remove(&mut self, id: &CreditId) -> Option<PendingCredit> {
        if !self.0.numbers.contains_key(id) {
            return None;
        }
        let contents = Arc::make_mut(&mut self.0);
        contents.frontier = OnceLock::new();
        let number = contents.numbers.remove(id)?;
        let held = contents.by_number.remove(&number)?;
        if !held.credit.returned {
            let sender = held.credit.sender;
            match contents.per_sender.get_mut(&sender) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(contents.per_sender.remove(&sender)),
            }
        }
        Some(held.credit.clone())
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Pending {}

impl Encode for PendingCredit {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        self.id.encode(out);
        self.sender.encode(out);
        self.commitment.encode(out);
        self.details.encode(out);
        self.condition.encode(out);
        self.arrived.encode(out);
        out.u8(u8::from(self.returned));
    }
}

impl Decode for PendingCredit {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: input.u64("number of a pending credit")?,
            id: CreditId::decode(input)?,
            sender: InstitutionId::decode(input)?,
            commitment: Commitment::decode(input)?,
            details: Digest::decode(input)?,
            condition: Condition::decode(input)?,
            arrived: Height::decode(input)?,
            returned: input.tag(2, "whether returned")? == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;
    use rand_core::RngCore;

    fn credit(number: u64) -> PendingCredit {
        PendingCredit {
            number,
            id: CreditId(Digest::of("test credit", &[&number.to_be_bytes()])),
            sender: "BANKDEFF".parse().unwrap(),
            commitment: Commitment::identity(),
            details: Digest::ZERO,
            condition: Condition::None,
            arrived: Height(1),
            returned: false,
        }
    }

    #[test]
    fn the_root_is_that_of_what_is_there_whatever_came_and_went() {
        let (mut pending, mut rng) = (Pending::default(), rng(1));
        let mut older = Vec::new();
        for _ in 0..400 {
            let credit = credit(u64::from(rng.next_u32() % 40));
            match rng.next_u32() % 3 {
                0 => drop(pending.remove(&credit.id)),
                1 => drop(pending.insert(credit)),
                _ => older.push((pending.clone(), pending.root())),
            }
            if rng.next_u32().is_multiple_of(2) {
                assert_eq!(pending.root(), merkle::root(&pending.leaves()));
            }
        }
        for (pending, root) in older {
            assert_eq!((pending.root(), merkle::root(&pending.leaves())), (root, root));
        }
    }
}
