//! Proposals that must not be decided.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use quittance_consensus::wire::{Frame, MAX_PARTS, SignedProposal, parts_of};
use quittance_crypto::encoding::Encode;
use quittance_ledger::block::{Block, MAX_BLOCK_BYTES};
use quittance_ledger::ids::{BlockId, Height, Timestamp};
use quittance_ledger::proposal::Proposal;

use crate::Liar;
use crate::chain::{NOWHERE, forgeries};

const HOUR: u64 = 3_600_000;

/// What is wrong with a proposal, or with how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    TwoBlocks,
    StateRoot,
    TransactionsRoot,
    Parent,
    Future,
    Past,
    Validators,
    NextValidators,
    FinalTransaction,
    BrokenTransaction,
    BrokenTransactions,
    TooMany,
    NoBlock,
    OtherBlock,
    Half,
    Silence,
}

pub const ATTACKS: [Attack; 16] = [
    Attack::TwoBlocks,
    Attack::StateRoot,
    Attack::TransactionsRoot,
    Attack::Parent,
    Attack::Future,
    Attack::Past,
    Attack::Validators,
    Attack::NextValidators,
    Attack::FinalTransaction,
    Attack::BrokenTransaction,
    Attack::BrokenTransactions,
    Attack::TooMany,
    Attack::NoBlock,
    Attack::OtherBlock,
    Attack::Half,
    Attack::Silence,
];

fn now() -> Timestamp {
    Timestamp(UNIX_EPOCH.elapsed().unwrap().as_millis() as u64)
}

impl Liar {
    pub fn propose(&mut self, attack: Attack) {
        let empty = || self.chain.block(now(), vec![]);
        let height = self.chain.next();
        match attack {
            Attack::TwoBlocks => return self.propose_two(height),
            Attack::Silence => return,
            Attack::NoBlock => {
                return self.offer(height, BlockId(NOWHERE), &Bytes::from(vec![7; 300_000]), false);
            }
            Attack::OtherBlock => {
                let bytes = empty().to_bytes().into();
                return self.offer(height, BlockId(NOWHERE), &bytes, false);
            }
            _ => {}
        }
        let block = self.bad_block(attack);
        self.offer(height, block.id(), &block.to_bytes().into(), attack == Attack::Half);
    }

    fn bad_block(&self, attack: Attack) -> Block {
        let last = self.chain.last.clone();
        let (forged, last) = (last.as_ref().map(forgeries).unwrap_or_default(), last.as_slice());
        let with = |transactions| self.chain.block(now(), transactions);
        let mut block = with(vec![]);
        let header = &mut block.header;
        match attack {
            Attack::StateRoot => header.state_root = NOWHERE,
            Attack::TransactionsRoot => header.transactions_root = NOWHERE,
            Attack::Parent => header.parent = BlockId(NOWHERE),
            Attack::Future => header.time.0 += HOUR,
            Attack::Past => header.time = Timestamp(1),
            Attack::Validators => header.validators = NOWHERE,
            Attack::NextValidators => header.next_validators = NOWHERE,
            Attack::FinalTransaction => return with(last.to_vec()),
            Attack::BrokenTransaction => return with(forged.into_iter().rev().take(1).collect()),
            Attack::BrokenTransactions => return with(forged),
            Attack::TooMany => {
                let size = last.first().map_or(1, |each| each.size());
                let count = (MAX_BLOCK_BYTES - 4096) / (size + 8);
                return with(last.iter().cycle().take(count).cloned().collect());
            }
            // Two halves of which one is missing, of a block that is long enough.
            Attack::Half => return with(last.iter().cycle().take(100).cloned().collect()),
            _ => {}
        }
        block
    }

    /// Proposes a block to all, with all of its pieces or all but the last.
    fn offer(&self, height: Height, block: BlockId, bytes: &Bytes, half: bool) {
        (0..self.others.len()).for_each(|to| self.offer_to(to, height, block, bytes, half));
    }

    fn offer_to(&self, to: usize, height: Height, block: BlockId, bytes: &Bytes, half: bool) {
        let (chain, institution) = (self.chain.id(), self.institution);
        let proposal = Proposal { chain, height, round: 0, block, valid_round: None };
        let signature = proposal.sign(&self.key);
        self.send(to, &Frame::Proposal(SignedProposal { institution, proposal, signature }));
        let parts = parts_of(chain, height, 0, block, bytes);
        let sent = parts.len() - usize::from(half);
        for part in parts.into_iter().take(sent.min(MAX_PARTS as usize)) {
            self.send(to, &Frame::Part(part.sign(institution, &self.key)));
        }
    }

    /// One block to the first, another to the second, both to the others.
    fn propose_two(&self, height: Height) {
        let time = now();
        for (number, block) in [time, Timestamp(time.0 + 1)].iter().enumerate() {
            let block = self.chain.block(*block, vec![]);
            let bytes = block.to_bytes().into();
            for to in (0..self.others.len()).filter(|to| *to != 1 - number) {
                self.offer_to(to, height, block.id(), &bytes, false);
            }
        }
    }
}
