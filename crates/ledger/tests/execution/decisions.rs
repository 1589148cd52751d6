//! Decisions: who approves, under which number, for which height, and that nothing can be altered.

use quittance_crypto::digest::Digest;
use quittance_ledger::build::{Terms, Unsigned};
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::{ChainId, Height, InstitutionId};
use quittance_ledger::state::{Limits, MAX_SCHEDULED};
use quittance_ledger::transaction::{
    Action, Approval, Body, Change, ChangeError, Governance, MAX_LEAD, Malformed, Transaction,
};
use quittance_ledger::verify::VerificationError;

use crate::world::{BANKS, LIMITS, Net, SPARE, VALIDATORS, id, key};

const ONE: &str = VALIDATORS[0].0;
const TWO: &str = VALIDATORS[1].0;
const THREE: &str = VALIDATORS[2].0;

pub fn approvals(by: &[&str]) -> Vec<Approval> {
    let approval =
        |who: &&str| Approval { institution: id(who), key_fingerprint: key(who, "transaction") };
    by.iter().map(approval).collect()
}

/// The next decision, approved by the first two validators.
pub fn decision(net: &Net, effective: Height, changes: Vec<Change>) -> Governance {
    let number = net.state.last_decision() + 1;
    Governance { number, effective, changes, approvals: approvals(&[ONE, TWO]) }
}

pub fn decide(
    net: &mut Net,
    effective: Height,
    changes: Vec<Change>,
) -> Result<(), ExecutionError> {
    let decision = decision(net, effective, changes);
    net.act(Action::Governance(decision)).map(drop)
}

/// A change that can be seen and hinders nobody.
fn harmless() -> Vec<Change> {
    vec![Change::SetLimits(Limits { refund_after: 7, ..LIMITS })]
}

/// What becomes of a harmless decision that is altered before it is signed.
fn altered(change: impl FnOnce(&mut Governance)) -> Result<(), ExecutionError> {
    let mut net = Net::funded();
    let mut decision = decision(&net, Height(6), harmless());
    change(&mut decision);
    net.act(Action::Governance(decision)).map(drop)
}

#[test]
fn more_than_two_thirds_of_the_power_decide() {
    assert_eq!(altered(|_| {}), Ok(()));
    assert_eq!(altered(|it| it.approvals = approvals(&[ONE, TWO, THREE])), Ok(()));
    let refused = |by: &[&str], power| {
        let error = ExecutionError::NoQuorum { power, total: 6 };
        assert_eq!(altered(|it| it.approvals = approvals(by)), Err(error), "{by:?}");
    };
    refused(&[ONE, THREE], 4);
    refused(&[ONE], 3);
    refused(&[TWO, THREE], 3);
}

#[test]
fn only_validators_of_the_including_block_approve() {
    for stranger in [SPARE, BANKS[0]] {
        let error = ExecutionError::NotAValidator { institution: id(stranger) };
        let mut by = [ONE, TWO, stranger];
        by.sort();
        assert_eq!(altered(|it| it.approvals = approvals(&by)), Err(error));
    }
    // From height 5 on the third validator has a power of 9 beside 3 and 2.
    let mut net = Net::funded();
    let more = vec![Change::PutValidator { institution: id(THREE), power: 9 }];
    decide(&mut net, Height(5), more).unwrap();
    let by = |net: &Net, by: &[&str]| {
        let mut net = net.clone();
        let number = net.state.last_decision() + 1;
        let (effective, changes) = (Height(8), harmless());
        let decision = Governance { number, effective, changes, approvals: approvals(by) };
        net.act(Action::Governance(decision)).map(drop)
    };
    net.advance_to(Height(4));
    assert_eq!(by(&net, &[ONE, TWO]), Ok(()));
    assert_eq!(by(&net, &[ONE, THREE]), Err(ExecutionError::NoQuorum { power: 4, total: 6 }));
    net.advance_to(Height(5));
    assert_eq!(by(&net, &[ONE, TWO]), Err(ExecutionError::NoQuorum { power: 5, total: 14 }));
    assert_eq!(by(&net, &[ONE, THREE]), Ok(()));
}

#[test]
fn approvals_are_by_current_transaction_keys() {
    let (institution, fingerprint) = (id(TWO), key(TWO, "vote"));
    let error = ExecutionError::KeyOfOtherPurpose { institution, fingerprint };
    assert_eq!(altered(|it| it.approvals[1].key_fingerprint = fingerprint), Err(error));
    let fingerprint = key(TWO, "stranger");
    let error = ExecutionError::UnknownKey { institution, fingerprint };
    assert_eq!(altered(|it| it.approvals[1].key_fingerprint = fingerprint), Err(error));
}

