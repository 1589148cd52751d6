//! Each rule broken by itself, in a block that a corrupt validator adds to an honest chain: the
//! auditor names the rule. What the transaction is otherwise, it is rightly proven and signed.

#[path = "../../../../../tests/src/chain.rs"]
#[allow(dead_code, reason = "the chain of the tests across crates, of which these use a part")]
mod chain;
mod execution;
mod form;
mod governance;
mod rounds;

use std::sync::LazyLock;

use chain::{BANKS, CENTRAL, COORDINATOR, Chain, account, asset, certify, id, key};
use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::build::Absorbed;
use quittance_ledger::ids::{BlockId, ChainId, CommitteeId, Height, RoundId, Timestamp};
use quittance_ledger::state::Limits;
use quittance_ledger::transaction::{
    Action, Body, CreditReturn, Entry, InstitutionSignature, ReturnReason, RoundJoin, RoundOpen,
    Settlement, Transaction,
};

use crate::{Audit, Fault};

const ONE: &str = BANKS[0];
const TWO: &str = BANKS[1];
const THREE: &str = BANKS[2];

/// What the auditor says of a chain with one more block of these transactions.
fn audit(chain: &Chain, transactions: Vec<Transaction>) -> Result<(), Fault> {
    let mut audit = Audit::begin(&chain.genesis).unwrap();
    for (block, certificate) in &chain.blocks {
        audit.block(&Block::from_bytes(&block.to_bytes()).unwrap(), certificate).unwrap();
    }
    let height = Height(audit.height() + 1);
    let last = chain.blocks.last().map(|(block, _)| block);
    let header = Header {
        suite: chain::SUITE,
        chain: chain.state.chain().id,
        height,
        parent: last.map_or(BlockId(Digest::ZERO), Block::id),
        transactions_root: transactions_root(&transactions),
        state_root: Digest::ZERO,
        time: Timestamp(1_000_000 + height.0),
        validators: chain.state.validators().digest(),
        next_validators: chain.state.validators().digest(),
    };
    let certificate = certify(&header);
    audit.block(&Block { header, transactions }, &certificate)
}

/// The rule that a block of these transactions breaks. The one of its state root is not meant: it
/// is broken if all others hold.
fn broken(chain: &Chain, transactions: Vec<Transaction>) -> Option<&'static str> {
    let fault = audit(chain, transactions).expect_err("its state root is wrong at least");
    (fault.rule != "state root").then_some(fault.rule)
}

/// The rule that what waits for the next block breaks.
fn waiting(chain: &mut Chain) -> Option<&'static str> {
    let waiting = std::mem::take(&mut chain.waiting);
    let transactions = waiting.iter().map(|it| Transaction::from_bytes(&it.to_bytes()).unwrap());
    let transactions = transactions.collect();
    broken(chain, transactions)
}

/// The rule that one transaction breaks which `make` adds to the block at work.
fn breaks(mut chain: Chain, make: impl FnOnce(&mut Chain)) -> Option<&'static str> {
    make(&mut chain);
    waiting(&mut chain)
}

/// Bank 1 has 1,000 euros less 15 that wait for banks 2 and 3; 500 wait for bank 2 besides.
fn base() -> Chain {
    let limits = Limits { refund_after: 2, pending_per_sender: 2, ..Limits::default() };
    let mut chain = Chain::with_limits(limits);
    chain.pay(CENTRAL, "EUR", &[(ONE, 1_000), (TWO, 500)]);
    chain.close();
    chain.pay(ONE, "EUR", &[(TWO, 10), (THREE, 5)]);
    chain.close();
    chain
}

/// A body signed by these, whatever it says.
fn signed(body: Body, by: &[&str]) -> Transaction {
    let blank = Transaction::new(body.clone(), vec![], vec![]);
    let sign = |who: &&str| {
        let key = key(who, Purpose::Transaction);
        let institution = id(who);
        let key_fingerprint = key.verifying_key().fingerprint();
        let signature = key.sign(Purpose::Transaction, &blank.signing_digest());
        InstitutionSignature { institution, key_fingerprint, signature }
    };
    Transaction::new(body, vec![], by.iter().map(sign).collect())
}

fn body(chain: &Chain, action: Action) -> Body {
    chain.terms().act(action).unwrap()
}

/// Bank 2 rejects what bank 1 has sent it.
fn rejection(chain: &Chain) -> CreditReturn {
    let pending = &chain.pending[&account(TWO, "EUR")];
    CreditReturn {
        credit: pending[1].id,
        holder: account(TWO, "EUR"),
        by: id(TWO),
        key_fingerprint: chain.fingerprint(TWO),
        reason: ReturnReason::Rejected,
    }
}

/// A payment against payment of two banks.
fn exchange() -> &'static (Chain, Transaction) {
    static EXCHANGE: LazyLock<(Chain, Transaction)> = LazyLock::new(|| {
        let mut chain = base();
        chain.pay(CENTRAL, "USD", &[(TWO, 100)]);
        chain.close();
        chain.exchange(ONE, 20, TWO, 30);
        let transaction = Transaction::from_bytes(&chain.waiting[0].to_bytes()).unwrap();
        chain.waiting.clear();
        (chain, transaction)
    });
    &EXCHANGE
}
