//! A chain of headers whose validators change, with transactions and accounts to make receipts of.
//! The auditor's tests use it, too.
//!
//! Blocks 1 to 3 are decided by four validators, block 4 by four of whom two are new, and the
//! others by three. So the sets change after two blocks that follow each other.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Signature, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::{
    Certificate, Validator, ValidatorSet, ValidatorSignature, Vote, VoteKind,
};
use quittance_ledger::ids::{
    AccountId, AssetId, BlockId, ChainId, Height, InstitutionId, Timestamp,
};
use quittance_ledger::receipt::{Checkpoint, Claim, Receipt, SetChange};
use quittance_ledger::state::{Account, Chain, Limits, Record, State};
use quittance_ledger::transaction::{
    Action, Body, Entry, InstitutionSignature, Posting, Transaction,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const SUITE: Suite = Suite::MlDsa65MlKem768;

/// Height of the last block.
pub const TIP: u64 = 9;

pub fn chain() -> ChainId {
    ChainId(Digest([7; 32]))
}

pub fn validator(number: u8) -> InstitutionId {
    format!("VAL{}XX2A", char::from(b'A' + number)).parse().unwrap()
}

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[number; 32])
}

pub fn account_id(number: u8) -> AccountId {
    let institution = format!("BANK{}{}2A", char::from(b'A' + number), 'E').parse().unwrap();
    AccountId { institution, asset: "EUR".parse().unwrap() }
}

/// Validators of equal power.
pub fn set(numbers: &[u8]) -> ValidatorSet {
    weighted(&numbers.iter().map(|number| (*number, 1)).collect::<Vec<_>>())
}

/// Validators with their powers.
pub fn weighted(validators: &[(u8, u64)]) -> ValidatorSet {
    let validators = validators.iter().map(|(number, power)| Validator {
        institution: validator(*number),
        key: key(*number).verifying_key(),
        power: *power,
    });
    ValidatorSet::new(validators.collect()).unwrap()
}

/// The precommits of these validators for a block.
pub fn certify(header: &Header, signers: &[u8]) -> Certificate {
    let (block, height) = (header.id(), header.height);
    let kind = VoteKind::Precommit;
    let vote = Vote { chain: header.chain, height, round: 0, kind, block: Some(block) };
    let signature = |number: &u8| ValidatorSignature {
        institution: validator(*number),
        signature: vote.sign(&key(*number)),
    };
    Certificate { height, round: 0, block, signatures: signers.iter().map(signature).collect() }
}

/// Who decides at a height, and who of them signs: just enough.
pub fn deciders(height: u64) -> (&'static [u8], &'static [u8]) {
    match height {
        ..=3 => (&[0, 1, 2, 3], &[0, 1, 3]),
        4 => (&[2, 3, 4, 5], &[2, 4, 5]),
        _ => (&[3, 4, 6], &[3, 4, 6]),
    }
}

pub struct World {
    /// The blocks, from height 1.
    pub blocks: Vec<(Block, Certificate)>,
    /// The state after each block.
    pub states: Vec<State>,
    pub root: Checkpoint,
}

/// A transaction with a posting. Nobody here verifies its proof or its signature.
fn transaction(height: u64, number: u8) -> Transaction {
    let AccountId { institution, asset } = account_id(number);
    let posting = Posting {
        institution,
        key_fingerprint: Digest([number; 32]),
        sequence: height,
        absorbed: vec![],
        new_balance: balance(height, number).commit(),
        self_note: vec![number; 40],
    };
    let entry = Entry { asset, postings: vec![posting], credits: vec![] };
    let action = Action::Entries(vec![entry]);
    let body = Body { suite: SUITE, chain: chain(), expiry: Height(height + 10), action };
    let signed = InstitutionSignature {
        institution,
        key_fingerprint: Digest([number; 32]),
        signature: signature(number),
    };
    Transaction::new(body, vec![vec![number; 672].try_into().unwrap()], vec![signed])
}

fn signature(number: u8) -> Signature {
    key(number).sign(quittance_crypto::signature::Purpose::Transaction, &Digest([1; 32]))
}

fn balance(height: u64, number: u8) -> Opening {
    let mut rng = ChaCha20Rng::seed_from_u64(height * 100 + u64::from(number));
    Opening::new(height * 1000, Blinding::random(&mut rng))
}

