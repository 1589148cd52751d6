//! Who is let in, who is spoken to, and by which key exchange.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::raw::foreign_client;
use common::*;
use quittance_crypto::signature::Suite;
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::config::{ListenAddress, Target};
use quittance_rpc::identity::{Identity, Process, Role};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::server::{ServeError, Server};
use quittance_rpc::tls::group::SECP384R1MLKEM1024;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::{Admission, Scope, Trust, Untrusted};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls, TlsError};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, NamedGroup};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Connects as an ordinary client; the negotiated group once the server has spoken.
async fn foreign(
    address: &str,
    config: std::sync::Arc<rustls::ClientConfig>,
) -> std::io::Result<NamedGroup> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, stream).await?;
    match stream.fill_buf().await? {
        [] => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(stream.get_ref().1.negotiated_key_exchange_group().unwrap().name()),
    }
}

#[tokio::test]
async fn both_ends_see_the_hybrid_group_and_who_is_there() {
    let network = Network::with(|_| ()).await;
    let answer = network.node("BANKDEFF").account(node::AccountRequest::default()).await.unwrap();
    assert_eq!(
        String::from_utf8(answer.get_ref().account.clone()).unwrap(),
        "urn:quittance:BANKDEFF:agent X25519MLKEM768"
    );

    let issued = network.authority.issue(agent("BANKDEFF"), &[]).unwrap();
    let everything = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS.to_vec();
    let config = foreign_client(&network.authority, Some(&issued), everything);
    let group = foreign(&network.target().address, config).await.unwrap();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_client_without_the_hybrid_group_is_refused() {
    let network = Network::with(|_| ()).await;
    let issued = network.authority.issue(agent("BANKDEFF"), &[]).unwrap();
    let others: [&'static dyn SupportedKxGroup; 5] = [
        kx_group::X25519,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
        kx_group::MLKEM768,
        kx_group::SECP256R1MLKEM768,
    ];
    for group in others {
        let config = foreign_client(&network.authority, Some(&issued), vec![group]);
        let error = foreign(&network.target().address, config).await.unwrap_err();
        assert!(error.to_string().contains("HandshakeFailure"), "{:?}: {error}", group.name());
    }
}

/// Calls a server of the suite `server` by a client's own choice of `client`; the group.
async fn across_suites(server: fn(Tls) -> Tls, client: fn(Tls) -> Tls) -> Option<String> {
    let authority = Authority::create("test").unwrap();
    let own = server(tls(&authority, Identity::Process(the_node())));
    let service = Server::new(Limits::default()).node(Fake::default());
    let bound = service.bind(&own, &loopback(), Admission::everybody()).await.unwrap();
    let running = Running::start(bound);
    let target = Target { address: running.target.address.clone(), identity: the_node() };
    let dialer = Dialer::new(client(tls(&authority, agent("BANKDEFF"))), Limits::default());
    let answer = dialer.node(&target).unwrap().account(node::AccountRequest::default()).await;
    let answer = answer.ok()?.into_inner();
    Some(String::from_utf8(answer.account).unwrap().split(' ').next_back().unwrap().to_owned())
}

#[tokio::test]
async fn the_group_is_that_of_the_chains_suite() {
    let default = |tls: Tls| tls;
    let strong = |tls: Tls| tls.of_suite(Suite::MlDsa87MlKem1024);
    let any = Tls::of_any_suite;
    let name = |group: &'static dyn SupportedKxGroup| Some(format!("{:?}", group.name()));
    let (x25519, p384) = (name(kx_group::X25519MLKEM768), name(SECP384R1MLKEM1024));
    assert_eq!(across_suites(strong, strong).await, p384);
    assert_eq!(across_suites(strong, any).await, p384);
    assert_eq!(across_suites(any, default).await, x25519);
    assert_eq!(across_suites(any, any).await, x25519);
    assert_eq!(across_suites(strong, default).await, None);
    assert_eq!(across_suites(default, strong).await, None);
}

#[tokio::test]
async fn a_server_without_the_hybrid_group_is_not_spoken_to() {
    let authority = Authority::create("test").unwrap();
    let issued = authority.issue(Identity::Process(the_node()), &HOSTS).unwrap();
    let config = plain_server(&issued, vec![kx_group::X25519]);
    let target = serve_plainly(config).await;
    let dialer = Dialer::new(tls(&authority, agent("BANKDEFF")), Limits::default());
    let error = dialer.connect(&target).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Refused { alert: AlertDescription::HandshakeFailure, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("no common key exchange"));
}

/// A server that looks at nobody's certificate.
fn plain_server(
    issued: &quittance_rpc::tls::issue::Issued,
    groups: Vec<&'static dyn SupportedKxGroup>,
) -> rustls::ServerConfig {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = groups;
    let chain = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Shakes hands with one client, sends an empty HTTP/2 SETTINGS frame, and listens.
async fn serve_plainly(config: rustls::ServerConfig) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target =
        Target { address: listener.local_addr().unwrap().to_string(), identity: the_node() };
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
        if let Ok(mut stream) = acceptor.accept(stream).await {
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            drop(stream.read_to_end(&mut Vec::new()).await);
        }
    });
    target
}

