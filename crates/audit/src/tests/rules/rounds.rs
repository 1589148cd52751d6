//! Rounds.

use super::*;

#[test]
fn rounds_open_by_the_rules() {
    let chain = base();
    let open = |change: &dyn Fn(&mut Body)| {
        let mut body = body(&chain, Action::RoundOpen(chain.opening_of("EUR")));
        change(&mut body);
        let Action::RoundOpen(open) = &body.action else { panic!("an opening") };
        let by = if open.opener == id(ONE) { ONE } else { COORDINATOR };
        signed(body, &[by])
    };
    let rule = |change: fn(&mut RoundOpen)| {
        let change = |body: &mut Body| {
            let Action::RoundOpen(open) = &mut body.action else { panic!("an opening") };
            change(open);
            if open.opener == id(ONE) {
                open.key_fingerprint = key(ONE, Purpose::Transaction).verifying_key().fingerprint();
            }
        };
        broken(&chain, vec![open(&change)])
    };
    // Opened at height 3; joining until 4, at most until 3 + 10,000.
    assert_eq!(Limits::default().max_round, 10_000);
    assert_eq!(rule(|_| {}), None);
    assert_eq!(rule(|open| open.minimum_roster = 1), Some("minimum roster"));
    assert_eq!(rule(|open| open.minimum_roster = 129), Some("minimum roster"));
    assert_eq!(rule(|open| open.minimum_roster = 128), None);
    assert_eq!(rule(|open| open.attempts = 0), Some("attempts"));
    assert_eq!(rule(|open| open.deadline = open.join_until), Some("deadline after joining"));
    assert_eq!(rule(|open| open.opener = id(ONE)), Some("a coordinator opens"));
    assert_eq!(rule(|open| open.asset = asset("GBP")), Some("known asset"));
    assert_eq!(rule(|open| open.committee = CommitteeId(2)), Some("known committee"));
    assert_eq!(rule(|open| open.join_until = Height(2)), Some("joining ahead"));
    assert_eq!(rule(|open| open.join_until = Height(3)), None);
    assert_eq!(rule(|open| open.deadline = Height(10_003)), None);
    assert_eq!(rule(|open| open.deadline = Height(10_004)), Some("length of a round"));
    let twice = vec![open(&|_| {}), open(&|_| {})];
    assert_eq!(broken(&chain, twice), Some("a round opens once"));
}

/// With a round opened at height 3, joined by banks 1 and 2 at height 4, until height 4; its
/// deadline is height 7.
fn joined() -> (Chain, RoundId) {
    let mut chain = base();
    let mut open = chain.opening_of("EUR");
    open.deadline = Height(7);
    let round = chain.open_round(open);
    chain.close();
    chain.join(round, ONE, "EUR");
    chain.join(round, TWO, "EUR");
    chain.close();
    (chain, round)
}

#[test]
fn rounds_are_joined_by_the_rules() {
    let mut chain = base();
    let round = chain.open_round(chain.opening_of("EUR"));
    chain.close();
    let join = |chain: &Chain, who: &str, round, sequence| {
        let join = RoundJoin {
            round,
            institution: id(who),
            key_fingerprint: chain.fingerprint(who),
            sequence,
            queue_root: Digest::ZERO,
            bucket: 8,
            note: vec![],
        };
        signed(body(chain, Action::RoundJoin(join)), &[who])
    };
    let once = |who, round, sequence| vec![join(&chain, who, round, sequence)];
    assert_eq!(broken(&chain, once(THREE, round, 1)), None);
    assert_eq!(broken(&chain, once(THREE, round, 2)), Some("sequence"));
    assert_eq!(broken(&chain, once(THREE, RoundId(Digest::ZERO), 1)), Some("known round"));
    assert_eq!(broken(&chain, once(CENTRAL, round, 2)), Some("an issuer does not join"));
    assert_eq!(broken(&chain, once(COORDINATOR, round, 1)), Some("may hold the account"));
    let twice = vec![join(&chain, THREE, round, 1), join(&chain, THREE, round, 2)];
    assert_eq!(broken(&chain, twice), Some("account not locked"));

    let (late, round) = joined();
    assert_eq!(broken(&late, vec![join(&late, THREE, round, 1)]), Some("time to join"));
    let (mut settled, round) = joined();
    settled.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    settled.close();
    assert_eq!(broken(&settled, vec![join(&settled, THREE, round, 1)]), Some("round not settled"));
}

