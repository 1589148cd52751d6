//! The demonstration itself, step by step.

mod collect;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use quittance_crypto::signature::Suite;
use quittance_ledger::ids::InstitutionId;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::bank::{Bank, money};
use super::bilateral::{self, Bilateral};
use super::currency::Currency;
use super::error::DemoError;
use super::input::{Input, Payment};
use super::network::{Network, POLL};
use super::progress::Progress;
use super::report::{self, Account, Audit, Report};
use super::rounds::{self, Timed};
use crate::testnet::names;

/// Receivers of one transfer.
const RECEIVERS: usize = 32;

/// How long banks may take to take in what they were paid.
const ABSORB: Duration = Duration::from_secs(120);

/// How long banks may take to prove what waits. Forty banks on a small machine need minutes.
const PROVE: Duration = Duration::from_secs(1200);

/// Every account of every bank.
type Accounts = BTreeMap<Currency, BTreeMap<InstitutionId, Account>>;

/// What to run on, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Positions and payments.
    pub input: Input,
    /// Whether transfers and an exchange follow the rounds.
    pub bilateral: bool,
    /// The algorithms of the network.
    pub suite: Suite,
    /// How many validators decide on blocks.
    pub validators: u8,
    /// The folder of the network; empty, or not there yet.
    pub directory: PathBuf,
    /// The auditor's program.
    pub auditor: PathBuf,
}

/// Runs the demonstration. All its processes have ended when this returns, or when the future is
/// dropped.
pub async fn run(options: &Options) -> Result<Report, DemoError> {
    if !options.auditor.is_file() {
        return Err(DemoError::NoAuditor(options.auditor.clone()));
    }
    let mut progress = Progress::new();
    let stage = progress.begin("make keys, certificates and configurations");
    let network = {
        let Options { input, suite, validators, directory, .. } = &options;
        Network::make(input, *suite, *validators, directory)?
    };
    progress.end(stage, &options.directory.display().to_string());
    let report = tokio::select! {
        result = Run { options, network: &network, progress: &mut progress }.all() => result,
        error = network.watch() => Err(error),
    };
    let stage = progress.begin("stop all processes");
    let killed = network.stop().await;
    let result = match &killed[..] {
        [] => String::new(),
        killed => format!("had to kill {}", killed.join(", ")),
    };
    progress.end(stage, &result);
    let stages = progress.finish();
    report.map(|report| Report { stages, ..report })
}

struct Run<'a> {
    options: &'a Options,
    network: &'a Network,
    progress: &'a mut Progress,
}

