//! Runs a process on a disk that can fail or forget: see `interpose.c`.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

const SOURCE: &str = include_str!("interpose.c");

/// The compiled library.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder).unwrap();
    let (new, path) =
        (folder.join(format!("{}.so", std::process::id())), folder.join("interpose.so"));
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-x", "c", "-", "-o"]);
    let mut cc = cc.arg(&new).stdin(Stdio::piped()).spawn().unwrap();
    cc.stdin.take().unwrap().write_all(SOURCE.as_bytes()).unwrap();
    assert!(cc.wait().unwrap().success());
    // Other test programs may be using it.
    std::fs::rename(new, &path).unwrap();
    path
});

/// Something that a process did, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Open {
        handle: u32,
        path: PathBuf,
        creates: bool,
        truncates: bool,
    },
    Write {
        handle: u32,
        offset: u64,
        bytes: Vec<u8>,
    },
    Sync {
        handle: u32,
    },
    Truncate {
        handle: u32,
        length: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink(PathBuf),
    Mkdir(PathBuf),
    /// It wrote to standard output.
    Said(String),
    /// A point where a fault can be asked for comes next.
    Point(String),
}

/// Makes the files below `root` pass through the library in a process that is to be started.
/// `fault` is an action, a count and a point; the log goes to `log`.
pub fn interpose(command: &mut Command, root: &Path, log: Option<&Path>, fault: Option<&str>) {
    command.env("LD_PRELOAD", &*LIBRARY).env("DISK_ROOT", root);
    command.envs(log.map(|log| ("DISK_LOG", log)));
    command.envs(fault.map(|fault| ("DISK_FAULT", fault)));
}

/// Reads a log. What the end of the process has cut off is left out.
pub fn events(log: &Path) -> Vec<Event> {
    let bytes = std::fs::read(log).unwrap();
    let (mut rest, mut events) = (&bytes[..], vec![]);
    while let Some((event, after)) = event(rest) {
        events.push(event);
        rest = after;
    }
    events
}

fn event(bytes: &[u8]) -> Option<(Event, &[u8])> {
    const HEADER: usize = 22;
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let word = |place: usize| u32::from_le_bytes(*header[place..].first_chunk().unwrap());
    let (handle, first, second) = (word(2), word(14) as usize, word(18) as usize);
    let number = u64::from_le_bytes(*header[6..].first_chunk().unwrap());
    let (first, rest) = rest.split_at_checked(first)?;
    let (second, rest) = rest.split_at_checked(second)?;
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let event = match header[0] {
        1 => {
            let (creates, truncates) = (header[1] & 1 != 0, header[1] & 2 != 0);
            Event::Open { handle, path: path(first), creates, truncates }
        }
        2 => Event::Write { handle, offset: number, bytes: first.to_vec() },
        3 => Event::Sync { handle },
        4 => Event::Truncate { handle, length: number },
        5 => Event::Rename { from: path(first), to: path(second) },
        6 => Event::Unlink(path(first)),
        7 => Event::Mkdir(path(first)),
        8 => Event::Said(text(first)),
        9 => Event::Point(text(first)),
        other => panic!("operation {other}"),
    };
    Some((event, rest))
}
