//! Random operations, valid and not, on the chain and on the model of plain numbers: the same
//! verdicts, for the same reasons, and the same books after each block.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use quittance_crypto::digest::Digest;
use quittance_crypto::group::Point;
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::{AccountId, ChainId, CommitteeId, CreditId, Height, RoundId};
use quittance_ledger::transaction::{
    Action, Body, CreditReturn, ReturnReason, RoundJoin, RoundOpen, Settlement,
};

use crate::model::{Act, Holding, ISSUER, Key, Leg, Model, Op, Place, Rules};
use crate::operations::{Raw, raw};
use crate::world::{
    BANKS, COORDINATOR, Candidate, Draft, ISSUER as ISSUER_ID, LIMITS, Net, Post, account, asset,
    credits_of, id, key, round_of,
};

const ASSETS: [&str; 2] = ["EUR", "USD"];

fn player(number: usize) -> &'static str {
    [BANKS[0], BANKS[1], BANKS[2], BANKS[3], ISSUER_ID][number]
}

fn place(place: Place) -> AccountId {
    account(player(place.0), ASSETS[place.1])
}

/// The chain and the model side by side.
pub struct Pair {
    net: Net,
    pub model: Model,
    /// Ids of the model's credits and rounds, by number.
    pub credits: Vec<CreditId>,
    pub rounds: Vec<RoundId>,
    history: Vec<(Op, Candidate)>,
}

impl Pair {
    fn new() -> Self {
        let net = Net::funded();
        let rules = Rules {
            quota: LIMITS.pending_per_sender as usize,
            refund_after: LIMITS.refund_after,
            max_expiry: LIMITS.max_expiry,
            max_round: LIMITS.max_round,
        };
        let mut model = Model {
            rules,
            height: net.height.0,
            holdings: Default::default(),
            gifts: vec![],
            rounds: vec![],
        };
        for asset in 0..2 {
            for who in 0..ISSUER {
                let holding = Holding { balance: 1_000, sequence: 1, ..Default::default() };
                model.holdings.insert((who, asset), holding);
            }
            let issuer = Holding { balance: -4_000, sequence: 1, ..Default::default() };
            model.holdings.insert((ISSUER, asset), issuer);
        }
        Self { net, model, credits: vec![], rounds: vec![], history: vec![] }
    }

    /// The drafts of the operation's entries; `None` if a balance would be out of range, so that
    /// no proof of it exists.
    fn drafts(&mut self, legs: &[Leg]) -> Option<Vec<Draft>> {
        legs.iter().map(|leg| self.draft(leg)).collect()
    }

    fn draft(&mut self, leg: &Leg) -> Option<Draft> {
        let posts = leg.moves.iter().map(|posting| Post {
            who: id(player(posting.who)),
            takes: posting.takes.iter().map(|credit| self.credits[*credit]).collect(),
            gives: posting.gives.iter().map(|(to, amount)| (id(player(*to)), *amount)).collect(),
            net: posting.net,
        });
        let posts: Vec<_> = posts.collect();
        let mut draft = self.net.draft(ASSETS[leg.asset], &posts);
        for (posting, wanted) in draft.entry.postings.iter_mut().zip(&leg.moves) {
            posting.sequence = wanted.sequence;
        }
        let provable = draft.balances.iter().zip(&leg.moves).all(|(balance, posting)| {
            let sign = if posting.who == ISSUER { -1 } else { 1 };
            u64::try_from(sign * balance.value).is_ok()
        });
        provable.then_some(draft)
    }

    fn candidate(&mut self, op: &Op) -> Option<Candidate> {
        let (action, drafts) = self.action(&op.act)?;
        let (expiry, own_chain, key_kind) = (Height(op.expiry), op.own_chain, op.key);
        let change = move |body: &mut Body| {
            body.expiry = expiry;
            if !own_chain {
                body.chain = ChainId(Digest([1; 32]));
            }
            with_key(body, key_kind);
        };
        Some(self.net.candidate(action, drafts, change))
    }

    fn action(&mut self, act: &Act) -> Option<(Action, Vec<Draft>)> {
        Some(match act {
            Act::Entries(legs) => {
                let drafts = self.drafts(legs)?;
                (Action::Entries(drafts.iter().map(|draft| draft.entry.clone()).collect()), drafts)
            }
            Act::Return { credit, holder, by, refund } => {
                let reason = if *refund { ReturnReason::Refunded } else { ReturnReason::Rejected };
                let credit_return = CreditReturn {
                    credit: self.credits[*credit],
                    holder: place(*holder),
                    by: id(player(*by)),
                    key_fingerprint: key(player(*by), "transaction"),
                    reason,
                };
                (Action::Return(credit_return), vec![])
            }
            Act::Open { salt, asset: code, join_until, deadline, minimum } => {
                let open = RoundOpen {
                    salt: [*salt; 16],
                    opener: id(COORDINATOR),
                    key_fingerprint: key(COORDINATOR, "transaction"),
                    asset: asset(ASSETS[*code]),
                    program: Digest::ZERO,
                    committee: CommitteeId(1),
                    minimum_roster: *minimum,
                    attempts: 1,
                    join_until: Height(*join_until),
                    deadline: Height(*deadline),
                };
                (Action::RoundOpen(open), vec![])
            }
            Act::Join { round, who, sequence } => {
                let join = RoundJoin {
                    round: self.rounds[*round],
                    institution: id(player(*who)),
                    key_fingerprint: key(player(*who), "transaction"),
                    sequence: *sequence,
                    queue_root: Digest::ZERO,
                    bucket: 8,
                    note: vec![],
                };
                (Action::RoundJoin(join), vec![])
            }
            Act::Settle { round, attempt, leg } => {
                let draft = self.draft(leg)?;
                let settlement = Settlement {
                    round: self.rounds[*round],
                    attempt: *attempt,
                    entry: draft.entry.clone(),
                    attachment: None,
                };
                (Action::Settlement(settlement), vec![draft])
            }
        })
    }

