//! Rounds: who opens and joins, what locks, who settles, when it all ends.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::{CommitteeId, Height, RoundId};
use quittance_ledger::state::{
    Changes, Event, EventKind, Lock, MAX_MEMBERS, Member, Record, Round,
};
use quittance_ledger::transaction::{Action, Body, RoundJoin, RoundOpen, Settlement};

use crate::world::{
    BANKS, COORDINATOR, Candidate, ISSUER, LIMITS, Net, Post, account, asset, id, key, post,
    round_of,
};

const A: &str = BANKS[0];
const B: &str = BANKS[1];
const C: &str = BANKS[2];
const D: &str = BANKS[3];

/// The terms of a round that is opened at height 3 and joined until 5; it ends at 9.
fn terms() -> RoundOpen {
    RoundOpen {
        salt: [1; 16],
        opener: id(COORDINATOR),
        key_fingerprint: key(COORDINATOR, "transaction"),
        asset: asset("EUR"),
        program: Digest::of("test program", &[]),
        committee: CommitteeId(1),
        minimum_roster: 2,
        attempts: 2,
        join_until: Height(5),
        deadline: Height(9),
    }
}

fn opened() -> (Net, RoundId) {
    let mut net = Net::funded();
    let candidate = net.act(Action::RoundOpen(terms())).unwrap();
    net.close();
    (net, round_of(&candidate.transaction))
}

fn join(net: &Net, round: RoundId, who: &str) -> RoundJoin {
    RoundJoin {
        round,
        institution: id(who),
        key_fingerprint: key(who, "transaction"),
        sequence: net.next(&account(who, "EUR")),
        queue_root: Digest::of("test queue", &[who.as_bytes()]),
        bucket: 8,
        note: b"sealed".to_vec(),
    }
}

fn joined(by: &[&str]) -> (Net, RoundId) {
    let (mut net, round) = opened();
    for who in by {
        let join = join(&net, round, who);
        net.act(Action::RoundJoin(join)).unwrap();
    }
    net.close();
    (net, round)
}

/// The settlement of these nets, changed before it is proven and signed.
fn settlement(
    net: &mut Net,
    round: RoundId,
    code: &str,
    posts: &[Post],
    change: impl FnOnce(&mut Settlement),
) -> Candidate {
    let draft = net.draft(code, posts);
    let mut settled =
        Settlement { round, attempt: 0, entry: draft.entry.clone(), attachment: None };
    change(&mut settled);
    net.candidate(Action::Settlement(settled), vec![draft], |_: &mut Body| {})
}

fn settle(net: &mut Net, round: RoundId, posts: &[Post]) -> Result<(), ExecutionError> {
    let candidate = settlement(net, round, "EUR", posts, |_| {});
    net.submit(&candidate)
}

fn nets() -> [Post; 3] {
    [post(A).net(-500), post(B).net(200), post(C).net(300)]
}

#[test]
fn a_round_settles_all_who_post_and_unlocks_all_who_joined() {
    let (mut net, round) = joined(&[A, B, C, D]);
    let lock = Some(Lock { round, until: Height(9) });
    for who in [A, B, C, D] {
        assert_eq!(net.state.account(&account(who, "EUR")).unwrap().lock, lock);
    }
    let before = net.state.account(&account(A, "EUR")).unwrap().clone();
    settle(&mut net, round, &nets()).unwrap();
    let id_of_settlement = net.block[0].id();
    // D was left out, and is free in the same block.
    net.pay("EUR", post(D).gives(A, 1));
    net.close();
    for who in [A, B, C, D] {
        assert_eq!(net.state.account(&account(who, "EUR")).unwrap().lock, None);
    }
    let after = net.state.account(&account(A, "EUR")).unwrap();
    assert_eq!((after.outflow, after.sequence), (before.outflow, before.sequence + 1));
    assert_ne!(after.net_settled, before.net_settled);
    assert_eq!(net.balance(&account(A, "EUR")).value, 500);
    assert_eq!(after.balance, net.balance(&account(A, "EUR")).commit());
    let record = net.state.round(&round).unwrap();
    let settled = record.settled.unwrap();
    assert_eq!((settled.height, settled.transaction), (Height(5), id_of_settlement));
    assert_eq!(record.members.len(), 4);
}

