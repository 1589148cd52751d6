//! When a daemon is to end: on a signal, or when whoever started it is gone.

use std::io::Read;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// After this long without a parent an orderly end has taken too long.
const GRACE: Duration = Duration::from_secs(20);

/// Completes on SIGINT or SIGTERM; with `stop_with_parent` also when standard input ends.
///
/// A parent that holds the other end of a pipe keeps its children running. When it ends, be it
/// killed, the system closes the pipe.
pub async fn shutdown(stop_with_parent: bool) {
    let parent = async {
        if stop_with_parent {
            end_of_input().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted() => (),
        () = parent => (),
    }
}

/// Completes on SIGINT or SIGTERM.
pub async fn interrupted() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            // No handler, then the signal's own effect stays: the process ends at once.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => (),
        () = wait(SignalKind::terminate()) => (),
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
        std::process::exit(1);
    });
    // The sender is only dropped after it has sent.
    let _ = end.await;
}
