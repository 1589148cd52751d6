//! Attacks on a server, by strangers and by an institution with a valid certificate. Frames are made
//! by hand (RFC 9113). An attack has many connections, each of which is made again when it ends.

use std::iter::{once, repeat_with};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::raw::{
    Attacker, CONTINUATION, DATA, END_HEADERS, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    call, field, frame,
};

const SUBMIT: &str = "/quittance.node.v1.Node/Submit";
const CHAIN_STATUS: &str = "/quittance.node.v1.Node/ChainStatus";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// On DATA and HEADERS: nothing more comes on this stream.
const END_STREAM: u8 = 1;

/// Streams that a server allows on a connection.
const STREAMS: usize = 128;

const MIB: usize = 1 << 20;

/// As large as a frame may be.
const FRAME: usize = 16_384;

/// Between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(10);

type Batches = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// What one connection of an attack does.
#[derive(Clone, Copy)]
enum Tactic {
    /// Says this in place of a handshake, and then nothing.
    Mute(&'static [u8]),
    /// Shakes hands and sends what follows, with a pause before each batch.
    Frames { batches: fn() -> Batches, pause: Duration, deaf: bool },
    /// Computes, and leaves the server alone.
    Spin,
}

/// An attack.
#[derive(Clone, Copy)]
pub struct Attack {
    pub name: &'static str,
    /// Whether it is by an institution with a certificate.
    pub insider: bool,
    /// Connections at a time.
    connections: usize,
    /// Addresses that they come from.
    addresses: u8,
    tactic: Tactic,
}

const fn stranger(name: &'static str, connections: usize, addresses: u8, tactic: Tactic) -> Attack {
    Attack { name, insider: false, connections, addresses, tactic }
}

const fn insider(
    name: &'static str,
    connections: usize,
    pause_ms: u64,
    batches: fn() -> Batches,
) -> Attack {
    let tactic = Tactic::Frames { batches, pause: Duration::from_millis(pause_ms), deaf: false };
    Attack { name, insider: true, connections, addresses: 4, tactic }
}

impl Attack {
    /// The same attacker reads nothing of what it is told.
    const fn deaf(mut self) -> Self {
        if let Tactic::Frames { deaf, .. } = &mut self.tactic {
            *deaf = true;
        }
        self
    }
}

/// No attack: keeps a processor busy as those do that send as fast as they can. What this costs the
/// others is not the server's fault.
pub const CONTROL: Attack = stranger("none, but a busy processor", 1, 1, Tactic::Spin);

/// All attacks. A server allows 32 connections of one institution.
pub const ATTACKS: &[Attack] = &[
    stranger("1,000 silent connections", 1_000, 1, Tactic::Mute(b"")),
    stranger("1,000 begun handshakes, 16 addresses", 1_000, 16, Tactic::Mute(&HELLO)),
    stranger("1,000 of another protocol", 1_000, 4, Tactic::Mute(b"GET / HTTP/1.1\r\n\r\n")),
    stranger(
        "64 handshakes without a certificate",
        64,
        1,
        Tactic::Frames { batches: nothing, pause: Duration::ZERO, deaf: false },
    ),
    insider("1,000 connections", 1_000, 0, nothing),
    insider("slow bodies", 32, 5, slow_bodies),
    insider("megabytes that never end", 32, 2, megabytes),
    insider("oversized messages", 32, 1, oversized),
    insider("large headers", 32, 1, large_headers),
    insider("answers that are not read", 32, 1, closed_windows).deaf(),
    insider("endless empty frames", 32, 0, empty_frames),
    insider("endless small frames", 32, 0, small_frames),
    insider("endless continuations", 32, 0, continuations),
    insider("pings and settings", 32, 0, pings).deaf(),
    insider("window updates and unknown frames", 32, 0, window_updates),
    insider("rapid resets", 32, 0, resets),
];

/// The head of a TLS record of 512 bytes that are a client's greeting, which never come.
const HELLO: [u8; 9] = [22, 3, 1, 2, 0, 1, 0, 1, 252];

fn nothing() -> Batches {
    Box::new(std::iter::empty())
}

fn stream_ids() -> impl Iterator<Item = u32> + Send {
    (0..1 << 30).map(|index| 2 * index + 1)
}

fn open(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &call(path))
}

