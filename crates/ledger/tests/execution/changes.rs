//! Each kind of change holds from its height on, and not before; and what it then forbids.

use quittance_crypto::digest::Digest;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::Purpose;
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::{CommitteeId, Height, RoundId};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role, SettlementRule};
use quittance_ledger::transaction::{
    Action, Change, ChangeError, CreditReturn, ReturnReason, RoundJoin, RoundOpen, Settlement,
};

use crate::decisions::decide;
use crate::world::{
    BANKS, COORDINATOR, ISSUER, LIMITS, NEWCOMER, Net, PARTIES, Post, SPARE, SUITE, account, asset,
    id, key, post, round_of, signing_key,
};

const A: &str = BANKS[0];
const B: &str = BANKS[1];

type Verdict = Result<(), ExecutionError>;

/// The verdicts of `probe` in the block before the changes hold, and in the first one after.
fn around(
    mut net: Net,
    changes: Vec<Change>,
    probe: impl Fn(&mut Net) -> Verdict,
) -> (Verdict, Verdict) {
    let effective = net.height.plus(3);
    decide(&mut net, effective, changes).unwrap();
    net.advance_to(net.height.plus(2));
    let before = probe(&mut net.clone());
    net.close();
    (before, probe(&mut net))
}

fn refusal(net: &Net, changes: Vec<Change>) -> ExecutionError {
    decide(&mut net.clone(), net.height.plus(3), changes).unwrap_err()
}

fn refused(index: u32, source: ChangeError) -> ExecutionError {
    ExecutionError::ChangeRefused { index, source }
}

fn pays(code: &'static str, by: Post) -> impl Fn(&mut Net) -> Verdict {
    move |net| net.submit_with(code, std::slice::from_ref(&by), |_| {})
}

fn open(net: &Net) -> RoundOpen {
    RoundOpen {
        salt: [1; 16],
        opener: id(COORDINATOR),
        key_fingerprint: key(COORDINATOR, "transaction"),
        asset: asset("EUR"),
        program: Digest::of("test program", &[]),
        committee: CommitteeId(1),
        minimum_roster: 2,
        attempts: 1,
        join_until: net.height.plus(5),
        deadline: net.height.plus(9),
    }
}

fn opens(change: impl Fn(&mut RoundOpen)) -> impl Fn(&mut Net) -> Verdict {
    move |net| {
        let mut open = open(net);
        change(&mut open);
        net.act(Action::RoundOpen(open)).map(drop)
    }
}

fn join(net: &mut Net, round: RoundId, who: &str) -> Verdict {
    let join = RoundJoin {
        round,
        institution: id(who),
        key_fingerprint: key(who, "transaction"),
        sequence: net.next(&account(who, "EUR")),
        queue_root: Digest::ZERO,
        bucket: 8,
        note: vec![],
    };
    net.act(Action::RoundJoin(join)).map(drop)
}

/// A round of A and B, joined; the net at height 4.
fn joined() -> (Net, RoundId) {
    let mut net = Net::funded();
    let open = open(&net);
    let round = round_of(&net.act(Action::RoundOpen(open)).unwrap().transaction);
    join(&mut net, round, A).unwrap();
    join(&mut net, round, B).unwrap();
    net.close();
    (net, round)
}

fn settles(round: RoundId, attachment: Option<Digest>) -> impl Fn(&mut Net) -> Verdict {
    move |net| {
        let draft = net.draft("EUR", &[post(A).net(-1), post(B).net(1)]);
        let entry = draft.entry.clone();
        let settlement = Settlement { round, attempt: 0, entry, attachment };
        let candidate = net.candidate(Action::Settlement(settlement), vec![draft], |_| {});
        net.submit(&candidate)
    }
}

fn newcomer() -> Change {
    let public = |purpose, name| {
        PublicKey::Signing(purpose, signing_key(id(NEWCOMER), name).verifying_key())
    };
    let keys = vec![
        public(Purpose::Transaction, "transaction"),
        public(Purpose::Round, "round"),
        PublicKey::Sealing(SealingKey::generate(SUITE).public_key().clone()),
    ];
    Change::Admit { institution: id(NEWCOMER), roles: [Role::Participant].into(), keys }
}

