//! A chain with its banks, in one place: keys, openings of everything, and the block at work.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::field::{Scalar, random_scalar};
use quittance_crypto::range_proof;
use quittance_crypto::signature::{Purpose, Signature};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::execute::{BlockContext, ExecutionError, Executor, Outcome, apply, follow};
use quittance_ledger::ids::{
    AccountId, AssetId, BlockId, CreditId, Height, InstitutionId, RoundId, Timestamp,
};
use quittance_ledger::state::{Changes, Key, PublicKey, Record, RegisteredKey, State};
use quittance_ledger::transaction::{
    Action, Body, Condition, Credit, Entry, InstitutionSignature, Posting, Transaction, Verified,
    signing_digest,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::books::check_books;
pub use crate::drafts::{Draft, Post, Secret, post};
pub use crate::keys::{
    BANKS, COORDINATOR, FOREIGN_ASSET, ISSUER, LIMITS, NEWCOMER, PARTIES, ROTATION, SPARE, SUITE,
    VALIDATORS, account, asset, id, key, signing_key,
};
use crate::keys::{Keyring, genesis};

/// A verified transaction with what its owners know about it.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub transaction: Transaction<Verified>,
    drafts: Vec<Draft>,
}

/// A chain at work.
#[derive(Clone)]
pub struct Net {
    pub state: State,
    pub height: Height,
    pub keyring: Arc<Keyring>,
    /// Accepted into the block at work.
    pub block: Vec<Transaction<Verified>>,
    pub balances: BTreeMap<AccountId, Secret>,
    pub sequences: BTreeMap<AccountId, u64>,
    pub credits: BTreeMap<CreditId, Secret>,
    pub rng: ChaCha20Rng,
}

static FRESH: LazyLock<Net> = LazyLock::new(|| {
    let mut keyring = Keyring::default();
    let genesis = genesis(&mut keyring);
    let mut net = Net {
        state: State::genesis(&genesis).unwrap(),
        height: Height(1),
        keyring: Arc::new(keyring),
        block: vec![],
        balances: BTreeMap::new(),
        sequences: BTreeMap::new(),
        credits: BTreeMap::new(),
        rng: ChaCha20Rng::seed_from_u64(7),
    };
    net.rotate(BANKS[4]);
    net
});

static FUNDED: LazyLock<Net> = LazyLock::new(|| {
    let mut net = FRESH.clone();
    for code in ["EUR", "USD"] {
        let issue = BANKS[..4].iter().fold(post(ISSUER), |post, bank| post.gives(bank, 1_000));
        let issued = net.pay(code, issue);
        for (bank, credit) in BANKS.iter().zip(issued) {
            net.pay(code, post(bank).takes(&[credit]));
        }
        net.close();
    }
    assert_eq!(net.height, Height(3));
    net
});

impl Net {
    /// No account has been used yet; height 1.
    pub fn fresh() -> Self {
        FRESH.clone()
    }

    /// The first four banks hold 1,000 EUR and 1,000 USD each, nothing pends; height 3.
    pub fn funded() -> Self {
        FUNDED.clone()
    }

    /// Registers the bank's next transaction key, as governance would.
    fn rotate(&mut self, who: &str) {
        let mut institution = self.state.institution(&id(who)).unwrap().clone();
        let next = signing_key(id(who), "next").verifying_key();
        let next = PublicKey::Signing(Purpose::Transaction, next);
        institution.keys.push(RegisteredKey::new(next, ROTATION));
        let mut changes = Changes::new();
        changes.put(Record::Institution(id(who), institution));
        self.state = self.state.replay(&changes).unwrap();
    }

    pub fn balance(&self, account: &AccountId) -> Secret {
        self.balances.get(account).copied().unwrap_or(Secret::ZERO)
    }

    pub fn next(&self, account: &AccountId) -> u64 {
        self.sequences.get(account).copied().unwrap_or(0) + 1
    }

