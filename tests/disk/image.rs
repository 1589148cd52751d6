//! What a loss of power may leave of a disk.
//!
//! The model is stricter than most file systems: what was written to a file is certain only once
//! that file was synced, and a name only once its folder was. Of what is not certain, nothing, all,
//! a beginning (with the last write torn), or any part may be there, in pages of 4096 bytes. Changes
//! of names do not overtake one another, as in every file system that has a journal: RocksDB relies
//! on that when it goes over to a new list of files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

use super::interpose::Event;

const PAGE: usize = 4096;

/// What becomes of changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    Lost,
    Kept,
    /// Those up to a moment are kept; each file and the names have a moment of their own.
    Beginning,
    /// Of the content any pages are kept, of the names those up to a moment.
    Any,
}

impl Unsynced {
    pub const ALL: [Self; 4] = [Self::Lost, Self::Kept, Self::Beginning, Self::Any];
}

/// A file or folder, by its place in [`Disk::nodes`].
type Node = usize;

#[derive(Clone)]
enum Piece {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Default)]
struct Content {
    folder: bool,
    certain: Vec<u8>,
    uncertain: Vec<Piece>,
}

#[derive(Clone)]
enum Naming {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

type Names = BTreeMap<PathBuf, Node>;

/// A disk below a folder, and what of it is certain.
pub struct Disk {
    root: PathBuf,
    nodes: Vec<Content>,
    names: Names,
    certain: Names,
    uncertain: Vec<Naming>,
    handles: BTreeMap<u32, (Node, PathBuf)>,
}

impl Disk {
    /// An empty disk at `root`.
    pub fn new(root: &Path) -> Self {
        let root_folder = Content { folder: true, ..Content::default() };
        let names = Names::from([(root.to_owned(), 0)]);
        Self {
            root: root.to_owned(),
            nodes: vec![root_folder],
            certain: names.clone(),
            names,
            uncertain: vec![],
            handles: BTreeMap::new(),
        }
    }

    /// What is at `root` now, all of it certain.
    #[allow(dead_code, reason = "not every test begins with something")]
    pub fn load(root: &Path) -> Self {
        let mut disk = Self::new(root);
        disk.load_folder(root);
        disk.certain = disk.names.clone();
        disk
    }

    #[allow(dead_code, reason = "the same")]
    fn load_folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let folder = path.is_dir();
            let certain = if folder { vec![] } else { std::fs::read(&path).unwrap() };
            self.nodes.push(Content { folder, certain, ..Content::default() });
            self.names.insert(path.clone(), self.nodes.len() - 1);
            if folder {
                self.load_folder(&path);
            }
        }
    }

    /// What a process did next.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Open { handle, path, creates, truncates } => {
                if *creates {
                    self.make(path, false);
                }
                let node = self.names[path];
                self.handles.insert(*handle, (node, path.clone()));
                if *truncates {
                    self.nodes[node].uncertain.push(Piece::Truncate(0));
                }
            }
            Event::Write { handle, offset, bytes } => {
                let piece = Piece::Write { offset: *offset as usize, bytes: bytes.clone() };
                self.piece(*handle, piece);
            }
            Event::Truncate { handle, length } => {
                self.piece(*handle, Piece::Truncate(*length as usize));
            }
            Event::Sync { handle } => self.sync(*handle),
            Event::Rename { from, to } => {
                if let Some(node) = self.names.get(from) {
                    self.rename(Naming::Rename(from.clone(), to.clone(), *node));
                }
            }
            Event::Unlink(path) => self.rename(Naming::Remove(path.clone())),
            Event::Mkdir(path) => self.make(path, true),
            Event::Said(_) | Event::Point(_) => {}
        }
    }

    fn make(&mut self, path: &Path, folder: bool) {
        self.nodes.push(Content { folder, ..Content::default() });
        self.rename(Naming::Put(path.to_owned(), self.nodes.len() - 1));
    }

    fn rename(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.uncertain.push(naming);
    }

    fn piece(&mut self, handle: u32, piece: Piece) {
        let (node, _) = self.handles[&handle];
        self.nodes[node].uncertain.push(piece);
    }

    fn sync(&mut self, handle: u32) {
        let (node, path) = self.handles[&handle].clone();
        let content = &mut self.nodes[node];
        for piece in std::mem::take(&mut content.uncertain) {
            piece.apply(&mut content.certain);
        }
        if content.folder {
            let (here, elsewhere) =
                std::mem::take(&mut self.uncertain).into_iter().partition(|it| it.is_in(&path));
            self.uncertain = elsewhere;
            let here: Vec<Naming> = here;
            here.iter().for_each(|naming| naming.apply(&mut self.certain));
        }
    }

    /// Writes what is left after a loss of power to `folder`, which stands for the root.
    pub fn lose_power(&self, unsynced: Unsynced, random: &mut ChaCha20Rng, folder: &Path) {
        let mut names = self.certain.clone();
        let whole = match unsynced {
            Unsynced::Any => below(random, self.uncertain.len() + 1),
            _ => kept(unsynced, self.uncertain.len(), random),
        };
        self.uncertain[..whole].iter().for_each(|naming| naming.apply(&mut names));
        // In the order of paths a folder comes before what is in it.
        for (path, node) in names {
            let path = folder.join(path.strip_prefix(&self.root).unwrap());
            let content = &self.nodes[node];
            if !path.parent().unwrap().is_dir() {
                continue;
            }
            match content.folder {
                true if path.is_dir() => {}
                true => std::fs::create_dir(path).unwrap(),
                false => std::fs::write(path, content.left(unsynced, random)).unwrap(),
            }
        }
    }
}

