//! Looking for secrets where they must not be: in files and in the memory of processes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use quittance_cli::demo::currency::{Currency, grouped};
use quittance_crypto::field::{Fr, Scalar, to_field};

/// What a needle begins with: long enough to be found nowhere by chance.
const HEAD: usize = 8;

/// How much is searched at a time, and how much of it is searched again with what follows.
const WINDOW: usize = 4 << 20;
const OVERLAP: usize = 128;

/// Smaller amounts are not looked for: zeros and counters are everywhere, and protobuf writes what
/// is below 2^49 in fewer bytes than a needle has.
pub const LEAST: u64 = 1 << 49;

/// A needle: the bytes, the number of its secret, and in which form it is written.
struct Needle {
    bytes: Vec<u8>,
    secret: usize,
    form: &'static str,
}

/// Secrets, each in all forms in which a careless program would leave it.
#[derive(Default)]
pub struct Secrets {
    /// What each secret is, for people.
    names: Vec<String>,
    needles: BTreeMap<[u8; HEAD], Vec<Needle>>,
    /// Whether a needle begins with these two bytes.
    begins: Vec<bool>,
}

/// A secret that was found: its number and form.
pub type Found = BTreeMap<(usize, &'static str), usize>;

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// An unsigned number as protobuf writes it.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// An element of the field as it stands in memory: its Montgomery form.
fn montgomery(element: &Fr) -> Vec<u8> {
    element.0.0.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

impl Secrets {
    /// Nothing to look for yet.
    pub fn new() -> Self {
        Self { begins: vec![false; 1 << 16], ..Self::default() }
    }

    /// What a secret is.
    pub fn name(&self, secret: usize) -> &str {
        &self.names[secret]
    }

    /// Looks for an amount of euros (in cents) from now on. Returns its number; `None` if it is too
    /// small to be looked for.
    pub fn amount(&mut self, name: &str, cents: u64) -> Option<usize> {
        if cents < LEAST {
            return None;
        }
        let secret = self.add(name);
        let (little, big) = (cents.to_le_bytes(), cents.to_be_bytes());
        let decimal = Currency::Eur.format(cents);
        self.needle(secret, "little-endian", little.to_vec());
        self.needle(secret, "big-endian", big.to_vec());
        self.needle(secret, "negative", (-i128::from(cents)).to_le_bytes()[..8].to_vec());
        self.needle(
            secret,
            "negative big-endian",
            (-i128::from(cents)).to_be_bytes()[8..].to_vec(),
        );
        self.needle(secret, "hexadecimal", hex(&little));
        self.needle(secret, "hexadecimal big-endian", hex(&big));
        self.needle(secret, "protobuf", varint(cents));
        self.needle(secret, "decimal in cents", cents.to_string().into_bytes());
        self.needle(secret, "decimal", decimal.clone().into_bytes());
        self.needle(secret, "decimal with commas", grouped(&decimal).into_bytes());
        self.needle(secret, "field element", montgomery(&Fr::from(cents)));
        Some(secret)
    }

    /// Looks for a blinding from now on. `None` for zero, which is no secret.
    pub fn blinding(&mut self, name: &str, blinding: &Scalar) -> Option<usize> {
        if *blinding == Scalar::ZERO {
            return None;
        }
        let secret = self.add(name);
        let bytes = blinding.to_bytes();
        self.needle(secret, "scalar", bytes.to_vec());
        self.needle(secret, "scalar big-endian", reversed(&bytes));
        self.needle(secret, "hexadecimal", hex(&bytes));
        self.needle(secret, "field element", montgomery(&to_field(blinding)));
        Some(secret)
    }

    /// Looks for bytes that nobody else has, from now on.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> usize {
        let secret = self.add(name);
        self.needle(secret, "bytes", bytes.to_vec());
        self.needle(secret, "hexadecimal", hex(bytes));
        secret
    }

    /// Looks for something that is no secret, to see that it would be found.
    pub fn public(&mut self, name: &str, bytes: &[u8]) -> usize {
        let known = self.add(name);
        self.needle(known, "bytes", bytes.to_vec());
        known
    }

    fn add(&mut self, name: &str) -> usize {
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    fn needle(&mut self, secret: usize, form: &'static str, bytes: Vec<u8>) {
        let Some(head) = bytes.first_chunk::<HEAD>().copied() else { return };
        self.begins[usize::from(u16::from_le_bytes([head[0], head[1]]))] = true;
        self.needles.entry(head).or_default().push(Needle { bytes, secret, form });
    }

    /// What is found in these bytes.
    pub fn search(&self, bytes: &[u8], found: &mut Found) {
        for (start, window) in bytes.windows(HEAD).enumerate() {
            if !self.begins[usize::from(u16::from_le_bytes([window[0], window[1]]))] {
                continue;
            }
            let head = window.first_chunk::<HEAD>().expect("as long as that");
            for needle in self.needles.get(head).into_iter().flatten() {
                if bytes[start..].starts_with(&needle.bytes) {
                    *found.entry((needle.secret, needle.form)).or_default() += 1;
                }
            }
        }
    }

    /// What is found in a file, or in all files under a folder. Returns how many bytes there were.
    pub fn search_files(&self, path: &Path, found: &mut Found) -> u64 {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a folder");
            let paths = entries.map(|entry| entry.expect("an entry").path());
            return paths.map(|path| self.search_files(&path, found)).sum();
        }
        let bytes = fs::read(path).expect("a file");
        self.search(&bytes, found);
        bytes.len() as u64
    }

    /// What is found in the memory of a process that this one has started: everything that it can
    /// write to. Returns how many bytes there were.
    pub fn search_memory(&self, process: u32, found: &mut Found) -> u64 {
        let folder = Path::new("/proc").join(process.to_string());
        let maps = fs::read_to_string(folder.join("maps")).expect("the process runs");
        let memory = File::open(folder.join("mem")).expect("a child's memory can be read");
        let mut searched = 0;
        for line in maps.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (range, rights) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
            let Some((from, to)) = range.split_once('-') else { continue };
            if rights.starts_with("rw") {
                let address = |text| u64::from_str_radix(text, 16).expect("an address");
                searched += self.search_range(&memory, address(from), address(to), found);
            }
        }
        searched
    }

    /// A part of a process's memory. What has been unmapped meanwhile is passed over.
    fn search_range(&self, memory: &File, from: u64, to: u64, found: &mut Found) -> u64 {
        let mut buffer = vec![0; WINDOW + OVERLAP];
        let (mut place, mut searched) = (from, 0);
        while place < to {
            let wanted = buffer.len().min((to - place) as usize);
            if memory.read_exact_at(&mut buffer[..wanted], place).is_ok() {
                self.search(&buffer[..wanted], found);
                searched += wanted as u64;
            }
            place += WINDOW as u64;
        }
        searched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTS: u64 = 1_234_567_890_123_456;

    fn found(bytes: &[u8]) -> Vec<&'static str> {
        let mut secrets = Secrets::new();
        assert_eq!(secrets.amount("small", 1000), None);
        let amount = secrets.amount("an amount", CENTS);
        assert_eq!(secrets.blinding("none", &Scalar::ZERO), None);
        let blinding = secrets.blinding("a blinding", &Scalar::from(7u8).invert());
        assert_eq!((amount, blinding), (Some(0), Some(1)));
        let mut found = Found::new();
        secrets.search(bytes, &mut found);
        found.into_keys().map(|(_, form)| form).collect()
    }

    #[test]
    fn secrets_are_found_in_all_forms() {
        let seventh = Scalar::from(7u8).invert();
        for (bytes, form) in [
            (b"balance 12345678901234.56 EUR".to_vec(), "decimal"),
            (b"12,345,678,901,234.56".to_vec(), "decimal with commas"),
            (b"minor=1234567890123456;".to_vec(), "decimal in cents"),
            ([&[1, 2, 3][..], &CENTS.to_be_bytes()].concat(), "big-endian"),
            ([&[1, 2, 3][..], &(-i128::from(CENTS)).to_le_bytes()].concat(), "negative"),
            (seventh.to_bytes().to_vec(), "scalar"),
            (montgomery(&to_field(&seventh)), "field element"),
            (hex(&seventh.to_bytes()), "hexadecimal"),
        ] {
            assert_eq!(found(&bytes), [form]);
        }
        assert_eq!(found(&[CENTS.to_le_bytes(), [0; 8]].concat()), ["little-endian"]);
        assert_eq!(found(b"balance 12345678901234.57 EUR, 1234567890123457"), [""; 0]);
    }

    #[test]
    fn files_and_memory_are_searched() {
        let mut secrets = Secrets::new();
        secrets.amount("an amount", CENTS);
        let home = tempfile::tempdir().expect("a folder");
        fs::create_dir(home.path().join("a")).expect("a folder");
        fs::write(home.path().join("a/b"), CENTS.to_le_bytes()).expect("a file");
        let mut found = Found::new();
        assert_eq!(secrets.search_files(home.path(), &mut found), 8);
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [(0, "little-endian")]);

        // A shell that holds the amount in a variable.
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "read amount; echo; read end"]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let mut input = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut input, b"12345678901234.56\n").expect("it reads");
        let mut output = child.stdout.take().expect("a pipe");
        std::io::Read::read_exact(&mut output, &mut [0]).expect("it has read");
        let mut found = Found::new();
        assert!(secrets.search_memory(child.id(), &mut found) > 0);
        drop(input);
        child.wait().expect("it ends");
        assert!(found.contains_key(&(0, "decimal")), "{found:?}");
    }
}
