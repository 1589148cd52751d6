//! The chain as it is, for one who wants to know what would be right.

use quittance_consensus::wire::DecidedBlock;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::SigningKey;
use quittance_ledger::block::{Block, Header, Tip, transactions_root};
use quittance_ledger::certificate::{Certificate, ValidatorSignature, Vote, VoteKind};
use quittance_ledger::execute::{BlockContext, Executor, apply};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{ChainId, Height, InstitutionId, Timestamp};
use quittance_ledger::state::State;
use quittance_ledger::transaction::Transaction;
use quittance_rpc::convert::FinalBlock;
use rand_core::OsRng;

pub struct Chain {
    state: State,
    tip: Tip,
    /// The last transaction that became final.
    pub last: Option<Transaction>,
}

impl Chain {
    pub fn new(genesis: &Genesis) -> Self {
        Self { state: State::genesis(genesis).unwrap(), tip: Tip::genesis(genesis), last: None }
    }

    pub fn id(&self) -> ChainId {
        self.state.chain().id
    }

    /// The height that is being decided.
    pub fn next(&self) -> Height {
        self.tip.height().next()
    }

    pub fn advance(&mut self, FinalBlock { block, .. }: FinalBlock) {
        self.last = block.transactions.last().cloned().or(self.last.take());
        let block = block.verify(&self.state, |_| None, &mut OsRng).unwrap();
        self.state = apply(&self.state, &block).unwrap().state;
        self.tip = Tip::after(&block.header);
    }

    /// Validators propose in turns.
    pub fn proposer(&self, height: Height, round: u32) -> InstitutionId {
        let validators = self.state.validators().validators();
        let turn = (height.0 + u64::from(round)) as usize % validators.len();
        validators[turn].institution
    }

    /// A block that everybody would accept, if these transactions were good and changed nothing.
    pub fn block(&self, time: Timestamp, transactions: Vec<Transaction>) -> Block {
        let height = self.next();
        let time = time.max(Timestamp(self.tip.time().0 + 1));
        let outcome = Executor::new(&self.state, BlockContext { height, time }).finish().unwrap();
        let chain = self.state.chain();
        let header = Header {
            suite: chain.suite,
            chain: chain.id,
            height,
            parent: self.tip.block(),
            transactions_root: transactions_root(&transactions),
            state_root: outcome.root(),
            time,
            validators: self.tip.validators(),
            next_validators: outcome.state.validators().digest(),
        };
        Block { header, transactions }
    }

    /// A block of the next height with a certificate that one validator alone has signed.
    pub fn undecided(&self, institution: InstitutionId, key: &SigningKey) -> DecidedBlock {
        let block = self.block(self.tip.time(), vec![]);
        let (height, round, kind) = (block.header.height, 0, VoteKind::Precommit);
        let vote = Vote { chain: self.id(), height, round, kind, block: Some(block.id()) };
        let signature = ValidatorSignature { institution, signature: vote.sign(key) };
        let certificate =
            Certificate { height, round, block: block.id(), signatures: vec![signature] };
        DecidedBlock { block: block.to_bytes().into(), certificate }
    }
}

/// Copies of a transaction that differ from it in one byte, wherever that can still be read.
pub fn forgeries(transaction: &Transaction) -> Vec<Transaction> {
    use quittance_crypto::encoding::Decode;
    let bytes = transaction.to_bytes();
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        Transaction::from_bytes(&bytes).ok()
    };
    (1..64).filter_map(|part| changed(bytes.len() * part / 64)).collect()
}

pub const NOWHERE: Digest = Digest([66; 32]);