/// A message of 1 MiB is promised on each stream and comes byte by byte.
fn slow_bodies() -> Batches {
    let begin = stream_ids()
        .take(STREAMS)
        .map(|stream| [open(stream, SUBMIT), frame(DATA, 0, stream, &[0, 0, 16, 0, 0])].concat());
    let bytes = repeat_with(|| {
        stream_ids().take(STREAMS).flat_map(|stream| frame(DATA, 0, stream, &[1])).collect()
    });
    Box::new(begin.chain(bytes))
}

/// All of a message but its last byte, on stream after stream.
fn megabytes() -> Batches {
    let streams = stream_ids().take(STREAMS).flat_map(|stream| {
        let begin = [open(stream, SUBMIT), frame(DATA, 0, stream, &[0, 0, 16, 0, 0])].concat();
        let most = frame(DATA, 0, stream, &[1; FRAME]);
        let last = frame(DATA, 0, stream, &[1; FRAME - 1]);
        once(begin).chain(std::iter::repeat_n(most, MIB / FRAME - 1)).chain(once(last))
    });
    Box::new(streams)
}

/// Messages that say that they have 4 GiB, and go on beyond what is allowed.
fn oversized() -> Batches {
    let streams = stream_ids().flat_map(|stream| {
        let begin = [open(stream, SUBMIT), frame(DATA, 0, stream, &[0, 255, 255, 255, 255])];
        let more = std::iter::repeat_n(frame(DATA, 0, stream, &[1; FRAME]), MIB / FRAME + 1);
        once(begin.concat()).chain(more)
    });
    Box::new(streams)
}

/// Calls with nearly as many headers as may be, which never end.
fn large_headers() -> Batches {
    let filler: Vec<u8> =
        (0..100).flat_map(|number| field(&format!("x-{number}"), &"a".repeat(100))).collect();
    let headers = [call(HEALTH), filler].concat();
    Box::new(stream_ids().take(STREAMS).map(move |id| frame(HEADERS, END_HEADERS, id, &headers)))
}

/// Asks for large answers, and never lets a byte of them come.
fn closed_windows() -> Batches {
    // SETTINGS_INITIAL_WINDOW_SIZE = 0.
    let closed = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let calls = stream_ids().take(STREAMS).map(|stream| {
        [open(stream, CHAIN_STATUS), frame(DATA, END_STREAM, stream, &[0; 5])].concat()
    });
    Box::new(once(closed).chain(calls))
}

fn empty_frames() -> Batches {
    let empty = frame(DATA, 0, 1, &[]).repeat(1_000);
    Box::new(once(open(1, SUBMIT)).chain(std::iter::repeat(empty)))
}

/// Messages of a byte each, on stream after stream; none is a transaction.
fn small_frames() -> Batches {
    Box::new(stream_ids().map(|stream| {
        let bytes = frame(DATA, 0, stream, &[1]).repeat(1_000);
        let prefix = frame(DATA, 0, stream, &[0, 0, 0, 3, 232]);
        [open(stream, SUBMIT), prefix, bytes, frame(DATA, END_STREAM, stream, &[])].concat()
    }))
}

fn continuations() -> Batches {
    let filler = field("x-filler", &"a".repeat(100)).repeat(100);
    let more = frame(CONTINUATION, 0, 1, &filler);
    Box::new(once(frame(HEADERS, 0, 1, &call(SUBMIT))).chain(std::iter::repeat(more)))
}

fn pings() -> Batches {
    let both = [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])].concat();
    Box::new(std::iter::repeat(both.repeat(500)))
}

