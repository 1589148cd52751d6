//! The one canonical encoding of everything that is hashed or signed.
//!
//! Integers are big-endian and of fixed width. Byte strings and lists carry a 32-bit length.
//! Options and enums carry a one-byte tag. Decoding is strict: no trailing bytes, no second
//! encoding of any value, a bound on each length that is checked before anything is allocated.
//! Hence `decode(bytes) = Ok(x)` implies `encode(x) = bytes`, which the tests of each type assert.

use thiserror::Error;

use crate::planted;

/// Why bytes were refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}: {problem} at byte {offset}")]
pub struct DecodeError {
    /// The field that was being read.
    pub what: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
    /// Offset of the first byte of that field from the start of the input.
    pub offset: usize,
}

/// The kinds of malformed input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// The input ended inside the field.
    #[error("input ends early")]
    Truncated,
    /// Bytes are left after the value.
    #[error("{0} bytes left over")]
    Trailing(usize),
    /// A length or count is above its bound.
    #[error("length {found} is above the limit of {limit}")]
    TooLong {
        /// The length found.
        found: usize,
        /// The largest length allowed.
        limit: usize,
    },
    /// A tag names no known variant.
    #[error("unknown tag {0}")]
    UnknownTag(u8),
    /// The bytes are not the canonical encoding of a valid value.
    #[error("not a valid value: {0}")]
    Invalid(&'static str),
}

/// Collects canonical bytes.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// The bytes written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The number of bytes written so far: the offset of the next one.
    pub fn offset(&self) -> usize {
        self.0.len()
    }

    /// One byte: a tag, a version or a small number.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A byte string whose length the reader knows.
    pub fn array<const N: usize>(&mut self, value: &[u8; N]) {
        self.0.extend_from_slice(value);
    }

    /// A value that is encoded already: its canonical bytes, as they are.
    pub fn canonical(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A byte string with its length (at most `u32::MAX`) before it.
    pub fn bytes(&mut self, value: &[u8]) {
        self.length(value.len());
        self.0.extend_from_slice(value);
    }

    /// A list with its count before it.
    pub fn list<T: Encode>(&mut self, items: &[T]) {
        self.length(items.len());
        for item in items {
            item.encode(self);
        }
    }

    /// Tag 0 for `None`; tag 1 and the value for `Some`.
    pub fn option<T: Encode>(&mut self, value: Option<&T>) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                value.encode(self);
            }
        }
    }

    fn length(&mut self, length: usize) {
        // Every encodable value is bounded far below this; a longer one is a defect of the caller.
        let length = u32::try_from(length).expect("encoded lengths fit 32 bits");
        self.u32(length);
    }
}

/// Reads canonical bytes, keeping the offset for error messages.
pub struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the first byte of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// The offset of the next byte.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes that have been read since the offset was `start`.
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.input.get(start..self.offset).unwrap_or_default()
    }

    /// The error `problem` in the field `what`, which starts at `offset`.
    pub fn error_at(&self, offset: usize, what: &'static str, problem: Problem) -> DecodeError {
        DecodeError { what, problem, offset }
    }

    /// The error `Invalid(why)` in the field `what` that ends at the present offset.
    pub fn invalid(&self, what: &'static str, why: &'static str) -> DecodeError {
        self.error_at(self.offset, what, Problem::Invalid(why))
    }

    /// Refuses bytes that are left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        let left = self.input.len().saturating_sub(self.offset);
        match planted!("trailing-bytes-accepted", 0, left) {
            0 => Ok(()),
            left => Err(self.error_at(self.offset, "end of value", Problem::Trailing(left))),
        }
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let end = self.offset.checked_add(length);
        let Some(bytes) = end.and_then(|end| self.input.get(self.offset..end)) else {
            return Err(self.error_at(self.offset, what, Problem::Truncated));
        };
        self.offset += length;
        Ok(bytes)
    }

    /// See [`Writer::array`].
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let offset = self.offset;
        let bytes = self.take(N, what)?;
        bytes.try_into().map_err(|_| self.error_at(offset, what, Problem::Truncated))
    }

    /// See [`Writer::u8`].
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array(what).map(u8::from_be_bytes)
    }

    /// See [`Writer::u16`].
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// See [`Writer::u32`].
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// See [`Writer::u64`].
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// A tag below `count`; anything else is refused as unknown.
    pub fn tag(&mut self, count: u8, what: &'static str) -> Result<u8, DecodeError> {
        let offset = self.offset;
        match self.u8(what)? {
            tag if tag < count => Ok(tag),
            tag => Err(self.error_at(offset, what, Problem::UnknownTag(tag))),
        }
    }

    /// A byte string of at most `limit` bytes; see [`Writer::bytes`].
    pub fn bytes(&mut self, limit: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.length(limit, what)?;
        self.take(length, what)
    }

    /// A list of at most `limit` items; see [`Writer::list`].
    pub fn list<T: Decode>(
        &mut self,
        limit: usize,
        what: &'static str,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.length(limit, what)?;
        // No allocation by the stated count: a short input must not cost memory.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::decode(self)?);
        }
        Ok(items)
    }

    /// See [`Writer::option`].
    pub fn option<T: Decode>(&mut self, what: &'static str) -> Result<Option<T>, DecodeError> {
        match self.tag(2, what)? {
            0 => Ok(None),
            _ => T::decode(self).map(Some),
        }
    }

    fn length(&mut self, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
        let offset = self.offset;
        let found = self.u32(what)? as usize;
        if planted!("length-bound-ignored", false, found > limit) {
            return Err(self.error_at(offset, what, Problem::TooLong { found, limit }));
        }
        Ok(found)
    }
}

