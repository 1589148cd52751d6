//! `quittance bench load`: so many transfers in a second on validators of its own, and how soon they
//! are final.
//!
//! Validators are processes as in real life, over mutual TLS; they share the machine with each other
//! and with the load. The banks are connections with the agents' certificates and keys that submit
//! what was sealed, proven and signed before the clock started: what is measured is what validators
//! do, not how fast banks prove.
//!
//! Each bank submits at one validator, which is another one for the next bank, and a transfer counts
//! as final when that validator has sent the block. Transfers are due evenly, whatever becomes of
//! those before, and times count from when they are due: a pause of the network shows in all
//! transfers that it delays.

mod bank;
mod drive;
mod error;
mod follow;
mod report;
mod usage;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use quittance_crypto::signature::Suite;
use quittance_ledger::build::Terms;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{AssetId, Height};
use quittance_ledger::state::{Limits, State};
use quittance_ledger::transaction::{Side, Transaction};
use quittance_ledger::verify::verify_share;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::limits;
use rand_core::OsRng;
use tokio::time::sleep;

use self::bank::{Account, Bank};
pub use self::error::BenchError;
use self::follow::{Followed, Load};
use self::report::{Finality, Report};
use self::usage::{Usage, Users};
use crate::client;
use crate::demo::network::Network;
use crate::demo::progress::Progress;
use crate::testnet::names;
use crate::testnet::plan::{MAX_BANKS, Plan};

/// Transactions of a batch when one processor alone verifies.
const BATCH: usize = 128;

/// Batches of that.
const BATCHES: usize = 8;

/// How long the validators may take until they agree on blocks.
const START: Duration = Duration::from_secs(60);

/// The most transfers: about 30 KB of memory each.
const MOST: usize = 200_000;

/// Transfers stay valid for the whole run, however many blocks it has.
const EXPIRY: Height = Height(1 << 32);

/// Arguments of `bench load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArguments {
    /// How many validators agree on blocks.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub validators: u8,
    /// How many banks submit transfers.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub agents: u8,
    /// How many transfers are submitted in a second, by all banks together.
    #[arg(long, value_name = "R", default_value_t = 400)]
    pub rate: u32,
    /// For how many seconds.
    #[arg(long, value_name = "S", default_value_t = 10)]
    pub duration: u32,
    /// How many transfers come before that one by one, each after the last is final.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub singles: u32,
    /// Also writes the results to this file, as JSON.
    #[arg(long, value_name = "OUT")]
    pub json: Option<PathBuf>,
    /// The algorithms of all signatures and seals.
    #[arg(long, default_value_t = Suite::MlDsa65MlKem768)]
    pub suite: Suite,
    /// Where the network is made, and stays; must be empty or not there yet. Default: a temporary
    /// folder, which is removed.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl LoadArguments {
    /// How many transfers are submitted at a rate.
    fn transfers(&self) -> usize {
        self.rate as usize * self.duration as usize
    }

    fn check(&self) -> Result<(), BenchError> {
        let wrong = |reason: String| Err(BenchError::Arguments(reason));
        let agents = usize::from(self.agents);
        if !(2..=MAX_BANKS).contains(&agents) {
            return wrong(format!("--agents: a load has 2 to {MAX_BANKS} banks, not {agents}"));
        }
        if self.transfers() == 0 {
            return wrong("--rate and --duration: both must be at least 1".into());
        }
        let all = self.transfers() + self.singles as usize;
        if all > MOST {
            return wrong(format!(
                "{all} transfers are too many to prepare: at most {MOST} of --rate times \
                 --duration and --singles together"
            ));
        }
        Ok(())
    }
}

/// Everything that is made before the clock starts.
struct Made {
    load: Arc<Load>,
    funds: usize,
    verified_per_second: f64,
}

/// Measures, in `directory`.
pub async fn run(arguments: &LoadArguments, directory: &Path) -> Result<Report, BenchError> {
    arguments.check()?;
    let mut progress = Progress::new();
    let network = network(arguments, directory)?;
    let made = prepare(arguments, &network, &mut progress).await?;
    let measured = async {
        start(&network, &mut progress).await?;
        measure(arguments, &network, &made, &mut progress).await
    };
    let report = tokio::select! {
        report = measured => report,
        died = network.watch() => Err(died.into()),
    };
    network.stop().await;
    progress.finish();
    report
}