#[test]
fn a_decision_has_the_next_number() {
    let wrong = |found| Err(ExecutionError::DecisionNumber { expected: 1, found });
    for number in [0, 2, u64::MAX] {
        assert_eq!(altered(|it| it.number = number), wrong(number));
    }
    let mut net = Net::funded();
    let once = decision(&net, Height(9), harmless());
    let once = net.act(Action::Governance(once)).unwrap();
    let again = Err(ExecutionError::DecisionNumber { expected: 2, found: 1 });
    assert_eq!(net.submit(&once), again, "in the same block");
    net.close();
    assert_eq!(net.submit(&once), again, "in a later block");
    net.advance_to(Height(10));
    assert_eq!(net.state.scheduled().count(), 0);
    assert_eq!(net.state.last_decision(), 1);
    let body = once.transaction.body().clone();
    let late = net.candidate(body.action, vec![], |_| {});
    assert_eq!(net.submit(&late), again, "after its effect");
}

#[test]
fn a_decision_takes_effect_after_its_block() {
    let height = Height(3);
    for effective in [Height(0), Height(3)] {
        let error = ExecutionError::EffectiveInThePast { effective, height };
        assert_eq!(altered(|it| it.effective = effective), Err(error));
    }
    let latest = height.plus(MAX_LEAD);
    assert_eq!(altered(|it| it.effective = latest), Ok(()));
    let effective = latest.next();
    let error = ExecutionError::EffectiveTooFar { effective, latest };
    assert_eq!(altered(|it| it.effective = effective), Err(error));

    let mut net = Net::funded();
    decide(&mut net, Height(6), harmless()).unwrap();
    for height in 3..6 {
        assert_eq!((net.height, net.state.limits()), (Height(height), &LIMITS));
        net.close();
    }
    assert_eq!(net.state.limits().refund_after, 7);
    // The very next block is not too early.
    let shorter = vec![Change::SetLimits(Limits { refund_after: 2, ..LIMITS })];
    decide(&mut net, Height(7), shorter).unwrap();
    net.close();
    assert_eq!(net.state.limits().refund_after, 2);
}

#[test]
fn another_chains_decision_is_refused() {
    let mut net = Net::funded();
    let decision = decision(&net, Height(6), harmless());
    let found = ChainId(Digest([9; 32]));
    let candidate = net.candidate(Action::Governance(decision), vec![], |body| body.chain = found);
    let expected = net.state.chain().id;
    assert_eq!(net.submit(&candidate), Err(ExecutionError::WrongChain { expected, found }));
}

#[test]
fn nothing_can_be_altered_after_the_approvals() {
    let mut net = Net::funded();
    let decision = decision(&net, Height(6), harmless());
    let signed = net.act(Action::Governance(decision)).unwrap().transaction;
    let refused = |change: &dyn Fn(&mut Governance)| {
        let mut body = signed.body().clone();
        let Action::Governance(governance) = &mut body.action else { unreachable!() };
        change(governance);
        let forged = Transaction::new(body, vec![], signed.signatures().to_vec());
        forged.verify(&net.state).unwrap_err()
    };
    let broken = |change: &dyn Fn(&mut Governance)| {
        let error = refused(change);
        assert!(matches!(error, VerificationError::Signature { .. }), "{error}");
    };
    broken(&|it| it.number += 1);
    broken(&|it| it.effective = it.effective.next());
    broken(&|it| it.changes.push(Change::Withdraw { number: 1 }));
    broken(&|it| it.changes = vec![Change::Suspend { institution: id(BANKS[0]) }]);
    // Those who approve are part of what each of them signs.
    broken(&|it| it.approvals = approvals(&[ONE, TWO, THREE]));
    broken(&|it| it.approvals.truncate(1));
    let error = refused(&|it| it.approvals[0].key_fingerprint = key(ONE, "next"));
    assert!(matches!(error, VerificationError::OtherKey { .. }), "{error}");
    // Expiry, suite and chain are covered as for every transaction.
    let mut body = signed.body().clone();
    body.expiry = body.expiry.next();
    let forged = Transaction::new(body, vec![], signed.signatures().to_vec());
    let error = forged.verify(&net.state).unwrap_err();
    assert!(matches!(error, VerificationError::Signature { .. }), "{error}");
}

#[test]
fn nobody_approves_twice_and_somebody_approves_something() {
    let net = Net::funded();
    let refuse = |change: &dyn Fn(&mut Governance)| {
        let mut decision = decision(&net, Height(6), harmless());
        change(&mut decision);
        terms(&net).act(Action::Governance(decision)).unwrap_err()
    };
    let twice = refuse(&|it| it.approvals = approvals(&[ONE, ONE, TWO]));
    assert_eq!(twice, Malformed::ApprovalsOutOfOrder { institution: id(ONE) });
    let reversed = refuse(&|it| it.approvals.reverse());
    assert_eq!(reversed, Malformed::ApprovalsOutOfOrder { institution: id(ONE) });
    assert_eq!(refuse(&|it| it.approvals.clear()), Malformed::NoApprovals);
    assert_eq!(refuse(&|it| it.changes.clear()), Malformed::NoChanges);
}

