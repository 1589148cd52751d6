//! Transfers that were prepared beforehand, through a real node: from the call that submits each
//! one, over TLS, until the block that makes it final has come back.
//!
//! Node and clients share this process and its processors. The clients are as cheap as they can
//! be: a few connections, one call for each transfer, and one stream of blocks, of which nothing is
//! decoded.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use quittance_benches::report::Row;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::Purpose;
use quittance_ledger::block::Header;
use quittance_node::{Config, Node, NodeFile};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{Listen, Target, TlsFiles, TrustedAuthority};
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1::node_client::NodeClient;
use quittance_rpc::proto::node::v1::status::State as Fate;
use quittance_rpc::proto::node::v1::{BlocksRequest, SubmitRequest};
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Scope, Trust};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tonic::transport::Channel;

use crate::chain::{Chain, SUITE, VALIDATOR};
use crate::measure::{Bench, folder};

const BANKS: usize = 200;
const EACH: usize = 24;

/// Each connection is of another bank.
const CONNECTIONS: usize = 8;

/// Calls at a time on each connection.
const CALLS: usize = 64;

/// The first bytes of a transfer, its account and sequence number among them: no two are equal.
type Name = [u8; 128];

pub(crate) fn measure(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    let ring = KeyRing::generate(VALIDATOR, SUITE)?;
    let chain = Chain::new(BANKS, ring.signing(Purpose::Vote).verifying_key())?;
    let load =
        Arc::new(Load::new(chain.transfers(BANKS, EACH)?.iter().map(Encode::to_bytes).collect())?);
    let site = Site::new(&ring, &chain)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, address) = oneshot::channel();
    let config = Config::load(&site.folder.path().join("config.toml"))?;
    let node = std::thread::spawn(move || -> Result<(), String> {
        let runtime = Builder::new_multi_thread().thread_name("node").enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let node = Node::start(config).await.map_err(|error| error.to_string())?;
            // Fails only if nobody waits for it any more.
            let _ = ready.send(node.address());
            node.serve(async { drop(stopped.await) }).await.map_err(|error| error.to_string())
        })
    });
    let mut clients = Builder::new_multi_thread();
    let clients = clients.worker_threads(1).thread_name("client").enable_all().build()?;
    let measured = clients.block_on(async {
        let address = address.await?.to_string();
        let clients = chain.banks.iter().take(CONNECTIONS);
        let clients = clients.map(|bank| site.client(&address, bank.id));
        run(load, clients.collect::<Result<Vec<_>, _>>()?).await
    });
    drop(stop);
    node.join().map_err(|_| "the node has panicked")??;
    let Measured { rate, finality, processors } = measured?;
    bench.row(Row::higher("node end to end", "transfers/s", rate, None))?;
    bench.row(Row::lower("node end to end, p95 of finality", "ms", finality, None))?;
    bench.row(Row::lower("node end to end, processors", "us per transfer", processors, None))
}

/// What came out.
struct Measured {
    rate: f64,
    finality: f64,
    processors: f64,
}

/// The transfers, and what has become of each.
struct Load {
    transfers: Vec<Vec<u8>>,
    places: BTreeMap<Name, usize>,
    next: AtomicUsize,
    /// Microseconds after the start: submitted, and final.
    times: Vec<[AtomicU64; 2]>,
}

impl Load {
    fn new(transfers: Vec<Vec<u8>>) -> Result<Self, Box<dyn Error>> {
        let named = transfers.iter().enumerate().map(|(place, bytes)| Some((*name(bytes)?, place)));
        let places: BTreeMap<_, _> = named.collect::<Option<_>>().ok_or("a short transfer")?;
        let alike = transfers.windows(2).all(|pair| pair[0].len() == pair[1].len());
        if places.len() != transfers.len() || !alike {
            return Err("transfers cannot be told apart in a block".into());
        }
        let times = transfers.iter().map(|_| Default::default()).collect();
        Ok(Self { transfers, places, next: AtomicUsize::new(0), times })
    }

    /// Takes note of the transfers of a block; how many there are.
    fn arrived(&self, block: &[u8], start: Instant) -> Result<usize, Box<dyn Error>> {
        let header = Header::decode(&mut quittance_crypto::encoding::Reader::new(block))?;
        let transfers = block.get(header.to_bytes().len() + 4..).ok_or("a short block")?;
        let now = since(start);
        let chunks = transfers.chunks_exact(self.transfers[0].len());
        let found = chunks.len();
        for transfer in chunks {
            let place = name(transfer).and_then(|name| self.places.get(name));
            self.times[*place.ok_or("an unknown transfer")?][1].store(now, Ordering::Relaxed);
        }
        Ok(found)
    }

    /// The time within which 95 of 100 transfers were final, in milliseconds.
    fn finality(&self) -> f64 {
        let mut times: Vec<u64> = self
            .times
            .iter()
            .map(|[submitted, fin]| fin.load(Ordering::Relaxed) - submitted.load(Ordering::Relaxed))
            .collect();
        times.sort_unstable();
        times[times.len() * 95 / 100] as f64 / 1e3
    }
}

fn name(transfer: &[u8]) -> Option<&Name> {
    transfer.first_chunk()
}

fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Submits everything and waits until it is final.
async fn run(
    load: Arc<Load>,
    mut clients: Vec<NodeClient<Channel>>,
) -> Result<Measured, Box<dyn Error>> {
    // The first block is there before anything is submitted.
    let blocks = BlocksRequest { from_height: 1, to_height: 0 };
    let mut blocks = clients[0].blocks(blocks).await?.into_inner();
    blocks.message().await?;
    for client in &mut clients {
        client.chain_status(quittance_rpc::proto::node::v1::ChainStatusRequest {}).await?;
    }
    let (start, used) = (Instant::now(), processor_time()?);
    let mut calls = tokio::task::JoinSet::new();
    for client in clients.iter().cycle().take(CALLS * clients.len()) {
        calls.spawn(submit(load.clone(), client.clone(), start));
    }
    let mut left = load.transfers.len();
    while left > 0 {
        tokio::select! {
            block = blocks.message() => {
                left -= load.arrived(&block?.ok_or("the stream has ended")?.block, start)?;
            }
            Some(ended) = calls.join_next() => ended??,
        }
    }
    let count = load.transfers.len() as f64;
    let (rate, used) = (count / start.elapsed().as_secs_f64(), processor_time()? - used);
    Ok(Measured { rate, finality: load.finality(), processors: used * 1e6 / count })
}

/// The seconds of processors that this process, node and clients, has used so far. Other work on
/// the machine does not count, as it does in the rate.
fn processor_time() -> Result<f64, Box<dyn Error>> {
    // Fields 14 and 15, in hundredths of a second. The second field is a name, in brackets.
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no process")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// Submits one transfer after another, for as long as there are any.
async fn submit(
    load: Arc<Load>,
    mut client: NodeClient<Channel>,
    start: Instant,
) -> Result<(), String> {
    loop {
        let place = load.next.fetch_add(1, Ordering::Relaxed);
        let Some(transfer) = load.transfers.get(place) else { return Ok(()) };
        load.times[place][0].store(since(start), Ordering::Relaxed);
        let request = SubmitRequest { transaction: transfer.clone() };
        let response = client.submit(request).await.map_err(|status| status.to_string())?;
        match response.into_inner().status.and_then(|status| status.state) {
            Some(Fate::Pending(_) | Fate::Final(_)) => {}
            other => return Err(format!("not admitted: {other:?}")),
        }
    }
}

/// A node's folder, as an operator sets it up.
struct Site {
    authority: Authority,
    folder: tempfile::TempDir,
}

fn node_name() -> Result<ProcessName, Box<dyn Error>> {
    Ok(ProcessName { institution: VALIDATOR.parse()?, process: Process::Node })
}

impl Site {
    fn new(ring: &KeyRing, chain: &Chain) -> Result<Self, Box<dyn Error>> {
        let site = Self { authority: Authority::create("bench")?, folder: folder()? };
        let issued = site.authority.issue(Identity::Process(node_name()?), &["127.0.0.1"])?;
        site.write("genesis.json", &serde_json::to_vec(&chain.genesis)?)?;
        site.write("ca.pem", site.authority.certificate_pem().as_bytes())?;
        site.write("tls.pem", issued.certificate_pem.as_bytes())?;
        site.write("tls.key", issued.key_pem.as_bytes())?;
        site.write("keys.age", &ring.to_encrypted("secret", 1)?)?;
        site.write("passphrase", b"secret\n")?;
        site.write("config.toml", toml::to_string(&file())?.as_bytes())?;
        Ok(site)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), Box<dyn Error>> {
        let path = self.folder.path().join(name);
        fs::write(&path, content)?;
        Ok(fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?)
    }

    fn client(
        &self,
        address: &str,
        institution: quittance_ledger::ids::InstitutionId,
    ) -> Result<NodeClient<Channel>, Box<dyn Error>> {
        let name = ProcessName { institution, process: Process::Agent };
        let issued = self.authority.issue(Identity::Process(name), &["127.0.0.1"])?;
        let (certificate, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
        let mut trust = Trust::new();
        trust.add_pem(self.authority.certificate_pem().as_bytes(), Scope::Any)?;
        let tls = Tls::new(Credentials::from_pem(certificate, key)?, trust);
        let target = Target { address: address.to_owned(), identity: node_name()? };
        Ok(Dialer::new(tls, Limits::default()).node(&target)?)
    }
}

/// The configuration that a node has unless it says otherwise.
fn file() -> NodeFile {
    let file = |name: &str| Path::new(name).to_owned();
    NodeFile {
        institution: VALIDATOR.into(),
        genesis: file("genesis.json"),
        data: file("data"),
        keys: file("keys.age"),
        passphrase: file("passphrase"),
        directory: None,
        votes: true,
        log: None,
        log_format: Default::default(),
        metrics: None,
        min_block_interval_ms: 20,
        heartbeat_ms: 1000,
        listen: Listen { address: "127.0.0.1:0".into(), key_exchange: KeyExchange::Hybrid },
        tls: TlsFiles {
            certificate: file("tls.pem"),
            key: file("tls.key"),
            trust: vec![TrustedAuthority { file: file("ca.pem"), institutions: None }],
        },
    }
}
