//! Who sees what: after transfers and a round, no process holds an amount, a balance, a blinding, a
//! pad or an opening, be it of an amount or of a payee, that is not its own bank's or addressed to
//! it: neither on disk, nor in a log that tells everything, nor in memory. So no party has what says
//! who is paid, or whether a payment settles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use quittance_cli::demo::bank::Bank;
use quittance_cli::demo::currency::Currency;
use quittance_cli::demo::input::Payment;
use quittance_cli::testnet::plan::Member;
use quittance_crypto::commitment::Opening;
use quittance_crypto::encoding::Encode;
use quittance_crypto::field::Scalar;
use quittance_crypto::keyfile::KeyRing;
use quittance_ledger::ids::{ChainId, InstitutionId, RoundId};
use quittance_ledger::payload::{CreditPayload, SelfNote};
use quittance_ledger::transaction::{Action, Entry, RoundJoin, Side};
use quittance_round::queue::FrozenQueue;
use quittance_rpc::identity::Process;
use quittance_rpc::proto::agent::v1::round_event::Stage;
use quittance_tests::ears::Ears;
use quittance_tests::network::{Network, PATIENCE, POLL, ids};
use quittance_tests::secrets::{Found, LEAST, Secrets};
use quittance_tests::tape::Tape;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use tokio::time::sleep;

const BANKS: [&str; 4] = ["AAAAZZ01", "BBBBZZ01", "CCCCZZ01", "DDDDZZ01"];

type Holders = BTreeSet<InstitutionId>;

/// Everything that is nobody's business but its holders'.
#[derive(Default)]
struct Ownership {
    amounts: BTreeMap<u64, Holders>,
    blindings: BTreeMap<[u8; 32], Holders>,
    /// Payments of queues: payer and payee.
    debts: BTreeSet<(InstitutionId, InstitutionId)>,
    /// What was found out of a bank's present balance.
    balances: BTreeMap<InstitutionId, u64>,
}

impl Ownership {
    fn amount(&mut self, cents: u64, holders: &[InstitutionId]) {
        self.amounts.entry(cents).or_default().extend(holders);
    }

    fn opening(&mut self, opening: &Opening, holders: &[InstitutionId]) {
        self.amount(opening.value, holders);
        self.scalar(opening.blinding.as_scalar().to_bytes(), holders);
    }

    fn scalar(&mut self, bytes: [u8; 32], holders: &[InstitutionId]) {
        self.blindings.entry(bytes).or_default().extend(holders);
    }
}

/// Reads the chain with the keys of all banks at once.
struct Reader {
    chain: ChainId,
    central: InstitutionId,
    keys: BTreeMap<InstitutionId, KeyRing>,
    asset: quittance_ledger::ids::AssetId,
}

impl Reader {
    fn new(network: &Network) -> Self {
        let genesis = network.genesis();
        let asset = "EUR".parse().expect("a code");
        let keys = network.members.agents.iter().map(|agent| {
            let file = |name: &str| {
                std::fs::read(agent.path(network.directory()).join(name)).expect("a file")
            };
            let passphrase = String::from_utf8(file("passphrase")).expect("text");
            let ring = KeyRing::from_encrypted(passphrase.trim_end(), &file("keys.age"));
            (agent.institution(), ring.expect("the bank's keys"))
        });
        let central = genesis.assets[&asset].issuer;
        Self { chain: genesis.chain_id(), central, keys: keys.collect(), asset }
    }

    fn read(&self, tape: &Tape) -> Ownership {
        let mut ownership = Ownership::default();
        for block in tape.blocks().iter() {
            for transaction in &block.transactions {
                let body = transaction.body();
                body.entries().iter().for_each(|entry| self.entry(entry, &mut ownership));
                if let Action::RoundJoin(join) = &body.action {
                    self.join(join, &mut ownership);
                }
            }
        }
        ownership
    }