fn terms(net: &Net) -> Terms {
    let chain = net.state.chain();
    Terms { suite: chain.suite, chain: chain.id, expiry: net.height.plus(5) }
}

#[test]
fn a_decision_is_built_signed_and_assembled_in_steps() {
    let net = Net::funded();
    let of = |who: InstitutionId| Approval::of(&net.state, who, net.height).unwrap();
    let approving = vec![of(id(TWO)), of(id(ONE))];
    let body = terms(&net).governance(1, Height(6), harmless(), approving).unwrap();
    // Each approver gets the bytes, and signs by itself.
    let bytes = quittance_crypto::encoding::Encode::to_bytes(&body);
    let signed = [ONE, TWO].map(|who| {
        let body: Body = quittance_crypto::encoding::Decode::from_bytes(&bytes).unwrap();
        let unsigned = Unsigned::new(body, vec![]).unwrap();
        unsigned.sign(id(who), &crate::world::signing_key(id(who), "transaction")).unwrap()
    });
    let transaction = Unsigned::new(body, vec![]).unwrap().assemble(signed.to_vec()).unwrap();
    let transaction = transaction.verify(&net.state).unwrap();
    assert_eq!(net.try_raw(&transaction), Ok(()));
}

#[test]
fn so_many_decisions_wait_and_no_more() {
    let mut net = Net::funded();
    for number in 1..=MAX_SCHEDULED as u64 {
        let changes = harmless();
        let decision =
            Governance { number, effective: Height(9), changes, approvals: approvals(&[ONE, TWO]) };
        net.act(Action::Governance(decision)).unwrap();
    }
    net.close();
    let error = ExecutionError::TooManyDecisions { limit: MAX_SCHEDULED };
    assert_eq!(decide(&mut net, Height(5), harmless()), Err(error));
    net.advance_to(Height(9));
    assert_eq!(decide(&mut net, Height(10), harmless()), Ok(()));
}

#[test]
fn a_decision_that_waits_can_be_withdrawn() {
    let mut net = Net::funded();
    let suspend = vec![Change::Suspend { institution: id(BANKS[0]) }];
    decide(&mut net, Height(8), suspend).unwrap();
    net.close();
    let withdraw = |number| vec![Change::Withdraw { number }];
    let refused = |number| {
        let source = ChangeError::NotScheduled { number };
        Err(ExecutionError::ChangeRefused { index: 0, source })
    };
    assert_eq!(decide(&mut net.clone(), Height(6), withdraw(7)), refused(7));
    // At the height of its effect it comes too late: numbers order what happens there.
    assert_eq!(decide(&mut net.clone(), Height(8), withdraw(1)), refused(1));
    decide(&mut net, Height(7), withdraw(1)).unwrap();
    net.advance_to(Height(9));
    assert_eq!(net.state.suspended(&id(BANKS[0])), None);
    assert_eq!(net.state.scheduled().count(), 0);
}

#[test]
fn what_would_break_a_decision_that_waits_is_refused() {
    let mut net = Net::funded();
    let put = |power| vec![Change::PutValidator { institution: id(SPARE), power }];
    decide(&mut net, Height(8), put(1)).unwrap();
    net.close();
    let suspend = vec![Change::Suspend { institution: id(SPARE) }];
    let source = ChangeError::Suspended { institution: id(SPARE) };
    let error = ExecutionError::DecisionConflict { number: 1, index: 0, source };
    assert_eq!(decide(&mut net.clone(), Height(6), suspend.clone()), Err(error));
    // Withdrawn first, in the same decision, it is in nobody's way.
    let both = [vec![Change::Withdraw { number: 1 }], suspend.clone()].concat();
    assert_eq!(decide(&mut net.clone(), Height(6), both), Ok(()));
    // Afterwards the spare one is a validator, and cannot be suspended before it is removed.
    let source = ChangeError::IsValidator { institution: id(SPARE) };
    let error = ExecutionError::ChangeRefused { index: 0, source };
    assert_eq!(decide(&mut net.clone(), Height(9), suspend.clone()), Err(error));
    let removed = Change::RemoveValidator { institution: id(SPARE) };
    let both = [vec![removed], suspend].concat();
    assert_eq!(decide(&mut net, Height(9), both), Ok(()));
    net.advance_to(Height(9));
    assert_eq!(net.state.suspended(&id(SPARE)), Some(Height(9)));
    assert_eq!(net.state.validators().total_power(), 6);
}

/// One change that cannot be made leaves all others unmade.
#[test]
fn a_decision_holds_as_a_whole() {
    let mut net = Net::funded();
    let changes = [harmless(), vec![Change::Readmit { institution: id(BANKS[0]) }]].concat();
    let source = ChangeError::NotSuspended { institution: id(BANKS[0]) };
    let error = ExecutionError::ChangeRefused { index: 1, source };
    assert_eq!(decide(&mut net, Height(4), changes), Err(error));
    net.close();
    assert_eq!((net.state.limits(), net.state.last_decision()), (&LIMITS, 0));
}
