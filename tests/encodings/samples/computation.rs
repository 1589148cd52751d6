//! Of circuits, sessions of parties and rounds.

use super::*;

/// From frozen queues to results and receipts.
pub fn rounds() -> Vec<Sample> {
    let mut world = World::new(3, 1, 9);
    let mut samples: Vec<Sample> = Vec::new();
    let announcement = world.banks[0].announcements().next().unwrap();
    samples.push(("announcement", announcement.to_bytes()));
    let leaf = world.banks[0].queue.leaves()[0];
    samples.push(("leaf", leaf.to_bytes()));
    let details = Details { salt: [1; 16], particulars: particulars() };
    samples.push(("details", details.to_bytes()));
    let settled = world.run(&[1, 2]);
    let dealing = settled.dealings[0].message(1).unwrap();
    samples.push(("dealing", dealing.to_vec()));
    let dealing = quittance_round::dealing::Dealing::from_bytes(&dealing).ok().unwrap();
    samples.push(("common-part", dealing.common.to_bytes()));
    samples.push(("private-part", dealing.private.to_bytes()));
    let (round, dealer, reason) = (round(), dealing.common.dealer, Reason::new("a bad share"));
    let complaint = Complaint { round, dealer, dealing: dealing.common.digest(), reason };
    let complaint = Signed::sign(complaint, world.committee[0].id(), &world.committee[0].round_key);
    samples.push(("complaint", complaint.to_bytes()));
    let (common, private) = (dealing.common, dealing.private);
    let part = PublishedPart { party: private.party, part: private.digest() };
    samples.push(("published-part", part.to_bytes()));
    let publication = Publication { common, complaint: complaint.clone(), private };
    samples.push(("publication", publication.to_bytes()));
    let party = &world.committee[0];
    let acknowledgement = party.dealt.values().next().unwrap();
    let acknowledgement = acknowledgement.acknowledge(&[], party.id(), &party.round_key);
    samples.push(("acknowledgement", acknowledgement.to_bytes()));
    samples.push(("start", settled.start.to_bytes()));
    samples.push(("roster", settled.start.roster.to_bytes()));

    let bank = &world.banks[0];
    let shares = result_shares(settled.start.active, &settled.outcomes, bank);
    samples.push(("result-share", shares[0].1.to_bytes()));
    samples.push(("committed-share", shares[0].1.net.to_bytes()));
    samples.push(("committed-output", shares[0].1.nets[0].to_bytes()));
    samples.push(("bank-result", settled.results[0].to_bytes()));
    samples.push(("notices", shares[0].1.notices[0].to_bytes()));
    let parties = settled.outcomes.iter().zip(&world.committee);
    let words = parties.map(|(outcome, party)| {
        outcome.attest(TransactionId(Digest([3; 32])), party.me, &party.receipt_key)
    });
    let words: Vec<_> = words.collect();
    samples.push(("attestation", words[0].to_bytes()));
    samples.push(("subject", words[0].subject.to_bytes()));
    let banks = world.banks.iter().zip(&shares[0].1.notices);
    let queues =
        banks.map(|(bank, notices)| Queue { payer: bank.id(), root: bank.queue.root(), notices });
    let found = Statement::new(queues).find(&bank.id(), 0).unwrap();
    samples.push(("notice", found.0.to_bytes()));
    let disclosure = Disclosure {
        leaf,
        inclusion: bank.queue.inclusion(0).unwrap(),
        payee: bank.queue.payee(0),
        pad: bank.queue.pads(0)[0].clone(),
    };
    samples.push(("disclosure", disclosure.to_bytes()));
    samples.push(("pad", disclosure.pad.to_bytes()));
    samples.push(("payees", payees().to_bytes()));
    samples.push(("receipt", Receipt::new(&words, found, disclosure).ok().unwrap().to_bytes()));
    let signed =
        Signed::sign(settled.start, "CORDZZ01".parse().unwrap(), &world.committee[0].round_key);
    samples.push(("signed-start", signed.to_bytes()));
    samples.push(("instruction", Instruction::Start(signed).to_bytes()));
    let (acknowledgements, complaints) = (vec![acknowledgement], vec![complaint]);
    let dealt = Report::Dealt { round, acknowledgements, complaints };
    samples.push(("report", dealt.to_bytes()));
    samples
}