#[test]
fn only_coordinators_open_rounds() {
    let mut net = Net::funded();
    for who in [A, ISSUER] {
        let (opener, key_fingerprint) = (id(who), key(who, "transaction"));
        let open = RoundOpen { opener, key_fingerprint, ..terms() };
        let error = ExecutionError::NotACoordinator { institution: opener };
        assert_eq!(net.act(Action::RoundOpen(open)).err(), Some(error));
    }
}

#[test]
fn a_rounds_terms_must_fit_the_state() {
    let mut net = Net::funded();
    let height = net.height;
    let latest = height.plus(LIMITS.max_round);
    let cases = [
        (
            RoundOpen { asset: asset("XXX"), ..terms() },
            ExecutionError::UnknownAsset { asset: asset("XXX") },
        ),
        (
            RoundOpen { committee: CommitteeId(2), ..terms() },
            ExecutionError::UnknownCommittee { committee: CommitteeId(2) },
        ),
        (
            RoundOpen { join_until: Height(2), ..terms() },
            ExecutionError::JoiningInThePast { join_until: Height(2), height },
        ),
        (
            RoundOpen { deadline: latest.next(), ..terms() },
            ExecutionError::DeadlineTooFar { deadline: latest.next(), latest },
        ),
    ];
    for (open, error) in cases {
        assert_eq!(net.act(Action::RoundOpen(open)).err(), Some(error));
    }
    net.act(Action::RoundOpen(RoundOpen { join_until: height, ..terms() })).unwrap();
    net.act(Action::RoundOpen(RoundOpen { deadline: latest, ..terms() })).unwrap();
}

#[test]
fn one_opening_opens_one_round_for_as_long_as_it_could_be_included() {
    let mut net = Net::funded();
    let expiry = net.height.plus(LIMITS.max_expiry);
    let candidate = net.candidate(Action::RoundOpen(terms()), vec![], |body| body.expiry = expiry);
    let round = round_of(&candidate.transaction);
    net.submit(&candidate).unwrap();
    let exists = Err(ExecutionError::RoundExists { round });
    assert_eq!(net.submit(&candidate), exists, "in the same block");
    // Signed twice, it is another transaction but no other round.
    let body = candidate.transaction.body().clone();
    let again = net.candidate(Action::RoundOpen(terms()), vec![], |new| *new = body);
    assert_ne!(again.transaction.id(), candidate.transaction.id());
    assert_eq!(net.submit(&again), exists);
    net.close();
    assert_eq!(net.submit(&candidate), exists, "in the next block");
    net.advance_to(expiry);
    assert!(net.submit(&candidate).is_err());
    // Deadline 9 and a window of 20: the record is gone at height 30, the opening long expired.
    net.advance_to(Height(30));
    assert!(net.state.round(&round).is_some());
    let outcome = net.close();
    assert!(outcome.state.round(&round).is_none());
    assert_eq!(outcome.changes.len(), 1);
    let error = ExecutionError::Expired { expiry, height: Height(31) };
    assert_eq!(net.submit(&candidate), Err(error));
    assert_eq!(net.state.rounds().count(), 0);
}

#[test]
fn joining_takes_a_sequence_number() {
    let (mut net, round) = opened();
    let account = account(A, "EUR");
    let good = join(&net, round, A);
    for found in [good.sequence - 1, good.sequence + 1] {
        let bad = RoundJoin { sequence: found, ..good.clone() };
        let expected = good.sequence;
        let error = match found < expected {
            true => ExecutionError::StaleSequence { account, expected, found },
            false => ExecutionError::SkippedSequence { account, expected, found },
        };
        assert_eq!(net.act(Action::RoundJoin(bad)).err(), Some(error));
    }
    let candidate = net.act(Action::RoundJoin(good)).unwrap();
    let again = ExecutionError::AlreadyJoined { round, institution: id(A) };
    assert_eq!(net.submit(&candidate), Err(again));
}

