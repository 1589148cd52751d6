//! The chain of headers and certificates across changes of the validator set.

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Purpose;
use quittance_ledger::block::{Header, HeaderError, Tip};
use quittance_ledger::certificate::{
    Certificate, CertificateError, MAX_TOTAL_POWER, ValidatorSet, ValidatorSetError,
    ValidatorSignature, Vote, VoteKind,
};
use quittance_ledger::execute::{ApplyError, ExecutionError, apply};
use quittance_ledger::ids::Height;
use quittance_ledger::transaction::{Action, Change, ChangeError, Malformed};

use crate::decisions::{decide, decision};
use crate::world::{BANKS, Net, SPARE, VALIDATORS, id, signing_key};

const ONE: &str = VALIDATORS[0].0;
const TWO: &str = VALIDATORS[1].0;
const THREE: &str = VALIDATORS[2].0;

fn put(who: &str, power: u64) -> Change {
    Change::PutValidator { institution: id(who), power }
}

fn remove(who: &str) -> Change {
    Change::RemoveValidator { institution: id(who) }
}

/// Ends the block; its header, in a chain of headers, and the set that decides it.
fn close(net: &mut Net, headers: &mut Vec<(Header, ValidatorSet)>) {
    let (block, _) = net.proposal();
    let parent = headers.last().map(|(header, _)| header.id());
    let header = Header { parent: parent.unwrap_or(block.header.parent), ..block.header };
    headers.push((header, net.state.validators().clone()));
    net.close();
}

fn certify(header: &Header, by: &[(&str, &str)]) -> Certificate {
    let (block, height) = (header.id(), header.height);
    let kind = VoteKind::Precommit;
    let vote = Vote { chain: header.chain, height, round: 0, kind, block: Some(block) };
    let sign = |(who, name): &(&str, &str)| ValidatorSignature {
        institution: id(who),
        signature: vote.sign(&signing_key(id(who), name)),
    };
    Certificate { height, round: 0, block, signatures: by.iter().map(sign).collect() }
}

/// The first validator leaves and the spare one comes, both at height 6.
#[test]
fn headers_announce_the_set_of_the_next_block() {
    let mut net = Net::funded();
    decide(&mut net, Height(6), vec![put(SPARE, 9), remove(ONE)]).unwrap();
    let (old, mut headers) = (net.state.validators().clone(), vec![]);
    while net.height < Height(8) {
        close(&mut net, &mut headers);
    }
    let new = net.state.validators().clone();
    let names: Vec<_> = new.validators().iter().map(|it| it.institution).collect();
    assert_eq!((names, new.total_power()), (vec![id(TWO), id(THREE), id(SPARE)], 12));
    for (header, set) in &headers {
        let expected = if header.height < Height(6) { &old } else { &new };
        let next = if header.height < Height(5) { &old } else { &new };
        assert_eq!((set, header.validators), (expected, expected.digest()));
        assert_eq!(header.next_validators, next.digest());
        let chain = header.chain;
        let (by_old, by_new) = (
            certify(header, &[(ONE, "vote"), (TWO, "vote")]),
            certify(header, &[(TWO, "vote"), (SPARE, "vote")]),
        );
        let stranger = |who| Err(CertificateError::Stranger(id(who)));
        match header.height < Height(6) {
            true => {
                assert_eq!(by_old.verify(chain, set), Ok(()));
                assert_eq!(by_new.verify(chain, set), stranger(SPARE));
            }
            false => {
                assert_eq!(by_new.verify(chain, set), Ok(()));
                assert_eq!(by_old.verify(chain, set), stranger(ONE));
            }
        }
    }
    let headers: Vec<_> = headers.into_iter().map(|(header, _)| header).collect();
    for pair in headers.windows(2) {
        let tip = Tip::after(&pair[0]);
        assert_eq!(tip.check(&pair[1]), Ok(()));
        assert!(tip.is_decided_by(if pair[1].height < Height(6) { &old } else { &new }));
        assert!(!tip.is_decided_by(if pair[1].height < Height(6) { &new } else { &old }));
    }
    // Neither too early nor too late.
    for (before, next, found, expected) in [(1, 2, &new, &old), (2, 3, &old, &new)] {
        let other = Header { validators: found.digest(), ..headers[next].clone() };
        let (expected, found) = (expected.digest(), found.digest());
        let error = HeaderError::Validators { expected, found };
        assert_eq!(Tip::after(&headers[before]).check(&other), Err(error));
    }
}

