//! Of a chain that several validators decide on: their decisions, what they say to each other, and
//! what they sign for others.

use bytes::Bytes;
use quittance_consensus::wire::{
    DecidedBlock, Frame, Polka, Request, Response, RoundChange, RoundChangeKind, RoundVote,
    SignedProposal, SignedVote, Status, parts_of,
};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Purpose;
use quittance_ledger::certificate::{ValidatorSignature, Vote, VoteKind};
use quittance_ledger::evidence::{Evidence, SignedStatement, Statement};
use quittance_ledger::ids::{BlockId, ChainId, Height, InstitutionId};
use quittance_ledger::proposal::Proposal;
use quittance_ledger::receipt::{Checkpoint, Claim, Receipt, ReceiptFile, SetChange};
use quittance_ledger::transaction::Action;
use quittance_tests::chain::{Chain, VALIDATOR, id, key};

use super::Sample;
use super::ledger::{bank_account, smallest};

/// What validators decide, and keys that institutions replace.
pub fn decisions(chain: &Chain) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    for transaction in chain.blocks.iter().flat_map(|(block, _)| &block.transactions) {
        match &transaction.body().action {
            Action::Governance(decision) => {
                samples.push(("governance", decision.to_bytes()));
                samples.extend(decision.changes.iter().map(|it| ("change", it.to_bytes())));
                samples.extend(decision.approvals.iter().map(|it| ("approval", it.to_bytes())));
            }
            Action::KeyRotation(rotation) => samples.push(("key-rotation", rotation.to_bytes())),
            _ => {}
        }
    }
    samples
}

/// One across a change of the validators, with a root, and its parts.
pub fn receipts(chain: &Chain) -> Vec<Sample> {
    let changing = chain
        .blocks
        .iter()
        .find(|(block, _)| block.header.validators != block.header.next_validators);
    let (changing, by) = changing.expect("the validators change");
    let validators = chain.state.validators().clone();
    let change = SetChange { header: changing.header.clone(), certificate: by.clone(), validators };
    let (last, certificate) = chain.blocks.last().expect("blocks");
    let last = quittance_ledger::block::Block {
        header: last.header.clone(),
        transactions: last.transactions.iter().map(unverified).collect(),
    };
    let nobody = quittance_ledger::ids::AccountId { institution: id(VALIDATOR), ..bank_account() };
    let claims = vec![
        Claim::of_transaction(&last, 0).expect("a transaction"),
        Claim::of_transaction_id(&last, 1).expect("another"),
        Claim::of_account(&chain.state, bank_account()).expect("a proof"),
        Claim::of_account(&chain.state, nobody).expect("a proof of absence"),
    ];
    let mut samples: Vec<Sample> =
        claims.iter().map(|claim| ("receipt-claim", claim.to_bytes())).collect();
    let receipt =
        Receipt::new(vec![change.clone()], last.header.clone(), certificate.clone(), claims);
    let root = Checkpoint::genesis(&chain.genesis);
    let later = Checkpoint::after(&last.header, chain.state.validators()).expect("no change");
    let file = serde_json::to_vec(&ReceiptFile::new(receipt.clone())).expect("JSON");
    samples.extend([
        ("ledger-receipt", receipt.to_bytes()),
        ("receipt-file", file),
        ("set-change", change.to_bytes()),
        ("checkpoint", root.to_bytes()),
        ("checkpoint", later.to_bytes()),
        ("rooted-receipt", [root.to_bytes(), receipt.to_bytes()].concat()),
    ]);
    samples
}

fn unverified(
    transaction: &quittance_ledger::transaction::Transaction<
        quittance_ledger::transaction::Verified,
    >,
) -> quittance_ledger::transaction::Transaction {
    use quittance_crypto::encoding::Decode;
    quittance_ledger::transaction::Transaction::from_bytes(&transaction.to_bytes())
        .expect("its own bytes")
}

const BLOCK: BlockId = BlockId(Digest([5; 32]));

/// What the validator of the chain says, in every kind of frame.
pub fn consensus(chain: &Chain) -> Vec<Sample> {
    let (of, height) = (chain.genesis.chain_id(), Height(3));
    let (institution, signer) = (id(VALIDATOR), key(VALIDATOR, Purpose::Vote));
    let vote = |kind, block| Vote { chain: of, height, round: 1, kind, block };
    let prevote = vote(VoteKind::Prevote, Some(BLOCK));
    let signed = |vote: Vote| SignedVote { institution, vote, signature: vote.sign(&signer) };
    let proposal = Proposal { chain: of, height, round: 1, block: BLOCK, valid_round: Some(0) };
    let offer = SignedProposal { institution, proposal, signature: proposal.sign(&signer) };
    let part = parts_of(of, height, 1, BLOCK, &Bytes::from_static(b"a short block")).remove(0);
    let by = ValidatorSignature { institution, signature: prevote.sign(&signer) };
    let polka = Polka { height, round: 1, block: BLOCK, signatures: vec![by] };
    let nothing = vote(VoteKind::Precommit, None);
    let for_round = |vote: Vote| RoundVote {
        institution,
        kind: vote.kind,
        block: vote.block,
        signature: vote.sign(&signer),
    };
    let change = |kind, vote| RoundChange { height, round: 1, kind, votes: vec![for_round(vote)] };
    let (block, certificate) = smallest(chain);
    let blocks =
        vec![DecidedBlock { block: block.to_bytes().into(), certificate: certificate.clone() }];
    let frames = [
        Frame::Vote(signed(prevote)),
        Frame::VoteAgain(signed(nothing)),
        Frame::Proposal(offer),
        Frame::Part(part.sign(institution, &signer)),
        Frame::Polka(polka),
        Frame::RoundChange(change(RoundChangeKind::Skip, prevote)),
        Frame::RoundChange(change(RoundChangeKind::Precommit, nothing)),
        Frame::Status(Status { tip: height, first: Height(1) }),
        Frame::Request(Request { id: 7, first: Height(1), last: height }),
        Frame::Response(Response { id: 7, first: Height(1), blocks }),
        Frame::Begun(height),
    ];
    let mut samples: Vec<Sample> =
        frames.iter().map(|frame| ("consensus-frame", frame.to_frame(of).to_vec())).collect();
    samples.push(("proposal", proposal.to_bytes()));
    samples.push(("proposal", Proposal { valid_round: None, ..proposal }.to_bytes()));
    samples.extend(contradictions(of, institution));
    samples
}

/// Two votes, and two proposals, for one place.
fn contradictions(of: ChainId, institution: InstitutionId) -> Vec<Sample> {
    let signer = key(VALIDATOR, Purpose::Vote);
    let vote = |block| {
        let (height, kind) = (Height(3), VoteKind::Precommit);
        Statement::Vote(Vote { chain: of, height, round: 1, kind, block })
    };
    let proposal = |valid_round| {
        let (height, block) = (Height(3), BLOCK);
        Statement::Proposal(Proposal { chain: of, height, round: 1, block, valid_round })
    };
    let signed = |statement: Statement| {
        let signature = signer.sign(Purpose::Vote, &statement.digest());
        SignedStatement { statement, signature }
    };
    let pairs = [[vote(None), vote(Some(BLOCK))], [proposal(None), proposal(Some(0))]];
    let evidence = pairs.map(|pair| {
        let [one, other] = pair.map(signed);
        Evidence::new(institution, one, other).expect("a contradiction")
    });
    evidence.iter().map(|evidence| ("equivocation", evidence.to_bytes())).collect()
}