#[test]
fn who_may_join_and_until_when() {
    let (mut net, round) = opened();
    let unknown = RoundId(Digest::ZERO);
    let stray = RoundJoin { round: unknown, ..join(&net, round, A) };
    let error = ExecutionError::UnknownRound { round: unknown };
    assert_eq!(net.act(Action::RoundJoin(stray)).err(), Some(error));

    let issuer = join(&net, round, ISSUER);
    let error = ExecutionError::IssuerJoins { round, institution: id(ISSUER) };
    assert_eq!(net.act(Action::RoundJoin(issuer)).err(), Some(error));

    let outsider = join(&net, round, COORDINATOR);
    let error = ExecutionError::NotAParticipant { account: account(COORDINATOR, "EUR") };
    assert_eq!(net.act(Action::RoundJoin(outsider)).err(), Some(error));

    net.advance_to(Height(5));
    let last = join(&net, round, A);
    net.act(Action::RoundJoin(last)).unwrap();
    net.close();
    let late = join(&net, round, B);
    let error = ExecutionError::JoiningOver { round, until: Height(5), height: Height(6) };
    assert_eq!(net.act(Action::RoundJoin(late)).err(), Some(error));
}

#[test]
fn a_locked_account_neither_posts_nor_joins_elsewhere_until_the_lock_ends() {
    let (mut net, round) = joined(&[A, B]);
    let until = Height(9);
    let locked = Err(ExecutionError::Locked { account: account(A, "EUR"), round, until });
    let other = net
        .act(Action::RoundOpen(RoundOpen { salt: [2; 16], deadline: Height(12), ..terms() }))
        .unwrap();
    let other = round_of(&other.transaction);
    assert_eq!(net.submit_with("EUR", &[post(A)], |_| {}), locked);
    let elsewhere = join(&net, other, A);
    assert_eq!(net.act(Action::RoundJoin(elsewhere)).map(|_| ()), locked);
    // Another asset is free, and so is being credited.
    net.pay("USD", post(A).gives(B, 1));
    net.pay("EUR", post(C).gives(A, 1));

    net.advance_to(until);
    assert_eq!(net.submit_with("EUR", &[post(A)], |_| {}), locked, "at the last height");
    net.close();
    net.pay("EUR", post(A).gives(B, 1));
    net.close();
    assert_eq!(net.state.account(&account(A, "EUR")).unwrap().lock, None);
    // B's lock has ended too, though its leaf has not been touched.
    let b = net.state.account(&account(B, "EUR")).unwrap();
    assert_eq!((b.lock.map(|lock| lock.round), b.locked_at(net.height)), (Some(round), None));
}

#[test]
fn a_round_settles_once() {
    let (mut net, round) = joined(&[A, B, C]);
    let candidate = settlement(&mut net, round, "EUR", &nets(), |_| {});
    net.submit(&candidate).unwrap();
    let error = Err(ExecutionError::RoundSettled { round });
    assert_eq!(net.submit(&candidate), error);
    let more = settlement(&mut net, round, "EUR", &nets(), |settled| settled.attempt = 1);
    assert_eq!(net.submit(&more), error);
    net.close();
    assert_eq!(net.submit(&more), error);
    let late = join(&net, round, D);
    assert_eq!(net.act(Action::RoundJoin(late)).map(|_| ()), error);
}

#[test]
fn a_round_settles_until_its_deadline() {
    let (mut net, round) = joined(&[A, B, C]);
    net.advance_to(Height(9));
    let candidate = settlement(&mut net, round, "EUR", &nets(), |_| {});
    net.clone().submit(&candidate).unwrap();
    net.close();
    let error = ExecutionError::RoundOver { round, deadline: Height(9), height: Height(10) };
    assert_eq!(net.submit(&candidate), Err(error));
    let unknown = RoundId(Digest::ZERO);
    assert_eq!(
        settle(&mut net, unknown, &nets()),
        Err(ExecutionError::UnknownRound { round: unknown })
    );
}

#[test]
fn a_settlement_is_of_the_rounds_asset_and_attempts() {
    let (mut net, round) = joined(&[A, B, C]);
    let candidate = settlement(&mut net, round, "USD", &nets(), |_| {});
    let (expected, found) = (asset("EUR"), asset("USD"));
    assert_eq!(net.submit(&candidate), Err(ExecutionError::WrongAsset { round, expected, found }));
    let candidate = settlement(&mut net, round, "EUR", &nets(), |settled| settled.attempt = 2);
    let error = ExecutionError::NoSuchAttempt { round, attempts: 2, found: 2 };
    assert_eq!(net.submit(&candidate), Err(error));
    let candidate = settlement(&mut net, round, "EUR", &nets(), |settled| {
        settled.attempt = 1;
        settled.attachment = Some(Digest([3; 32]));
    });
    net.submit(&candidate).unwrap();
    net.close();
    let settled: Option<&Round> = net.state.round(&round);
    assert_eq!(settled.unwrap().settled.unwrap().attempt, 1);
}