#[test]
fn an_institution_is_admitted() {
    let unknown = Err(ExecutionError::UnknownInstitution { institution: id(NEWCOMER) });
    let credit = pays("EUR", post(A).gives(NEWCOMER, 1));
    let post_itself = pays("EUR", post(NEWCOMER));
    let mut net = Net::funded();
    let last = net.state.institutions().map(|(_, it)| it.number).max().unwrap();
    assert_eq!(around(net.clone(), vec![newcomer()], credit), (unknown.clone(), Ok(())));
    assert_eq!(around(net.clone(), vec![newcomer()], post_itself), (unknown, Ok(())));
    decide(&mut net, Height(4), vec![newcomer()]).unwrap();
    net.close();
    assert_eq!(net.state.institution_by_number(last + 1), Some(id(NEWCOMER)));
    let exists = ChangeError::InstitutionExists { institution: id(NEWCOMER) };
    assert_eq!(refusal(&net, vec![newcomer()]), refused(0, exists));
    let Change::Admit { keys, roles, .. } = newcomer() else { unreachable!() };
    let other = Change::Admit { institution: "NEWCXX2A".parse().unwrap(), roles, keys };
    let taken = ChangeError::KeyTaken { fingerprint: key(NEWCOMER, "transaction") };
    assert_eq!(refusal(&net, vec![other]), refused(0, taken));
}

#[test]
fn a_suspended_institution_posts_nothing_and_is_credited_nothing() {
    let suspended = Err(ExecutionError::Suspended { institution: id(A) });
    let suspend = || vec![Change::Suspend { institution: id(A) }];
    let expected = (Ok(()), suspended.clone());
    assert_eq!(around(Net::funded(), suspend(), pays("EUR", post(A))), expected);
    assert_eq!(around(Net::funded(), suspend(), pays("EUR", post(B).gives(A, 1))), expected);
    let mut net = Net::funded();
    let opened = open(&net);
    let round = round_of(&net.act(Action::RoundOpen(opened)).unwrap().transaction);
    assert_eq!(around(net, suspend(), |net| join(net, round, A)), expected);
    let (net, round) = joined();
    assert_eq!(around(net, suspend(), settles(round, None)), expected);

    // Readmitted, it acts as before.
    let mut net = Net::funded();
    decide(&mut net, Height(4), suspend()).unwrap();
    net.close();
    assert_eq!(net.state.suspended(&id(A)), Some(Height(4)));
    let again = ChangeError::Suspended { institution: id(A) };
    assert_eq!(refusal(&net, suspend()), refused(0, again));
    let readmit = vec![Change::Readmit { institution: id(A) }];
    assert_eq!(around(net, readmit, pays("EUR", post(A).gives(B, 1))), (suspended, Ok(())));
}

#[test]
fn what_pends_at_a_suspended_institution_goes_back_to_its_sender() {
    let mut net = Net::funded();
    let credit = net.pay("EUR", post(B).gives(A, 10))[0];
    let own = net.pay("EUR", post(A).gives(B, 20))[0];
    decide(&mut net, Height(4), vec![Change::Suspend { institution: id(A) }]).unwrap();
    net.advance_to(Height(6));
    let back = |credit, holder: &str, by: &str, reason| {
        let key_fingerprint = key(by, "transaction");
        let holder = account(holder, "EUR");
        Action::Return(CreditReturn { credit, holder, by: id(by), key_fingerprint, reason })
    };
    let suspended = ExecutionError::Suspended { institution: id(A) };
    let rejected = back(credit, A, A, ReturnReason::Rejected);
    assert_eq!(net.act(rejected).err(), Some(suspended));
    net.act(back(credit, A, B, ReturnReason::Refunded)).unwrap();
    // What it has given can be rejected, too: it waits there until it is readmitted.
    net.act(back(own, B, B, ReturnReason::Rejected)).unwrap();
    net.close();
    assert!(net.state.pending(&account(A, "EUR")).unwrap().get(&own).is_some());
    assert!(net.state.pending(&account(B, "EUR")).unwrap().get(&credit).is_some());
}

