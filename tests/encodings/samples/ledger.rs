//! Of the ledger, and of what a node says of it.

use super::*;

/// One of each kind.
pub fn transactions(chain: &Chain) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let all = chain.blocks.iter().flat_map(|(block, _)| &block.transactions);
    for transaction in all {
        let body = transaction.body();
        samples.push(("transaction", transaction.to_bytes()));
        samples.push(("body", body.to_bytes()));
        for entry in body.entries() {
            samples.push(("entry", entry.to_bytes()));
            samples.extend(entry.postings.iter().map(|posting| ("posting", posting.to_bytes())));
            samples.extend(entry.credits.iter().map(|credit| ("credit", credit.to_bytes())));
        }
        let signatures = transaction.signatures().iter();
        samples.extend(signatures.map(|signed| ("institution-signature", signed.to_bytes())));
    }
    // A few of each kind that differ most: by their lengths.
    samples.sort_by_key(|(name, bytes)| (*name, bytes.len()));
    samples.dedup_by_key(|(name, bytes)| (*name, bytes.len() / 64));
    samples
}

pub fn smallest(chain: &Chain) -> (Block<Unverified>, &Certificate) {
    let small = chain.blocks.iter().min_by_key(|(block, _)| block.to_bytes().len()).unwrap();
    (Block::from_bytes(&small.0.to_bytes()).unwrap(), &small.1)
}

fn last(chain: &Chain) -> (&Header, &Certificate) {
    let (block, certificate) = chain.blocks.last().unwrap();
    (&block.header, certificate)
}

pub fn blocks(chain: &Chain) -> Vec<Sample> {
    let (block, certificate) = smallest(chain);
    let with_one = chain.blocks.iter().find(|(block, _)| block.transactions.len() == 1).unwrap();
    let genesis = &chain.genesis;
    let kind = quittance_ledger::certificate::VoteKind::Precommit;
    let vote = |block| quittance_ledger::certificate::Vote {
        chain: genesis.chain_id(),
        height: Height(3),
        round: 1,
        kind,
        block,
    };
    let mut writer = archive::Writer::begin(Vec::new(), genesis).unwrap();
    writer.block(&block, certificate).unwrap();
    vec![
        ("block", block.to_bytes()),
        ("block", with_one.0.to_bytes()),
        ("header", block.header.to_bytes()),
        ("certificate", certificate.to_bytes()),
        ("vote", vote(None).to_bytes()),
        ("vote", vote(Some(block.id())).to_bytes()),
        ("validator-set", genesis.validators.to_bytes()),
        ("validator", genesis.validators.validators().first().unwrap().to_bytes()),
        ("genesis", genesis.to_bytes()),
        ("genesis-json", serde_json::to_vec(genesis).unwrap()),
        ("genesis-institution", genesis.institutions.values().next().unwrap().to_bytes()),
        ("archive", writer.finish().unwrap()),
    ]
}

pub fn bank_account() -> AccountId {
    AccountId { institution: chain::id(chain::BANKS[0]), asset: chain::asset("EUR") }
}

pub fn state(chain: &Chain) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let changes = chain.state.to_changes();
    for (key, record) in changes.iter() {
        let value = record.unwrap().to_bytes();
        samples.push(("record", [key.to_bytes(), value].concat()));
    }
    samples.sort_by_key(|(_, bytes)| (bytes[0], bytes.len()));
    samples.dedup_by_key(|(_, bytes)| bytes[0]);
    let (id, account, _) = chain.state.accounts().next().unwrap();
    // Credits that were pending on the way.
    let mut young = Chain::new();
    young.pay(chain::CENTRAL, "EUR", &[(chain::BANKS[0], 5), (chain::BANKS[1], 7)]);
    young.close();
    let (to, _, pending) = young.state.accounts().find(|(_, _, held)| !held.is_empty()).unwrap();
    let credit = pending.iter().next().unwrap();
    let key = Key::Credit(to, credit.number);
    samples.push(("record", [key.to_bytes(), credit.to_bytes()].concat()));
    let mut few = quittance_ledger::state::Changes::new();
    few.put(chain.state.record(&Key::Account(id)).unwrap().clone());
    few.remove(key);
    let (_, record) = chain.state.rounds().next().unwrap();
    let leaves = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
    samples.extend([
        ("account", account.to_bytes()),
        ("round-record", record.to_bytes()),
        ("pending-credit", credit.to_bytes()),
        ("changes", few.to_bytes()),
        ("tree-proof", chain.state.prove(&Key::Account(id)).unwrap().to_bytes()),
        ("tree-proof", chain.state.prove(&Key::Account(bank_account())).unwrap().to_bytes()),
        ("merkle-proof", merkle::Proof::new(&leaves, 1).unwrap().to_bytes()),
        ("account-id", id.to_bytes()),
    ]);
    samples.extend(events());
    samples
}

fn events() -> Vec<Sample> {
    let transaction = TransactionId(Digest([7; 32]));
    let event = |kind| ("event", Event { height: Height(3), transaction, kind }.to_bytes());
    let credit = CreditId(Digest([8; 32]));
    vec![
        event(EventKind::Posted { entry: 1 }),
        event(EventKind::Arrived { credit }),
        event(EventKind::WentBack { credit }),
        event(EventKind::CameBack { credit }),
        event(EventKind::Joined { round: round() }),
    ]
}

pub fn wire(chain: &Chain) -> Vec<Sample> {
    use quittance_rpc::proto::node::v1 as node;
    let (header, certificate) = last(chain);
    let (header, certificate) = (header.clone(), certificate.clone());
    let id = bank_account();
    let view = AccountView {
        header: header.clone(),
        certificate: certificate.clone(),
        account: chain.state.account(&id).cloned(),
        proof: chain.state.prove(&Key::Account(id)).unwrap(),
        pending: Vec::new(),
    };
    let (block, of_block) = smallest(chain);
    let block = FinalBlock { block, certificate: of_block.clone(), next_validators: None };
    let round = chain.state.rounds().next().map(|(_, round)| round.clone());
    let round = RoundView { round, height: header.height };
    let status = ChainView {
        chain: chain.genesis.chain_id(),
        height: header.height,
        state_root: header.state_root,
        time: header.time,
        mempool: 3,
    };
    let of = |status: TransactionStatus| ("status", node::Status::from(status).encode_to_vec());
    let (code, reason) = ("STALE".to_owned(), "too late".to_owned());
    vec![
        ("account-view", node::AccountResponse::from(&view).encode_to_vec()),
        ("final-block", node::BlocksResponse::from(&block).encode_to_vec()),
        ("round-view", node::RoundResponse::from(&round).encode_to_vec()),
        ("chain-view", node::ChainStatusResponse::from(&status).encode_to_vec()),
        of(TransactionStatus::Unknown),
        of(TransactionStatus::Pending { expiry: Height(3) }),
        of(TransactionStatus::Final { height: Height(3), index: 1 }),
        of(TransactionStatus::Rejected { code, reason }),
        ("amount", b"\x021234.56".to_vec()),
        ("amount", b"\x00007".to_vec()),
        ("amount", b"\x0018446744073709551615".to_vec()),
    ]
}
