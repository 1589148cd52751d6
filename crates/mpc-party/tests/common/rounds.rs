//! A round as its banks see it: dealing to the parties, starting them, asking them for results.

use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::ids::{AccountId, InstitutionId, RoundId};
use quittance_mpc::PartyId;
use quittance_round::dealing::{Acknowledgement, Answer, Dealings, deal};
use quittance_round::envelope::Signed;
use quittance_round::message::Attempt;
use quittance_round::payees::Payees;
use quittance_round::queue::FrozenQueue;
use quittance_round::receipt::Attestation;
use quittance_round::result::{BankResult, Expected, ResultShare, combine};
use quittance_round::start::{Roster, Seat, Start};
use quittance_rpc::proto::party::v1 as proto;
use tonic::Status;

use super::{Bank, World, chain, id};

impl World {
    /// That the amounts of a queue are in range, proven on the account of `payer`.
    pub fn ranges(&mut self, queue: &FrozenQueue, payer: InstitutionId) -> Vec<RangeProof> {
        let account = AccountId { institution: payer, asset: chain::euro() };
        queue.prove_amounts(self.chain.book.chain(), &account, &mut self.rng).unwrap()
    }

    /// Dealings with these range proofs, whatever they prove.
    pub fn dealings_with(
        &mut self,
        round: RoundId,
        bank: &Bank,
        ranges: Vec<RangeProof>,
    ) -> Dealings {
        let joined = self.chain.joined(round, bank);
        let payees = Payees::of(self.chain.book.registry());
        let (balance, queue) = (&bank.balance, &bank.queue);
        let parties = self.parties();
        deal(&joined, balance, queue, ranges, &payees, parties, &mut self.rng)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn dealings(&mut self, round: RoundId, bank: &Bank) -> Dealings {
        let ranges = self.ranges(&bank.queue, bank.id);
        self.dealings_with(round, bank, ranges)
    }

    /// The acknowledgement of a dealing.
    pub async fn deal(
        &self,
        bank: InstitutionId,
        party: &str,
        dealing: &[u8],
    ) -> Result<Acknowledgement, Status> {
        match self.answer(bank, party, dealing).await? {
            Answer::Acknowledged(word) => Ok(word),
            Answer::Complained(complaint) => panic!("{complaint:?}"),
        }
    }

    /// The answer to a dealing, an acknowledgement or a complaint.
    pub async fn answer(
        &self,
        bank: InstitutionId,
        party: &str,
        dealing: &[u8],
    ) -> Result<Answer, Status> {
        let request = proto::DealRequest { dealing: dealing.to_vec() };
        let answer = self.agent(bank, party).deal(request).await?.into_inner();
        let proto::DealResponse { acknowledgement, complaint } = answer;
        assert_ne!(acknowledgement.is_empty(), complaint.is_empty());
        Ok(match complaint.is_empty() {
            true => Answer::Acknowledged(Acknowledgement::from_bytes(&acknowledgement).unwrap()),
            false => Answer::Complained(Signed::from_bytes(&complaint).unwrap()),
        })
    }

    /// What a party says of a publication.
    pub async fn publish(
        &self,
        bank: InstitutionId,
        party: &str,
        publication: &[u8],
    ) -> Result<Acknowledgement, Status> {
        let request = proto::PublishRequest { publication: publication.to_vec() };
        let answer = self.agent(bank, party).publish(request).await?.into_inner();
        Ok(Acknowledgement::from_bytes(&answer.acknowledgement).unwrap())
    }

    /// Every bank deals to every party; the dealings in the order of the banks.
    pub async fn deal_all(&mut self, round: RoundId, banks: &[Bank]) -> Vec<Dealings> {
        let all: Vec<_> = banks.iter().map(|bank| self.dealings(round, bank)).collect();
        for (bank, dealings) in banks.iter().zip(&all) {
            for (number, party) in (1..).zip(self.committee.clone()) {
                let message = dealings.message(number).unwrap();
                let acknowledged = self.deal(bank.id, party, &message).await.unwrap();
                assert_eq!(acknowledged.dealing, dealings.digest());
                assert_eq!((acknowledged.round, acknowledged.dealer), (round, bank.id));
                let key = self.chain.round_key(id(party));
                acknowledged.verify(&key).unwrap();
            }
        }
        all
    }

    /// The start of these banks, in order.
    pub fn start(&self, round: RoundId, banks: &[Bank], dealings: &[Dealings]) -> Start {
        let seats = banks.iter().zip(dealings);
        let seats = seats.map(|(bank, all)| Seat { institution: bank.id, dealing: all.digest() });
        let active = self.parties().first_active();
        Start { round, attempt: 0, active, roster: Roster::new(seats.collect()).unwrap() }
    }

    pub async fn results(
        &self,
        bank: InstitutionId,
        party: &str,
        round: RoundId,
        wait_ms: u32,
    ) -> Result<ResultShare, Status> {
        self.results_of(bank, party, Attempt { round, number: 0 }, wait_ms).await
    }

    pub async fn results_of(
        &self,
        bank: InstitutionId,
        party: &str,
        attempt: Attempt,
        wait_ms: u32,
    ) -> Result<ResultShare, Status> {
        let (round_id, attempt) = (attempt.round.to_bytes(), attempt.number.into());
        let request = proto::ResultsRequest { round_id, attempt, wait_ms };
        let answer = self.agent(bank, party).results(request).await?.into_inner();
        Ok(ResultShare::from_bytes(&answer.result).unwrap())
    }

    /// What a bank makes of the shares of the active parties.
    pub async fn result(&self, bank: &Bank, start: &Start, banks: &[Bank]) -> BankResult {
        let expected = Expected::new(start, &bank.queue).unwrap();
        let shares = self.shares(bank, start).await;
        let unchecked = combine(&expected, &shares).unwrap_or_else(|error| panic!("{error}"));
        let told = banks.iter().flat_map(|payer| payer.announced_to(bank.id));
        unchecked.check(&bank.queue, told.collect()).unwrap_or_else(|error| panic!("{error}"))
    }

    async fn shares(&self, bank: &Bank, start: &Start) -> Vec<(PartyId, ResultShare)> {
        let attempt = Attempt { round: start.round, number: start.attempt };
        let mut shares = vec![];
        for party in start.active.ids() {
            let name = self.committee[party.position()];
            shares.push((party, self.results_of(bank.id, name, attempt, 60_000).await.unwrap()));
        }
        shares
    }

    pub async fn receipts(
        &self,
        bank: InstitutionId,
        party: &str,
        round: RoundId,
    ) -> Result<Attestation, Status> {
        let request = proto::ReceiptsRequest { round_id: round.to_bytes() };
        let answer = self.agent(bank, party).receipts(request).await?.into_inner();
        Ok(Attestation::from_bytes(&answer.attestation).unwrap())
    }
}