    /// Both execute the operation; both must say the same.
    fn step(&mut self, raw: &Raw) -> Option<&'static str> {
        // An old transaction once more, byte for byte.
        if raw.flaw == 10 && !self.history.is_empty() {
            let (op, candidate) = self.history[raw.pick % self.history.len()].clone();
            return Some(self.execute(&op, &candidate));
        }
        let op = self.resolve(raw);
        let candidate = self.candidate(&op)?;
        Some(self.execute(&op, &candidate))
    }

    fn execute(&mut self, op: &Op, candidate: &Candidate) -> &'static str {
        let expected = self.model.perform(op);
        let found = self.net.submit(candidate);
        let found = found.as_ref().map(|_| ()).map_err(name);
        assert_eq!(found, expected, "{op:?} at height {}", self.model.height);
        if found.is_ok() {
            self.credits.extend(credits_of(&candidate.transaction));
            if matches!(op.act, Act::Open { .. }) {
                self.rounds.push(round_of(&candidate.transaction));
            }
            self.history.push((op.clone(), candidate.clone()));
        }
        found.err().unwrap_or("executed")
    }

    /// Ends the block and compares the books.
    fn close(&mut self) {
        self.net.close();
        self.model.height += 1;
        for (id, holding) in &self.model.holdings {
            self.compare(place(*id), holding);
        }
        assert_eq!([self.model.total(0), self.model.total(1)], [0, 0]);
        for (round, id) in self.model.rounds.iter().zip(&self.rounds) {
            let record = self.net.state.round(id).unwrap();
            assert_eq!(record.settled.is_some(), round.settled);
            assert_eq!(record.members.len(), round.members.len());
        }
    }

    fn compare(&self, id: AccountId, holding: &Holding) {
        let Some(leaf) = self.net.state.account(&id) else {
            assert!(holding.sequence == 0 && holding.came.is_empty(), "{id} is not on record");
            return;
        };
        let secret = self.net.balance(&id);
        assert_eq!(secret.value, holding.balance, "{id}");
        assert_eq!(leaf.balance, secret.commit(), "{id}");
        assert_eq!(leaf.sequence, holding.sequence, "{id}");
        let lock = holding.lock.map(|(round, until)| (self.rounds[round], Height(until)));
        assert_eq!(leaf.lock.map(|lock| (lock.round, lock.until)), lock, "{id}");

        let pending = self.net.state.pending(&id).unwrap().iter().map(|credit| credit.id);
        let expected: Vec<_> = holding.pending.iter().map(|number| self.credits[*number]).collect();
        assert_eq!(pending.collect::<Vec<_>>(), expected, "{id}");
        let sum = |credits: &[usize]| -> Point {
            let secrets = credits.iter().map(|number| self.net.credits[&self.credits[*number]]);
            secrets.map(|secret| secret.commit().point()).sum()
        };
        // The funding before the model began is in the leaf as well.
        let before = Net::funded();
        let before = before.state.account(&id).unwrap();
        assert_eq!(leaf.inflow.point(), before.inflow.point() + sum(&holding.came), "{id}");
        assert_eq!(leaf.outflow.point(), before.outflow.point() + sum(&holding.left), "{id}");
    }
}

/// The first signer names another of its keys.
fn with_key(body: &mut Body, kind: Key) {
    let name = match kind {
        Key::Current => return,
        Key::OfRounds => "round",
        Key::Stranger => "stranger",
    };
    let Some(first) = body.signers().unwrap().into_keys().next() else { return };
    let fingerprint = key(first.as_str(), name);
    match &mut body.action {
        Action::Entries(entries) => {
            let postings = entries.iter_mut().flat_map(|entry| &mut entry.postings);
            for posting in postings.filter(|posting| posting.institution == first) {
                posting.key_fingerprint = fingerprint;
            }
        }
        Action::Return(credit_return) => credit_return.key_fingerprint = fingerprint,
        Action::RoundOpen(open) => open.key_fingerprint = fingerprint,
        Action::RoundJoin(join) => join.key_fingerprint = fingerprint,
        Action::Settlement(settlement) => {
            settlement.entry.postings[0].key_fingerprint = fingerprint;
        }
        Action::Governance(_) | Action::KeyRotation(_) => unreachable!("the model has neither"),
    }
}

