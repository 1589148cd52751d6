//! The file that a chain is exported to: its genesis, then each block with its certificate.
//!
//! ```text
//! "quittance chain\n"  genesis as bytes<=2^24
//! then until the end of the file:  block as bytes<=2^26, certificate as bytes<=2^20
//! ```
//!
//! `bytes<=n` is a 32-bit big-endian length and as many bytes, as in the ledger's own encoding.

use std::io::{self, Read, Write};

use quittance_crypto::encoding::{Decode, DecodeError, Encode};
use quittance_ledger::block::Block;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::genesis::Genesis;
use thiserror::Error;

const MAGIC: &[u8; 16] = b"quittance chain\n";
const MAX_GENESIS: u32 = 1 << 26;
const MAX_BLOCK: u32 = 1 << 26;
const MAX_CERTIFICATE: u32 = 1 << 20;

/// Why an archive cannot be read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not such a file.
    #[error("this is not a chain that quittance-audit has exported")]
    Magic,
    /// The file ends inside a record.
    #[error("the file ends inside {0}")]
    Truncated(&'static str),
    /// A length above its bound.
    #[error("{what}: {found} bytes are more than {limit}")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// The length found.
        found: u32,
        /// The bound.
        limit: u32,
    },
    /// A record that does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Writes an archive.
pub struct Writer<W: Write>(W);

impl<W: Write> Writer<W> {
    /// Begins with the genesis.
    pub fn begin(mut out: W, genesis: &Genesis) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let mut writer = Self(out);
        writer.record(&genesis.to_bytes())?;
        Ok(writer)
    }

    /// Adds the next block and its certificate.
    pub fn block(&mut self, block: &Block, certificate: &Certificate) -> io::Result<()> {
        self.record(&block.to_bytes())?;
        self.record(&certificate.to_bytes())
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.0.flush()?;
        Ok(self.0)
    }

    fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.0.write_all(&length.to_be_bytes())?;
        self.0.write_all(bytes)
    }
}

/// Reads an archive.
pub struct Reader<R: Read>(R);

impl<R: Read> Reader<R> {
    /// Reads the genesis.
    pub fn begin(mut input: R) -> Result<(Self, Genesis), ArchiveError> {
        let mut magic = [0; 16];
        match input.read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => return Err(ArchiveError::Magic),
        }
        let mut reader = Self(input);
        let genesis = reader.record(MAX_GENESIS, "the genesis")?;
        let genesis = genesis.ok_or(ArchiveError::Truncated("the genesis"))?;
        Ok((reader, Genesis::from_bytes(&genesis)?))
    }

    /// Reads the next block with its certificate; `None` at the end of the file.
    pub fn block(&mut self) -> Result<Option<(Block, Certificate)>, ArchiveError> {
        let Some(block) = self.record(MAX_BLOCK, "a block")? else { return Ok(None) };
        let certificate = self.record(MAX_CERTIFICATE, "a certificate")?;
        let certificate = certificate.ok_or(ArchiveError::Truncated("a certificate"))?;
        Ok(Some((Block::from_bytes(&block)?, Certificate::from_bytes(&certificate)?)))
    }

    fn record(&mut self, limit: u32, what: &'static str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut length = Vec::new();
        self.0.by_ref().take(4).read_to_end(&mut length)?;
        let length = match length.as_slice() {
            [] => return Ok(None),
            bytes => {
                u32::from_be_bytes(bytes.try_into().map_err(|_| ArchiveError::Truncated(what))?)
            }
        };
        if length > limit {
            return Err(ArchiveError::TooLong { what, found: length, limit });
        }
        let mut bytes = Vec::new();
        self.0.by_ref().take(length.into()).read_to_end(&mut bytes)?;
        match bytes.len() == length as usize {
            true => Ok(Some(bytes)),
            false => Err(ArchiveError::Truncated(what)),
        }
    }
}
