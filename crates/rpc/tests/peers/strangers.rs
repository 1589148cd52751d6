//! Callers that are no validators, or no honest ones. The called validator is B; A calls it.

use std::time::Duration;

use bytes::Bytes;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::ids::{ChainId, InstitutionId};
use quittance_rpc::client::{ConnectError, ValidatorStream};
use quittance_rpc::identity::{Identity, Process};
use quittance_rpc::peers::{
    EXPORTER_LABEL, Hello, MAX_FRAME_BYTES, Priority, Reason, Side, Statement,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::common::{agent, process};
use crate::town::{CHAIN, LONG, Town, id, key};

/// A connection as bytes.
pub struct Caller {
    pub stream: ValidatorStream,
    exporter: [u8; 32],
}

impl Caller {
    pub async fn call(town: &Town, holder: Identity) -> Result<Self, ConnectError> {
        let stream = town.dialer(holder).validator(&town.targets[&id(1)]).await?;
        let tls = stream.get_ref().1;
        let exporter = tls.export_keying_material([0; 32], EXPORTER_LABEL, None).unwrap();
        Ok(Self { stream, exporter })
    }

    /// With a certificate of this validator's node.
    pub async fn node(town: &Town, number: u8) -> Self {
        Self::call(town, node(number)).await.unwrap()
    }

    pub async fn write(&mut self, kind: u8, content: &[u8]) {
        let length = (content.len() as u32).to_be_bytes();
        let unit = [&[kind], &length[..], content].concat();
        // It may have been refused meanwhile.
        let _ = self.stream.write_all(&unit).await;
        let _ = self.stream.flush().await;
    }

    /// The next unit; none at the end.
    pub async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let kind = self.stream.read_u8().await.ok()?;
            let length = self.stream.read_u32().await.ok()?;
            let mut content = vec![0; length as usize];
            self.stream.read_exact(&mut content).await.ok()?;
            Some((kind, content))
        };
        timeout(LONG, reading).await.expect("an answer or an end")
    }

    /// A, which B has accepted.
    pub async fn accepted(town: &Town) -> Self {
        let mut caller = Self::node(town, 0).await;
        let right = hello(id(0), &caller.statement(), &key(0));
        assert_eq!(caller.greet(&right).await, Some((ACCEPTED, vec![])));
        caller
    }

    /// What a hello of A is about, on this connection.
    fn statement(&self) -> Statement {
        let key = key(0).verifying_key().fingerprint();
        let (side, dialler, listener) = (Side::Dialler, id(0), id(1));
        Statement { chain: CHAIN, side, dialler, listener, key, exporter: self.exporter }
    }

    /// Reads B's hello, says another, and hears what B says to it.
    async fn greet(&mut self, hello: &Hello) -> Option<(u8, Vec<u8>)> {
        let (kind, _) = self.read().await.unwrap();
        assert_eq!(kind, 1, "the called side speaks first");
        self.write(1, &hello.to_bytes()).await;
        self.read().await
    }
}

pub fn node(number: u8) -> Identity {
    Identity::Process(process(id(number).as_str(), Process::Node))
}

fn hello(institution: InstitutionId, statement: &Statement, signer: &SigningKey) -> Hello {
    let signature = signer.sign(Purpose::Vote, &statement.digest());
    Hello { institution, key: statement.key, signature }
}

const ACCEPTED: u8 = 2;
/// Kinds of frames.
pub const URGENT: u8 = 5;
pub const PIECE: u8 = 6;
pub const LAST_PIECE: u8 = 7;

fn refused(reason: Reason) -> Option<(u8, Vec<u8>)> {
    Some((3, vec![reason as u8]))
}