/// The files of a network whose limits leave room for the load: nobody absorbs what is paid, and
/// transfers are made long before they are submitted.
fn network(arguments: &LoadArguments, directory: &Path) -> Result<Network, BenchError> {
    let banks = names::banks(arguments.agents).map(|id| id.parse());
    let plan = Plan {
        name: "load".to_owned(),
        suite: arguments.suite,
        banks: banks.collect::<Result<_, _>>().map_err(crate::testnet::plan::PlanError::Name)?,
        assets: vec![("EUR".parse().map_err(crate::testnet::plan::PlanError::Name)?, 2)],
        validators: arguments.validators,
        base_port: 0,
    };
    let limits = Limits { pending_per_sender: u32::MAX, max_expiry: EXPIRY.0, ..Limits::default() };
    Ok(Network::of(plan, limits, directory)?)
}

/// Transfers of all banks in turn, the central bank's before them.
async fn prepare(
    arguments: &LoadArguments,
    network: &Network,
    progress: &mut Progress,
) -> Result<Made, BenchError> {
    let count = arguments.transfers() + arguments.singles as usize;
    let stage = progress.begin(&format!("seal, prove and sign {count} transfers"));
    let done = Arc::new(AtomicUsize::new(0));
    let files = Files::of(network)?;
    let counted = done.clone();
    let mut making = tokio::task::spawn_blocking(move || {
        files.make(count, &|| {
            counted.fetch_add(1, Ordering::Relaxed);
        })
    });
    let made = loop {
        tokio::select! {
            made = &mut making => break made.unwrap_or(Err(BenchError::Interrupted))?,
            () = sleep(Duration::from_millis(100)) => {
                stage.note(&format!("{} of {count}", done.load(Ordering::Relaxed)));
            }
        }
    };
    progress.end(stage, "");
    Ok(made)
}

/// What transfers are made of, apart from the network itself.
struct Files {
    genesis: Genesis,
    issuer: Bank,
    banks: Vec<Bank>,
}

impl Files {
    fn of(network: &Network) -> Result<Self, BenchError> {
        let directory = network.directory();
        let path = directory.join("genesis.json");
        let text = std::fs::read(&path);
        let text = text.map_err(|reason| BenchError::File { path, reason })?;
        let genesis: Genesis = serde_json::from_slice(&text)?;
        let asset: AssetId = "EUR".parse().map_err(crate::testnet::plan::PlanError::Name)?;
        let side = |id: &str| match id == names::CENTRAL_BANK {
            true => Side::Issuer,
            false => Side::Holder,
        };
        let agents = network.members().agents.iter();
        let banks = agents
            .map(|agent| Bank::open(directory, agent, asset, side(agent.institution().as_str())));
        let mut banks = banks.collect::<Result<Vec<_>, _>>()?;
        // The central bank's agent comes first.
        let issuer = banks.remove(0);
        Ok(Self { genesis, issuer, banks })
    }

    /// On all processors: `count` transfers, of all banks in turn.
    fn make(mut self, count: usize, done: &(impl Fn() + Sync)) -> Result<Made, BenchError> {
        let Genesis { suite, .. } = self.genesis;
        let terms = Terms { suite, chain: self.genesis.chain_id(), expiry: EXPIRY };
        let funding = bank::fund(&mut self.issuer, &self.banks, terms)?;
        let payees: Vec<Account> = self.banks.iter().map(Account::from).collect();
        let each = count.div_ceil(self.banks.len());
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = self.banks.len().div_ceil(threads);
        let (payees, funds) = (&payees, &funding);
        let lanes = thread::scope(|scope| {
            let shares = self.banks.chunks_mut(share).map(|share| {
                scope.spawn(move || {
                    let lane = |bank| bank::lane(bank, payees, funds, each, terms, done);
                    share.iter_mut().map(lane).collect::<Result<Vec<_>, _>>()
                })
            });
            let shares: Vec<_> = shares.collect();
            let joined = shares.into_iter().map(|share| match share.join() {
                Ok(lanes) => lanes,
                Err(_) => Err(BenchError::Interrupted),
            });
            joined.collect::<Result<Vec<_>, _>>()
        })?;
        let lanes: Vec<Vec<Transaction>> = lanes.into_iter().flatten().collect();
        let verified_per_second = verify(&self.genesis, &lanes)?;
        let turns = (0..each).flat_map(|turn| {
            lanes.iter().enumerate().filter_map(move |(payer, lane)| Some((payer, lane.get(turn)?)))
        });
        let all = funding.iter().map(|it| (0, it)).chain(turns.take(count));
        let all = all.map(|(payer, it)| bank::prepared(payer, it)).collect();
        let load = Load::new(all).ok_or(BenchError::Arguments("transfers begin alike".into()))?;
        Ok(Made { load: Arc::new(load), funds: funding.len(), verified_per_second })
    }
}