#[test]
fn roles_change() {
    let roles = |roles: &[Role]| {
        let roles = roles.iter().copied().collect();
        vec![Change::SetRoles { institution: id(COORDINATOR), roles }]
    };
    let account = account(COORDINATOR, "EUR");
    let not_yet = Err(ExecutionError::NotAParticipant { account });
    let both = roles(&[Role::Participant, Role::Coordinator]);
    let credit = pays("EUR", post(A).gives(COORDINATOR, 1));
    assert_eq!(around(Net::funded(), both, credit), (not_yet, Ok(())));
    let institution = id(COORDINATOR);
    let no_more = Err(ExecutionError::NotACoordinator { institution });
    assert_eq!(around(Net::funded(), roles(&[]), opens(|_| {})), (Ok(()), no_more));

    let net = Net::funded();
    let drop_all = |who: &str| vec![Change::SetRoles { institution: id(who), roles: [].into() }];
    let (institution, committee) = (id(PARTIES[0]), CommitteeId(1));
    let party = ChangeError::InCommittee { institution, committee };
    assert_eq!(refusal(&net, drop_all(PARTIES[0])), refused(0, party));
    let (institution, asset) = (id(ISSUER), asset("EUR"));
    let issuer = ChangeError::IssuesAsset { institution, asset };
    assert_eq!(refusal(&net, drop_all(ISSUER)), refused(0, issuer));
}

#[test]
fn assets_are_listed() {
    let list = |code: &str| {
        let terms = Asset { issuer: id(ISSUER), decimals: 3 };
        vec![Change::ListAsset { asset: asset(code), terms }]
    };
    let unknown = Err(ExecutionError::UnknownAsset { asset: asset("GBP") });
    let issue = pays("GBP", post(ISSUER).gives(A, 5));
    assert_eq!(around(Net::funded(), list("GBP"), issue), (unknown, Ok(())));
    let exists = ChangeError::AssetExists { asset: asset("EUR") };
    assert_eq!(refusal(&Net::funded(), list("EUR")), refused(0, exists));
}

/// Of a retired asset nothing is issued or netted. It is paid and redeemed as ever.
#[test]
fn assets_are_retired() {
    let retire = || vec![Change::RetireAsset { asset: asset("EUR") }];
    let retired = ExecutionError::AssetRetired { asset: asset("EUR") };
    let now = |probe: &dyn Fn(&mut Net) -> Verdict| around(Net::funded(), retire(), probe);
    let ends = (Ok(()), Err(retired.clone()));
    assert_eq!(now(&pays("EUR", post(ISSUER).gives(A, 5))), ends);
    let unseen =
        |net: &mut Net| net.submit_with("EUR", &[post(ISSUER).net(-5), post(A).net(5)], |_| {});
    assert_eq!(now(&unseen), ends, "issuance without a credit");
    assert_eq!(now(&opens(|_| {})), ends);
    let goes_on = (Ok(()), Ok(()));
    assert_eq!(now(&pays("EUR", post(A).gives(B, 5))), goes_on);
    assert_eq!(now(&pays("USD", post(ISSUER).gives(A, 5))), goes_on);
    assert_eq!(now(&opens(|open| open.asset = asset("USD"))), goes_on);
    let redeem = |net: &mut Net| {
        let credits = net.pay("EUR", post(A).gives(ISSUER, 5));
        net.submit_with("EUR", &[post(ISSUER).takes(&credits)], |_| {})
    };
    assert_eq!(now(&redeem), goes_on);
    // A round that was joined before settles; nobody else joins.
    let (net, round) = joined();
    assert_eq!(around(net.clone(), retire(), settles(round, None)), goes_on);
    assert_eq!(around(net, retire(), |net| join(net, round, BANKS[2])), ends);

    let mut net = Net::funded();
    decide(&mut net, Height(4), retire()).unwrap();
    net.close();
    let again = ChangeError::AlreadyRetired { asset: asset("EUR") };
    assert_eq!(refusal(&net, retire()), refused(0, again));
    let relist = |decimals| {
        let terms = Asset { issuer: id(ISSUER), decimals };
        vec![Change::ListAsset { asset: asset("EUR"), terms }]
    };
    let other = ChangeError::AssetExists { asset: asset("EUR") };
    assert_eq!(refusal(&net, relist(3)), refused(0, other), "an asset keeps its terms");
    let issue = pays("EUR", post(ISSUER).gives(A, 5));
    assert_eq!(around(net, relist(2), issue), (Err(retired), Ok(())));
}

