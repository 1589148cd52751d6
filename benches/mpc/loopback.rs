//! Three parties of this process with a listener each, and connections over TLS between them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use quittance_ledger::ids::InstitutionId;
use quittance_mpc::Engine;
use quittance_mpc::session::{Abort, Machine};
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{ListenAddress, Target};
use quittance_rpc::frames::{Assignment, Frames};
use quittance_rpc::identity::{Identity, Process, ProcessName};
use quittance_rpc::limits::Limits;
use quittance_rpc::server::Server;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Admission, Scope, Trust};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls};
use rand_core::OsRng;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::mpc::threads::{Network, binding};

const NAMES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];

/// Far more than any session takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The parties, as they run. Sessions come over the same connections, one after the other.
pub(crate) struct Committee {
    parties: Vec<Frames>,
    members: Vec<InstitutionId>,
    sessions: Cell<u32>,
    runtime: Runtime,
}

impl Committee {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (parties, members) = runtime.block_on(start())?;
        Ok(Self { parties, members, sessions: Cell::new(0), runtime })
    }
}

impl Network for Committee {
    fn by_party<T, F, P>(&self, protocol: P) -> Vec<(T, u64)>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Abort>> + Send + 'static,
        P: FnOnce(Engine) -> F + Clone + Send + 'static,
    {
        let binding = binding(&self.sessions);
        let party = |(number, frames): (u8, &Frames)| {
            let (frames, protocol) = (frames.clone(), protocol.clone());
            let machine = Machine::new(&binding, number, |session| async move {
                protocol(Engine::start(session, OsRng).await?).await
            });
            let assignment = Assignment {
                session: binding.session(),
                committee: self.members.clone(),
                deadline: Instant::now() + PATIENCE,
                patience: PATIENCE,
                cancel: Default::default(),
            };
            let machine = machine.expect("a committee of three");
            self.runtime.spawn(async move { frames.drive(machine, assignment).await })
        };
        let runs: Vec<_> = (1..).zip(&self.parties).map(party).collect();
        let ended = runs.into_iter().map(|run| {
            let ended = self.runtime.block_on(run).expect("no party panics");
            let (result, traffic) =
                ended.unwrap_or_else(|failure| panic!("honest parties finish: {failure}"));
            (result, traffic.bytes)
        });
        ended.collect()
    }
}

async fn start() -> Result<(Vec<Frames>, Vec<InstitutionId>), Box<dyn Error>> {
    let authority = Authority::create("bench")?;
    let (mut targets, mut listening, mut members) = (BTreeMap::new(), vec![], vec![]);
    for name in NAMES {
        let institution = name.parse()?;
        let identity = ProcessName { institution, process: Process::Party };
        let issued = authority.issue(Identity::Process(identity), &["127.0.0.1"])?;
        let pem = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
        let mut trust = Trust::new();
        trust.add_pem(authority.certificate_pem().as_bytes(), Scope::Any)?;
        let tls = Tls::new(Credentials::from_pem(pem.0, pem.1)?, trust);
        let (server, connections) = Server::new(Limits::default()).frames();
        let socket = "127.0.0.1:0".parse()?;
        let address = ListenAddress { socket, key_exchange: KeyExchange::Hybrid };
        let stopping = server.stopping();
        let bound = server.bind(&tls, &address, Admission::everybody()).await?;
        targets.insert(institution, Target { address: bound.address().to_string(), identity });
        listening.push((institution, tls, connections, stopping));
        members.push(institution);
        tokio::spawn(bound.serve(std::future::pending()));
    }
    let mut parties = vec![];
    for (institution, tls, connections, stopping) in listening {
        let mut others = targets.clone();
        others.remove(&institution);
        let dialer = Dialer::new(tls, Limits::default());
        parties.push(Frames::new(dialer, others, connections, &stopping)?);
    }
    Ok((parties, members))
}