#[test]
fn accounts_are_locked_until_the_deadline_or_the_settlement() {
    let pays = |chain: &mut Chain| chain.pay(ONE, "EUR", &[(THREE, 1)]);
    let (mut chain, _) = joined();
    assert_eq!(breaks(joined().0, pays), Some("account not locked"));
    chain.close();
    chain.close();
    assert_eq!(chain.height(), Height(6));
    pays(&mut chain);
    assert_eq!(waiting(&mut chain), Some("account not locked"));
    chain.balances = joined().0.balances;
    chain.close();
    pays(&mut chain);
    assert_eq!(waiting(&mut chain), None);

    let (mut chain, round) = joined();
    chain.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    chain.close();
    pays(&mut chain);
    assert_eq!(waiting(&mut chain), None);
}

/// Also of a member that the settlement leaves out.
#[test]
fn a_settlement_frees_all_members_of_its_round() {
    let mut chain = base();
    let round = chain.open_round(chain.opening_of("EUR"));
    chain.close();
    for who in [ONE, TWO, THREE] {
        chain.join(round, who, "EUR");
    }
    chain.close();
    chain.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    chain.close();
    assert_eq!(breaks(chain, |chain| chain.pay(THREE, "EUR", &[(ONE, 1)])), None);
}

#[test]
fn rounds_settle_by_the_rules() {
    let settle = |nets: &[(&str, i64)], change: fn(&mut Settlement)| {
        let (mut chain, round) = joined();
        chain.settle(round, "EUR", nets, change);
        waiting(&mut chain)
    };
    let nets = [(ONE, -5), (TWO, 5)];
    assert_eq!(settle(&nets, |_| {}), None);
    let unknown = settle(&nets, |settlement| settlement.round = RoundId(Digest::ZERO));
    assert_eq!(unknown, Some("known round"));
    assert_eq!(settle(&nets, |settlement| settlement.attempt = 1), Some("attempts"));
    let members = settle(&[(ONE, -5), (TWO, 4), (THREE, 1)], |_| {});
    assert_eq!(members, Some("members settle"));
    assert_eq!(settle(&[(ONE, 0)], |_| {}), Some("minimum roster"));

    let (mut chain, round) = joined();
    chain.settle(round, "USD", &[(ONE, 0), (TWO, 0)], |_| {});
    assert_eq!(waiting(&mut chain), Some("asset of the round"));

    for (blocks, rule) in [(2, None), (3, Some("deadline"))] {
        let (mut chain, round) = joined();
        (0..blocks).for_each(|_| chain.close());
        chain.settle(round, "EUR", &nets, |_| {});
        assert_eq!(waiting(&mut chain), rule);
    }
}

#[test]
fn a_settlement_gives_and_takes_no_credits() {
    let (mut chain, round) = joined();
    chain.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    let honest = chain.waiting[0].body().clone();
    let rule = |change: &dyn Fn(&mut Entry)| {
        let mut body = honest.clone();
        let Action::Settlement(settlement) = &mut body.action else { panic!("a settlement") };
        change(&mut settlement.entry);
        broken(&chain, vec![Transaction::new(body, vec![], vec![])])
    };
    assert_eq!(rule(&|_| {}), Some("one range proof for each entry"));
    let credit = exchange().1.body().entries()[0].credits[0].clone();
    assert_eq!(rule(&|entry| entry.credits.push(credit.clone())), Some("a settlement only posts"));
    let id = chain.pending[&account(TWO, "EUR")][0].id;
    let absorbs = rule(&|entry| entry.postings[1].absorbed.push(id));
    assert_eq!(absorbs, Some("a settlement only posts"));
}

/// A round is forgotten when no transaction can name it any more: at the first height that lies more
/// than the longest expiry behind its deadline. The state root says whether it is there.
#[test]
fn rounds_are_forgotten_when_the_ledger_forgets_them() {
    let mut chain = Chain::with_limits(Limits { max_expiry: 10, ..Limits::default() });
    let mut open = chain.opening_of("EUR");
    open.deadline = Height(3);
    let round = chain.open_round(open);
    for height in 1..=15 {
        chain.close();
        assert_eq!(chain.state.round(&round).is_some(), height <= 13, "{height}");
    }
    assert_eq!(broken(&chain, vec![]), None);
}