#[test]
fn committees_come_and_go() {
    let put = |parties: [&str; 3]| {
        let committee = Committee { parties: parties.map(id).to_vec(), threshold: 1 };
        vec![Change::PutCommittee { id: CommitteeId(2), committee }]
    };
    let two = || opens(|open| open.committee = CommitteeId(2));
    let unknown = |committee| Err(ExecutionError::UnknownCommittee { committee });
    assert_eq!(around(Net::funded(), put(PARTIES), two()), (unknown(CommitteeId(2)), Ok(())));
    let remove = vec![Change::RemoveCommittee { id: CommitteeId(1) }];
    let gone = (Ok(()), unknown(CommitteeId(1)));
    assert_eq!(around(Net::funded(), remove.clone(), opens(|_| {})), gone);

    let net = Net::funded();
    let (institution, role) = (id(A), Role::MpcParty);
    let stranger = ChangeError::MissingRole { institution, role };
    let with_bank = put([PARTIES[0], PARTIES[1], A]);
    assert_eq!(refusal(&net, with_bank), refused(0, stranger));
    // A party is replaced before it is suspended.
    let suspend = vec![Change::Suspend { institution: id(PARTIES[2]) }];
    let (institution, committee) = (id(PARTIES[2]), CommitteeId(1));
    let party = ChangeError::InCommittee { institution, committee };
    assert_eq!(refusal(&net, suspend.clone()), refused(0, party));
    let both = [remove, suspend].concat();
    assert_eq!(decide(&mut net.clone(), Height(6), both), Ok(()));
}

#[test]
fn limits_change() {
    let tighter = Limits { pending_per_sender: 1, ..LIMITS };
    let twice = pays("EUR", post(A).gives(B, 1).gives(B, 1));
    let (account, sender, limit) = (account(B, "EUR"), id(A), 1);
    let exceeded = Err(ExecutionError::QuotaExceeded { account, sender, limit });
    let changes = vec![Change::SetLimits(tighter)];
    assert_eq!(around(Net::funded(), changes, twice), (Ok(()), exceeded));
}

#[test]
fn settlements_carry_what_the_rule_says() {
    let rule = |programs: &[Digest], attachment| {
        let programs = programs.to_vec();
        vec![Change::SetSettlementRule(SettlementRule { programs, attachment })]
    };
    let program = Digest::of("test program", &[]);
    let other = Digest::of("another program", &[]);
    let forbidden = Err(ExecutionError::ProgramNotAllowed { program });
    let (net, round) = joined();
    let probe = |changes, attachment| around(net.clone(), changes, settles(round, attachment));
    assert_eq!(probe(rule(&[program], false), None), (Ok(()), Ok(())));
    assert_eq!(probe(rule(&[other], false), None), (Ok(()), forbidden.clone()));
    let missing = Err(ExecutionError::AttachmentMissing { round });
    assert_eq!(probe(rule(&[], true), None), (Ok(()), missing));
    assert_eq!(probe(rule(&[], true), Some(other)), (Ok(()), Ok(())));
    // Neither can such a round be opened.
    let opening = around(Net::funded(), rule(&[other], false), opens(|_| {}));
    assert_eq!(opening, (Ok(()), forbidden));

    // The default leaves no record, and so the root of a chain that never had a rule.
    let mut net = Net::funded();
    decide(&mut net, Height(4), rule(&[program], true)).unwrap();
    net.close();
    assert!(net.state.settlement_rule().attachment);
    decide(&mut net, Height(5), rule(&[], false)).unwrap();
    net.close();
    assert_eq!(net.state.settlement_rule(), &SettlementRule::default());
    let key = quittance_ledger::state::Key::SettlementRule;
    assert!(net.state.record(&key).is_none());
}

/// What was decided is found again in a state that is made from its records.
#[test]
fn a_state_made_from_records_knows_what_was_decided() {
    let mut net = Net::funded();
    let early = vec![
        newcomer(),
        Change::Suspend { institution: id(A) },
        Change::RetireAsset { asset: asset("USD") },
    ];
    decide(&mut net, Height(4), early).unwrap();
    net.close();
    let later = vec![Change::PutValidator { institution: id(SPARE), power: 1 }];
    decide(&mut net, Height(9), later).unwrap();
    net.close();
    let records = net.state.to_changes();
    let records = records.iter().filter_map(|(_, record)| record.cloned());
    let again = quittance_ledger::state::State::from_records(records).unwrap();
    assert_eq!(again, net.state);
    assert_eq!(again.suspended(&id(A)), Some(Height(4)));
    assert_eq!(again.retired(&asset("USD")), Some(Height(4)));
    assert!(again.scheduled().eq(net.state.scheduled()));
    assert_eq!(again.last_decision(), 2);
    net.state = again;
    net.advance_to(Height(9));
    assert_eq!(net.state.validators().total_power(), 7);
}