    /// A balanced entry, if the nets of the posts sum to zero. Several postings are blinded
    /// against one another, so no account's change is known by the others.
    pub fn draft(&mut self, code: &str, posts: &[Post]) -> Draft {
        let mut posts = posts.to_vec();
        posts.sort_by_key(|post| post.who);
        let shifts = self.shifts(posts.len());
        let mut draft = Draft {
            entry: Entry { asset: asset(code), postings: vec![], credits: vec![] },
            balances: vec![],
            credits: vec![],
        };
        for (post, shift) in posts.iter().zip(shifts) {
            let account = AccountId { institution: post.who, asset: asset(code) };
            let taken = post.takes.iter().map(|credit| self.credits[credit]);
            let taken = taken.fold(Secret { value: post.net, blinding: shift }, Secret::plus);
            let mut balance = self.balance(&account).plus(taken);
            for (to, amount) in &post.gives {
                let blinding = random_scalar(&mut self.rng);
                let secret = Secret { value: (*amount).into(), blinding };
                balance = balance.minus(secret);
                draft.entry.credits.push(self.credit(post.who, *to, &secret));
                draft.credits.push(secret);
            }
            let mut absorbed = post.takes.clone();
            absorbed.sort();
            draft.entry.postings.push(Posting {
                institution: post.who,
                key_fingerprint: key(&post.who.to_string(), "transaction"),
                sequence: self.next(&account),
                absorbed,
                new_balance: balance.commit(),
                self_note: vec![],
            });
            draft.balances.push(balance);
        }
        draft
    }

    fn credit(&mut self, sender: InstitutionId, to: InstitutionId, secret: &Secret) -> Credit {
        Credit {
            sender,
            institution: to,
            commitment: secret.commit(),
            sealed: b"nothing that anybody could open".to_vec(),
            details: Digest::of("test details", &[random_scalar(&mut self.rng).as_bytes()]),
            condition: Condition::None,
        }
    }

    /// Random scalars that sum to zero.
    fn shifts(&mut self, count: usize) -> Vec<Scalar> {
        let mut shifts: Vec<_> = (1..count).map(|_| random_scalar(&mut self.rng)).collect();
        shifts.push(-shifts.iter().sum::<Scalar>());
        shifts
    }

    /// The body that goes into the next block.
    pub fn body(&self, action: Action) -> Body {
        let chain = self.state.chain();
        Body { suite: chain.suite, chain: chain.id, expiry: self.height.plus(5), action }
    }

    /// Changes the body, then proves it, signs it with the keys that it names, and verifies it.
    pub fn candidate(
        &mut self,
        action: Action,
        drafts: Vec<Draft>,
        change: impl FnOnce(&mut Body),
    ) -> Candidate {
        let mut body = self.body(action);
        change(&mut body);
        let digest = body.digest();
        let proofs = (0..)
            .zip(&drafts)
            .map(|(position, draft)| {
                let context = body.proof_context(&digest, position);
                let openings = draft.openings(id(ISSUER));
                range_proof::prove(&context, &openings, &mut self.rng).unwrap()
            })
            .collect::<Vec<_>>();
        let signed = signing_digest(&body, &proofs);
        let signatures = body.signers().unwrap().into_iter().map(|(institution, fingerprint)| {
            let signature = self.sign(fingerprint, &signed);
            InstitutionSignature { institution, key_fingerprint: fingerprint, signature }
        });
        let transaction = Transaction::new(body, proofs, signatures.collect());
        let transaction = transaction.verify(&*self.keyring).unwrap();
        Candidate { transaction, drafts }
    }

    /// A transaction of these entries, changed before it is proven and signed.
    pub fn entries(&mut self, mut drafts: Vec<Draft>, change: impl FnOnce(&mut Body)) -> Candidate {
        drafts.sort_by_key(|draft| draft.entry.asset);
        let entries = drafts.iter().map(|draft| draft.entry.clone()).collect();
        self.candidate(Action::Entries(entries), drafts, change)
    }

    pub fn context(&self) -> BlockContext {
        BlockContext { height: self.height, time: Timestamp(self.height.0 * 1_000) }
    }