/// The accounts of five banks, which have posted once in each block.
fn state(height: u64, next: &ValidatorSet) -> State {
    let account = |number: u8| {
        let account = Account {
            balance: balance(height, number).commit(),
            sequence: height,
            ..Account::default()
        };
        Record::Account(account_id(number), Box::new(account))
    };
    let register = [
        Record::Chain(Chain { id: chain(), suite: SUITE }),
        Record::Limits(Limits::default()),
        Record::Validators(next.clone()),
    ];
    State::from_records(register.into_iter().chain((0..5).map(account))).unwrap()
}

impl World {
    pub fn new() -> Self {
        let root = Checkpoint {
            chain: chain(),
            suite: SUITE,
            height: Height(0),
            block: BlockId(Digest::ZERO),
            time: Timestamp(1_000),
            validators: set(deciders(1).0),
        };
        let mut world = Self { blocks: vec![], states: vec![], root };
        (1..=TIP).for_each(|height| world.add(height));
        world
    }

    fn add(&mut self, height: u64) {
        let (validators, next) = (set(deciders(height).0), set(deciders(height + 1).0));
        let state = state(height, &next);
        let transactions: Vec<_> = (0..5).map(|number| transaction(height, number)).collect();
        let header = Header {
            suite: SUITE,
            chain: chain(),
            height: Height(height),
            parent: self.blocks.last().map_or(BlockId(Digest::ZERO), |(block, _)| block.id()),
            transactions_root: transactions_root(&transactions),
            state_root: state.root(),
            time: Timestamp(1_000 + 60_000 * height),
            validators: validators.digest(),
            next_validators: next.digest(),
        };
        let certificate = certify(&header, deciders(height).1);
        self.blocks.push((Block { header, transactions }, certificate));
        self.states.push(state);
    }

    pub fn block(&self, height: u64) -> &(Block, Certificate) {
        &self.blocks[height as usize - 1]
    }

    pub fn header(&self, height: u64) -> &Header {
        &self.block(height).0.header
    }

    /// The change of the validators after a block.
    pub fn change(&self, height: u64) -> SetChange {
        let (block, certificate) = self.block(height);
        SetChange {
            header: block.header.clone(),
            certificate: certificate.clone(),
            validators: set(deciders(height + 1).0),
        }
    }

    /// A receipt of a block, to be verified from the beginning.
    pub fn receipt(&self, height: u64, claims: Vec<Claim>) -> Receipt {
        let changes = [3, 4].into_iter().filter(|change| *change < height);
        let (block, certificate) = self.block(height);
        let changes = changes.map(|change| self.change(change)).collect();
        Receipt::new(changes, block.header.clone(), certificate.clone(), claims)
    }

    pub fn paid(&self, height: u64, index: usize) -> Claim {
        Claim::of_transaction(&self.block(height).0, index).unwrap()
    }

    pub fn paid_id(&self, height: u64, index: usize) -> Claim {
        Claim::of_transaction_id(&self.block(height).0, index).unwrap()
    }

    /// What account `number` is after a block: the first five have been touched.
    pub fn account(&self, height: u64, number: u8) -> Claim {
        Claim::of_account(&self.states[height as usize - 1], account_id(number)).unwrap()
    }

    /// The checkpoint of a block.
    pub fn checkpoint(&self, height: u64) -> Checkpoint {
        Checkpoint::after(self.header(height), &set(deciders(height + 1).0)).unwrap()
    }

    /// Everything at once: two transactions, an account, and one that nobody has touched.
    pub fn complete(&self) -> Receipt {
        let claims =
            vec![self.paid(8, 1), self.paid_id(8, 4), self.account(8, 2), self.account(8, 9)];
        self.receipt(8, claims)
    }
}

/// A block with a different header, which the rightful validators have signed.
pub fn resigned(header: &Header, change: impl FnOnce(&mut Header)) -> (Header, Certificate) {
    let signers = deciders(header.height.0).1;
    let mut header = header.clone();
    change(&mut header);
    let certificate = certify(&header, signers);
    (header, certificate)
}

pub fn asset(text: &str) -> AssetId {
    text.parse().unwrap()
}