#[test]
fn only_members_settle_and_enough_of_them() {
    let (mut net, round) = joined(&[A, B]);
    let error = ExecutionError::NotAMember { round, institution: id(C) };
    assert_eq!(settle(&mut net, round, &nets()), Err(error));
    let error = ExecutionError::RosterTooSmall { round, minimum: 2, found: 1 };
    assert_eq!(settle(&mut net, round, &[post(A)]), Err(error));
    // The issuer's liability is no way to make the nets sum to zero.
    let posts = [post(A).net(10), post(B), post(ISSUER).net(-10)];
    let error = ExecutionError::NotAMember { round, institution: id(ISSUER) };
    assert_eq!(settle(&mut net, round, &posts), Err(error));
}

#[test]
fn a_settlement_balances_and_uses_sequence_numbers() {
    let (mut net, round) = joined(&[A, B, C]);
    let posts = [post(A).net(-500), post(B).net(200), post(C).net(301)];
    assert_eq!(settle(&mut net, round, &posts), Err(ExecutionError::Imbalanced { entry: 0 }));
    let candidate = settlement(&mut net, round, "EUR", &nets(), |settled| {
        settled.entry.postings[1].sequence += 1;
    });
    let account = account(B, "EUR");
    let error = ExecutionError::SkippedSequence { account, expected: 3, found: 4 };
    assert_eq!(net.submit(&candidate), Err(error));
    settle(&mut net, round, &nets()).unwrap();
}

#[test]
fn credits_that_arrive_during_a_round_wait() {
    let (mut net, round) = joined(&[A, B, C]);
    let credits = net.pay("EUR", post(D).gives(A, 7));
    settle(&mut net, round, &nets()).unwrap();
    net.pay("EUR", post(A).takes(&credits));
    net.close();
    assert_eq!(net.balance(&account(A, "EUR")).value, 507);
}

#[test]
fn as_many_may_join_as_fit_into_one_settlement() {
    let (mut net, round) = opened();
    let with_members = |net: &Net, count: usize| {
        let mut record = net.state.round(&round).unwrap().clone();
        let member = Member { queue_root: Digest::ZERO, bucket: 8 };
        let names = (0..count).map(|number| id(&format!("X{number:03}DEFF")));
        record.members = names.map(|name| (name, member)).collect();
        let mut changes = Changes::new();
        changes.put(Record::Round(round, Box::new(record)));
        net.state.replay(&changes).unwrap()
    };
    assert_eq!(MAX_MEMBERS, 128);
    let last = join(&net, round, A);
    net.state = with_members(&net, MAX_MEMBERS);
    let error = ExecutionError::RoundFull { round };
    assert_eq!(net.act(Action::RoundJoin(last.clone())).err(), Some(error));
    net.state = with_members(&net, MAX_MEMBERS - 1);
    net.act(Action::RoundJoin(last)).unwrap();
    net.close();
    let record = net.state.round(&round).unwrap();
    assert_eq!(Round::from_bytes(&record.to_bytes()).as_ref(), Ok(record));
}

#[test]
fn joining_and_settling_are_in_the_log() {
    let (mut net, round) = opened();
    let id_of = account(A, "EUR");
    let before = net.state.account(&id_of).unwrap().log;
    let (mine, other) = (join(&net, round, A), join(&net, round, B));
    let joining = net.act(Action::RoundJoin(mine)).unwrap();
    net.act(Action::RoundJoin(other)).unwrap();
    net.close();
    let candidate = settlement(&mut net, round, "EUR", &[post(A).net(-1), post(B).net(1)], |_| {});
    net.submit(&candidate).unwrap();
    net.close();
    let event = |height, transaction, kind| Event { height: Height(height), transaction, kind };
    let joined = event(4, joining.transaction.id(), EventKind::Joined { round });
    let settled = event(5, candidate.transaction.id(), EventKind::Posted { entry: 0 });
    let expected = settled.extend(&joined.extend(&before));
    assert_eq!(net.state.account(&id_of).unwrap().log, expected);
}