    fn entry(&self, entry: &Entry, ownership: &mut Ownership) {
        for posting in &entry.postings {
            let bank = posting.institution;
            let (side, key) = (Side::of(bank, self.central), self.keys[&bank].note());
            let note = SelfNote::open(self.chain, entry.asset, posting, side, key);
            let opening = note.expect("one's own note").opening;
            ownership.opening(&opening, &[bank]);
            let before = ownership.balances.insert(bank, opening.value).unwrap_or(0);
            // What a transfer takes is known to its receiver, too: see there. A net is not.
            if entry.credits.is_empty() {
                ownership.amount(opening.value.abs_diff(before), &[bank]);
            }
        }
        for credit in &entry.credits {
            let key = self.keys[&credit.institution].sealing();
            let payload = CreditPayload::open(self.chain, entry.asset, credit, key);
            let opening = &payload.expect("sealed to its receiver").opening;
            ownership.opening(opening, &[credit.sender, credit.institution]);
        }
    }

    fn join(&self, join: &RoundJoin, ownership: &mut Ownership) {
        let payer = join.institution;
        let key = self.keys[&payer].note();
        let queue = FrozenQueue::recover(self.chain, self.asset, join, key);
        let queue = queue.expect("one's own queue");
        for place in 0..queue.leaves().len() {
            let payee = queue.payments().get(place).map(|payment| payment.payee);
            let holders: Vec<_> = [Some(payer), payee].into_iter().flatten().collect();
            ownership.opening(&queue.amount(place), &holders);
            // The number of the payee is small; what opens it is found nowhere by chance.
            ownership.scalar(queue.payee(place).blinding.as_scalar().to_bytes(), &holders);
            for (attempt, pad) in queue.pads(place).iter().enumerate() {
                let [value, blinding] = *pad.to_bytes().as_chunks().0 else { panic!("64 bytes") };
                ownership.scalar(blinding, &holders);
                // All are told the pads of the attempt that was made, plus 1 where a payment
                // settles: which of the two it is says the opening alone.
                if attempt > 0 {
                    ownership.scalar(value, &holders);
                }
            }
            ownership.debts.extend(payee.map(|payee| (payer, payee)));
        }
    }
}

/// What to look for, and who may have it.
struct Search {
    secrets: Secrets,
    holders: BTreeMap<usize, Holders>,
    balances: BTreeMap<InstitutionId, usize>,
    /// The round's id: not secret, and known to all.
    round: usize,
}

impl Search {
    fn new(ownership: &Ownership, round: &str) -> Self {
        let mut secrets = Secrets::new();
        let mut holders = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        for (cents, of) in &ownership.amounts {
            let name = format!("{} of {of:?}", Currency::Eur.format(*cents));
            if let Some(number) = secrets.amount(&name, *cents) {
                holders.insert(number, of.clone());
                numbers.insert(*cents, number);
            }
        }
        for (bytes, of) in &ownership.blindings {
            let blinding = Option::from(Scalar::from_canonical_bytes(*bytes));
            let number =
                secrets.blinding(&format!("a blinding of {of:?}"), &blinding.expect("one"));
            holders.extend(number.map(|number| (number, of.clone())));
        }
        let own = ownership.balances.iter();
        let balances =
            own.filter_map(|(bank, cents)| Some((*bank, *numbers.get(cents)?))).collect();
        let round: RoundId = round.parse().expect("a round's id");
        let round = secrets.public("the round", round.0.as_bytes());
        Self { secrets, holders, balances, round }
    }

    /// What was found where only `holder`, if anybody, may have secrets.
    fn judge(&self, place: &str, holder: Option<InstitutionId>, found: &Found) -> Vec<String> {
        let wrong = found.iter().filter(|((number, _), _)| {
            let of = self.holders.get(number);
            of.is_some_and(|of| !holder.is_some_and(|holder| of.contains(&holder)))
        });
        let tell = |((number, form), times): (&(usize, &str), &usize)| {
            format!("{place}: {} ({form}, {times} times)", self.secrets.name(*number))
        };
        wrong.map(tell).collect()
    }

