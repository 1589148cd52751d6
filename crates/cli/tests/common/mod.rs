//! The files of a small network, and servers of the tests in the place of its processes.
#![allow(dead_code, unused_macros, clippy::unwrap_used, reason = "each test uses its own part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use quittance_cli::client;
use quittance_cli::testnet;
use quittance_cli::testnet::plan::{Members, Plan};
use quittance_crypto::signature::Suite;
use quittance_rpc::config::ListenAddress;
use quittance_rpc::server::{Bound, Server};
use quittance_rpc::tls::KeyExchange;
use quittance_rpc::tls::trust::Admission;
use tempfile::TempDir;
use tonic::{Response, Status};

/// What a played process says.
pub type Answer<T> = Result<Response<T>, Status>;

/// Calls that nobody makes in a test.
macro_rules! unused {
    ($($method:ident($request:ty) -> $response:ty;)*) => {$(
        fn $method<'a, 'b>(&'a self, _: tonic::Request<$request>)
            -> std::pin::Pin<Box<dyn Future<Output = crate::common::Answer<$response>> + Send + 'b>>
        where 'a: 'b, Self: 'b {
            Box::pin(async { Err(tonic::Status::unimplemented(stringify!($method))) })
        }
    )*};
}

/// The files of a network of two banks, AAAAZZ01 and BBBBZZ01. Nobody listens at its addresses, and
/// nothing may be started there.
pub fn network() -> (TempDir, Members) {
    let home = tempfile::tempdir().unwrap();
    let plan = Plan {
        name: "tested".to_owned(),
        suite: Suite::MlDsa65MlKem768,
        banks: ["AAAAZZ01", "BBBBZZ01"].map(|id| id.parse().unwrap()).into(),
        assets: vec![("EUR".parse().unwrap(), 2)],
        validators: 1,
        base_port: 1,
    };
    let members = testnet::create(&plan, home.path()).unwrap();
    (home, members)
}

/// Binds a free port for `server`, with the certificate of the process whose `folder` it is.
pub async fn bind(server: Server, home: &Path, folder: &Path, admission: Admission) -> Bound {
    let file = |name: &str| folder.join(name);
    let ca = home.join("ca/ca.pem");
    let tls = client::credentials(&file("tls.pem"), &file("tls.key"), &ca).unwrap();
    let socket = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen = ListenAddress { socket, key_exchange: KeyExchange::Hybrid };
    server.bind(&tls, &listen, admission).await.unwrap()
}

/// Serves until the test ends; where.
pub fn serve(bound: Bound) -> SocketAddr {
    let address = bound.address();
    tokio::spawn(bound.serve(std::future::pending()));
    address
}
