//! What must hold of every state, whatever has happened.

use std::collections::BTreeMap;

use quittance_crypto::encoding::Encode;
use quittance_crypto::group::Point;
use quittance_ledger::ids::AssetId;
use quittance_ledger::state::{Account, Pending, State};

/// Double entry, and what each account's leaf says of itself.
pub fn check_books(state: &State) {
    let mut sums: BTreeMap<AssetId, Point> = BTreeMap::new();
    for (id, account, pending) in state.accounts() {
        let holds = account.balance.point() + pending.sum();
        *sums.entry(id.asset).or_insert(Point::identity()) += holds;
        let Account { inflow, outflow, net_settled, .. } = account;
        assert_eq!(holds, inflow.point() - outflow.point() + net_settled.point(), "{id}");
        assert_eq!(account.pending_root, pending.root(), "{id}");
        check_pending(account, pending);
    }
    sums.iter().for_each(|(asset, sum)| assert!(sum.is_identity(), "{asset} does not balance"));
    let again = State::from_records(state.to_changes().iter().map(|(_, r)| r.unwrap().clone()));
    assert_eq!(again.unwrap().root(), state.root());
}

fn check_pending(account: &Account, pending: &Pending) {
    let numbers: Vec<_> = pending.iter().map(|credit| credit.number).collect();
    assert!(numbers.is_sorted_by(|one, two| one < two));
    assert!(numbers.iter().all(|number| *number < account.arrivals));
    for credit in pending.iter() {
        let proof = pending.prove(&credit.id).unwrap();
        assert_eq!(proof.verify(&account.pending_root, &credit.to_bytes()), Ok(()));
        let own = pending.iter().filter(|other| other.sender == credit.sender && !other.returned);
        assert_eq!(own.count() as u32, pending.from_sender(&credit.sender));
    }
}
