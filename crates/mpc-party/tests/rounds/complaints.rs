//! Parties that find a bad share, and what dealers publish.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_round::dealing::{Answer, Answers, Dealing, Dealings, Publication, Standing};
use quittance_round::message::Report;
use quittance_round::start::{Roster, Seat, Start};
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::proto::party::v1::{PublishedRequest, PublishedResponse};
use tonic::{Code, Status};

use crate::common::gridlock::*;
use crate::common::*;

/// What is dealt to a party, with its first share changed.
fn tampered(dealings: &Dealings, number: u8) -> Vec<u8> {
    let message = dealings.message(number).unwrap();
    let common = Dealing::from_bytes(&message).ok().unwrap().common.to_bytes();
    let mut changed = message.to_vec();
    // Behind version, digest, number and count.
    changed[common.len() + 1 + 32 + 1 + 4] ^= 1;
    changed
}

impl World {
    /// The bank deals a bad share to the third party, which complains. Gives the publication, too.
    async fn complaint(&mut self, round: RoundId, bank: &Bank) -> (Answers, Vec<u8>) {
        let dealings = self.dealings(round, bank);
        let members = self.committee.iter().map(|party| id(party)).collect();
        let bad = tampered(&dealings, 3);
        let good: Vec<_> = [1, 2].iter().map(|number| dealings.message(*number).unwrap()).collect();
        let mut answers = Answers::new(dealings, self.parties(), members);
        for (message, party) in good.iter().zip(PARTIES) {
            let word = self.deal(bank.id, party, message).await.unwrap();
            let key = self.chain.round_key(id(party));
            assert_eq!(answers.take(id(party), Answer::Acknowledged(word), &key), Ok(None));
        }
        let answer = self.answer(bank.id, PARTIES[2], &bad).await.unwrap();
        assert_eq!(self.answer(bank.id, PARTIES[2], &bad).await.unwrap(), answer);
        let key = self.chain.round_key(id(PARTIES[2]));
        let publication = answers.take(id(PARTIES[2]), answer, &key).unwrap().unwrap();
        (answers, publication.to_vec())
    }

    async fn published(
        &self,
        who: ProcessName,
        party: &str,
        round: RoundId,
        dealer: InstitutionId,
    ) -> Result<PublishedResponse, Status> {
        let (round_id, dealer) = (round.to_bytes(), dealer.to_string());
        let request = PublishedRequest { round_id, dealer };
        Ok(self.client(who, party).published(request).await?.into_inner())
    }
}

fn start(world: &World, round: RoundId, seats: &[(InstitutionId, Digest)]) -> Start {
    let seats = seats
        .iter()
        .map(|(institution, dealing)| Seat { institution: *institution, dealing: *dealing });
    let (active, roster) = (world.parties().first_active(), Roster::new(seats.collect()).unwrap());
    Start { round, attempt: 0, active, roster }
}

/// The dealer publishes to the others only: so they acknowledge, and the complainant gets its part
/// from one of them when it is to compute. The round settles as if nobody had complained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complainant_computes_with_what_was_published_to_others() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let (mut answers, publication) = world.complaint(round, &banks[0]).await;
    for party in &PARTIES[..2] {
        let word = world.publish(banks[0].id, party, &publication).await.unwrap();
        // Once more is the same.
        let again = world.publish(banks[0].id, party, &publication).await.unwrap();
        assert_eq!((&word.published, word.dealing), (&again.published, again.dealing));
        let key = world.chain.round_key(id(party));
        assert_eq!(answers.take(id(party), Answer::Acknowledged(word), &key), Ok(None));
    }
    let Standing::Complete(Report::Dealt { complaints, .. }) = answers.standing() else { panic!() };
    assert_eq!(complaints.len(), 1);

    let others = world.deal_all(round, &banks[1..]).await;
    let mut seats = vec![(banks[0].id, answers.dealings().digest())];
    seats.extend(banks[1..].iter().zip(&others).map(|(bank, all)| (bank.id, all.digest())));
    let start = start(&world, round, &seats);
    world.coordinator.broadcast(&signed(&world, &start)).await;
    world.settles_as_in_clear(&banks, &start).await;
}