fn window_updates() -> Batches {
    /// Of no kind that HTTP/2 knows, which is to be ignored.
    const UNKNOWN: u8 = 0x7f;
    /// Deprecated; to be ignored as well.
    const PRIORITY: u8 = 2;
    let some = [
        frame(UNKNOWN, 0, 0, &[]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]),
        frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
    ];
    Box::new(std::iter::repeat(some.concat().repeat(300)))
}

fn resets() -> Batches {
    let reset = |stream| frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
    let mut all = stream_ids().map(move |stream| [open(stream, SUBMIT), reset(stream)].concat());
    Box::new(repeat_with(move || all.by_ref().take(50).flatten().collect()))
}

/// What an attack has done.
#[derive(Default)]
pub struct Tally {
    /// Connections that stood, be it for a moment.
    pub connections: AtomicUsize,
    /// Handshakes that were completed on the attacker's side.
    pub handshakes: AtomicUsize,
    /// Bytes of frames.
    pub bytes: AtomicUsize,
}

/// The attacker's side: what it attacks, with which certificates, until when.
#[derive(Clone)]
pub struct Attackers {
    pub target: SocketAddr,
    /// With a certificate, and without one.
    pub insider: Arc<ClientConfig>,
    pub stranger: Arc<ClientConfig>,
}

impl Attackers {
    /// Attacks until `end`, by a runtime of its own: the honest callers' shares no thread with it.
    pub fn run(&self, attack: Attack, end: Instant) -> Tally {
        if let Tactic::Spin = attack.tactic {
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            return Tally::default();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tally = Arc::new(Tally::default());
        runtime.expect("a runtime").block_on(async {
            let workers: Vec<_> = (0..attack.connections)
                .map(|number| {
                    let (attackers, tally) = (self.clone(), tally.clone());
                    tokio::spawn(async move { attackers.work(attack, number, &tally, end).await })
                })
                .collect();
            for worker in workers {
                worker.await.expect("a worker");
            }
        });
        Arc::into_inner(tally).expect("all workers have ended")
    }

    /// One connection after the other.
    async fn work(&self, attack: Attack, number: usize, tally: &Tally, end: Instant) {
        // Not all in the same moment.
        sleep(Duration::from_millis(number as u64 % 100)).await;
        while Instant::now() < end {
            let source =
                Ipv4Addr::new(127, 0, 1, 1 + (number % usize::from(attack.addresses)) as u8);
            // A handshake may hang; a flood ends by itself, and has to be counted.
            let late = end + Duration::from_millis(500);
            drop(timeout_at(late.into(), self.connection(attack, source.into(), tally, end)).await);
            if end.saturating_duration_since(Instant::now()) > AGAIN {
                sleep(AGAIN).await;
            }
        }
    }

    async fn connection(
        &self,
        attack: Attack,
        source: IpAddr,
        tally: &Tally,
        end: Instant,
    ) -> std::io::Result<()> {
        let stream = connect(source, self.target).await?;
        tally.connections.fetch_add(1, Ordering::Relaxed);
        match attack.tactic {
            Tactic::Spin => Ok(()),
            Tactic::Mute(words) => mute(stream, words, end).await,
            Tactic::Frames { batches, pause, deaf } => {
                let config = if attack.insider { &self.insider } else { &self.stranger };
                let attacker = Attacker::over(stream, config.clone()).await?;
                tally.handshakes.fetch_add(1, Ordering::Relaxed);
                let sent = attacker.flood(batches(), pause, deaf, end).await;
                tally.bytes.fetch_add(sent, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

async fn connect(source: IpAddr, target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(target).await
}

/// Says little, and stays until it is thrown out.
async fn mute(mut stream: TcpStream, words: &[u8], end: Instant) -> std::io::Result<()> {
    stream.write_all(words).await?;
    let mut answer = Vec::new();
    tokio::select! {
        _ = stream.read_to_end(&mut answer) => {}
        () = sleep_until(end.into()) => {}
    }
    Ok(())
}
