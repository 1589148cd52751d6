//! Evidence against validators, beside the chain: one piece for each place in consensus, and so
//! many for each validator that nobody can fill the disk by contradicting itself.

use std::sync::PoisonError;

use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::planted;
use quittance_ledger::certificate::VoteKind;
use quittance_ledger::evidence::{Evidence, Statement};

use crate::chain::{ChainError, ChainStore, EVIDENCE};
use crate::database::Batch;

/// Pieces that are kept against one validator: the first that were found.
pub const MAX_EVIDENCE_PER_VALIDATOR: usize = 16;

/// Pieces that are kept in all.
pub const MAX_EVIDENCE: usize = 1024;

/// What becomes of evidence that is handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is on the disk.
    New,
    /// That validator is convicted for this height, round and kind already.
    Known,
    /// There is as much against that validator, or in all, as is kept.
    Full,
}

impl ChainStore {
    /// Keeps evidence that was verified. If it is new, it is on the disk when this returns.
    pub fn keep_evidence(&self, evidence: &Evidence) -> Result<Kept, ChainError> {
        // Two at once could both find the last place free.
        let _writing = self.accusing.lock().unwrap_or_else(PoisonError::into_inner);
        let key = place(evidence);
        if self.database.get_bytes(EVIDENCE, &key)?.is_some() {
            return Ok(Kept::Known);
        }
        let accused = evidence.institution().to_bytes();
        let against = self.database.scan(EVIDENCE, &accused, MAX_EVIDENCE_PER_VALIDATOR)?;
        let against = against.iter().filter(|(key, _)| key.starts_with(&accused)).count();
        let all = || self.database.scan(EVIDENCE, b"", MAX_EVIDENCE);
        let full = against >= MAX_EVIDENCE_PER_VALIDATOR || all()?.len() >= MAX_EVIDENCE;
        if planted!("evidence-not-bounded", false, full) {
            return Ok(Kept::Full);
        }
        let mut batch = Batch::new();
        batch.put(EVIDENCE, &key, evidence);
        self.database.write(batch)?;
        Ok(Kept::New)
    }

    /// All evidence, in order of validator, height, round and kind.
    pub fn evidence(&self) -> Result<Vec<Evidence>, ChainError> {
        let rows = self.database.scan(EVIDENCE, b"", MAX_EVIDENCE)?;
        let decoded = rows.iter().map(|(_, value)| self.database.decode(EVIDENCE, value));
        Ok(decoded.collect::<Result<_, _>>()?)
    }
}

/// The validator, and where in consensus it has contradicted itself.
fn place(evidence: &Evidence) -> Vec<u8> {
    let [first, _] = evidence.statements();
    let mut key = Writer::new();
    evidence.institution().encode(&mut key);
    evidence.height().encode(&mut key);
    key.u32(first.statement.round());
    key.u8(match &first.statement {
        Statement::Proposal(_) => 0,
        Statement::Vote(vote) => match vote.kind {
            VoteKind::Prevote => 1,
            VoteKind::Precommit => 2,
        },
    });
    key.into_bytes()
}
