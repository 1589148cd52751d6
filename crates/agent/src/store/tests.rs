use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::{ChainId, RoundId, TransactionId};
use quittance_ledger::payload::Particulars;

use super::*;

fn open(folder: &Path) -> Store {
    Store::open(folder, ChainId(Digest([1; 32])), "AAAABE01".parse().unwrap()).unwrap()
}

fn eur() -> AssetId {
    "EUR".parse().unwrap()
}

fn instruction(number: u8, state: State) -> Instruction {
    let uetr = Uetr([number; 16]);
    let receiver = |institution: &str, amount| TransferReceiver {
        institution: institution.parse().unwrap(),
        amount,
        particulars: Particulars::new(uetr, "E2E", "text").unwrap(),
    };
    let receivers = vec![receiver("BBBBDE01", 5), receiver("CCCCFR01", u64::MAX)];
    let what = What::Transfer(Transfer { asset: eur(), receivers });
    Instruction { uetr, place: number.into(), what, state, may_land_until: Height(9) }
}

fn put(store: &Store, write: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    write(&mut batch);
    store.write(batch).unwrap();
}

#[test]
fn records_read_back_and_have_one_encoding() {
    let transaction = TransactionId(Digest([7; 32]));
    let states = [
        State::Accepted,
        State::Submitted { transaction },
        State::Final { transaction, height: Height(4) },
        State::failed("ü".repeat(2000)),
    ];
    let whats = [
        What::Unknown,
        What::Payment { place: 3, digest: Digest([2; 32]) },
        What::Exchange { digest: Digest([3; 32]) },
    ];
    let records = states.into_iter().map(|state| instruction(1, state));
    let others = whats.map(|what| Instruction { what, ..instruction(2, State::Accepted) });
    for record in records.chain(others) {
        let bytes = record.to_bytes();
        let again = Instruction::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.to_bytes(), bytes);
        assert_eq!(again.state, record.state);
        assert_eq!(again.what.digest(), record.what.digest());
        assert!((0..bytes.len()).all(|end| Instruction::from_bytes(&bytes[..end]).is_err()));
    }
    let round = RoundId(Digest([8; 32]));
    for state in [
        PaymentState::Queued,
        PaymentState::InRound(round),
        PaymentState::Settled { round, height: Height(5) },
        PaymentState::Cancelled,
    ] {
        let bytes = payment(1, state).to_bytes();
        let again = Payment::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((again.to_bytes(), again.state), (bytes.clone(), state));
        assert!((0..bytes.len()).all(|end| Payment::from_bytes(&bytes[..end]).is_err()));
    }
}

fn payment(place: u64, state: PaymentState) -> Payment {
    let particulars = Particulars::new(Uetr([place as u8; 16]), "", "").unwrap();
    let payee = "BBBBDE01".parse().unwrap();
    Payment { place, asset: eur(), payee, amount: 7, particulars, state }
}

#[test]
fn every_change_of_the_content_changes_the_digest() {
    let What::Transfer(good) = instruction(1, State::Accepted).what else { panic!() };
    let changes: [fn(&mut Transfer); 5] = [
        |transfer| transfer.asset = "USD".parse().unwrap(),
        |transfer| transfer.receivers[0].amount += 1,
        |transfer| transfer.receivers.swap(0, 1),
        |transfer| drop(transfer.receivers.pop()),
        |transfer| {
            let uetr = transfer.receivers[0].particulars.uetr();
            transfer.receivers[0].particulars = Particulars::new(uetr, "E2E", "test").unwrap();
        },
    ];
    let digest = |transfer: &Transfer| What::Transfer(transfer.clone()).digest();
    for change in changes {
        let mut changed = good.clone();
        change(&mut changed);
        assert_ne!(digest(&changed), digest(&good));
    }
    // The state of a payment, and its place, are no part of what was asked for.
    let one = payment(1, PaymentState::Queued);
    let other = Payment { place: 9, state: PaymentState::Cancelled, ..one.clone() };
    assert_eq!(one.digest(), other.digest());
    assert_ne!(one.digest(), Payment { amount: 8, ..one.clone() }.digest());
    assert_ne!(Some(one.digest()), digest(&good));
}

