//! Entries and returns.

use super::*;

#[test]
fn entries_are_executed_by_the_rules() {
    assert_eq!(breaks(base(), |chain| chain.pay(ONE, "EUR", &[(TWO, 1)])), None);
    let sequence = |chain: &mut Chain| {
        chain.balances.get_mut(&account(ONE, "EUR")).unwrap().1 += 1;
        chain.pay(ONE, "EUR", &[(TWO, 1)]);
    };
    assert_eq!(breaks(base(), sequence), Some("sequence"));
    let richer = |chain: &mut Chain| {
        let balance = &mut chain.balances.get_mut(&account(ONE, "EUR")).unwrap().0;
        *balance = Opening::new(balance.value + 1, balance.blinding.clone());
        chain.pay(ONE, "EUR", &[(TWO, 1)]);
    };
    assert_eq!(breaks(base(), richer), Some("the entry sums to zero"));
    let twice = |chain: &mut Chain| {
        let pending = &chain.pending[&account(TWO, "EUR")];
        let copy = |credit: &Absorbed| Absorbed { id: credit.id, opening: credit.opening.clone() };
        let pending = pending.iter().map(copy).collect();
        chain.pay(TWO, "EUR", &[]);
        chain.pending.insert(account(TWO, "EUR"), pending);
        chain.pay(TWO, "EUR", &[]);
    };
    assert_eq!(breaks(base(), twice), Some("absorbed credits are pending"));
    let to_nobody = |chain: &mut Chain| chain.pay(ONE, "EUR", &[(COORDINATOR, 1)]);
    assert_eq!(breaks(base(), to_nobody), Some("may hold the account"));
}

/// Two credits of one sender may wait on one account. Others do not count, and neither does what
/// has come back.
#[test]
fn quotas_are_per_account_and_sender() {
    let mut chain = base();
    chain.give_back(THREE, "EUR", ONE, ReturnReason::Rejected);
    chain.close();
    chain.pay(TWO, "EUR", &[(ONE, 1), (THREE, 1)]);
    chain.pay(TWO, "EUR", &[(ONE, 1)]);
    chain.close();
    chain.pay(CENTRAL, "EUR", &[(ONE, 1), (THREE, 1)]);
    chain.pay(ONE, "EUR", &[(THREE, 1)]);
    chain.pay(ONE, "EUR", &[(THREE, 1)]);
    chain.close();
    let once = |chain: &mut Chain| chain.pay(ONE, "EUR", &[(THREE, 1)]);
    assert_eq!(breaks(chain, once), Some("quota"));
    // Without anybody else's: one waits already.
    assert_eq!(breaks(base(), once), None);
    let both = |chain: &mut Chain| (0..2).for_each(|_| once(chain));
    assert_eq!(breaks(base(), both), Some("quota"));
}

#[test]
fn returns_follow_the_rules() {
    let chain = base();
    let back = |by: &str, change: &dyn Fn(&mut CreditReturn)| {
        let mut body = body(&chain, Action::Return(rejection(&chain)));
        let Action::Return(back) = &mut body.action else { panic!("a return") };
        change(back);
        back.by = id(by);
        back.key_fingerprint = chain.fingerprint(by);
        broken(&chain, vec![signed(body, &[by])])
    };
    let refund = |back: &mut CreditReturn| back.reason = ReturnReason::Refunded;
    assert_eq!(back(TWO, &|_| {}), None);
    assert_eq!(back(ONE, &|_| {}), Some("who returns"));
    assert_eq!(back(TWO, &refund), Some("who returns"));
    assert_eq!(back(THREE, &refund), Some("the sender is refunded"));
    assert_eq!(back(TWO, &|back| back.holder.asset = asset("GBP")), Some("known asset"));
    let other = chain.pending[&account(THREE, "EUR")][0].id;
    assert_eq!(back(TWO, &|back| back.credit = other), Some("returned credits are pending"));
    // It arrived at height 2, and may be taken back from height 4.
    assert_eq!(back(ONE, &refund), Some("time of refund"));

    let mut later = base();
    later.close();
    later.give_back(TWO, "EUR", CENTRAL, ReturnReason::Refunded);
    assert_eq!(waiting(&mut later), None);

    // What came back is not sent back again.
    let mut chain = base();
    chain.give_back(THREE, "EUR", ONE, ReturnReason::Rejected);
    chain.close();
    let again = CreditReturn {
        credit: chain.pending[&account(ONE, "EUR")][0].id,
        holder: account(ONE, "EUR"),
        by: id(ONE),
        key_fingerprint: chain.fingerprint(ONE),
        reason: ReturnReason::Rejected,
    };
    let again = signed(body(&chain, Action::Return(again)), &[ONE]);
    assert_eq!(broken(&chain, vec![again]), Some("a credit returns once"));
}
