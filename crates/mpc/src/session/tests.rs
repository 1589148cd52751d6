use super::*;
use crate::memory::Network;

fn binding(committee: u8) -> Binding {
    Binding {
        chain: Digest::of("chain", &[]),
        round: Digest::of("round", &[]),
        attempt: 0,
        circuit: Digest::of("circuit", &[]),
        roster: Digest::of("roster", &[]),
        dealings: Digest::of("dealings", &[]),
        committee: (0..committee).map(|number| Digest([number; 32])).collect(),
        threshold: 1,
        active: Parties::new(3, 1).unwrap().first_active(),
    }
}

/// Sends `length` bytes to everybody in each of `rounds` exchanges, and checks what comes back.
async fn chatter(mut session: Session, rounds: u8, length: usize) -> Result<u8, Abort> {
    for round in 0..rounds {
        let message = Zeroizing::new(vec![session.me().number() ^ round; length]);
        let outgoing = ByParty::from_fn(session.parties(), |_| message.clone());
        let incoming = session.exchange(Kind::Open, outgoing).await?;
        for (party, message) in incoming.iter() {
            assert_eq!(**message, vec![party.number() ^ round; length]);
        }
    }
    Ok(session.me().number())
}

fn machine(binding: &Binding, me: u8, rounds: u8) -> Machine<u8> {
    Machine::new(binding, me, |session| chatter(session, rounds, 4)).unwrap()
}

fn machines(rounds: u8, length: usize) -> Vec<Machine<u8>> {
    let machine = |me| Machine::new(&binding(3), me, |session| chatter(session, rounds, length));
    (1..=3).map(|me| machine(me).unwrap()).collect()
}

/// A frame of exchange 0 from party 2 to party 1, and party 1 waiting for it.
fn waiting() -> (Machine<u8>, Frame) {
    let mut first = machine(&binding(3), 1, 3);
    assert!(matches!(first.poll().progress, Progress::Waiting(missing) if missing.len() == 2));
    let frames = machine(&binding(3), 2, 3).poll().outgoing;
    (first, frames.into_iter().find(|frame| frame.to == 1).unwrap())
}

fn two() -> PartyId {
    Parties::new(3, 1).unwrap().id(2).unwrap()
}

#[test]
fn all_parties_finish_whatever_the_order_of_delivery() {
    for seed in 0..20 {
        let outcome = Network::new(machines(5, 4), seed).run();
        assert_eq!(outcome.results, [Ok(1), Ok(2), Ok(3)]);
        assert!(outcome.refusals.is_empty());
        assert_eq!(outcome.traffic[0], Traffic { exchanges: 5, frames: 10, bytes: 40 });
    }
}

#[test]
fn empty_and_long_messages_arrive_whole() {
    for length in [0, MAX_FRAME_PAYLOAD, MAX_FRAME_PAYLOAD + 1, 3 * MAX_FRAME_PAYLOAD] {
        let outcome = Network::new(machines(2, length), 1).recording().run();
        assert_eq!(outcome.results, [Ok(1), Ok(2), Ok(3)]);
        let parts = length.div_ceil(MAX_FRAME_PAYLOAD).max(1);
        assert_eq!(outcome.views[0].len(), 2 * 2 * parts);
    }
}

#[test]
fn every_field_of_the_binding_names_another_session() {
    let base = binding(3);
    let other = Digest::of("other", &[]);
    let variants = [
        Binding { chain: other, ..base.clone() },
        Binding { round: other, ..base.clone() },
        Binding { attempt: 1, ..base.clone() },
        Binding { circuit: other, ..base.clone() },
        Binding { roster: other, ..base.clone() },
        Binding { dealings: other, ..base.clone() },
        Binding { committee: vec![other; 3], ..base.clone() },
        Binding { committee: binding(5).committee, ..base.clone() },
        Binding { threshold: 2, ..base.clone() },
        Binding { active: Parties::new(4, 1).unwrap().active(&[1, 2, 4]).unwrap(), ..base.clone() },
    ];
    for (index, variant) in variants.iter().enumerate() {
        assert_ne!(variant.session(), base.session());
        assert!(variants[index + 1..].iter().all(|other| other.session() != variant.session()));
    }
}

#[test]
fn frames_of_another_session_are_refused() {
    let (mut first, _) = waiting();
    let other = Binding { attempt: 1, ..binding(3) };
    let frame = machine(&other, 2, 3).poll().outgoing.remove(0);
    assert_eq!(first.deliver(2, frame), Err(Refusal::Foreign { peer: two() }));
}