    fn executor(&self) -> Executor<'_> {
        let mut executor = Executor::new(&self.state, self.context());
        self.block.iter().for_each(|transaction| executor.execute(transaction).unwrap());
        executor
    }

    /// Tries the candidate after the transactions of the block at work. If refused, checks that
    /// it has left no trace; if not, it is part of the block and its owners' books are updated.
    pub fn submit(&mut self, candidate: &Candidate) -> Result<(), ExecutionError> {
        let mut executor = self.executor();
        if let Err(error) = executor.execute(&candidate.transaction) {
            let without = self.executor().finish().unwrap();
            assert_eq!(executor.finish().unwrap(), without, "{error} has left a trace");
            return Err(error);
        }
        self.block.push(candidate.transaction.clone());
        for (position, draft) in (0..).zip(&candidate.drafts) {
            for (posting, secret) in draft.entry.postings.iter().zip(&draft.balances) {
                let institution = posting.institution;
                let account = AccountId { institution, asset: draft.entry.asset };
                self.balances.insert(account, *secret);
                self.sequences.insert(account, posting.sequence);
            }
            for (index, secret) in (0..).zip(&draft.credits) {
                self.credits.insert(candidate.transaction.credit_id(position, index), *secret);
            }
        }
        if let Action::RoundJoin(join) = &candidate.transaction.body().action {
            let (institution, asset) = (join.institution, self.round_asset(join.round));
            self.sequences.insert(AccountId { institution, asset }, join.sequence);
        }
        Ok(())
    }

    fn round_asset(&self, round: RoundId) -> AssetId {
        let opened = self.block.iter().find_map(|transaction| match &transaction.body().action {
            Action::RoundOpen(open) if round_of(transaction) == round => Some(open.asset),
            _ => None,
        });
        opened.or_else(|| Some(self.state.round(&round)?.terms.asset)).unwrap()
    }

    /// Tries a transaction whose owners' books are not kept.
    pub fn try_raw(&self, transaction: &Transaction<Verified>) -> Result<(), ExecutionError> {
        self.executor().execute(transaction)
    }

    /// Signs as a transaction, with the key of this fingerprint.
    pub fn sign(&self, fingerprint: Digest, digest: &Digest) -> Signature {
        self.keyring.sign(fingerprint, digest)
    }

    /// Builds and submits a transaction with one entry; the ids of its credits.
    pub fn pay(&mut self, code: &str, by: Post) -> Vec<CreditId> {
        let draft = self.draft(code, &[by]);
        let candidate = self.entries(vec![draft], |_| {});
        self.submit(&candidate).unwrap();
        credits_of(&candidate.transaction)
    }

    /// Builds an honest entry, changes its body before proof and signature, and submits it.
    pub fn submit_with(
        &mut self,
        code: &str,
        posts: &[Post],
        change: impl FnOnce(&mut Vec<Entry>),
    ) -> Result<(), ExecutionError> {
        let draft = self.draft(code, posts);
        let candidate = self.entries(vec![draft], |body| match &mut body.action {
            Action::Entries(entries) => change(entries),
            _ => unreachable!(),
        });
        self.submit(&candidate)
    }

    /// Builds and submits a transaction without entries.
    pub fn act(&mut self, action: Action) -> Result<Candidate, ExecutionError> {
        let candidate = self.candidate(action, vec![], |_| {});
        self.submit(&candidate).map(|()| candidate)
    }

    /// The block at work with its header.
    pub fn proposal(&self) -> (Block<Verified>, Outcome) {
        let outcome = self.executor().finish().unwrap();
        let header = Header {
            suite: SUITE,
            chain: self.state.chain().id,
            height: self.height,
            parent: BlockId(Digest::ZERO),
            transactions_root: transactions_root(&self.block),
            state_root: outcome.root(),
            time: self.context().time,
            validators: self.state.validators().digest(),
            next_validators: outcome.state.validators().digest(),
        };
        (Block { header, transactions: self.block.clone() }, outcome)
    }

    /// Ends the block: a validator gets the same result, whoever follows knows what was decided,
    /// storage can make the state again, and everything still sums to zero.
    pub fn close(&mut self) -> Outcome {
        let (block, outcome) = self.proposal();
        assert_eq!(apply(&self.state, &block).unwrap(), outcome);
        assert_eq!(self.state.replay(&outcome.changes).unwrap(), outcome.state);
        assert_eq!(Changes::from_bytes(&outcome.changes.to_bytes()).unwrap(), outcome.changes);
        let followed = governed(&follow(&self.state, &block).unwrap());
        assert!(followed == governed(&outcome.state), "whoever follows knows something else");
        check_books(&outcome.state);
        self.state = outcome.state.clone();
        self.height = self.height.next();
        self.block.clear();
        outcome
    }

    /// Ends as many blocks as it takes for the next one to have this height.
    pub fn advance_to(&mut self, height: Height) {
        while self.height < height {
            self.close();
        }
        assert_eq!(self.height, height);
    }
}

/// All that governance decides, and nothing of accounts and rounds.
fn governed(state: &State) -> Vec<Record> {
    let all = state.to_changes();
    let of_governance =
        |key: &Key| !matches!(key, Key::Account(_) | Key::Credit(..) | Key::Round(_));
    let records = all.iter().filter(|(key, _)| of_governance(key));
    records.filter_map(|(_, record)| record.cloned()).collect()
}

pub fn credits_of(transaction: &Transaction<Verified>) -> Vec<CreditId> {
    let entries = (0..).zip(transaction.body().entries());
    let places = entries.flat_map(|(position, entry)| {
        (0..entry.credits.len() as u32).map(move |index| (position, index))
    });
    places.map(|(position, index)| transaction.credit_id(position, index)).collect()
}

pub fn round_of(transaction: &Transaction<Verified>) -> RoundId {
    RoundId::of(transaction.body().chain, &transaction.body_digest())
}