    fn has(found: &Found, number: usize) -> bool {
        found.keys().any(|(other, _)| *other == number)
    }

    /// Searches the memory of the processes whose kind is wanted.
    fn memory(&self, network: &Network, wanted: impl Fn(Process) -> bool) -> Vec<String> {
        let mut wrong = vec![];
        for (folder, process) in network.processes() {
            let member = network.members.iter().find(|member| member.folder == folder);
            let member = member.expect("a member");
            if !wanted(member.name.process) {
                continue;
            }
            let mut found = Found::new();
            let bytes = self.secrets.search_memory(process, &mut found);
            assert!(bytes > 1 << 20, "{bytes} bytes of {folder}");
            // What is there is found.
            if member.name.process != Process::Agent {
                assert!(Self::has(&found, self.round), "the round's id in the memory of {folder}");
            }
            if let Some(balance) = self.balances.get(&member.institution()) {
                assert!(Self::has(&found, *balance), "its own balance in the memory of {folder}");
            }
            wrong.extend(self.judge(&format!("memory of {folder}"), holder(member), &found));
        }
        wrong
    }

    /// Searches the blocks as the node gives them to everybody.
    fn blocks(&self, tape: &Tape) -> Vec<String> {
        let mut found = Found::new();
        for block in tape.blocks().iter() {
            self.secrets.search(&block.to_bytes(), &mut found);
        }
        assert!(Self::has(&found, self.round), "the round's id in the blocks");
        self.judge("blocks", None, &found)
    }

    /// Searches the folder of a process: its records, and its log, which nobody's secrets belong in.
    fn folder(&self, member: &Member, directory: &Path) -> Vec<String> {
        let folder = member.path(directory);
        let (mut records, mut log) = (Found::new(), Found::new());
        let logged = self.secrets.search_files(&folder.join("log"), &mut log);
        assert!(logged > 10_000, "{logged} bytes of log in {}", member.folder);
        let data = folder.join("data");
        if data.exists() {
            self.secrets.search_files(&data, &mut records);
        } else {
            assert_eq!(member.name.process, Process::Coordinator);
        }
        // What is there is found.
        if let Some(balance) = self.balances.get(&member.institution()) {
            assert!(Self::has(&records, *balance), "its own balance in {}", member.folder);
        }
        if member.name.process == Process::Node {
            assert!(Self::has(&records, self.round), "the round's id in {}", member.folder);
        }
        let records = self.judge(&format!("{}/data", member.folder), holder(member), &records);
        [records, self.judge(&format!("{}/log", member.folder), None, &log)].concat()
    }
}

/// The bank whose secrets a process may have.
fn holder(member: &Member) -> Option<InstitutionId> {
    (member.name.process == Process::Agent).then_some(member.institution())
}

/// Amounts that are found nowhere by chance.
struct Amounts(ChaCha20Rng);

impl Amounts {
    fn above(&mut self, base: u64) -> u64 {
        base + self.0.next_u64() % (1 << 48)
    }
}

/// Everybody is funded and pays somebody; then a circle is queued that nobody can pay alone, and a
/// payment that cannot settle.
async fn trade(network: &mut Network, banks: &[InstitutionId], rng: &mut Amounts) {
    let funds: Vec<_> = banks.iter().map(|bank| (*bank, rng.above(LEAST << 3))).collect();
    network.fund(&funds).await;
    for (place, bank) in banks.iter().enumerate() {
        let payee = banks[(place + 1) % banks.len()];
        let decoy = banks[(place + 2) % banks.len()];
        let receivers = [(payee, rng.above(LEAST)), (decoy, 0)];
        let name = format!("transfer {place}");
        network.bank(*bank).transfer(&name, Currency::Eur, &receivers).await.expect("paid");
    }
    for (place, payer) in banks.iter().enumerate() {
        let payee = banks[(place + 1) % banks.len()];
        // Neighbours differ by more than what is searched for at least, by less than the funds.
        let amount = rng.above((LEAST << 5) + (LEAST << 1) * (place as u64 % 2));
        queue(network, format!("circle {place}"), *payer, payee, amount).await;
    }
    let hopeless = rng.above(LEAST << 8);
    queue(network, "hopeless".to_owned(), banks[0], banks[2], hopeless).await;
}

