//! A small application: a chain of empty blocks.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use quittance_consensus::{Application, Moment, Occasion};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode, Reader};
use quittance_crypto::signature::Suite;
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::{Certificate, ValidatorSet};
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::{BlockId, ChainId, Height, Timestamp};
use quittance_ledger::transaction::{Transaction, Verified};

pub const SUITE: Suite = Suite::MlDsa65MlKem768;
pub const CHAIN: ChainId = ChainId(Digest([7; 32]));

/// How far ahead of the clock a fresh block may be, in milliseconds.
const TOLERANCE: u64 = 5_000;

/// Who decides each height.
pub type Sets = Arc<dyn Fn(Height) -> ValidatorSet + Send + Sync>;

/// What a validator has on its disk, and what it tells the test. Clones are the same.
#[derive(Clone)]
pub struct Disk {
    blocks: Arc<Mutex<Vec<(Header, Certificate)>>>,
    reports: Arc<Mutex<Vec<Evidence>>>,
    /// Where blocks survive the process, if they are to.
    folder: Option<PathBuf>,
    pub work: Arc<AtomicBool>,
}

impl Disk {
    pub fn new() -> Self {
        let work = Arc::new(AtomicBool::new(true));
        Self { blocks: Arc::default(), reports: Arc::default(), folder: None, work }
    }

    /// A disk whose blocks are files of this folder, named after their heights.
    pub fn open(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let disk = Self { folder: Some(folder.clone()), ..Self::new() };
        while let Ok(bytes) = fs::read(folder.join((disk.height() + 1).to_string())) {
            let mut input = Reader::new(&bytes);
            let header = Header::decode(&mut input).unwrap();
            let certificate = Certificate::decode(&mut input).unwrap();
            input.finish().unwrap();
            disk.blocks().push((header, certificate));
        }
        disk
    }

    /// Killing a process loses nothing that it has written, so that nothing needs to be synced.
    fn append(&self, header: Header, certificate: Certificate) {
        if let Some(folder) = &self.folder {
            let bytes = [header.to_bytes(), certificate.to_bytes()].concat();
            let unfinished = folder.join("unfinished");
            fs::write(&unfinished, bytes).unwrap();
            fs::rename(unfinished, folder.join(header.height.to_string())).unwrap();
        }
        self.blocks().push((header, certificate));
    }

    pub fn height(&self) -> u64 {
        self.blocks().len() as u64
    }

    pub fn blocks(&self) -> MutexGuard<'_, Vec<(Header, Certificate)>> {
        self.blocks.lock().unwrap()
    }

    pub fn reports(&self) -> Vec<Evidence> {
        self.reports.lock().unwrap().clone()
    }
}

/// The application of one validator.
pub struct Chain {
    pub disk: Disk,
    pub sets: Sets,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Bad(&'static str);

impl Chain {
    fn last(&self) -> (BlockId, Timestamp) {
        let blocks = self.disk.blocks();
        let last = blocks.last().map(|(header, _)| (header.id(), header.time));
        last.unwrap_or((BlockId(Digest::ZERO), Timestamp(0)))
    }

    pub fn expected(&self, time: Timestamp) -> Header {
        let (height, (parent, _)) = (self.tip().next(), self.last());
        Header {
            suite: SUITE,
            chain: CHAIN,
            height,
            parent,
            transactions_root: transactions_root::<Verified>(&[]),
            state_root: Digest::of("state", &[&height.0.to_be_bytes()]),
            time,
            validators: (self.sets)(height).digest(),
            next_validators: (self.sets)(height.next()).digest(),
        }
    }
}

impl Application for Chain {
    type Error = Bad;

    fn propose(&mut self, now: Timestamp, _: Occasion) -> Result<Option<Block<Verified>>, Bad> {
        let time = now.max(Timestamp(self.last().1.0 + 1));
        Ok(Some(Block { header: self.expected(time), transactions: vec![] }))
    }

    fn validate(&mut self, block: Block, moment: Moment) -> Result<Block<Verified>, Bad> {
        let time = block.header.time;
        if time <= self.last().1 || block.header != self.expected(time) {
            return Err(Bad("the block does not follow"));
        }
        if let Moment::Fresh(now) = moment
            && time.0 > now.0 + TOLERANCE
        {
            return Err(Bad("the block comes from the future"));
        }
        match block.transactions.is_empty() {
            true => Ok(Block { header: block.header, transactions: vec![] }),
            false => Err(Bad("this chain has no transactions")),
        }
    }

    fn commit(&mut self, block: Block<Verified>, certificate: Certificate) -> Result<(), Bad> {
        let (header, height) = (block.header, self.tip().next());
        assert_eq!((header.height, certificate.block), (height, header.id()));
        assert_eq!(header, self.expected(header.time));
        certificate.verify(CHAIN, &(self.sets)(height)).map_err(|_| Bad("no certificate"))?;
        self.disk.append(header, certificate);
        Ok(())
    }

    fn tip(&self) -> Height {
        Height(self.disk.height())
    }

    fn validators(&self) -> ValidatorSet {
        (self.sets)(self.tip().next())
    }

    fn block(&self, height: Height) -> Result<Option<(Bytes, Certificate)>, Bad> {
        let blocks = self.disk.blocks();
        let found = height.0.checked_sub(1).and_then(|index| blocks.get(index as usize));
        Ok(found.map(|(header, certificate)| {
            let transactions: Vec<Transaction> = vec![];
            let block = Block { header: header.clone(), transactions };
            (block.to_bytes().into(), certificate.clone())
        }))
    }

    fn has_work(&self) -> bool {
        self.disk.work.load(Ordering::SeqCst)
    }

    fn report(&mut self, evidence: Evidence) -> Result<(), Bad> {
        self.disk.reports.lock().unwrap().push(evidence);
        Ok(())
    }
}
