//! Parties that follow the protocol, but are late, slow or gone.

use std::time::Duration;

use quittance_rpc::config::ListenAddress;
use quittance_rpc::frames::{Assignment, Failure};
use quittance_rpc::limits::Limits;
use quittance_rpc::server::Server;
use quittance_rpc::tls::trust::Admission;
use tokio::time::{sleep, timeout};

use crate::committee::*;
use crate::common::{loopback, tls};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_parties_compute_whoever_begins_first() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(3);
    let mut running = vec![];
    for party in &parties {
        running.push(start(party, 1, [3, u64::MAX], LONG));
        // The first frames of those who began earlier wait with the others.
        sleep(Duration::from_millis(50)).await;
    }
    let mut traffic = vec![];
    for run in running {
        let (outputs, sent) = run.await.unwrap().unwrap();
        assert_eq!(outputs, expected([3, u64::MAX]));
        traffic.push(sent);
    }
    assert!(
        traffic[0].exchanges > 10 && traffic.iter().all(|t| t.exchanges == traffic[0].exchanges)
    );

    // The same streams carry further sessions, also two at a time; and none twice.
    let runs: Vec<_> = parties
        .iter()
        .flat_map(|party| [start(party, 2, [5, 4], LONG), start(party, 3, [7, 9], LONG)])
        .collect();
    for (index, run) in runs.into_iter().enumerate() {
        let values = if index % 2 == 0 { [5, 4] } else { [7, 9] };
        assert_eq!(run.await.unwrap().unwrap().0, expected(values));
    }
    let again = start(&parties[0], 2, [5, 4], LONG).await.unwrap().unwrap_err();
    assert_eq!(again, Failure::Twice { session: binding(2).session() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_names_who_never_came() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(2);
    let within = Duration::from_millis(600);
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [1, 2], within)).collect();
    for run in runs {
        let failure = run.await.unwrap().unwrap_err();
        let Failure::Deadline { waiting } = &failure else { panic!("{failure}") };
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].party, id("MPCCZZ01"));
        let text = failure.to_string();
        let expected = "no result in time; waiting for MPCCZZ01 (urn:quittance:MPCCZZ01:party at";
        assert!(text.starts_with(expected) && text.contains("cannot be reached"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_silent_is_named_long_before_the_deadline() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(3);
    let run = |place: usize| {
        let (binding, frames) = (binding(1), parties[place].frames.clone());
        let machine = machine(&binding, place, [1, 2]);
        let patience = Duration::from_millis(600);
        let assignment = Assignment { patience, ..assignment(&binding, LONG) };
        tokio::spawn(async move { frames.drive(machine, assignment).await })
    };
    // The third party is there, but does not begin.
    for run in [run(0), run(1)] {
        let failure = run.await.unwrap().unwrap_err();
        assert!(matches!(failure.failure, Failure::Silent { .. }), "{failure}");
        assert_eq!((failure.exchange, failure.failure.named()), (0, vec![id("MPCCZZ01")]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_ended_from_outside() {
    let mut committee = Committee::bind().await;
    let parties = committee.run(3);
    let first = start(&parties[0], 1, [1, 2], LONG);
    let (binding, frames) = (binding(1), parties[1].frames.clone());
    let (machine, assignment) = (machine(&binding, 1, [1, 2]), assignment(&binding, LONG));
    let cancel = assignment.cancel.clone();
    let second = tokio::spawn(async move { frames.drive(machine, assignment).await });
    sleep(Duration::from_millis(200)).await;
    cancel.cancel();
    let failure = second.await.unwrap().unwrap_err();
    let text = failure.to_string();
    assert_eq!(text, "ended from outside; waiting for MPCCZZ01");
    first.abort();
    assert!(first.await.is_err());
    // A session that was dropped is over as well.
    let again = start(&parties[0], 1, [1, 2], LONG).await.unwrap().unwrap_err();
    assert_eq!(again, Failure::Twice { session: binding.session() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_disconnects_in_the_middle_ends_the_session_at_once() {
    let mut committee = Committee::bind().await;
    let mut parties = committee.run(3);
    // The third party sends what comes before it hears from the others, and stops.
    let third = parties.pop().unwrap();
    let mut to_first = committee.stream(party_of(third.name), NAMES[0]).await.unwrap();
    let mut to_second = committee.stream(party_of(third.name), NAMES[1]).await.unwrap();
    let mut machine = machine(&binding(1), 2, [1, 2]);
    for frame in machine.poll().outgoing {
        let to = if frame.to == 1 { &mut to_first } else { &mut to_second };
        to.send(&frame).await;
    }
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [1, 2], LONG)).collect();
    sleep(Duration::from_millis(300)).await;
    assert!(runs.iter().all(|run| !run.is_finished()));
    drop((to_first, to_second));
    third.stop().await;
    for run in runs {
        let failure = timeout(Duration::from_secs(5), run).await.unwrap().unwrap().unwrap_err();
        let Failure::Disconnected { peer, .. } = failure else { panic!("{failure}") };
        assert_eq!(peer, id("MPCCZZ01"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_that_was_restarted_is_reached_by_the_next_session() {
    let mut committee = Committee::bind().await;
    let mut parties = committee.run(3);
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [1, 2], LONG)).collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    parties.pop().unwrap().stop().await;
    let address = committee.targets[&id(NAMES[2])].address.parse().unwrap();
    let tls = tls(&committee.authority, party_of(NAMES[2]));
    let (server, connections) = Server::new(Limits::default()).frames();
    let listen = ListenAddress { socket: address, ..loopback() };
    let bound = server.bind(&tls, &listen, Admission::everybody()).await.unwrap();
    committee.bound.push((NAMES[2], bound, connections));
    parties.extend(committee.run(1));
    sleep(Duration::from_millis(200)).await;
    let runs: Vec<_> = parties.iter().map(|party| start(party, 2, [4, 3], LONG)).collect();
    for run in runs {
        assert_eq!(run.await.unwrap().unwrap().0, expected([4, 3]));
    }
}
