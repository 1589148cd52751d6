use quittance_mpc::session::Kind;
use zeroize::Zeroizing;

use super::*;

fn party(letter: char) -> InstitutionId {
    format!("MPC{letter}ZZ01").parse().unwrap()
}

fn session(number: u8) -> Digest {
    Digest([number; 32])
}

fn frame(session: Digest, bytes: usize) -> Frame {
    let (from, to, exchange, kind, part, last) = (1, 2, 0, Kind::Commit, 0, true);
    let payload = Zeroizing::new(vec![0; bytes]);
    Frame { session, from, to, exchange, kind, part, last, payload }
}

fn peers() -> impl Iterator<Item = InstitutionId> {
    ['B', 'C'].into_iter().map(party)
}

#[tokio::test]
async fn frames_wait_for_a_session_that_begins_later() {
    let incoming = Incoming::default();
    let stream = incoming.open(party('B')).number;
    incoming.route(party('B'), stream, frame(session(1), 5)).unwrap();
    // A stranger's frames of the same session are none of it.
    incoming.route(party('D'), 9, frame(session(1), 5)).unwrap();
    let changed = incoming.begin(session(1), peers()).unwrap();
    incoming.route(party('B'), stream, frame(session(1), 6)).unwrap();
    changed.notified().await;
    assert!(incoming.look(&session(1)).0);
    let taken = incoming.take(&session(1));
    let taken: Vec<_> = taken.iter().map(|(who, frame)| (*who, frame.payload.len())).collect();
    assert_eq!(taken, [(party('B'), 5), (party('B'), 6)]);
    assert!(!incoming.look(&session(1)).0);
    let stranger = incoming.route(party('D'), 9, frame(session(1), 5));
    assert_eq!(stranger, Err(Refused::Stranger));
    assert_eq!(incoming.lock().waiting.values().sum::<usize>(), 0);
    assert!(incoming.lock().early.values().all(Vec::is_empty));
}

#[tokio::test]
async fn a_session_begins_once_and_so_many_at_a_time() {
    let incoming = Incoming::default();
    for number in 0..MAX_SESSIONS as u8 {
        incoming.begin(session(number), peers()).unwrap();
    }
    assert_eq!(incoming.begin(session(0), peers()).err(), Some(NoBeginning::Twice));
    assert_eq!(incoming.begin(session(99), peers()).err(), Some(NoBeginning::TooMany));
    incoming.end(&session(0));
    assert_eq!(incoming.begin(session(0), peers()).err(), Some(NoBeginning::Twice));
    let late = incoming.route(party('B'), 1, frame(session(0), 1));
    assert_eq!(late, Err(Refused::Over));
    incoming.begin(session(99), peers()).unwrap();
}

#[tokio::test]
async fn what_comes_too_early_is_bounded_by_peer_and_forgotten_in_time() {
    let incoming = Incoming::default();
    let early =
        |letter, number, bytes| incoming.route(party(letter), 1, frame(session(number), bytes));
    for number in 0..MAX_EARLY_SESSIONS as u8 {
        early('B', number, 1).unwrap();
    }
    assert_eq!(early('B', 99, 1), Err(Refused::TooEarly), "another session");
    for _ in MAX_EARLY_SESSIONS..MAX_EARLY_FRAMES {
        early('B', 0, 1).unwrap();
    }
    assert_eq!(early('B', 0, 1), Err(Refused::TooEarly), "another frame");
    assert_eq!(early('C', 99, MAX_EARLY_BYTES), Err(Refused::TooEarly), "too many bytes");
    early('C', 99, 1).unwrap();

    for early in incoming.lock().early.values_mut().flatten() {
        early.since -= EARLY_TIME;
    }
    early('B', 99, 1).unwrap();
    assert_eq!(incoming.lock().early[&party('B')].len(), 1);
    // What has grown old is not handed to its session either.
    incoming.begin(session(99), peers()).unwrap();
    assert_eq!(incoming.take(&session(99)).len(), 1);
}

#[tokio::test]
async fn a_session_takes_a_peers_frames_from_one_stream() {
    let incoming = Incoming::default();
    let first = incoming.open(party('B'));
    incoming.begin(session(1), peers()).unwrap();
    incoming.begin(session(2), peers()).unwrap();
    incoming.route(party('B'), first.number, frame(session(1), 1)).unwrap();
    incoming.route(party('B'), first.number, frame(session(3), 1)).unwrap();
    let second = incoming.open(party('B'));
    assert!(first.replaced.is_cancelled() && !second.replaced.is_cancelled());
    // Sessions 1 and 3 had frames from the first stream, session 2 had none.
    let lost = Err(Refused::OtherStream);
    assert_eq!(incoming.route(party('B'), second.number, frame(session(1), 1)), lost);
    assert_eq!(incoming.route(party('B'), second.number, frame(session(3), 1)), lost);
    incoming.route(party('B'), second.number, frame(session(2), 1)).unwrap();
    let disconnected = vec![(party('B'), Trouble::Disconnected)];
    assert_eq!(incoming.look(&session(1)), (true, disconnected.clone()));
    assert_eq!(incoming.look(&session(2)), (true, vec![]));
    incoming.begin(session(3), peers()).unwrap();
    assert_eq!(incoming.look(&session(3)), (true, disconnected.clone()));

    // The end of the first stream is old news; that of the second is not.
    incoming.close(party('B'), first.number);
    assert_eq!(incoming.look(&session(2)), (true, vec![]));
    incoming.close(party('B'), second.number);
    assert_eq!(incoming.look(&session(2)), (true, disconnected));
    assert!(incoming.lock().streams.is_empty());
}

#[tokio::test]
async fn who_sends_too_much_is_cut_off_and_others_are_not() {
    let incoming = Incoming::default();
    incoming.begin(session(1), peers()).unwrap();
    for _ in 0..MAX_WAITING_FRAMES {
        incoming.route(party('B'), 1, frame(session(1), 1)).unwrap();
    }
    let more = incoming.route(party('B'), 1, frame(session(1), 1));
    assert_eq!(more, Err(Refused::TooMuch));
    assert_eq!(incoming.look(&session(1)).1, [(party('B'), Trouble::Flooded)]);
    assert_eq!(incoming.take(&session(1)).len(), MAX_WAITING_FRAMES);
    let more = incoming.route(party('B'), 1, frame(session(1), 1));
    assert_eq!(more, Err(Refused::TooMuch), "for good");
    incoming.route(party('C'), 1, frame(session(1), 1)).unwrap();
    incoming.end(&session(1));
    assert_eq!(incoming.lock().waiting.values().sum::<usize>(), 0);
}

/// The bytes of all sessions together, without using as much memory.
#[tokio::test]
async fn the_bytes_of_one_peer_are_bounded_over_all_sessions() {
    let incoming = Incoming::default();
    incoming.begin(session(1), peers()).unwrap();
    incoming.lock().waiting.insert(party('B'), MAX_PEER_BYTES - 80);
    incoming.route(party('B'), 1, frame(session(1), 16)).unwrap();
    let more = incoming.route(party('B'), 1, frame(session(1), 16));
    assert_eq!(more, Err(Refused::TooMuch));
}
