//! Starting processes, watching them, and stopping every one of them whatever happens.
//!
//! Each process gets a pipe as its standard input and must end when that pipe closes; ours do with
//! `--stop-with-parent` (see [`crate::parent`]). The other end is held here, so the processes end
//! on success, on failure, on a panic (when [`Supervisor`] is dropped), and also when this program
//! is killed and can do nothing any more: the system closes the pipe then. They run in process
//! groups of their own, so that Ctrl-C reaches this program only, which then stops them in order.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use thiserror::Error;

/// How often a process is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// How much of a log is shown when its process has died.
const TAIL: u64 = 2000;

/// What can go wrong with a process.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It did not start.
    #[error("{name} cannot be started: {reason}")]
    Start {
        /// Which.
        name: String,
        /// As the system puts it.
        reason: io::Error,
    },
    /// It ended although nobody asked it to.
    #[error("{name} ended by itself ({status}); the end of {log}:\n{tail}", log = .log.display())]
    Died {
        /// Which.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        log: PathBuf,
        /// The end of that.
        tail: String,
    },
}

struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Its exit status if it has ended. A process that cannot be asked counts as running.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What there is to say of its end.
    fn died(&self, status: ExitStatus) -> ProcessError {
        let (name, log) = (self.name.clone(), self.log.clone());
        let tail = tail(&log).unwrap_or_else(|error| error.to_string());
        ProcessError::Died { name, status, log, tail }
    }
}

/// Processes under way.
pub struct Supervisor {
    running: Vec<Running>,
    grace: Duration,
}

impl Supervisor {
    /// None yet. A process that is told to stop has `grace` to end before it is killed.
    pub fn new(grace: Duration) -> Self {
        Self { running: Vec::new(), grace }
    }

    /// Starts a process; what it prints goes to the end of the file `log`.
    pub fn start(
        &mut self,
        name: &str,
        mut command: Command,
        log: &Path,
    ) -> Result<(), ProcessError> {
        let child = File::options().create(true).append(true).open(log).and_then(|output| {
            let errors = output.try_clone()?;
            command.stdin(Stdio::piped()).stdout(output).stderr(errors).process_group(0).spawn()
        });
        let child =
            child.map_err(|reason| ProcessError::Start { name: name.to_owned(), reason })?;
        self.running.push(Running { name: name.to_owned(), child, log: log.to_owned() });
        Ok(())
    }

