//! Blocks of verified transfers: executed, sealed and written.

use std::error::Error;

use quittance_benches::report::Row;
use quittance_crypto::signature::SigningKey;
use quittance_ledger::block::{Block, Header, Tip, transactions_root};
use quittance_ledger::certificate::{Certificate, ValidatorSignature, Vote, VoteKind};
use quittance_ledger::execute::{BlockContext, Executor};
use quittance_ledger::ids::{Height, Timestamp};
use quittance_ledger::state::State;
use quittance_ledger::transaction::{Transaction, Verified};
use quittance_ledger::verify::verify_batch;
use quittance_storage::ChainStore;
use rand_core::OsRng;

use crate::chain::{Chain, SUITE, VALIDATOR};
use crate::measure::{Bench, folder};

/// 1,000 transfers of as many banks.
pub(crate) fn measure(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    Case::new(1_000, 1_000)?.measure(bench, "block execute", "ms per 1,000 transfers")
}

/// Larger and smaller blocks, and the same block among more banks.
pub(crate) fn growth(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    for transfers in [10, 100, 2_000] {
        let name = format!("block execute, {transfers} transfers");
        Case::new(transfers, transfers)?.measure(bench, &name, "ms")?;
    }
    Case::new(4_000, 1_000)?.measure(bench, "block execute, 4,000 banks", "ms per 1,000 transfers")
}

/// A chain and the transfers of its next block.
struct Case {
    vote: SigningKey,
    chain: Chain,
    state: State,
    transfers: Vec<Transaction<Verified>>,
}

impl Case {
    /// One transfer each of the first banks.
    fn new(banks: usize, transfers: usize) -> Result<Self, Box<dyn Error>> {
        let vote = SigningKey::generate(SUITE);
        let chain = Chain::new(banks, vote.verifying_key())?;
        let state = State::genesis(&chain.genesis)?;
        let transfers = verify_batch(chain.transfers(transfers, 1)?, &state, &mut OsRng);
        let transfers = transfers.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Self { vote, chain, state, transfers })
    }

    fn measure(&self, bench: &mut Bench, name: &str, unit: &str) -> Result<(), Box<dyn Error>> {
        let folder = folder()?;
        let (store, _) = ChainStore::open(folder.path(), &self.chain.genesis)?;
        let tip = Tip::genesis(&self.chain.genesis);
        let mut maker = Maker { case: self, store, tip, height: Height(0) };
        let time = bench.milliseconds(name, |bencher| {
            bencher.iter(|| maker.make().expect("a block is made"));
        })?;
        bench.row(Row::lower(name, unit, time, None))
    }
}

/// What makes blocks. Each of them does the same to the first state, whatever its height, and the
/// chain in the store grows as a node's does.
struct Maker<'a> {
    case: &'a Case,
    store: ChainStore,
    tip: Tip,
    height: Height,
}

impl Maker<'_> {
    /// Executes all transfers, makes and certifies the block, and writes it.
    fn make(&mut self) -> Result<(), Box<dyn Error>> {
        let Self { case: Case { state, transfers, .. }, tip, .. } = self;
        self.height = self.height.next();
        let context = BlockContext { height: tip.height().next(), time: Timestamp(1) };
        let mut executor = Executor::new(state, context);
        for transfer in transfers {
            executor.execute(transfer)?;
        }
        let outcome = executor.finish()?;
        let header = Header {
            suite: SUITE,
            chain: state.chain().id,
            height: self.height,
            parent: tip.block(),
            transactions_root: transactions_root(transfers),
            state_root: outcome.root(),
            time: context.time,
            validators: tip.validators(),
            next_validators: outcome.state.validators().digest(),
        };
        let certificate = self.certify(&header)?;
        let block = Block { header, transactions: transfers.clone() };
        Ok(self.store.append(&block, &certificate, &outcome.changes)?)
    }

    fn certify(&self, header: &Header) -> Result<Certificate, Box<dyn Error>> {
        let (chain, height, round, block) = (header.chain, header.height, 0, header.id());
        let vote = Vote { chain, height, round, kind: VoteKind::Precommit, block: Some(block) };
        let signature = vote.sign(&self.case.vote);
        let signatures = vec![ValidatorSignature { institution: VALIDATOR.parse()?, signature }];
        Ok(Certificate { height, round, block, signatures })
    }
}