#[test]
fn open_instructions_are_found_again_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.next_places().unwrap(), (1, 1));
    let transaction = TransactionId(Digest([7; 32]));
    put(&store, |batch| {
        for number in [3, 1, 2] {
            batch.put_instruction(&instruction(number, State::Accepted));
        }
        batch.put_payment(&payment(4, PaymentState::Queued));
    });
    put(&store, |batch| {
        batch.put_instruction(&instruction(1, State::Submitted { transaction }));
        batch.put_instruction(&instruction(2, State::failed("no")));
        // One that has ended, with the place of another one.
        batch.put_instruction(&Instruction { place: 3, ..instruction(5, State::failed("no")) });
        batch.put_processed(Height(12));
    });
    drop(store);
    let store = open(folder.path());
    let open = store.open_instructions().unwrap();
    assert_eq!(open.iter().map(|open| open.place).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(store.next_places().unwrap(), (4, 5));
    assert_eq!(store.processed().unwrap(), Height(12));
    assert_eq!(store.instruction(&Uetr([2; 16])).unwrap().unwrap().state, State::failed("no"));
    assert!(store.instruction(&Uetr([9; 16])).unwrap().is_none());
}

#[test]
fn lines_and_payments_are_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lines = PAGE as u64 + 40;
    put(&store, |batch| {
        for height in 1..=lines {
            for (asset, index) in [("EUR", 0), ("EUR", 1), ("EURO", 0)] {
                let amount = format!("{height}/{index}");
                let line = api::StatementLine { height, amount, ..Default::default() };
                batch.put_line(asset.parse().unwrap(), Height(height), index, line);
            }
            batch.put_payment(&payment(height, PaymentState::Queued));
        }
    });
    let all = store.lines(eur(), Height(0), usize::MAX).unwrap();
    assert_eq!(all.len() as u64, 2 * lines);
    assert!(all.is_sorted_by_key(|line| line.height));
    let some = store.lines(eur(), Height(lines), 9).unwrap();
    let amounts: Vec<_> = some.iter().map(|line| line.amount.clone()).collect();
    assert_eq!(amounts, [format!("{lines}/0"), format!("{lines}/1")]);
    assert_eq!(store.lines(eur(), Height(1), 3).unwrap().len(), 3);
    assert!(store.lines("USD".parse().unwrap(), Height(0), 9).unwrap().is_empty());
    assert_eq!(store.payments(|_| true, usize::MAX).unwrap().len() as u64, lines);
    assert_eq!(store.payments(|payment| payment.place % 2 == 0, 5).unwrap().len(), 5);
}

#[test]
fn what_is_prepared_is_found_again_until_it_is_used_or_another_seed_is_drawn() {
    use quittance_crypto::commitment::Opening;
    use quittance_crypto::range_proof::prove;
    use rand_core::OsRng;

    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let openings: Vec<_> = (0..8).map(|amount| Opening::random(amount, &mut OsRng)).collect();
    let proof = prove(&Digest::ZERO, &openings, &mut OsRng).unwrap();
    let amounts = zeroize::Zeroizing::new([0, 1, 2, 3, 4, 5, 6, u64::MAX]);
    let proven = ProvenGroup { amounts, proof };
    let bytes = proven.to_bytes();
    assert!(ProvenGroup::from_bytes(&bytes).is_ok_and(|again| again == proven));
    assert!((0..bytes.len()).all(|end| ProvenGroup::from_bytes(&bytes[..end]).is_err()));

    // One asset's name begins like the other's.
    let (eur, euro) = (eur(), "EURO".parse().unwrap());
    let seeds = [(); 3].map(|()| QueueSeed::random(&mut OsRng));
    put(&store, |batch| {
        batch.put_queue_seed(eur, &seeds[0]);
        batch.put_queue_seed(euro, &seeds[1]);
        batch.put_proven(eur, 0, &proven);
        batch.put_proven(eur, MAX_GROUPS - 1, &proven);
        batch.put_proven(euro, 1, &proven);
    });
    drop(store);
    let store = open(folder.path());
    let groups = |asset| -> Option<Vec<usize>> {
        store.prepared().unwrap().remove(&asset).map(|queue| queue.groups.into_keys().collect())
    };
    assert_eq!(groups(eur), Some(vec![0, MAX_GROUPS - 1]));
    assert_eq!(groups(euro), Some(vec![1]));
    assert!(store.prepared().unwrap().remove(&eur).is_some_and(|it| it.seed == seeds[0]));
    put(&store, |batch| batch.put_queue_seed(eur, &seeds[2]));
    assert_eq!(groups(eur), Some(vec![]));
    assert!(store.prepared().unwrap().remove(&eur).is_some_and(|it| it.seed == seeds[2]));
    put(&store, |batch| batch.delete_prepared(euro));
    assert_eq!((groups(eur), groups(euro)), (Some(vec![]), None));
}
