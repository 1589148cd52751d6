//! A chain with its banks, in one place: keys, openings of everything, and the block at work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use quittance_crypto::commitment::{Blinding, Commitment, Opening, commit_scalar};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::field::{Scalar, random_scalar};
use quittance_crypto::group::Point;
use quittance_crypto::range_proof;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, Signature, SigningKey, Suite, VerifyingKey};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::execute::{BlockContext, ExecutionError, Executor, Outcome, apply};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{
    AccountId, AssetId, BlockId, CommitteeId, CreditId, Height, InstitutionId, RoundId, Timestamp,
};
use quittance_ledger::state::{
    Account, Asset, Changes, Committee, Limits, Pending, PublicKey, Record, RegisteredKey, Role,
    State,
};
use quittance_ledger::transaction::{
    Action, Body, Condition, Credit, Entry, InstitutionSignature, Posting, Transaction, Verified,
    signing_digest,
};
use quittance_ledger::verify::Directory;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const SUITE: Suite = Suite::MlDsa65MlKem768;

/// Small, so that tests reach them.
pub const LIMITS: Limits = Limits {
    pending_per_sender: 3,
    refund_after: 3,
    max_expiry: 20,
    max_round: 10,
    block_transactions: 100,
    block_bytes: 1 << 20,
};

pub const BANKS: [&str; 5] = ["AAAADEFF", "BBBBFRPP", "CCCCNL2A", "DDDDBEBB", "EEEEESMM"];
pub const ISSUER: &str = "ZBNKXX2A";
pub const COORDINATOR: &str = "COORXX2A";
const PARTIES: [&str; 3] = ["MPCAXX2A", "MPCBXX2A", "MPCCXX2A"];
const VALIDATOR: &str = "VALIXX2A";

/// Known to the tests' directory, not to the state.
pub const FOREIGN_ASSET: &str = "XXX";

pub fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

pub fn asset(text: &str) -> AssetId {
    text.parse().unwrap()
}