/// How many transfers this thread verifies in a second.
fn verify(genesis: &Genesis, lanes: &[Vec<Transaction>]) -> Result<f64, BenchError> {
    let state = State::genesis(genesis)?;
    let some: Vec<Transaction> = lanes.iter().flatten().take(BATCH * BATCHES).cloned().collect();
    let start = Instant::now();
    for batch in some.chunks(BATCH) {
        for verdict in verify_share(batch.to_vec(), &state, &mut OsRng) {
            verdict?;
        }
    }
    Ok(some.len() as f64 / start.elapsed().as_secs_f64())
}

/// Starts the validators, and waits until each has a block that all agree on.
async fn start(network: &Network, progress: &mut Progress) -> Result<(), BenchError> {
    let stage = progress.begin("start the validators");
    network.start_nodes(&stage).await?;
    let began = Instant::now();
    for mut validator in validators(network)? {
        while validator.height().await? == 0 {
            if began.elapsed() > START {
                let (validator, seconds) = (validator.id, START.as_secs());
                return Err(BenchError::NoBlock { validator, seconds });
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    progress.end(stage, "");
    Ok(())
}

/// Connections to all validators, of the central bank's.
fn validators(network: &Network) -> Result<Vec<Followed>, BenchError> {
    let count = network.members().nodes().count();
    (0..count).map(|place| connection(network, 0, place)).collect()
}

/// The connection of one bank, the central bank being the first, to one validator.
fn connection(network: &Network, agent: usize, place: usize) -> Result<Followed, BenchError> {
    let (directory, members) = (network.directory(), network.members());
    let missing = || BenchError::Arguments(format!("there is no bank {agent} at {place}"));
    let folder = members.agents.get(agent).ok_or_else(missing)?.path(directory);
    let tls = client::credentials(
        &folder.join("tls.pem"),
        &folder.join("tls.key"),
        &directory.join("ca/ca.pem"),
    )?;
    let node = members.nodes().nth(place).ok_or_else(missing)?;
    let target = Target { address: node.address.to_string(), identity: node.name };
    let client = Dialer::new(tls, limits::Limits::default()).node(&target)?;
    Ok(Followed { place, id: node.institution(), client })
}

async fn measure(
    arguments: &LoadArguments,
    network: &Network,
    made: &Made,
    progress: &mut Progress,
) -> Result<Report, BenchError> {
    let Made { load, funds, verified_per_second } = made;
    let validators = validators(network)?;
    let count = validators.len();
    // The central bank's agent is the first; each bank uses the next validator.
    let agents = 1..=usize::from(arguments.agents);
    let banks = agents.map(|agent| connection(network, agent, (agent - 1) % count));
    let banks = banks.collect::<Result<Vec<_>, _>>()?;
    let mut run = drive::Run::start(load.clone(), banks, validators);
    let (singles, all) = (funds + arguments.singles as usize, load.transfers.len());

    let stage = progress.begin("give every bank money");
    run.one_by_one(0..*funds, &stage).await?;
    progress.end(stage, "");
    let stage = progress.begin("transfers one by one");
    run.one_by_one(*funds..singles, &stage).await?;
    progress.end(stage, "");

    let stage = progress.begin(&format!("{} transfers a second", arguments.rate));
    let users = Users { generator: std::process::id(), validators: network.processes() };
    let (before, began, blocks) = (Usage::of(&users), run.now(), run.blocks.len());
    let rate = f64::from(arguments.rate);
    let left = all - singles;
    let mut show = |done: usize| stage.note(&format!("{done} of {left} are final"));
    run.at_rate(singles..all, rate, &mut show).await?;
    let used = Usage::of(&users).since(&before);
    progress.end(stage, "");

    let times = run.times.get(singles..).unwrap_or_default();
    let last = times.iter().filter_map(|times| times.seen).max().unwrap_or_default();
    let took = last.saturating_sub(began).as_secs_f64();
    let blocks = run.blocks.get(blocks..).unwrap_or_default();
    let each = |seconds: f64, by: usize| seconds * 1e6 / (left * by) as f64;
    Ok(Report {
        validators: count,
        agents: usize::from(arguments.agents),
        processors: thread::available_parallelism().map_or(1, NonZeroUsize::get),
        verified_per_second_and_processor: *verified_per_second,
        singles: arguments.singles as usize,
        single: run.times.get(*funds..singles).and_then(Finality::of),
        asked_per_second: rate,
        transfers: left,
        final_per_second: left as f64 / took,
        finality: Finality::of(times),
        refused_for_now: run.refusals,
        blocks: blocks.iter().filter(|count| **count > 0).count(),
        largest_block: blocks.iter().copied().max().unwrap_or_default(),
        validator_us_per_transfer: each(used.validators, count),
        generator_us_per_transfer: each(used.generator, 1),
    })
}
