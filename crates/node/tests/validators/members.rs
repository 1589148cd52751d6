//! Decisions about the validators of a town.

use quittance_ledger::build::{NewKey, Terms, Unsigned};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::receipt::Receipt;
use quittance_ledger::transaction::{Approval, Body, Change};
use quittance_rpc::proto::node::v1::ChainStatusRequest;
use quittance_rpc::receipt::{self, Query, Subject};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;

#[allow(dead_code, reason = "each test uses its own part")]
impl Town {
    /// Who this is.
    pub fn id(&self, at: usize) -> InstitutionId {
        id(&name(at))
    }

    /// Where it keeps what belongs to consensus.
    pub fn consensus(&self, at: usize) -> PathBuf {
        self.home(at).join("data/consensus")
    }

    /// The chain's genesis, as a file.
    pub fn genesis_file(&self) -> PathBuf {
        self.folder.path().join("genesis.json")
    }

    /// A validator's receipt of a transaction, for whoever trusts the header at this height.
    pub async fn receipt(&self, at: usize, id: TransactionId, from: Height) -> Receipt {
        let query = Query { subject: Subject::Transaction { id, complete: true }, from };
        receipt::fetch(&mut self.client(at).0, &query).await.unwrap()
    }

    /// The height of a validator; 0 while it does not answer.
    pub async fn height(&self, at: usize) -> u64 {
        let status = self.client(at).0.chain_status(ChainStatusRequest {}).await;
        status.map_or(0, |status| status.into_inner().height)
    }

    /// Waits until a validator has this block.
    pub async fn reach(&self, at: usize, height: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.height(at).await < height {
            assert!(Instant::now() < deadline, "{} stays before {height}", name(at));
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a process has said, once these words are in it.
    pub async fn hear(&self, at: usize, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.processes[at].as_ref().unwrap().said();
            if said.contains(words) {
                return said;
            }
            assert!(Instant::now() < deadline, "{} does not say {words:?}: {said}", name(at));
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self, at: usize) -> bool {
        let target = Target { address: self.address(at).to_owned(), identity: node_name(at) };
        let channel = Dialer::new(self.client.clone(), Limits::default()).channel(&target).unwrap();
        let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
        answer.unwrap().into_inner().status == 1
    }

    /// A height soon after all that was acknowledged, as seen by one that runs.
    pub async fn soon(&self) -> Height {
        let at = self.running().unwrap();
        Height(self.height(at).await + 24)
    }

    fn terms(&self) -> Terms {
        let height = self.acknowledged.values().map(|(height, _)| height.0).max().unwrap_or(0);
        terms(self.genesis.chain_id(), height + EXPIRY)
    }

    /// From this height on these are the validators, with power 1 and the keys that they have by now.
    pub fn expect_set(&mut self, members: &[usize]) -> ValidatorSet {
        let validator = |at: &usize| {
            let key = self.rings[*at].signing(Purpose::Vote).verifying_key();
            Validator { institution: id(&name(*at)), key, power: 1 }
        };
        let set = ValidatorSet::new(members.iter().map(validator).collect()).unwrap();
        self.sets.insert(set.digest(), set.clone());
        set
    }

    fn sign(&self, body: Body, by: &[usize]) -> Transaction {
        let unsigned = Unsigned::new(body, vec![]).unwrap();
        let sign = |at: &usize| {
            unsigned.sign(id(&name(*at)), self.rings[*at].signing(Purpose::Transaction)).unwrap()
        };
        let signatures = by.iter().map(sign).collect();
        unsigned.assemble(signatures).unwrap()
    }

    /// A decision that these approve, on the chain when this returns.
    pub async fn decide(&mut self, effective: Height, changes: Vec<Change>, by: &[usize]) {
        self.decisions += 1;
        let approve = |at: &usize| Approval {
            institution: id(&name(*at)),
            key_fingerprint: self.rings[*at]
                .signing(Purpose::Transaction)
                .verifying_key()
                .fingerprint(),
        };
        let approvals = by.iter().map(approve).collect();
        let body = self.terms().governance(self.decisions, effective, changes, approvals).unwrap();
        let decision = self.sign(body, by);
        self.settle_this(decision, effective).await;
    }

    /// A validator replaces the key that it votes with, from this height on. Its folder has the new
    /// key file when this returns.
    pub async fn rotate(&mut self, at: usize, effective: Height) {
        let new = KeyRing::generate(&name(at), SUITE).unwrap();
        let transaction = self.rings[at].signing(Purpose::Transaction).verifying_key();
        let key = NewKey::Signing(Purpose::Vote, new.signing(Purpose::Vote));
        let who = id(&name(at));
        let body = self.terms().rotation(who, transaction.fingerprint(), &key, effective).unwrap();
        let rotation = self.sign(body, &[at]);
        self.settle_this(rotation, effective).await;
        // The new file serves for votes alone: nothing else is signed by this validator after it.
        self.rings[at] = new;
        self.write_keys(at);
    }

    async fn settle_this(&mut self, transaction: Transaction, before: Height) {
        self.sent.push(transaction.clone());
        let at = self.running().unwrap();
        self.submit(at, &transaction).await;
        let (height, _) = self.outcome(at, &transaction).await;
        assert!(height < before, "in block {height}, which is too late for {before}");
    }

    /// The change that makes it known, with its keys and its role.
    pub fn admission(&self, at: usize) -> Change {
        let (institution, keys) = (id(&name(at)), keys(&self.rings[at]));
        Change::Admit { institution, roles: BTreeSet::from([Role::Validator]), keys }
    }

    /// Its configuration names no others.
    pub fn isolate(&self, at: usize) {
        self.set_directory(at, None);
    }

    /// Its configuration names the others.
    pub fn join_others(&self, at: usize) {
        self.set_directory(at, Some("directory.toml".into()));
    }

    fn set_directory(&self, at: usize, directory: Option<PathBuf>) {
        self.configure(at, |file| file.directory = directory);
    }
}
