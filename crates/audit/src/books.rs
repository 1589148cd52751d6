//! The auditor's own books: every record of the state, and its canonical bytes.

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::group::{Commitment, Point};
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{
    AccountId, ChainId, CreditId, Height, InstitutionId, RoundId, TransactionId,
};
use quittance_ledger::state::{PublicKey, Role, SettlementRule};
use quittance_ledger::transaction::{Condition, RoundOpen};
use sha2::{Digest as _, Sha256};

use crate::digests::list_root;
use crate::governance::{Governed, decision_bytes};
use crate::root::{Leaves, root};

#[derive(Clone, PartialEq)]
pub(crate) struct Institution {
    pub(crate) number: u32,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) keys: Vec<(PublicKey, Height)>,
}

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) balance: Commitment,
    pub(crate) sequence: u64,
    pub(crate) lock: Option<(RoundId, Height)>,
    pub(crate) arrivals: u64,
    pub(crate) pending: BTreeMap<u64, Pending>,
    pub(crate) inflow: Point,
    pub(crate) outflow: Point,
    pub(crate) net_settled: Point,
    pub(crate) log: Digest,
}

#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) number: u64,
    pub(crate) id: CreditId,
    pub(crate) sender: InstitutionId,
    pub(crate) commitment: Commitment,
    pub(crate) details: Digest,
    pub(crate) condition: Condition,
    pub(crate) arrived: Height,
    pub(crate) returned: bool,
}

pub(crate) struct Round {
    pub(crate) terms: RoundOpen,
    pub(crate) opened: Height,
    pub(crate) members: BTreeMap<InstitutionId, (Digest, u32)>,
    pub(crate) settled: Option<(Height, TransactionId, u8)>,
}

/// All records.
pub(crate) struct Books {
    pub(crate) chain: ChainId,
    pub(crate) suite: Suite,
    pub(crate) governed: Governed,
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) rounds: BTreeMap<RoundId, Round>,
    /// Leaves of the records, current but for those in `touched`.
    leaves: Leaves,
    pub(crate) touched: BTreeSet<AccountId>,
    pub(crate) touched_rounds: BTreeSet<RoundId>,
    /// Keys of all governed records that have leaves.
    entered: BTreeSet<Vec<u8>>,
    changed: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            balance: Commitment::identity(),
            sequence: 0,
            lock: None,
            arrivals: 0,
            pending: BTreeMap::new(),
            inflow: Point::identity(),
            outflow: Point::identity(),
            net_settled: Point::identity(),
            log: Digest::ZERO,
        }
    }
}

impl Account {
    /// Absorbed by whom it is pending: number of the credit with this id.
    pub(crate) fn number_of(&self, id: &CreditId) -> Option<u64> {
        self.pending.values().find(|credit| credit.id == *id).map(|credit| credit.number)
    }

    /// `balance + sum(pending)`.
    pub(crate) fn holdings(&self) -> Point {
        let pending: Point = self.pending.values().map(|credit| credit.commitment.point()).sum();
        self.balance.point() + pending
    }
}

impl Institution {
    /// The current key for transactions at a height.
    pub(crate) fn transaction_key(&self, height: Height) -> Option<&PublicKey> {
        self.key(Purpose::Transaction, height)
    }

    /// The current key for signatures of a purpose at a height.
    pub(crate) fn key(&self, purpose: Purpose, height: Height) -> Option<&PublicKey> {
        let serves = |(key, from): &&(PublicKey, Height)| {
            *from <= height && matches!(key, PublicKey::Signing(other, _) if *other == purpose)
        };
        self.keys.iter().rfind(serves).map(|(key, _)| key)
    }
}

impl Books {
    /// The state of height 0.
    pub(crate) fn open(genesis: &Genesis) -> Self {
        let institutions = (1u32..).zip(&genesis.institutions).map(|(number, (id, record))| {
            let keys = record.keys.iter().map(|key| (key.clone(), Height(0))).collect();
            (*id, Institution { number, roles: record.roles.clone(), keys })
        });
        let governed = Governed {
            limits: genesis.limits,
            validators: genesis.validators.clone(),
            institutions: institutions.collect(),
            assets: genesis.assets.clone(),
            committees: genesis.committees.clone(),
            decided: 0,
            waiting: BTreeMap::new(),
            suspended: BTreeMap::new(),
            retired: BTreeMap::new(),
            rule: SettlementRule::default(),
        };
        Self {
            chain: ChainId(Digest::of("quittance/v1/genesis", &[&genesis.to_bytes()])),
            suite: genesis.suite,
            governed,
            accounts: BTreeMap::new(),
            rounds: BTreeMap::new(),
            leaves: Leaves::new(),
            touched: BTreeSet::new(),
            touched_rounds: BTreeSet::new(),
            entered: BTreeSet::new(),
            changed: true,
        }
    }

    /// Other governed records from now on.
    pub(crate) fn govern(&mut self, governed: Governed) {
        self.governed = governed;
        self.changed = true;
    }

    /// The end of the block before `next`.
    pub(crate) fn turn(&mut self, next: Height) {
        let before = self.governed.validators.clone();
        let due = self.governed.waiting.keys().any(|(effective, _)| *effective <= next);
        self.governed.turn(next);
        self.changed |= due || before != self.governed.validators;
    }

