//! What owners know: openings of balances and credits, and entries drafted from them.

use quittance_crypto::commitment::{Blinding, Commitment, Opening, commit_scalar};
use quittance_crypto::field::Scalar;
use quittance_ledger::ids::{CreditId, InstitutionId};
use quittance_ledger::transaction::Entry;

use crate::keys::id;

/// What opens a commitment; negative for an issuer's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secret {
    pub value: i128,
    pub blinding: Scalar,
}

impl Secret {
    pub const ZERO: Self = Self { value: 0, blinding: Scalar::ZERO };

    pub fn commit(&self) -> Commitment {
        let magnitude = Scalar::from(self.value.unsigned_abs());
        let value = if self.value < 0 { -magnitude } else { magnitude };
        commit_scalar(&value, &self.blinding)
    }

    pub fn plus(self, other: Self) -> Self {
        Self { value: self.value + other.value, blinding: self.blinding + other.blinding }
    }

    pub fn minus(self, other: Self) -> Self {
        Self { value: self.value - other.value, blinding: self.blinding - other.blinding }
    }
}

/// What one institution does in an entry.
#[derive(Debug, Clone)]
pub struct Post {
    pub who: InstitutionId,
    pub takes: Vec<CreditId>,
    pub gives: Vec<(InstitutionId, u64)>,
    /// Change of balance beyond that.
    pub net: i128,
}

pub fn post(who: &str) -> Post {
    Post { who: id(who), takes: vec![], gives: vec![], net: 0 }
}

impl Post {
    pub fn gives(mut self, to: &str, amount: u64) -> Self {
        self.gives.push((id(to), amount));
        self
    }

    pub fn takes(mut self, credits: &[CreditId]) -> Self {
        self.takes.extend(credits);
        self
    }

    pub fn net(mut self, net: i128) -> Self {
        self.net = net;
        self
    }
}

/// An entry with the openings of its balances and credits.
#[derive(Debug, Clone)]
pub struct Draft {
    pub entry: Entry,
    pub balances: Vec<Secret>,
    pub credits: Vec<Secret>,
}

impl Draft {
    /// Openings of the statement: an issuer's balance negated.
    pub fn openings(&self, issuer: InstitutionId) -> Vec<Opening> {
        let balances = self.entry.postings.iter().zip(&self.balances).map(|(posting, secret)| {
            match posting.institution == issuer {
                true => Secret::ZERO.minus(*secret),
                false => *secret,
            }
        });
        let opening = |secret: Secret| {
            let value = u64::try_from(secret.value).expect("the amounts of a test can be proven");
            Opening::new(value, Blinding::from_scalar(secret.blinding))
        };
        balances.chain(self.credits.iter().copied()).map(opening).collect()
    }
}