#[test]
fn frames_in_anothers_name_or_for_another_are_refused() {
    let (mut first, frame) = waiting();
    assert_eq!(first.deliver(9, frame.clone()), Err(Refusal::Stranger { number: 9 }));
    assert_eq!(first.deliver(1, frame.clone()), Err(Refusal::Stranger { number: 1 }));
    let three = Parties::new(3, 1).unwrap().id(3).unwrap();
    let refusal = Refusal::WrongSender { peer: three, claimed: 2 };
    assert_eq!(first.deliver(3, frame.clone()), Err(refusal));
    let refusal = Refusal::WrongReceiver { peer: two(), to: 3 };
    assert_eq!(first.deliver(2, Frame { to: 3, ..frame }), Err(refusal));
}

#[test]
fn replayed_frames_are_refused_and_change_nothing() {
    let (mut first, frame) = waiting();
    assert_eq!(first.deliver(2, frame.clone()), Ok(()));
    let refusal = Refusal::Replayed { peer: two(), exchange: 0, part: 0 };
    assert_eq!(first.deliver(2, frame), Err(refusal));
    assert!(matches!(first.poll().progress, Progress::Waiting(missing) if missing.len() == 1));
}

#[test]
fn duplicates_on_the_wire_do_not_disturb_a_session() {
    let twice = |frame: Frame| vec![frame.clone(), frame];
    let outcome = Network::new(machines(5, 4), 3).interfering(twice).run();
    assert_eq!(outcome.results, [Ok(1), Ok(2), Ok(3)]);
    // What repeats the last frames arrives when the session is over.
    let expected = |refusal: &Refusal| matches!(refusal, Refusal::Replayed { .. } | Refusal::Over);
    assert_eq!(outcome.refusals.len(), 30);
    assert!(outcome.refusals.iter().all(|(_, refusal)| expected(refusal)));
}

#[test]
fn frames_out_of_order_are_refused() {
    let (mut first, frame) = waiting();
    let skipped = Frame { part: 1, ..frame.clone() };
    let refusal = Refusal::Skipped { peer: two(), exchange: 0, part: 1 };
    assert_eq!(first.deliver(2, skipped), Err(refusal));
    let skipped = Frame { exchange: 1, ..frame.clone() };
    let refusal = Refusal::Skipped { peer: two(), exchange: 1, part: 0 };
    assert_eq!(first.deliver(2, skipped), Err(refusal));
    let ahead = Frame { exchange: 2, ..frame.clone() };
    assert_eq!(first.deliver(2, ahead), Err(Refusal::Ahead { peer: two(), exchange: 2 }));

    // One exchange ahead is what an honest peer can be; two are not.
    assert_eq!(first.deliver(2, frame.clone()), Ok(()));
    assert_eq!(first.deliver(2, Frame { exchange: 1, ..frame.clone() }), Ok(()));
    let refusal = Refusal::Ahead { peer: two(), exchange: 2 };
    assert_eq!(first.deliver(2, Frame { exchange: 2, ..frame }), Err(refusal));
}

#[test]
fn messages_split_wrongly_are_refused() {
    let (mut first, frame) = waiting();
    let full = Zeroizing::new(vec![0; MAX_FRAME_PAYLOAD]);
    let refusal = Refusal::BadSplit { peer: two(), exchange: 0 };
    let short = Frame { last: false, ..frame.clone() };
    assert_eq!(first.deliver(2, short), Err(refusal));
    let large = Frame { payload: Zeroizing::new(vec![0; MAX_FRAME_PAYLOAD + 1]), ..frame.clone() };
    assert_eq!(first.deliver(2, large), Err(refusal));

    let part = Frame { last: false, payload: full, ..frame.clone() };
    assert_eq!(first.deliver(2, part), Ok(()));
    let empty = Frame { part: 1, payload: Payload::default(), ..frame.clone() };
    assert_eq!(first.deliver(2, empty), Err(refusal));
    let other = Frame { part: 1, kind: Kind::Echo, ..frame };
    assert_eq!(first.deliver(2, other), Err(refusal));
}

#[test]
fn messages_beyond_their_limit_are_refused() {
    let (mut first, frame) = waiting();
    let full = Zeroizing::new(vec![0; MAX_FRAME_PAYLOAD]);
    let parts = (MAX_MESSAGE / MAX_FRAME_PAYLOAD) as u16;
    for part in 0..parts {
        let frame = Frame { part, last: false, payload: full.clone(), ..frame.clone() };
        assert_eq!(first.deliver(2, frame), Ok(()));
    }
    let frame = Frame { part: parts, last: true, ..frame };
    assert_eq!(first.deliver(2, frame), Err(Refusal::TooLong { peer: two(), exchange: 0 }));
}