/// It may come from the dealer as well; then the complainant acknowledges it, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_a_party_was_owed_is_published_and_only_to_parties() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let (_, publication) = world.complaint(round, &banks[0]).await;
    let (dealer, other) = (banks[0].id, banks[1].id);
    // Another's name; nonsense; a part that is not the one; a dealing that was not dealt.
    let refused = world.publish(other, PARTIES[0], &publication).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let refused = world.publish(dealer, PARTIES[0], &[1, 2, 3]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let Publication { common, complaint, mut private } =
        Publication::from_bytes(&publication).ok().unwrap();
    private.shares.swap(0, 1);
    let wrong = Publication { common, complaint, private }.to_bytes();
    for party in PARTIES {
        let refused = world.publish(dealer, party, &wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("not on the committed polynomial"), "{refused}");
    }
    let Publication { complaint, private, .. } = Publication::from_bytes(&wrong).ok().unwrap();
    let foreign = world.dealings(round, &banks[0]).message(1).unwrap();
    let common = Dealing::from_bytes(&foreign).ok().unwrap().common;
    let foreign = Publication { common, complaint, private }.to_bytes();
    let refused = world.publish(dealer, PARTIES[0], &foreign).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");

    // Nobody has it before it is published, and then its owner alone.
    let who = |name: &str, process| ProcessName { institution: id(name), process };
    let third = who(PARTIES[2], Process::Party);
    let none = world.published(third, PARTIES[0], round, dealer).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound, "{none}");
    let word = world.publish(dealer, PARTIES[2], &publication).await.unwrap();
    assert_eq!((word.party, word.published.len()), (id(PARTIES[2]), 1));
    assert_eq!(word.verify(&world.chain.round_key(id(PARTIES[2]))), Ok(()));
    world.publish(dealer, PARTIES[0], &publication).await.unwrap();
    let found = world.published(third, PARTIES[0], round, dealer).await.unwrap();
    assert_eq!(found.publication, publication);
    let second = who(PARTIES[1], Process::Party);
    let none = world.published(second, PARTIES[0], round, dealer).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound, "{none}");
    let bank = ProcessName { institution: dealer, process: Process::Agent };
    let refused = world.published(bank, PARTIES[0], round, dealer).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
}

/// As long as a dealing is not settled, a party that was dealt a bad share cannot compute with it,
/// and says so itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_party_whose_complaint_was_not_answered_does_not_compute() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let (answers, _) = world.complaint(round, &banks[0]).await;
    let others = world.deal_all(round, &banks[1..]).await;
    let mut seats = vec![(banks[0].id, answers.dealings().digest())];
    seats.extend(banks[1..].iter().zip(&others).map(|(bank, all)| (bank.id, all.digest())));
    let start = start(&world, round, &seats);
    world.coordinator.broadcast(&signed(&world, &start)).await;
    let failed = world.coordinator.reported("failed", 1).await;
    let (who, Report::Failed { reason, .. }) = &failed[0] else { panic!() };
    assert_eq!(*who, id(PARTIES[2]));
    assert!(reason.as_str().contains("BANKZZ01 has dealt nothing that was accepted"), "{reason}");
}

/// A liar complains at once, while others are still checking what they were dealt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_waits_for_the_dealing() {
    let mut world = World::new(4).await;
    let banks = gridlock(&mut world);
    let round = world.open_round(&banks);
    let dealings = world.dealings(round, &banks[0]);
    let first = dealings.message(1).unwrap();
    let bad = tampered(&dealings, 3);
    let members = world.committee.iter().map(|party| id(party)).collect();
    let mut answers = Answers::new(dealings, world.parties(), members);
    let answer = world.answer(banks[0].id, PARTIES[2], &bad).await.unwrap();
    let key = world.chain.round_key(id(PARTIES[2]));
    let publication = answers.take(id(PARTIES[2]), answer, &key).unwrap().unwrap();
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        world.deal(banks[0].id, PARTIES[0], &first).await.unwrap()
    };
    let early = world.publish(banks[0].id, PARTIES[0], &publication);
    let (word, _) = tokio::join!(early, late);
    assert_eq!(word.unwrap().published.len(), 1);
}