#[tokio::test]
async fn classical_key_exchange_is_for_a_banks_own_clients_on_private_addresses() {
    let authority = Authority::create("test").unwrap();
    let own = tls(&authority, agent("BANKDEFF"));
    let classical = |address: &str| ListenAddress {
        socket: address.parse().unwrap(),
        key_exchange: KeyExchange::Classical,
    };
    let everybody = Admission::everybody;

    let node = Server::new(Limits::default()).node(Fake::default());
    let error = node.bind(&own, &classical("127.0.0.1:0"), everybody()).await.err().unwrap();
    assert!(matches!(error, ServeError::ClassicalBetweenInstitutions("quittance.node.v1.Node")));

    for public in ["0.0.0.0:0", "[::]:0", "203.0.113.5:443", "[2001:db8::1]:443"] {
        let empty = Server::new(Limits::default());
        let error = empty.bind(&own, &classical(public), everybody()).await.err().unwrap();
        assert!(matches!(error, ServeError::ClassicalInPublic(_)), "{public}: {error}");
    }

    let empty = Server::new(Limits::default());
    let bank = Admission::clients_of("BANKDEFF".parse().unwrap());
    let bound = empty.bind(&own, &classical("127.0.0.1:0"), bank).await.unwrap();
    let running = Running::start(bound);
    let issued = authority.issue(client("BANKDEFF", &[Role::Read]), &[]).unwrap();
    for group in [kx_group::X25519, kx_group::SECP256R1, kx_group::X25519MLKEM768] {
        let config = foreign_client(&authority, Some(&issued), vec![group]);
        let found = foreign(&running.target.address, config).await.unwrap();
        assert_eq!(found, group.name());
    }
    // Who prefers the hybrid group gets it.
    let both = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    let config = foreign_client(&authority, Some(&issued), both);
    let found = foreign(&running.target.address, config).await.unwrap();
    assert_eq!(found, NamedGroup::X25519MLKEM768);
}

/// What a caller with these credentials gets from a node that trusts `authority`.
async fn call(network: &Network, tls: Tls) -> Result<(), ConnectError> {
    Dialer::new(tls, Limits::default()).connect(network.target()).await.map(|_| ())
}

fn alert(result: Result<(), ConnectError>) -> AlertDescription {
    match result {
        Err(ConnectError::Refused { alert, .. }) => alert,
        other => panic!("not refused by an alert: {other:?}"),
    }
}