impl Run<'_> {
    async fn all(mut self) -> Result<Report, DemoError> {
        let input = &self.options.input;
        let stage = self.progress.begin("start all processes");
        self.network.start(&stage).await?;
        let members = self.network.members();
        let (count, validators) = (members.iter().count(), members.nodes().count());
        let noun = if validators == 1 { "validator" } else { "validators" };
        self.progress.end(stage, &format!("{count} processes, of them {validators} {noun}"));

        let ids = input.banks();
        let mut banks =
            ids.iter().map(|id| self.network.bank(*id)).collect::<Result<Vec<_>, _>>()?;
        self.fund(&mut banks).await?;
        self.queue(&banks).await?;
        let mut rounds = BTreeMap::new();
        for currency in input.currencies() {
            if input.payments_in(currency).next().is_some() {
                self.prove(&mut banks, currency).await?;
                rounds.insert(currency, self.net(&mut banks, currency).await?);
            }
        }
        let accounts = self.accounts(&mut banks).await?;
        let bilateral = self.bilateral(&mut banks, &accounts).await?;
        let audit = self.audit().await?;
        self.report(&mut banks, rounds, accounts, bilateral, audit).await
    }

    /// The central bank credits the starting balances; the banks' agents absorb them.
    async fn fund(&mut self, banks: &mut [Bank]) -> Result<(), DemoError> {
        let input = &self.options.input;
        let stage = self.progress.begin("fund the starting balances");
        let central = names::CENTRAL_BANK.parse().map_err(crate::testnet::plan::PlanError::Name);
        let mut central =
            self.network.bank(central.map_err(crate::testnet::TestnetError::from)?)?;
        for currency in input.currencies() {
            let start = |bank: &Bank| (bank.id, input.position(currency, bank.id));
            let due: Vec<_> = banks.iter().map(start).filter(|(_, amount)| *amount > 0).collect();
            for (part, receivers) in due.chunks(RECEIVERS).enumerate() {
                stage.note(&format!("{currency} for {} banks", receivers.len()));
                let name = format!("funding {currency} {part}");
                central.transfer(&name, currency, receivers).await?;
            }
        }
        let deadline = Instant::now() + ABSORB;
        for bank in banks.iter_mut() {
            for currency in input.currencies() {
                let expected = currency.format(input.position(currency, bank.id));
                stage.note(&format!("{} absorbs {currency}", bank.id));
                while bank.account(currency).await?.balance != expected {
                    if Instant::now() > deadline {
                        let what = format!("absorbing {expected} {currency} at {}", bank.id);
                        return Err(DemoError::TooSlow { what, seconds: ABSORB.as_secs() });
                    }
                    sleep(POLL).await;
                }
            }
        }
        self.progress.end(stage, &format!("{} accounts", input.positions.len()));
        Ok(())
    }

    /// Each bank queues its payments in the order of the file; the banks do so at the same time.
    async fn queue(&mut self, banks: &[Bank]) -> Result<(), DemoError> {
        let stage = self.progress.begin("queue the payments");
        let mut tasks = JoinSet::new();
        for bank in banks {
            let mine = self.options.input.payments.iter().filter(|it| it.payer == bank.id);
            let mine: Vec<Payment> = mine.cloned().collect();
            let mut bank = bank.clone();
            tasks.spawn(async move {
                for payment in &mine {
                    bank.queue(payment).await?;
                }
                Ok::<(), DemoError>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            // A task panics only by a defect of this program.
            done.unwrap_or(Err(DemoError::Interrupted))?;
        }
        self.progress.end(stage, &format!("{} payments", self.options.input.payments.len()));
        Ok(())
    }

    /// Waits until each bank has proven its queued amounts to be in range, as it does in the
    /// background long before a round in real life.
    async fn prove(&mut self, banks: &mut [Bank], next: Currency) -> Result<(), DemoError> {
        let stage = self.progress.begin(&format!("prove what waits, before netting {next}"));
        let deadline = Instant::now() + PROVE;
        for bank in banks.iter_mut() {
            for currency in self.options.input.currencies() {
                stage.note(&format!("{} in {currency}", bank.id));
                while !bank.account(currency).await?.queue_proven {
                    if Instant::now() > deadline {
                        let what = format!("proving the queue of {} in {currency}", bank.id);
                        return Err(DemoError::TooSlow { what, seconds: PROVE.as_secs() });
                    }
                    sleep(POLL).await;
                }
            }
        }
        self.progress.end(stage, "none is negative or too large");
        Ok(())
    }

    async fn net(
        &mut self,
        banks: &mut [Bank],
        currency: Currency,
    ) -> Result<Vec<Timed>, DemoError> {
        let stage = self.progress.begin(&format!("netting round in {currency}"));
        let settled = rounds::net(banks, currency, &rounds::PAUSES, &stage).await?;
        let iterations: u32 = settled.iter().map(|round| round.settled.iterations).sum();
        self.progress.end(stage, &format!("{iterations} iterations on shares"));
        Ok(settled)
    }

    /// Transfers and an exchange, if they are wanted and there is enough to move.
    async fn bilateral(
        &mut self,
        banks: &mut [Bank],
        accounts: &Accounts,
    ) -> Result<Option<Done>, DemoError> {
        let balances = |currency: Currency| -> bilateral::Balances {
            let accounts = accounts.get(&currency).into_iter().flatten();
            accounts.filter_map(|(b, it)| Some((*b, currency.parse(&it.balance).ok()?))).collect()
        };
        let plan = match self.options.bilateral {
            true => bilateral::plan(&balances(Currency::Eur), &balances(Currency::Usd)),
            false => None,
        };
        let Some(Bilateral { transfers, exchange }) = plan else { return Ok(None) };
        let stage = self.progress.begin("transfers between banks");
        let mut done = Vec::new();
        for (number, plan) in transfers.into_iter().enumerate() {
            let bilateral::Transfer { sender, currency, receivers } = plan;
            let name = format!("transfer {number}");
            let height = of(banks, sender)?.transfer(&name, currency, &receivers).await?;
            done.push(report::Transfer { sender, currency, receivers, height });
        }
        self.progress.end(stage, "one with several receivers and decoys of zero");

        let stage = self.progress.begin("exchange of euros and dollars");
        let bilateral::Exchange { offering, accepting } = exchange;
        let (euros, dollars) = (money(offering.1, offering.2), money(accepting.1, accepting.2));
        let offer = of(banks, offering.0)?;
        offer.propose_exchange("exchange", accepting.0, euros.clone(), dollars.clone()).await?;
        let height = of(banks, accepting.0)?.accept_exchange("exchange", dollars, euros).await?;
        self.progress.end(stage, "both or neither, in one transaction");
        let exchange = report::Exchange { offered_by: offering, accepted_by: accepting, height };
        Ok(Some(Done { transfers: done, exchange }))
    }

    /// Runs the auditor's own program.
    async fn audit(&mut self) -> Result<Audit, DemoError> {
        let stage = self.progress.begin("audit from the beginning");
        let directory = self.network.directory();
        let node = &self.network.members().node;
        let mut command = tokio::process::Command::new(&self.options.auditor);
        command.args(audit_arguments(directory, &node.address.to_string()));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let path = self.options.auditor.clone();
        let output = command.output().await.map_err(|reason| DemoError::File { path, reason })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let audit = Audit::parse(&said)
            .ok()
            .filter(|audit| audit.verdict.verified && output.status.success());
        let audit = audit.ok_or_else(|| DemoError::Audit {
            status: output.status.to_string(),
            output: said + &String::from_utf8_lossy(&output.stderr),
        })?;
        self.progress.end(stage, "verified");
        Ok(audit)
    }
}

/// The bank of that name.
fn of(banks: &mut [Bank], id: InstitutionId) -> Result<&mut Bank, DemoError> {
    let found = banks.iter_mut().find(|bank| bank.id == id);
    found.ok_or(DemoError::Answer { bank: id, what: "nothing: it has no agent".into() })
}

/// What the bilateral step has done.
struct Done {
    transfers: Vec<report::Transfer>,
    exchange: report::Exchange,
}

/// The arguments of `quittance-audit` for the network in `directory`.
pub fn audit_arguments(directory: &Path, node: &str) -> Vec<String> {
    let file = |name: &str| directory.join(name).display().to_string();
    [
        "verify".to_owned(),
        "--node".to_owned(),
        node.to_owned(),
        "--identity".to_owned(),
        format!("urn:quittance:{}:node", names::VALIDATOR),
        "--certificate".to_owned(),
        file("auditor.pem"),
        "--key".to_owned(),
        file("auditor.key"),
        "--ca".to_owned(),
        file("ca/ca.pem"),
        "--genesis".to_owned(),
        file("genesis.json"),
        "--json".to_owned(),
        "-".to_owned(),
    ]
    .into()
}