/// A value with canonical bytes.
pub trait Encode {
    /// Appends the canonical bytes.
    fn encode(&self, out: &mut Writer);

    /// The canonical bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.encode(&mut out);
        out.into_bytes()
    }
}

/// A value that can be read back from its canonical bytes, and from no others.
pub trait Decode: Sized {
    /// Reads one value.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that must fill `bytes` exactly.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

impl Encode for u64 {
    fn encode(&self, out: &mut Writer) {
        out.u64(*self);
    }
}

impl Decode for u64 {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.u64("integer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Sample {
        numbers: Vec<u64>,
        text: Vec<u8>,
        last: Option<u64>,
    }

    impl Encode for Sample {
        fn encode(&self, out: &mut Writer) {
            out.list(&self.numbers);
            out.bytes(&self.text);
            out.option(self.last.as_ref());
        }
    }

    impl Decode for Sample {
        fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
            Ok(Self {
                numbers: input.list(8, "numbers")?,
                text: input.bytes(16, "text")?.to_vec(),
                last: input.option("last")?,
            })
        }
    }

    #[test]
    fn layout_is_as_documented() {
        let sample = Sample { numbers: vec![1], text: b"ab".to_vec(), last: Some(2) };
        let expected = [
            &[0, 0, 0, 1][..],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 2, b'a', b'b'],
            &[1, 0, 0, 0, 0, 0, 0, 0, 2],
        ]
        .concat();
        assert_eq!(sample.to_bytes(), expected);
    }

    #[test]
    fn small_numbers_and_encoded_values_stand_as_they_are() {
        let mut out = Writer::new();
        out.u8(1);
        out.u16(0x0203);
        out.u32(0x0405_0607);
        assert_eq!(out.offset(), 7);
        out.canonical(&[8, 9]);
        assert_eq!(out.offset(), 9);
        let bytes = out.into_bytes();
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9]);

        let mut input = Reader::new(&bytes);
        assert_eq!(input.u8("number"), Ok(1));
        let start = input.offset();
        assert_eq!(input.u16("number"), Ok(0x0203));
        assert_eq!(input.since(start), [2, 3]);
        assert_eq!(input.u32("number"), Ok(0x0405_0607));
        assert_eq!(input.since(start), [2, 3, 4, 5, 6, 7]);
        assert_eq!(input.since(bytes.len()), [0; 0]);
    }

    #[test]
    fn errors_name_field_and_place() {
        let sample = Sample { numbers: vec![], text: vec![], last: None };
        let mut bytes = sample.to_bytes();
        bytes[8] = 2;
        let error = Sample::from_bytes(&bytes).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "last: unknown tag 2 at byte 8");

        bytes[8] = 0;
        bytes.push(7);
        let error = Sample::from_bytes(&bytes).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "end of value: 1 bytes left over at byte 9");
    }

    #[test]
    fn lengths_above_their_bound_are_refused_before_reading_on() {
        let error = Sample::from_bytes(&[0, 0, 0, 9]).map(|_| ()).unwrap_err();
        assert_eq!(error.problem, Problem::TooLong { found: 9, limit: 8 });
    }

    proptest! {
        #[test]
        fn accepted_bytes_reencode_identically(bytes in proptest::collection::vec(0u8..4, 0..64)) {
            if let Ok(sample) = Sample::from_bytes(&bytes) {
                prop_assert_eq!(sample.to_bytes(), bytes);
            }
        }

        #[test]
        fn every_prefix_is_refused(numbers in proptest::collection::vec(any::<u64>(), 0..8)) {
            let bytes = Sample { numbers, text: b"xyz".to_vec(), last: Some(1) }.to_bytes();
            for end in 0..bytes.len() {
                prop_assert!(Sample::from_bytes(&bytes[..end]).is_err());
            }
        }
    }
}