    pub(crate) fn account_mut(&mut self, id: AccountId) -> &mut Account {
        self.touched.insert(id);
        self.accounts.entry(id).or_default()
    }

    pub(crate) fn round_mut(&mut self, id: RoundId) -> Option<&mut Round> {
        self.touched_rounds.insert(id);
        self.rounds.get_mut(&id)
    }

    /// The state root after all that has been written.
    pub(crate) fn root(&mut self) -> Digest {
        if std::mem::take(&mut self.changed) {
            self.enter_register();
        }
        for id in std::mem::take(&mut self.touched) {
            let value = self.accounts.get(&id).map(account_bytes);
            self.enter(&tagged(6, &id), value);
        }
        for id in std::mem::take(&mut self.touched_rounds) {
            let value = self.rounds.get(&id).map(round_bytes);
            self.enter(&tagged(7, &id), value);
        }
        Digest(root(&self.leaves))
    }

    /// All governed records, in place of those of before.
    fn enter_register(&mut self) {
        let records = self.register();
        let gone: Vec<_> =
            self.entered.iter().filter(|key| !records.contains_key(*key)).cloned().collect();
        self.entered = records.keys().cloned().collect();
        gone.iter().for_each(|key| self.enter(key, None));
        records.into_iter().for_each(|(key, value)| self.enter(&key, Some(value)));
    }

    fn register(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let it = &self.governed;
        let mut chain = Writer::new();
        self.chain.encode(&mut chain);
        self.suite.encode(&mut chain);
        let mut records = BTreeMap::from([
            (vec![0], chain.into_bytes()),
            (vec![1], it.limits.to_bytes()),
            (vec![2], it.validators.to_bytes()),
        ]);
        records.extend(it.institutions.iter().map(|(id, i)| (tagged(3, id), institution_bytes(i))));
        records.extend(it.assets.iter().map(|(id, asset)| (tagged(4, id), asset.to_bytes())));
        records.extend(it.committees.iter().map(|(id, c)| (tagged(5, id), c.to_bytes())));
        if it.decided > 0 {
            records.insert(vec![9], it.decided.to_be_bytes().to_vec());
        }
        records.extend(it.waiting.iter().map(|((effective, number), changes)| {
            let key = [tagged(10, effective), number.to_be_bytes().to_vec()].concat();
            (key, decision_bytes(changes))
        }));
        records.extend(it.suspended.iter().map(|(id, since)| (tagged(11, id), since.to_bytes())));
        records.extend(it.retired.iter().map(|(id, since)| (tagged(12, id), since.to_bytes())));
        if it.rule != SettlementRule::default() {
            records.insert(vec![13], it.rule.to_bytes());
        }
        records
    }

    fn enter(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        let key = Digest::of("quittance/v1/state-key", &[key]).0;
        match value {
            Some(value) => self.leaves.insert(key, Sha256::digest(value).into()),
            None => self.leaves.remove(&key),
        };
    }
}

fn tagged(tag: u8, id: &impl Encode) -> Vec<u8> {
    [&[tag][..], &id.to_bytes()].concat()
}

fn institution_bytes(institution: &Institution) -> Vec<u8> {
    let mut out = Writer::new();
    out.u32(institution.number);
    out.list(&institution.roles.iter().copied().collect::<Vec<_>>());
    out.u32(institution.keys.len() as u32);
    for (key, active_from) in &institution.keys {
        key.encode(&mut out);
        active_from.encode(&mut out);
    }
    out.into_bytes()
}

fn account_bytes(account: &Account) -> Vec<u8> {
    let pending: Vec<&Pending> = account.pending.values().collect();
    let mut out = Writer::new();
    account.balance.encode(&mut out);
    out.u64(account.sequence);
    match &account.lock {
        None => out.u8(0),
        Some((round, until)) => {
            out.u8(1);
            round.encode(&mut out);
            until.encode(&mut out);
        }
    }
    out.u64(account.arrivals);
    list_root(&pending).encode(&mut out);
    Commitment::from(account.inflow).encode(&mut out);
    Commitment::from(account.outflow).encode(&mut out);
    Commitment::from(account.net_settled).encode(&mut out);
    account.log.encode(&mut out);
    out.into_bytes()
}

impl Encode for &Pending {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        self.id.encode(out);
        self.sender.encode(out);
        self.commitment.encode(out);
        self.details.encode(out);
        self.condition.encode(out);
        self.arrived.encode(out);
        out.u8(self.returned.into());
    }
}

fn round_bytes(round: &Round) -> Vec<u8> {
    let mut out = Writer::new();
    round.terms.encode(&mut out);
    round.opened.encode(&mut out);
    out.u32(round.members.len() as u32);
    for (institution, (queue_root, bucket)) in &round.members {
        institution.encode(&mut out);
        queue_root.encode(&mut out);
        out.u32(*bucket);
    }
    match &round.settled {
        None => out.u8(0),
        Some((height, transaction, attempt)) => {
            out.u8(1);
            height.encode(&mut out);
            transaction.encode(&mut out);
            out.u8(*attempt);
        }
    }
    out.into_bytes()
}