async fn queue(
    network: &Network,
    id: String,
    payer: InstitutionId,
    payee: InstitutionId,
    amount: u64,
) {
    let payment = Payment { id, payer, payee, currency: Currency::Eur, amount };
    network.bank(payer).queue(&payment).await.expect("queued");
}

/// A round, once all banks have absorbed what they were paid.
async fn request_round(network: &mut Network, banks: &[InstitutionId]) -> String {
    let deadline = Instant::now() + PATIENCE;
    for bank in banks {
        let mut bank = network.bank(*bank);
        while bank.account(Currency::Eur).await.expect("an account").pending != "0.00" {
            assert!(Instant::now() < deadline, "{} does not absorb", bank.id);
            sleep(POLL).await;
        }
    }
    loop {
        network.check();
        match network.bank(banks[0]).request_round(Currency::Eur).await {
            Ok(round) => return round,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_holds_what_is_not_addressed_to_it() {
    let mut network = Network::make("views", &BANKS, "trace");
    network.start_all().await;
    let banks = ids(&BANKS);
    let connections: Vec<Bank> = banks.iter().map(|bank| network.bank(*bank)).collect();
    let (tape, mut ears) = (Tape::record(&network), Ears::open(&connections));
    trade(&mut network, &banks, &mut Amounts(ChaCha20Rng::seed_from_u64(7))).await;
    let reader = Reader::new(&network);
    let round = request_round(&mut network, &banks).await;

    // While it runs, in those who have nothing of their own.
    ears.wait_for(&banks, &round, Stage::Dealt, PATIENCE).await.expect("dealt");
    let search = Search::new(&reader.read(&tape), &round);
    let wrong = search.memory(&network, |process| process != Process::Agent);
    assert!(wrong.is_empty(), "{wrong:#?}");
    for bank in &banks {
        ears.wait_for(&[*bank], &round, Stage::Settled, PATIENCE).await.expect("settled");
    }
    let settlements = tape.round(&round.parse().expect("an id")).settlements;
    assert_eq!(settlements.len(), 1);
    assert_eq!(settlements[0].roster.len(), banks.len());
    // Receipts are signed and fetched now.
    sleep(Duration::from_secs(2)).await;

    let ownership = reader.read(&tape);
    let large = ownership.amounts.keys().filter(|cents| **cents >= LEAST).count();
    // Funds, transfers, payments, nets, and balances after each of them.
    assert!(large >= 24 && ownership.blindings.len() > 160, "{large} amounts");
    assert_eq!(ownership.debts.len(), 5, "a circle, and what cannot settle");
    let search = Search::new(&ownership, &round);
    assert_eq!(search.balances.len(), banks.len() + 1, "of all banks and the central bank");
    let mut wrong = search.memory(&network, |_| true);
    wrong.extend(search.blocks(&tape));
    network.stop();
    for member in network.members.iter() {
        wrong.extend(search.folder(member, network.directory()));
        wrong.extend(debts(&ownership, member, network.directory()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a party has written that names payer and payee of a payment together: in a line of its log,
/// or in what it stores. All parties name all banks, but none says who pays whom.
fn debts(ownership: &Ownership, member: &Member, directory: &Path) -> Vec<String> {
    if member.name.process != Process::Party {
        return vec![];
    }
    let folder = member.path(directory);
    let log = std::fs::read_to_string(folder.join("log")).expect("a log");
    let lines = log.lines().filter(|line| {
        let names = |bank: &InstitutionId| line.contains(bank.as_str());
        ownership.debts.iter().any(|(payer, payee)| names(payer) && names(payee))
    });
    lines.map(|line| format!("{}/log: {line}", member.folder)).collect()
}