#[tokio::test]
async fn clients_that_are_not_who_they_say_are_refused() {
    let network = Network::with(|_| ()).await;
    let holder = agent("BANKDEFF");
    let trusting = || trust(&[&network.authority]);
    assert_eq!(call(&network, tls(&network.authority, holder)).await, Ok(()));

    // Strangers, one of them under the name of the trusted authority.
    for name in ["test", "another"] {
        let stranger = Authority::create(name).unwrap();
        let forged = credentials(&stranger.issue(holder, &[]).unwrap());
        let result = call(&network, Tls::new(forged, trusting())).await;
        assert!(result.clone().unwrap_err().to_string().contains("does not trust the authority"));
        assert_eq!(alert(result), AlertDescription::UnknownCA);
    }

    let now = OffsetDateTime::now_utc();
    for (begin, end) in [(-2, -1), (1, 2)] {
        let days = |count| now + Duration::days(count);
        let issued = network.authority.issue_between(holder, &[], days(begin), days(end)).unwrap();
        let result = call(&network, Tls::new(credentials(&issued), trusting())).await;
        assert_eq!(alert(result), AlertDescription::CertificateExpired);
    }

    let group = vec![kx_group::X25519MLKEM768];
    let config = foreign_client(&network.authority, None, group.clone());
    let error = foreign(&network.target().address, config).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");

    // A certificate of the right authority that names nobody of ours.
    let issued = nameless(&network.authority);
    let config = foreign_client(&network.authority, Some(&issued), group);
    let error = foreign(&network.target().address, config).await.unwrap_err();
    assert!(error.to_string().contains("CertificateUnknown"), "{error}");
    let refused =
        Credentials::from_pem(issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
    assert!(matches!(refused, Err(TlsError::Identity(_))));
}

/// A certificate without any name of ours.
fn nameless(authority: &Authority) -> quittance_rpc::tls::issue::Issued {
    let key = rcgen::KeyPair::from_pem(&authority.key_pem()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(authority.certificate_pem(), key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    quittance_rpc::tls::issue::Issued {
        certificate_pem: params.signed_by(&key, &issuer).unwrap().pem(),
        key_pem: key.serialize_pem().into(),
    }
}

#[tokio::test]
async fn whom_a_listener_does_not_serve_is_refused() {
    let authority = Authority::create("test").unwrap();
    let own = tls(&authority, Identity::Process(the_node()));
    let only = Admission::when(|who| who.is(Process::Agent));
    let server = Server::new(Limits::default()).node(Fake::default());
    let running = Running::start(server.bind(&own, &loopback(), only).await.unwrap());
    let network = Network { authority, running };
    let with = |holder| tls(&network.authority, holder);

    assert_eq!(call(&network, with(agent("BANKDEFF"))).await, Ok(()));
    let result = call(&network, with(client("BANKDEFF", &[Role::Initiate]))).await;
    assert!(result.clone().unwrap_err().to_string().contains("we are not admitted there"));
    assert_eq!(alert(result), AlertDescription::AccessDenied);
    let party = Identity::Process(process("BANKDEFF", Process::Party));
    assert_eq!(alert(call(&network, with(party)).await), AlertDescription::AccessDenied);
}

#[tokio::test]
async fn handlers_tell_processes_and_roles_apart() {
    let network = Network::with(|_| ()).await;
    let mut auditor =
        network.dialer(client("BANKDEFF", &[Role::Audit])).node(network.target()).unwrap();
    assert!(auditor.round(node::RoundRequest::default()).await.is_ok());
    let denied = auditor.account(node::AccountRequest::default()).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied);
    assert!(denied.message().contains("a process of the kind agent"), "{denied}");
    let party = Identity::Process(process("BANKDEFF", Process::Party));
    let mut party = network.dialer(party).node(network.target()).unwrap();
    let denied = party.account(node::AccountRequest::default()).await.unwrap_err();
    assert!(denied.message().contains("a process of the kind agent"), "{denied}");

    let mut reader =
        network.dialer(client("BANKDEFF", &[Role::Read])).node(network.target()).unwrap();
    let denied = reader.round(node::RoundRequest::default()).await.unwrap_err();
    assert!(denied.message().contains("the role audit is needed"), "{denied}");
    let denied = network.node("BANKDEFF").round(node::RoundRequest::default()).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied);
}

fn untrusted(result: Result<(), ConnectError>) -> Untrusted {
    match result {
        Err(ConnectError::Untrusted { reason, .. }) => reason,
        other => panic!("the server was trusted: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_must_be_the_process_that_was_called() {
    let network = Network::with(|_| ()).await;
    let dialer = network.dialer(agent("BANKDEFF"));
    let address = network.target().address.clone();
    for called in [
        process("NODEXXAA", Process::Party),
        process("NODEXXAB", Process::Node),
        process("BANKDEFF", Process::Agent),
    ] {
        let target = Target { address: address.clone(), identity: called };
        let reason = untrusted(dialer.connect(&target).await.map(|_| ()));
        let found = Identity::Process(the_node());
        assert_eq!(reason, Untrusted::WrongServer { expected: called, found });
        // A channel that connects on its own says the same.
        let mut lazy = dialer.node(&target).unwrap();
        let status = lazy.chain_status(node::ChainStatusRequest {}).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        let expected = format!("the server is {found}, but {called} was called");
        assert!(status.message().contains(&expected), "{status}");
    }
}

#[tokio::test]
async fn servers_with_bad_certificates_are_not_spoken_to() {
    let authority = Authority::create("test").unwrap();
    let stranger = Authority::create("test").unwrap();
    let holder = Identity::Process(the_node());
    let now = OffsetDateTime::now_utc();
    let until = |days| now + Duration::days(days);
    let good = authority.issue(holder, &HOSTS).unwrap();
    let expired = authority.issue_between(holder, &HOSTS, until(-2), until(-1)).unwrap();
    let future = authority.issue_between(holder, &HOSTS, until(1), until(2)).unwrap();
    let forged = stranger.issue(holder, &HOSTS).unwrap();
    // Good for a client, not for a server; were it not for that, WrongServer would come first.
    let as_client = authority.issue(client("NODEXXAA", &[Role::Audit]), &HOSTS).unwrap();
    let attempt = async |issued| {
        let target = serve_plainly(plain_server(issued, vec![kx_group::X25519MLKEM768])).await;
        let dialer = Dialer::new(tls(&authority, agent("BANKDEFF")), Limits::default());
        dialer.connect(&target).await.map(|_| ())
    };
    assert_eq!(attempt(&good).await, Ok(()));
    assert!(matches!(untrusted(attempt(&expired).await), Untrusted::Expired { .. }));
    assert!(matches!(untrusted(attempt(&future).await), Untrusted::NotYetValid { .. }));
    assert!(matches!(untrusted(attempt(&forged).await), Untrusted::UnknownIssuer(_)));
    assert!(matches!(untrusted(attempt(&as_client).await), Untrusted::Invalid { .. }));
    let nameless = nameless(&authority);
    assert!(matches!(untrusted(attempt(&nameless).await), Untrusted::Identity(_)));
}

#[tokio::test]
async fn one_banks_authority_cannot_name_anothers_agent() {
    let (ours, theirs) = (Authority::create("ours").unwrap(), Authority::create("theirs").unwrap());
    let scoped = |id: &str| Scope::Institutions([id.parse().unwrap()].into());
    let trusting = || {
        let mut trust = Trust::new();
        trust.add_pem(ours.certificate_pem().as_bytes(), scoped("NODEXXAA")).unwrap();
        trust.add_pem(theirs.certificate_pem().as_bytes(), scoped("BANKDEFF")).unwrap();
        trust
    };
    let own = credentials(&ours.issue(Identity::Process(the_node()), &HOSTS).unwrap());
    let server = Server::new(Limits::default()).node(Fake::default());
    let own = Tls::new(own, trusting());
    let bound = server.bind(&own, &loopback(), Admission::everybody()).await.unwrap();
    let running = Running::start(bound);
    let attempt = async |authority: &Authority, holder| {
        let tls = Tls::new(credentials(&authority.issue(holder, &[]).unwrap()), trusting());
        Dialer::new(tls, Limits::default()).connect(&running.target).await.map(|_| ())
    };
    assert_eq!(attempt(&theirs, agent("BANKDEFF")).await, Ok(()));
    assert_eq!(alert(attempt(&ours, agent("BANKDEFF")).await), AlertDescription::UnknownCA);
    assert_eq!(alert(attempt(&theirs, agent("NODEXXAA")).await), AlertDescription::UnknownCA);
    assert_eq!(alert(attempt(&theirs, agent("BANKFRPP")).await), AlertDescription::UnknownCA);

    // The same from the other side: a server of theirs that poses as ours.
    let holder = Identity::Process(the_node());
    let fake = theirs.issue(holder, &HOSTS).unwrap();
    let target = serve_plainly(plain_server(&fake, vec![kx_group::X25519MLKEM768])).await;
    let own = credentials(&theirs.issue(agent("BANKDEFF"), &[]).unwrap());
    let dialer = Dialer::new(Tls::new(own, trusting()), Limits::default());
    let reason = untrusted(dialer.connect(&target).await.map(|_| ()));
    assert_eq!(reason, Untrusted::UnknownIssuer(holder));
}
