use std::fmt::Debug;

use bytes::Bytes;
use malachite_app_channel::app::types::codec::{Codec, HasEncodedLen};
use malachite_app_channel::app::types::core::{PolkaCertificate, Round, Validity};
use malachite_app_channel::app::types::sync;
use malachite_app_channel::app::types::{ProposedValue, SignedConsensusMsg};
use quittance_ledger::certificate::{Certificate, ValidatorSignature};

use super::*;
use crate::engine::codec::{Canonical, request_in, response_in};
use crate::engine::context::{Quittance, Value, Who};
use crate::engine::convert::{
    block_in, block_out, double_proposal, double_vote, polka_in, proposal_in, round_in, round_out,
    vote_in,
};
use crate::engine::hub::id_of;
use crate::transport::Peer;
use crate::wire::{
    DecidedBlock, Polka, Request, Response, RoundChange, RoundChangeKind, RoundVote,
};

fn survives<T: PartialEq + Debug>(value: &T)
where
    Canonical: Codec<T>,
{
    let bytes = Canonical.encode(value).unwrap();
    let decode = |bytes: Bytes| Codec::<T>::decode(&Canonical, bytes);
    assert_eq!(&decode(bytes.clone()).unwrap(), value);
    for end in 0..bytes.len() {
        assert!(decode(bytes.slice(..end)).is_err());
    }
    assert!(decode([&bytes[..], &[0]].concat().into()).is_err());
}

fn signatures() -> Vec<ValidatorSignature> {
    let signature =
        |n| ValidatorSignature { institution: name(n), signature: vote(n).signature.clone() };
    (0..3).map(signature).collect()
}

#[test]
fn the_log_is_read_as_it_was_written() {
    let vote_message = SignedConsensusMsg::Vote(vote_in(vote(1)));
    survives::<SignedConsensusMsg<Quittance>>(&vote_message);
    survives::<SignedConsensusMsg<Quittance>>(&SignedConsensusMsg::Proposal(proposal_in(
        proposal(),
    )));
    for (valid_round, validity) in
        [(Round::Nil, Validity::Valid), (Round::new(3), Validity::Invalid)]
    {
        survives(&ProposedValue::<Quittance> {
            height: HEIGHT.into(),
            round: Round::new(4),
            valid_round,
            proposer: Who(name(0)),
            value: Value(BLOCK),
            validity,
        });
    }
    let polka = Polka { height: HEIGHT, round: 1, block: BLOCK, signatures: signatures() };
    survives::<PolkaCertificate<Quittance>>(&polka_in(polka));
}

#[test]
fn what_is_exchanged_for_catching_up_is_read_as_it_was_written() {
    survives(&sync::Status::<Quittance> {
        peer_id: id_of(Peer(Digest([3; 32]))),
        tip_height: HEIGHT.into(),
        history_min_height: Height(1).into(),
    });
    let request = Request { id: 0, first: Height(1), last: HEIGHT };
    survives::<sync::Request<Quittance>>(&request_in(request));
    let certificate =
        Certificate { height: HEIGHT, round: 1, block: BLOCK, signatures: signatures() };
    let blocks = vec![DecidedBlock { block: Bytes::from_static(b"block"), certificate }];
    let response = response_in(Response { id: 0, first: HEIGHT, blocks });
    survives::<sync::Response<Quittance>>(&response);
    let length = Canonical.encode(&response).unwrap().len();
    assert_eq!(Canonical.encoded_len(&response).unwrap(), length);
}

#[test]
fn certificates_keep_their_signatures_and_their_order() {
    let certificate =
        Certificate { height: HEIGHT, round: 1, block: BLOCK, signatures: signatures() };
    let decided = DecidedBlock { block: Bytes::from_static(b"block"), certificate };
    let mut engines = block_in(decided.clone());
    assert_eq!(block_out(&engines), decided);
    engines.certificate.commit_signatures.reverse();
    assert_eq!(block_out(&engines), decided);

    let vote = |number: u8, kind, block| RoundVote {
        institution: name(number),
        kind,
        block,
        signature: vote(number).signature,
    };
    let votes = vec![vote(2, VoteKind::Precommit, None), vote(0, VoteKind::Prevote, Some(BLOCK))];
    for kind in [RoundChangeKind::Skip, RoundChangeKind::Precommit] {
        let change = RoundChange { height: HEIGHT, round: 7, kind, votes: votes.clone() };
        assert_eq!(round_out(&round_in(change.clone())), change);
    }
}

#[test]
fn what_the_engine_calls_evidence_convicts_by_the_ledgers_rules() {
    let other = sign(Vote { block: None, ..vote(1).vote }, 1);
    let evidence = double_vote(&vote_in(vote(1)), &vote_in(other)).unwrap();
    assert_eq!(evidence.verify(CHAIN, &set()), Ok(()));
    let other = offer(Proposal { valid_round: None, ..proposal().proposal }, 2);
    let evidence = double_proposal(&proposal_in(proposal()), &proposal_in(other)).unwrap();
    assert_eq!(evidence.verify(CHAIN, &set()), Ok(()));
    assert_eq!(evidence.institution(), name(2));
    let same = double_vote(&vote_in(vote(1)), &vote_in(vote(1)));
    assert!(same.is_err());
}