pub fn account(institution: &str, code: &str) -> AccountId {
    AccountId { institution: id(institution), asset: asset(code) }
}

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

    fn plus(self, other: Self) -> Self {
        Self { value: self.value + other.value, blinding: self.blinding + other.blinding }
    }

    fn minus(self, other: Self) -> Self {
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
    fn openings(&self, issuer: InstitutionId) -> Vec<Opening> {
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

/// A verified transaction with what its owners know about it.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub transaction: Transaction<Verified>,
    drafts: Vec<Draft>,
}

/// All keys of all institutions, also some that the register does not know.
pub struct Keyring {
    signing: BTreeMap<Digest, SigningKey>,
    verifying: BTreeMap<(InstitutionId, Digest), VerifyingKey>,
}

impl Directory for Keyring {
    fn transaction_key(&self, by: InstitutionId, fingerprint: &Digest) -> Option<&VerifyingKey> {
        self.verifying.get(&(by, *fingerprint))
    }

    fn issuer(&self, _: AssetId) -> Option<InstitutionId> {
        Some(id(ISSUER))
    }
}

fn signing_key(who: InstitutionId, name: &str) -> SigningKey {
    let seed = Digest::of("test key", &[who.as_str().as_bytes(), name.as_bytes()]);
    SigningKey::from_seed(SUITE, &seed.0)
}

impl Keyring {
    fn add(&mut self, who: InstitutionId, name: &str) -> VerifyingKey {
        let key = signing_key(who, name);
        let public = key.verifying_key();
        self.verifying.insert((who, public.fingerprint()), public.clone());
        self.signing.insert(public.fingerprint(), key);
        public
    }
}

/// The fingerprint of an institution's key: `transaction`, `round`, `next` (its transaction key
/// from height [`ROTATION`] on, for the last bank) or `stranger` (never registered).
pub fn key(who: &str, name: &str) -> Digest {
    signing_key(id(who), name).verifying_key().fingerprint()
}

/// The height from which the last of [`BANKS`] has a new transaction key.
pub const ROTATION: Height = Height(8);

fn roles(who: &str) -> BTreeSet<Role> {
    let role = match who {
        COORDINATOR => Role::Coordinator,
        VALIDATOR => Role::Validator,
        _ if PARTIES.contains(&who) => Role::MpcParty,
        _ => Role::Participant,
    };
    [role].into()
}

fn genesis(keyring: &mut Keyring) -> Genesis {
    let mut institutions = BTreeMap::new();
    let all = BANKS.iter().chain(&PARTIES).chain(&[ISSUER, COORDINATOR, VALIDATOR]);
    for who in all {
        let mut keys = vec![];
        for (purpose, name) in [
            (Purpose::Transaction, "transaction"),
            (Purpose::Vote, "vote"),
            (Purpose::Round, "round"),
            (Purpose::Receipt, "receipt"),
        ] {
            keys.push(PublicKey::Signing(purpose, keyring.add(id(who), name)));
        }
        keyring.add(id(who), "stranger");
        keyring.add(id(who), "next");
        keys.push(PublicKey::Sealing(SealingKey::generate(SUITE).public_key().clone()));
        institutions.insert(id(who), GenesisInstitution { roles: roles(who), keys });
    }
    let vote = signing_key(id(VALIDATOR), "vote").verifying_key();
    let validator = Validator { institution: id(VALIDATOR), key: vote, power: 1 };
    let issued = Asset { issuer: id(ISSUER), decimals: 2 };
    let parties = PARTIES.map(id).to_vec();
    Genesis {
        name: "test".into(),
        time: Timestamp(0),
        suite: SUITE,
        institutions,
        assets: [(asset("EUR"), issued), (asset("USD"), issued)].into(),
        validators: ValidatorSet::new(vec![validator]).unwrap(),
        committees: [(CommitteeId(1), Committee { parties, threshold: 1 })].into(),
        limits: LIMITS,
    }
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
    let mut keyring = Keyring { signing: BTreeMap::new(), verifying: BTreeMap::new() };
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
            let key = &self.keyring.signing[&fingerprint];
            let signature = key.sign(Purpose::Transaction, &signed);
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
        self.keyring.signing[&fingerprint].sign(Purpose::Transaction, digest)
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
        let validators = self.state.validators().digest();
        let header = Header {
            suite: SUITE,
            chain: self.state.chain().id,
            height: self.height,
            parent: BlockId(Digest::ZERO),
            transactions_root: transactions_root(&self.block),
            state_root: outcome.root(),
            time: self.context().time,
            validators,
            next_validators: validators,
        };
        (Block { header, transactions: self.block.clone() }, outcome)
    }

    /// Ends the block: a validator gets the same result, storage can make the state again, and
    /// everything still sums to zero.
    pub fn close(&mut self) -> Outcome {
        let (block, outcome) = self.proposal();
        assert_eq!(apply(&self.state, &block).unwrap(), outcome);
        assert_eq!(self.state.replay(&outcome.changes).unwrap(), outcome.state);
        assert_eq!(Changes::from_bytes(&outcome.changes.to_bytes()).unwrap(), outcome.changes);
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

/// Double entry, and what each account's leaf says of itself.
pub fn check_books(state: &State) {
    let mut sums: BTreeMap<AssetId, Point> = BTreeMap::new();
    for (id, account, pending) in state.accounts() {
        let holds = account.balance.point() + pending.sum();
        *sums.entry(id.asset).or_insert(Point::identity()) += holds;
        let Account { inflow, outflow, net_settled, .. } = account;
        assert_eq!(holds, inflow.point() - outflow.point() + net_settled.point(), "{id}");
        assert_eq!(account.pending_root, pending.root(), "{id}");
        check_pending(account, pending);
    }
    sums.iter().for_each(|(asset, sum)| assert!(sum.is_identity(), "{asset} does not balance"));
    let again = State::from_records(state.to_changes().iter().map(|(_, r)| r.unwrap().clone()));
    assert_eq!(again.unwrap().root(), state.root());
}

fn check_pending(account: &Account, pending: &Pending) {
    let numbers: Vec<_> = pending.iter().map(|credit| credit.number).collect();
    assert!(numbers.is_sorted_by(|one, two| one < two));
    assert!(numbers.iter().all(|number| *number < account.arrivals));
    for credit in pending.iter() {
        let proof = pending.prove(&credit.id).unwrap();
        assert_eq!(proof.verify(&account.pending_root, &credit.to_bytes()), Ok(()));
        let own = pending.iter().filter(|other| other.sender == credit.sender && !other.returned);
        assert_eq!(own.count() as u32, pending.from_sender(&credit.sender));
    }
}