impl Content {
    fn left(&self, unsynced: Unsynced, random: &mut ChaCha20Rng) -> Vec<u8> {
        let mut left = self.certain.clone();
        let pieces: Vec<Piece> = match unsynced {
            Unsynced::Any => self.uncertain.iter().flat_map(Piece::pages).collect(),
            _ => self.uncertain.clone(),
        };
        let whole = kept(unsynced, pieces.len(), random);
        for piece in &pieces[..whole] {
            if unsynced != Unsynced::Any || random.next_u32().is_multiple_of(2) {
                piece.apply(&mut left);
            }
        }
        if let (Unsynced::Beginning, Some(Piece::Write { offset, bytes })) =
            (unsynced, pieces.get(whole))
        {
            let torn = bytes[..below(random, bytes.len() + 1)].to_vec();
            Piece::Write { offset: *offset, bytes: torn }.apply(&mut left);
        }
        left
    }
}

/// How many of the changes are kept, if those at the beginning are.
fn kept(unsynced: Unsynced, count: usize, random: &mut ChaCha20Rng) -> usize {
    match unsynced {
        Unsynced::Lost => 0,
        Unsynced::Kept | Unsynced::Any => count,
        Unsynced::Beginning => below(random, count + 1),
    }
}

/// A number below `bound`, which is small.
pub fn below(random: &mut ChaCha20Rng, bound: usize) -> usize {
    (random.next_u64() % bound as u64) as usize
}

impl Piece {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => content.resize(*length, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    /// The same as writes within pages.
    fn pages(&self) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else { return vec![self.clone()] };
        let (mut offset, mut rest, mut pages) = (*offset, &bytes[..], vec![]);
        while !rest.is_empty() {
            let (page, after) = rest.split_at(rest.len().min(PAGE - offset % PAGE));
            pages.push(Self::Write { offset, bytes: page.to_vec() });
            (offset, rest) = (offset + page.len(), after);
        }
        pages
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to, node) => {
                // Another file may have taken the old name meanwhile.
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
        }
    }

    /// Whether the name is in this folder; renaming here never leaves it.
    fn is_in(&self, folder: &Path) -> bool {
        let (Self::Put(path, _) | Self::Remove(path) | Self::Rename(_, path, _)) = self;
        path.parent() == Some(folder)
    }
}
