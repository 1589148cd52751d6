//! Votes, transactions and frames that must change nothing.

use bytes::Bytes;
use quittance_consensus::wire::{
    Frame, Polka, RoundChange, RoundChangeKind, RoundVote, SignedProposal, SignedVote, Status,
};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_ledger::certificate::{ValidatorSignature, Vote, VoteKind};
use quittance_ledger::ids::{BlockId, ChainId, Height};
use quittance_ledger::proposal::Proposal;
use rand_core::RngCore;

use crate::chain::{NOWHERE, forgeries};
use crate::{ENGINE, Liar, TRANSACTION, tagged};

const OTHER_CHAIN: ChainId = ChainId(Digest([8; 32]));

impl Liar {
    fn vote(&self, vote: Vote) -> Frame {
        let signature = vote.sign(&self.key);
        Frame::Vote(SignedVote { institution: self.institution, vote, signature })
    }

    /// Somebody has voted: here are two other votes for the same place, not everybody gets both.
    pub fn contradict(&mut self, heard: &Vote) {
        let kind = u8::from(heard.kind == VoteKind::Precommit);
        let place = (heard.height, heard.round, kind);
        if heard.height < self.chain.next() || !self.voted.insert(place) {
            return;
        }
        let first = Vote { block: heard.block.or(Some(BlockId(NOWHERE))), ..*heard };
        let other = match heard.round % 2 {
            0 => None,
            _ => Some(BlockId(Digest([67; 32]))),
        };
        let other = Vote { block: other, ..*heard };
        for to in 0..self.others.len() {
            let turn = (to as u64 + heard.height.0) % 3;
            if turn != 1 {
                self.send(to, &self.vote(first));
            }
            if turn != 2 {
                self.send(to, &self.vote(other));
            }
        }
    }

    /// Good signatures where they do not belong: of another chain, height, round or kind, or under
    /// somebody else's name.
    pub fn cross(&mut self) {
        let (chain, height, institution) = (self.chain.id(), self.chain.next(), self.institution);
        let (kind, block) = (VoteKind::Precommit, BlockId(NOWHERE));
        let vote = Vote { chain, height, round: 0, kind, block: Some(block) };
        let of_others = self.chain.proposer(height, 1);
        let proposal = Proposal { chain, height, round: 0, block, valid_round: None };
        let other_kind = Vote { kind: VoteKind::Prevote, ..vote }.sign(&self.key);
        let other_height = Vote { height: height.next(), ..vote }.sign(&self.key);
        let signed = |vote: Vote, signature| SignedVote { institution, vote, signature };
        let (own, offered) = (vote.sign(&self.key), proposal.sign(&self.key));
        let far = Vote { height: Height(height.0 + 1000), ..vote };
        let late = Vote { round: 1 << 19, ..vote };
        let round_vote = RoundVote { institution, kind, block: None, signature: own.clone() };
        let twice = ValidatorSignature { institution, signature: other_kind.clone() };
        for frame in [
            self.vote(Vote { chain: OTHER_CHAIN, ..vote }),
            Frame::Vote(signed(vote, other_kind)),
            Frame::Vote(signed(vote, other_height)),
            Frame::Vote(signed(vote, offered)),
            Frame::Vote(SignedVote { institution: of_others, vote, signature: own.clone() }),
            Frame::Proposal(SignedProposal { institution, proposal, signature: own }),
            self.vote(far),
            self.vote(late),
            Frame::Polka(Polka { height, round: 0, block, signatures: vec![twice.clone(); 3] }),
            Frame::Polka(Polka { height, round: 0, block, signatures: vec![twice] }),
            Frame::RoundChange(RoundChange {
                height,
                round: 3,
                kind: RoundChangeKind::Skip,
                votes: vec![round_vote; 2],
            }),
            Frame::Status(Status { tip: Height(1 << 40), first: Height(1) }),
        ] {
            self.send_to_all(&frame);
        }
    }

    /// Transactions that nobody has signed, or proven, or that are final already.
    pub fn gossip(&mut self) {
        let Some(last) = &self.chain.last else { return };
        let forged = forgeries(last);
        for transaction in forged.iter().take(8).chain([last]) {
            let frame = tagged(TRANSACTION, &transaction.to_bytes());
            (0..self.others.len()).for_each(|to| self.send_raw(to, frame.clone()));
        }
    }

    /// Says what is no message, which ends a connection.
    pub fn talk_nonsense(&mut self, number: usize) {
        let vote = Vote {
            chain: self.chain.id(),
            height: self.chain.next(),
            round: 0,
            kind: VoteKind::Prevote,
            block: None,
        };
        let whole = self.vote(vote).to_frame(self.chain.id());
        let mut random = vec![0; 5_000];
        self.random.fill_bytes(&mut random);
        let frame = match number % 6 {
            0 => Bytes::from_static(&[9, 9, 9]),
            1 => tagged(ENGINE, &random),
            2 => tagged(TRANSACTION, &random),
            3 => tagged(ENGINE, &whole[..whole.len() - 1]),
            4 => tagged(ENGINE, &[&whole[..], &[0]].concat()),
            _ => tagged(ENGINE, &self.vote(vote).to_frame(OTHER_CHAIN)),
        };
        self.send_raw(number % self.others.len(), frame);
    }
}