/// The talk between coordinator and banks.
pub fn messages() -> Vec<Sample> {
    let attempt = Attempt { round: round(), number: 0 };
    let reason = Reason::new("nothing to settle");
    let bank = "BANKZZ01".parse().unwrap();
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[4; 32]);
    let refusal = Refusal { attempt, reason: reason.clone() };
    let refusal = Signed::sign(refusal, "BANKZZ01".parse().unwrap(), &key);

    let opening = Opening::random(5, &mut rng());
    let statement = [opening.commit()];
    let (context, mut rng) = (Digest::ZERO, rng());
    let (prover, bits) = Prover::start(&context, &statement, 0, &opening, &mut rng).unwrap();
    let aggregator = Aggregator::new(&context, &statement, &mut rng).unwrap();
    let (aggregator, all_bits) = aggregator.receive(vec![bits], &mut rng).unwrap();
    let (prover, polynomials) = prover.receive(&all_bits, &mut rng).unwrap();
    let (_, all_polynomials) = aggregator.receive(vec![polynomials]).unwrap();
    let share = prover.receive(&all_polynomials).unwrap();
    vec![
        ("bit-message", bits.to_bytes()),
        ("polynomial-message", polynomials.to_bytes()),
        ("share-message", share.to_bytes()),
        ("attempt", attempt.to_bytes()),
        ("reason", reason.to_bytes()),
        ("refusal", refusal.to_bytes()),
        ("report", Report::Refused(refusal).to_bytes()),
        ("report", Report::Bits { attempt, message: bits }.to_bytes()),
        ("report", Report::Polynomials { attempt, message: polynomials }.to_bytes()),
        ("report", Report::Share { attempt, message: share }.to_bytes()),
        (
            "report",
            Report::Failed {
                attempt,
                exchange: 7,
                named: vec![bank],
                evidence: Some(evidence(&key)),
                reason: reason.clone(),
            }
            .to_bytes(),
        ),
        (
            "report",
            Report::NoResult { attempt, parties: vec![bank], reason: reason.clone() }.to_bytes(),
        ),
        ("report", Report::Declined { round: round(), reason: reason.clone() }.to_bytes()),
        ("instruction", Instruction::AllBits { attempt, messages: all_bits }.to_bytes()),
        (
            "instruction",
            Instruction::AllPolynomials { attempt, messages: all_polynomials }.to_bytes(),
        ),
        ("instruction", Instruction::Abandoned { attempt, reason }.to_bytes()),
    ]
}

/// Two statements of party 2 in one place of a session.
fn evidence(key: &SigningKey) -> Evidence {
    let place = [&[8; 32][..], &[0, 0, 0, 5], &[Kind::Publish as u8], &[2]].concat();
    let said = [[1; 32], [2; 32]].map(|content| {
        let signature = key.sign(Purpose::Round, &Digest(content));
        [content.to_vec(), signature.to_bytes()].concat()
    });
    Evidence::from_bytes(&[place, said.concat()].concat()).unwrap()
}

pub fn circuits() -> Vec<Sample> {
    let circuit = Builder::build("sample", 2, |b| {
        let a = b.private(Owner(0)).uint(8);
        let c = b.committed(Owner(1)).uint(64);
        let less = a.less_than(c);
        let product = b.inner_product([(a, c), (a, a)]);
        b.reveal(less);
        let chosen = less.select(product, b.uint(5));
        b.output(chosen, Destination::Owner(Owner(1)));
    });
    let circuit = circuit.unwrap();
    let start = Builder::build("start", 1, |b| b.carry(b.private(Owner(0)).bit())).unwrap();
    let step = Builder::build("step", 1, |b| {
        b.reveal(b.carried().bit());
        b.carry(b.bit(true));
    });
    let finish = Builder::build("finish", 1, |b| {
        b.output(b.carried().bit(), Destination::Public);
    });
    let (step, finish) = (step.unwrap(), finish.unwrap());
    let program = Program::new(start, step, finish, Repetition::UntilFlag { at_most: 3 }).unwrap();
    let frame = Frame {
        session: Digest([8; 32]),
        from: 1,
        to: 2,
        exchange: 3,
        kind: Kind::Open,
        part: 0,
        last: true,
        payload: Zeroizing::new(vec![1; 64]),
    };
    let secrets = [(Fr::from(4u64), Blinding::from_scalar(Scalar::from(31u64)))];
    let parties = Parties::new(3, 1).unwrap();
    let (dealing, shares) = vss::deal(parties, &secrets, &mut rng());
    let vector = [Fr::from(1u64); 2];
    let (published, compressed) = vss::deal_compressed(parties, Owner(0), &vector, &mut rng());
    vec![
        // One that is a seed, and one that is shares.
        ("compressed-shares", compressed[0].to_bytes()),
        ("compressed-shares", compressed[1].to_bytes()),
        ("compressed-dealing", published.to_bytes()),
        ("circuit", circuit.to_bytes()),
        ("program", program.to_bytes()),
        ("frame", frame.to_bytes()),
        ("evidence", evidence(&SigningKey::from_seed(Suite::MlDsa65MlKem768, &[4; 32])).to_bytes()),
        ("vss-dealing", dealing.to_bytes()),
        ("dealt-share", shares[0][0].to_bytes()),
    ]
}

/// One party's side of a batch that was made, and what is said of it.
pub fn stocks() -> Vec<Sample> {
    let [chain, round, circuit, roster, dealings] = [Digest([7; 32]); 5];
    let committee = vec![Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
    let active = Parties::new(3, 1).unwrap().first_active();
    let binding = Binding {
        chain,
        round,
        attempt: 0,
        circuit,
        roster,
        dealings,
        committee,
        threshold: 1,
        active,
    };
    let amount = Amount { comparisons: 1, bits: 2 };
    let network = Network::of_engines(&binding, 1, move |engine| engine.into_material(5, amount));
    let material = network.unwrap().run().results.swap_remove(0).unwrap();
    let next = BatchId { number: 6, maker: Digest([6; 32]) };
    vec![
        ("holdings", Holdings { agreed: 4, ready: vec![*material.id(), next] }.to_bytes()),
        ("material", material.to_bytes()),
    ]
}