/// A town of B and C; A is played by the test.
pub async fn town() -> Town {
    let mut town = Town::new(3).await;
    town.connected(2).await;
    // The real A is gone.
    town.stop(0).await;
    town
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_hello_is_accepted_and_each_wrong_one_refused() {
    let town = town().await;
    let mut caller = Caller::node(&town, 0).await;
    let right = caller.statement();
    assert_eq!(caller.greet(&hello(id(0), &right, &key(0))).await, Some((ACCEPTED, vec![])));

    let changes: [fn(&mut Statement); 6] = [
        |it| it.chain = ChainId(quittance_crypto::digest::Digest([8; 32])),
        |it| it.side = Side::Listener,
        |it| it.dialler = id(2),
        |it| it.listener = id(2),
        |it| it.exporter[0] ^= 1,
        |it| it.exporter = [0; 32],
    ];
    for change in changes {
        let mut caller = Caller::node(&town, 0).await;
        let mut statement = caller.statement();
        change(&mut statement);
        let wrong = hello(id(0), &statement, &key(0));
        assert_eq!(caller.greet(&wrong).await, refused(Reason::Hello));
    }
}

/// A stranger with the certificate of a node passes on what the real A has said to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_is_worth_nothing_on_another_connection() {
    let town = town().await;
    let real = Caller::node(&town, 0).await;
    let said = hello(id(0), &real.statement(), &key(0));
    let mut relay = Caller::node(&town, 0).await;
    assert_eq!(relay.greet(&said).await, refused(Reason::Hello));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_validator_itself_is_let_in() {
    let town = town().await;
    // A node that is no validator. It has a certificate, and its own key.
    let mut caller =
        Caller::call(&town, Identity::Process(process("AAAAXX2A", Process::Node))).await.unwrap();
    let mut statement = caller.statement();
    statement.dialler = "AAAAXX2A".parse().unwrap();
    statement.key = key(7).verifying_key().fingerprint();
    let stranger = hello(statement.dialler, &statement, &key(7));
    caller.write(1, &stranger.to_bytes()).await;
    // It hears no hello: nothing is signed for it.
    assert_eq!(caller.read().await, refused(Reason::Stranger));
    // Nor if it names a validator that it is not.
    let mut caller =
        Caller::call(&town, Identity::Process(process("AAAAXX2A", Process::Node))).await.unwrap();
    let named = hello(id(0), &caller.statement(), &key(0));
    caller.write(1, &named.to_bytes()).await;
    assert_eq!(caller.read().await, refused(Reason::Stranger));
    // A validator in the name of another.
    let mut caller = Caller::node(&town, 0).await;
    let mut statement = caller.statement();
    (statement.dialler, statement.key) = (id(2), key(2).verifying_key().fingerprint());
    let named = hello(id(2), &statement, &key(2));
    assert_eq!(caller.greet(&named).await, refused(Reason::Hello));
    // A validator with a key that is not on the chain.
    let mut caller = Caller::node(&town, 0).await;
    let mut statement = caller.statement();
    statement.key = key(7).verifying_key().fingerprint();
    let other = hello(id(0), &statement, &key(7));
    assert_eq!(caller.greet(&other).await, refused(Reason::Stranger));
    // The one that is to be called, and not to call.
    let mut caller = Caller::node(&town, 2).await;
    assert_eq!(caller.read().await, refused(Reason::Stranger));
    // A bank's agent.
    if let Ok(mut caller) = Caller::call(&town, agent("BANKXX2A")).await {
        assert_eq!(caller.read().await, None);
    }
    assert_eq!(town.houses[0].peers.connected(), 1, "nobody was taken for a validator");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_silence_end_a_connection() {
    let mut town = town().await;
    let garbage: [(u8, &[u8]); 4] = [(1, &[7; 100]), (2, &[]), (9, &[1]), (PIECE, &[1, 2, 3])];
    for (kind, content) in garbage {
        let mut caller = Caller::node(&town, 0).await;
        caller.read().await.unwrap();
        caller.write(kind, content).await;
        match caller.read().await {
            None => {}
            said => assert_eq!(said, refused(Reason::Malformed), "{kind}"),
        }
    }
    // Half a hello.
    let mut caller = Caller::node(&town, 0).await;
    caller.read().await.unwrap();
    let half = hello(id(0), &caller.statement(), &key(0)).to_bytes();
    let _ = caller.stream.write_all(&[1, 0, 0, 15, 0]).await;
    let _ = caller.stream.write_all(&half[..100]).await;
    let _ = caller.stream.flush().await;
    assert_eq!(caller.read().await, refused(Reason::Slow));
    // A frame that has no end.
    let mut caller = Caller::accepted(&town).await;
    let piece = vec![7; 64 << 10];
    for _ in 0..3 * MAX_FRAME_BYTES / piece.len() {
        let writing = timeout(LONG, caller.write(PIECE, &piece)).await;
        writing.expect("it is read until it is too long, and then the connection ends");
    }
    // Pings may come before the end.
    while let Some((kind, _)) = caller.read().await {
        assert_eq!(kind, 4);
    }
    // The others have not noticed.
    let frame = Bytes::from_static(b"still here");
    town.houses[1].peers.broadcast(frame.clone(), Priority::Urgent);
    let arrived = town.houses[0].arrivals.recv();
    let mut seen = timeout(LONG, arrived).await.unwrap().unwrap();
    while seen.name.institution != id(2) {
        seen = timeout(LONG, town.houses[0].arrivals.recv()).await.unwrap().unwrap();
    }
    let got = timeout(Duration::from_secs(5), seen.frames.recv()).await.unwrap();
    assert_eq!(got, Some(frame));
}

/// What B says is a hello as well, bound to this connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_called_side_proves_its_key() {
    let town = town().await;
    let mut caller = Caller::node(&town, 0).await;
    let (kind, bytes) = caller.read().await.unwrap();
    assert_eq!(kind, 1);
    let said = Hello::from_bytes(&bytes).unwrap();
    let own = key(1).verifying_key();
    let statement =
        Statement { side: Side::Listener, key: own.fingerprint(), ..caller.statement() };
    own.verify(Purpose::Vote, &statement.digest(), &said.signature).unwrap();
    assert_eq!((said.institution, said.key), (id(1), own.fingerprint()));
}