#[test]
fn a_party_at_another_point_of_the_program_is_noticed() {
    let (mut first, frame) = waiting();
    first.deliver(2, Frame { kind: Kind::Multiply, ..frame.clone() }).unwrap();
    first.deliver(3, Frame { from: 3, ..frame }).unwrap();
    let expected = Abort::Diverged { party: two(), exchange: 0, expected: Kind::Open };
    assert!(matches!(first.poll().progress, Progress::Aborted(abort) if abort == expected));
}

#[test]
fn a_silent_party_is_named_and_the_end_is_final() {
    let (mut first, frame) = waiting();
    first.deliver(2, frame.clone()).unwrap();
    let abort = first.end();
    assert_eq!(abort.to_string(), "ended from outside while waiting for party 3");
    assert_eq!(first.end(), abort);
    let third = Frame { from: 3, ..frame };
    assert_eq!(first.deliver(3, third), Err(Refusal::Over));
    let poll = first.poll();
    assert!(poll.outgoing.is_empty());
    assert!(matches!(poll.progress, Progress::Aborted(same) if same == abort));
}

#[test]
fn a_result_is_given_once() {
    let mut parties: Vec<_> = (1..=3).map(|me| machine(&binding(3), me, 1)).collect();
    let frames: Vec<_> = parties.iter_mut().flat_map(|party| party.poll().outgoing).collect();
    for frame in frames.into_iter().filter(|frame| frame.to == 1) {
        parties[0].deliver(frame.from, frame).unwrap();
    }
    assert!(matches!(parties[0].poll().progress, Progress::Done(1)));
    assert!(matches!(parties[0].poll().progress, Progress::Aborted(Abort::Over)));
}

#[test]
fn nobody_takes_part_but_active_parties() {
    let error = |binding, me| Machine::new(&binding, me, |session| chatter(session, 1, 1)).err();
    assert_eq!(error(binding(3), 4), Some(PartiesError::Unknown { number: 4 }));
    assert_eq!(error(binding(3), 0), Some(PartiesError::Unknown { number: 0 }));
    let (count, threshold) = (2, 1);
    assert_eq!(error(binding(2), 1), Some(PartiesError::TooFew { count, threshold }));

    let parties = Parties::new(5, 1).unwrap();
    let among = |numbers: &[u8]| Binding { active: parties.active(numbers).unwrap(), ..binding(5) };
    assert_eq!(error(among(&[1, 3, 5]), 2), Some(PartiesError::Unknown { number: 2 }));
    assert_eq!(error(among(&[1, 3, 5]), 5), None);
    // Of another committee: a number that this one has not, and another threshold.
    let foreign = Binding { committee: binding(4).committee, ..among(&[1, 3, 5]) };
    assert_eq!(error(foreign, 1), Some(PartiesError::Unknown { number: 5 }));
    let foreign = Binding { threshold: 2, ..among(&[1, 3, 5]) };
    assert_eq!(error(foreign, 1), Some(PartiesError::NotActive { needed: 5, found: 3 }));
}

#[test]
fn parties_that_are_not_active_cannot_interfere() {
    let active = Parties::new(5, 1).unwrap().active(&[1, 3, 5]).unwrap();
    let binding = Binding { active, ..binding(5) };
    let mut machines = [1, 3, 5].map(|me| machine(&binding, me, 5));
    let mut frame = machines[1].poll().outgoing.remove(0);
    frame.from = 2;
    assert_eq!(machines[0].deliver(2, frame), Err(Refusal::Stranger { number: 2 }));
    let machines = [1, 3, 5].map(|me| machine(&binding, me, 5));
    assert_eq!(Network::new(machines.into(), 1).run().results, [Ok(1), Ok(3), Ok(5)]);
}

#[test]
fn a_lost_frame_ends_the_session_and_shows_whose_it_was() {
    let lose = |frame: Frame| match (frame.from, frame.to, frame.exchange) {
        (3, 1, 2) => vec![],
        _ => vec![frame],
    };
    let outcome = Network::new(machines(5, 4), 1).interfering(lose).run();
    let three = Parties::new(3, 1).unwrap().id(3).unwrap();
    assert_eq!(outcome.results[0], Err(Abort::Ended { missing: vec![three] }));
    assert!(outcome.results.iter().all(Result::is_err));
}