#[test]
fn a_block_that_announces_other_validators_is_refused() {
    let mut net = Net::funded();
    decide(&mut net, Height(4), vec![put(SPARE, 9)]).unwrap();
    let (mut block, outcome) = net.proposal();
    let old = net.state.validators().digest();
    let new = outcome.state.validators().digest();
    assert_ne!(old, new);
    assert_eq!(block.header.next_validators, new);
    block.header.next_validators = old;
    let error = ApplyError::NextValidators { expected: new, found: old };
    assert_eq!(apply(&net.state, &block), Err(error));
    // As if nothing had been decided: the root is another.
    block.header.next_validators = new;
    block.header.state_root = Digest::ZERO;
    assert!(matches!(apply(&net.state, &block), Err(ApplyError::StateRoot { .. })));
}

#[test]
fn a_validator_is_weighed_anew() {
    let mut net = Net::funded();
    decide(&mut net, Height(4), vec![put(THREE, 8)]).unwrap();
    net.close();
    assert_eq!(net.state.validators().get(id(THREE)).map(|it| it.power), Some(8));
    assert_eq!(net.state.validators().total_power(), 13);
}

#[test]
fn a_set_is_never_empty_without_power_or_too_powerful() {
    let net = Net::funded();
    let refused = |changes: Vec<Change>| decide(&mut net.clone(), Height(6), changes).unwrap_err();
    let error = |index, source| ExecutionError::ChangeRefused { index, source };
    let all = vec![remove(ONE), remove(TWO), remove(THREE)];
    assert_eq!(refused(all), error(2, ValidatorSetError::Count(0).into()));
    // Beside the powers 3 and 2 of the first two, and 1 of the spare one.
    for power in [MAX_TOTAL_POWER - 5, u64::MAX - 5, u64::MAX] {
        let heavy = refused(vec![put(SPARE, 1), put(THREE, power)]);
        assert_eq!(heavy, error(1, ValidatorSetError::TooMuchPower.into()), "{power}");
    }
    let heaviest = vec![put(SPARE, 1), put(THREE, MAX_TOTAL_POWER - 6)];
    assert_eq!(decide(&mut net.clone(), Height(6), heaviest), Ok(()));
    let role = quittance_ledger::state::Role::Validator;
    let bank = id(BANKS[0]);
    let stranger = ChangeError::MissingRole { institution: bank, role };
    assert_eq!(refused(vec![put(BANKS[0], 1)]), error(0, stranger));
    let unknown = ChangeError::NotAValidator { institution: id(SPARE) };
    assert_eq!(refused(vec![remove(SPARE)]), error(0, unknown));
    // Without power it is no validator: that needs no state to tell.
    let powerless = decision(&net, Height(6), vec![put(SPARE, 0)]);
    let body = net.body(Action::Governance(powerless));
    let source = ValidatorSetError::NoPower(id(SPARE)).into();
    assert_eq!(body.check(), Err(Malformed::Change { index: 0, source }));
}

/// A vote key that its owner replaces is that of the set from the same height on.
#[test]
fn a_validators_key_is_its_institutions_vote_key() {
    let mut net = Net::funded();
    let next = signing_key(id(ONE), "next").verifying_key();
    let key = quittance_ledger::state::PublicKey::Signing(Purpose::Vote, next.clone());
    decide(&mut net, Height(6), vec![Change::ReplaceKey { institution: id(ONE), key }]).unwrap();
    let mut headers = vec![];
    while net.height < Height(7) {
        close(&mut net, &mut headers);
    }
    assert_eq!(net.state.validators().get(id(ONE)).map(|it| &it.key), Some(&next));
    for (header, set) in &headers {
        let by = |name| certify(header, &[(ONE, name), (TWO, "vote")]).verify(header.chain, set);
        let (old, new) = (by("vote"), by("next"));
        match header.height < Height(6) {
            true => assert!(old.is_ok() && new.is_err(), "{old:?} {new:?}"),
            false => assert!(old.is_err() && new.is_ok(), "{old:?} {new:?}"),
        }
    }
    assert_ne!(headers[2].0.validators, headers[2].0.next_validators);
}
