//! When a daemon is to end: on a signal, or when whoever started it is gone.

use std::io::Read;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

use signal_hook::low_level::exit;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// After this long without a parent an orderly end has taken too long.
const GRACE: Duration = Duration::from_secs(20);

/// Completes on SIGINT or SIGTERM; with `stop_with_parent` also when standard input ends.
///
/// A parent that holds the other end of a pipe keeps its children running. When it ends, be it
/// killed, the system closes the pipe.
///
/// From the call on, not only once it is awaited.
pub fn shutdown(stop_with_parent: bool) -> impl Future<Output = ()> {
    let interrupted = interrupted();
    let parent = async move {
        if stop_with_parent {
            end_of_input().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    async move {
        tokio::select! {
            () = interrupted => tracing::info!("stopping; a second signal ends the process at once"),
            () = parent => (),
        }
    }
}

/// Completes on SIGINT or SIGTERM. A second one ends the process at once, with a message and the
/// exit code of a process that the signal has ended.
///
/// Signals are awaited in a thread of their own: so the second one counts however busy or stuck
/// the process is. When this returns, the handlers are there.
pub fn interrupted() -> impl Future<Output = ()> {
    let (first, came) = oneshot::channel();
    let (ready, registered) = mpsc::channel();
    let started = Builder::new().name("signals".to_owned()).spawn(move || {
        // No handler, then the signals' own effect stays: the process ends at once.
        if let Ok(runtime) = runtime::Builder::new_current_thread().enable_io().build() {
            runtime.block_on(wait_for_signals(ready, first));
        }
    });
    // Nothing is ever sent: it ends when the sender is dropped.
    let _: Result<(), _> = registered.recv();
    async move {
        // Neither a thread nor a handler: the same.
        if started.is_err() || came.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn wait_for_signals(ready: mpsc::Sender<()>, first: oneshot::Sender<()>) {
    let (Ok(mut interrupts), Ok(mut terminations)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    drop(ready);
    either(&mut interrupts, &mut terminations).await;
    // Nobody listens any more if the process is ending already.
    let _ = first.send(());
    let number = either(&mut interrupts, &mut terminations).await;
    eprintln!("ended at once by a second signal");
    // Not the exit of `std`: it would take global objects away from RocksDB's threads, which then
    // abort the process with an exit code of their own.
    exit(128 + number.as_raw_value());
}

async fn either(interrupts: &mut Signal, terminations: &mut Signal) -> SignalKind {
    tokio::select! {
        _ = interrupts.recv() => SignalKind::interrupt(),
        _ = terminations.recv() => SignalKind::terminate(),
    }
}

/// Completes when standard input ends. The process is ended the hard way if it then takes long.
async fn end_of_input() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut ignored = [0; 64];
        while !matches!(input.read(&mut ignored), Ok(0) | Err(_)) {}
        // Nobody listens any more if the daemon is ending already.
        let _ = ended.send(());
        std::thread::sleep(GRACE);
        exit(1);
    });
    // The sender is only dropped after it has sent.
    let _ = end.await;
}