/// The name of the variant.
fn name(error: &ExecutionError) -> &'static str {
    match error {
        ExecutionError::WrongChain { .. } => "WrongChain",
        ExecutionError::Expired { .. } => "Expired",
        ExecutionError::ExpiryTooFar { .. } => "ExpiryTooFar",
        ExecutionError::UnknownKey { .. } => "UnknownKey",
        ExecutionError::KeyOfOtherPurpose { .. } => "KeyOfOtherPurpose",
        ExecutionError::StaleSequence { .. } => "StaleSequence",
        ExecutionError::SkippedSequence { .. } => "SkippedSequence",
        ExecutionError::Locked { .. } => "Locked",
        ExecutionError::CreditNotPending { .. } => "CreditNotPending",
        ExecutionError::Imbalanced { .. } => "Imbalanced",
        ExecutionError::QuotaExceeded { .. } => "QuotaExceeded",
        ExecutionError::AlreadyReturned { .. } => "AlreadyReturned",
        ExecutionError::NotTheSender { .. } => "NotTheSender",
        ExecutionError::RefundTooEarly { .. } => "RefundTooEarly",
        ExecutionError::JoiningInThePast { .. } => "JoiningInThePast",
        ExecutionError::DeadlineTooFar { .. } => "DeadlineTooFar",
        ExecutionError::RoundExists { .. } => "RoundExists",
        ExecutionError::RoundSettled { .. } => "RoundSettled",
        ExecutionError::JoiningOver { .. } => "JoiningOver",
        ExecutionError::IssuerJoins { .. } => "IssuerJoins",
        ExecutionError::AlreadyJoined { .. } => "AlreadyJoined",
        ExecutionError::RoundOver { .. } => "RoundOver",
        ExecutionError::NoSuchAttempt { .. } => "NoSuchAttempt",
        ExecutionError::NotAMember { .. } => "NotAMember",
        ExecutionError::RosterTooSmall { .. } => "RosterTooSmall",
        other => panic!("the model never expects: {other}"),
    }
}

fn run(blocks: &[Vec<Raw>]) -> Vec<&'static str> {
    let mut pair = Pair::new();
    let mut verdicts = vec![];
    for block in blocks {
        verdicts.extend(block.iter().filter_map(|raw| pair.step(raw)));
        pair.close();
    }
    verdicts
}

/// Real proofs take their time: few cases unless `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(8)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn the_chain_agrees_with_plain_double_entry(
        blocks in proptest::collection::vec(proptest::collection::vec(raw(), 1..9), 1..7),
    ) {
        run(&blocks);
    }
}

/// Random blocks, from a seed.
fn blocks(seed: u64, length: Range<usize>, count: Range<usize>) -> Vec<Vec<Raw>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let blocks = proptest::collection::vec(proptest::collection::vec(raw(), length), count);
    blocks.new_tree(&mut runner).unwrap().current()
}

/// How many there are of each verdict.
fn counts(verdicts: &[&'static str]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    verdicts.iter().for_each(|verdict| *counts.entry(*verdict).or_default() += 1);
    counts
}

/// One long run, so that it is known which verdicts the random operations reach.
#[test]
fn the_random_operations_reach_most_rules() {
    let verdicts = run(&blocks(0, 12..14, 16..17));
    let counts = counts(&verdicts);
    println!("{counts:?}");
    assert!(counts["executed"] * 3 > verdicts.len(), "{counts:?}");
    assert!(counts.len() >= 15, "{counts:?}");
}

/// So many operations as `QUITTANCE_MODEL_OPERATIONS` says, on chain after chain, by all processors.
#[test]
#[ignore = "takes a quarter of an hour on two processors: make slow"]
fn a_hundred_thousand_operations_agree() {
    let wanted = std::env::var("QUITTANCE_MODEL_OPERATIONS").ok();
    let wanted: usize = wanted.map_or(100_000, |count| count.parse().unwrap());
    let (seeds, done) = (AtomicU64::new(1), AtomicUsize::new(0));
    let worker = || {
        let mut verdicts = vec![];
        while done.load(Ordering::Relaxed) < wanted {
            let of_chain = run(&blocks(seeds.fetch_add(1, Ordering::Relaxed), 6..14, 12..20));
            done.fetch_add(of_chain.len(), Ordering::Relaxed);
            verdicts.extend(of_chain);
        }
        verdicts
    };
    let processors = std::thread::available_parallelism().unwrap().get();
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (chains, counts) = (seeds.into_inner() - 1, counts(&verdicts));
    println!("{} operations on {chains} chains: {counts:?}", verdicts.len());
    assert!(verdicts.len() >= wanted && counts["executed"] * 3 > wanted);
    // Only a long run reaches them all.
    assert!(wanted < 10_000 || counts.len() >= 24, "{counts:?}");
}