    /// An error if one has ended by itself.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        let died =
            self.running.iter_mut().find_map(|process| process.ended().map(|it| (it, process)));
        died.map_or(Ok(()), |(status, process)| Err(process.died(status)))
    }

    /// Forgets one that has ended by itself, if there is one. Returns its name, and how it ended.
    pub fn take_ended(&mut self) -> Option<(String, ProcessError)> {
        let mut processes = self.running.iter_mut().enumerate();
        let (place, status) = processes.find_map(|(place, it)| Some((place, it.ended()?)))?;
        let process = self.running.remove(place);
        let error = process.died(status);
        Some((process.name, error))
    }

    /// Ids of the processes under way, with their names.
    pub fn ids(&self) -> Vec<(String, u32)> {
        self.running.iter().map(|it| (it.name.clone(), it.child.id())).collect()
    }

    /// Tells one process to stop as by a crash: at once, without any chance to tidy up.
    /// True if there is one of that name.
    pub fn kill(&mut self, name: &str) -> bool {
        let Some(place) = self.running.iter().position(|it| it.name == name) else { return false };
        let mut process = self.running.swap_remove(place);
        end(&mut process.child);
        true
    }

    /// Tells one process to stop, and waits until it has. Its exit status, if there is a process of
    /// that name and it ends within the grace period; else it is killed.
    pub fn end(&mut self, name: &str) -> Option<ExitStatus> {
        let place = self.running.iter().position(|it| it.name == name)?;
        let mut process = self.running.swap_remove(place);
        drop(process.child.stdin.take());
        let deadline = Instant::now() + self.grace;
        while Instant::now() < deadline {
            if let Some(status) = process.ended() {
                return Some(status);
            }
            sleep(POLL);
        }
        end(&mut process.child);
        None
    }

    /// Stops all: asks, waits for at most the grace period, kills. Returns the names of those that
    /// had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        let mut running = std::mem::take(&mut self.running);
        for process in &mut running {
            drop(process.child.stdin.take());
        }
        let deadline = Instant::now() + self.grace;
        while Instant::now() < deadline {
            running.retain_mut(|process| process.ended().is_none());
            if running.is_empty() {
                break;
            }
            sleep(POLL);
        }
        for process in &mut running {
            end(&mut process.child);
        }
        running.into_iter().map(|process| process.name).collect()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Kills a process and waits until it is gone. Both fail only if it is gone already.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The last lines of a file.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn exists(id: u32) -> bool {
        // A process that has ended and was not waited for would still be there.
        Path::new(&format!("/proc/{id}")).exists()
    }

    #[test]
    fn processes_end_when_their_input_does() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let mut supervisor = Supervisor::new(Duration::from_secs(20));
        supervisor.start("one", shell("echo started; cat; echo stopped"), &log).unwrap();
        let id = supervisor.ids()[0].1;
        supervisor.check().unwrap();
        let before = Instant::now();
        assert_eq!(supervisor.stop(), [""; 0]);
        assert!(before.elapsed() < Duration::from_secs(10));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "started\nstopped\n");
        assert!(!exists(id));
    }

    #[test]
    fn a_process_that_will_not_stop_is_killed() {
        let home = tempfile::tempdir().unwrap();
        let mut supervisor = Supervisor::new(Duration::from_millis(200));
        let deaf = shell("trap '' TERM INT; exec sleep 1000");
        supervisor.start("deaf", deaf, &home.path().join("a")).unwrap();
        supervisor.start("good", shell("exec cat"), &home.path().join("b")).unwrap();
        let ids = supervisor.ids();
        assert_eq!(supervisor.stop(), ["deaf"]);
        assert!(ids.iter().all(|(_, id)| !exists(*id)));
    }

    #[test]
    fn a_panic_stops_them_too() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let (send, receive) = std::sync::mpsc::channel();
        let panicked = std::thread::spawn(move || {
            let mut supervisor = Supervisor::new(Duration::from_secs(5));
            supervisor.start("one", shell("exec cat"), &log).unwrap();
            send.send(supervisor.ids()[0].1).unwrap();
            panic!("expected by this test");
        });
        assert!(panicked.join().is_err());
        assert!(!exists(receive.recv().unwrap()));
    }

    #[test]
    fn one_that_ends_by_itself_is_reported_with_its_last_words() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let mut supervisor = Supervisor::new(Duration::from_secs(5));
        supervisor.start("node", shell("echo port taken >&2; exit 3"), &log).unwrap();
        let mut result = supervisor.check();
        let deadline = Instant::now() + Duration::from_secs(10);
        while result.is_ok() && Instant::now() < deadline {
            sleep(POLL);
            result = supervisor.check();
        }
        let (name, taken) = supervisor.take_ended().unwrap();
        let message = result.unwrap_err().to_string();
        assert_eq!((name.as_str(), taken.to_string()), ("node", message.clone()));
        assert!(supervisor.take_ended().is_none());
        assert!(message.starts_with("node ended by itself (exit status: 3); the end of "));
        assert!(message.ends_with("log:\nport taken"), "{message}");
    }

    #[test]
    fn what_is_not_there_cannot_be_started() {
        let home = tempfile::tempdir().unwrap();
        let mut supervisor = Supervisor::new(Duration::from_secs(5));
        let missing = Command::new("/no/such/program");
        let error = supervisor.start("ghost", missing, &home.path().join("log")).unwrap_err();
        assert!(error.to_string().starts_with("ghost cannot be started: "));
        supervisor.start("one", shell("exec cat"), &home.path().join("log")).unwrap();
        assert!(supervisor.kill("one") && !supervisor.kill("one"));
        assert!(supervisor.ids().is_empty());
    }

    #[test]
    fn one_can_be_stopped_alone() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let mut supervisor = Supervisor::new(Duration::from_secs(20));
        for name in ["one", "two"] {
            supervisor.start(name, shell("cat; exit 3"), &log).unwrap();
        }
        assert_eq!(supervisor.end("one").unwrap().code(), Some(3));
        assert_eq!(supervisor.end("one"), None);
        assert_eq!(supervisor.ids().len(), 1);
        supervisor.check().unwrap();
        assert!(supervisor.take_ended().is_none());
    }
}
