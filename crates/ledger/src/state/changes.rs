//! What a block changes in the state, as explicit writes.

use std::collections::BTreeMap;

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};

use super::records::{Key, Record};

/// No block writes more records than this: 10^4 transactions with a thousand writes each.
const MAX_WRITES: usize = 10_000_000;

/// Writes to the state: for each key the new record, or that it is removed. One write per key.
///
/// Storage persists `key.to_bytes()` and `record.to_bytes()`, all of a block in one atomic batch;
/// [`super::State::from_records`] makes the state again from what is then stored, and
/// [`super::State::replay`] from an earlier state and the changes since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<Key, Option<Record>>);

impl Changes {
    /// No writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record, in place of any other under its key.
    pub fn put(&mut self, record: Record) {
        self.0.insert(record.key(), Some(record));
    }

    /// Removes what is under the key.
    pub fn remove(&mut self, key: Key) {
        self.0.insert(key, None);
    }

    /// The writes, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Option<&Record>)> {
        self.0.iter().map(|(key, record)| (key, record.as_ref()))
    }

    /// The write to this key, if there is one.
    pub fn get(&self, key: &Key) -> Option<Option<&Record>> {
        self.0.get(key).map(Option::as_ref)
    }

    /// How many keys are written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Record> for Changes {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        Self(records.into_iter().map(|record| (record.key(), Some(record))).collect())
    }
}

/// One write, as the list of writes is encoded.
struct Write<R>(Key, Option<R>);

impl Encode for Write<&Record> {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        match self.1 {
            None => out.u8(0),
            Some(record) => {
                out.u8(1);
                record.encode(out);
            }
        }
    }
}

impl Decode for Write<Record> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = Key::decode(input)?;
        let record = match input.tag(2, "write")? {
            0 => None,
            _ => Some(Record::decode(&key, input)?),
        };
        Ok(Self(key, record))
    }
}

impl Encode for Changes {
    fn encode(&self, out: &mut Writer) {
        let writes: Vec<_> = self.iter().map(|(key, record)| Write(*key, record)).collect();
        out.list(&writes);
    }
}

impl Decode for Changes {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let writes: Vec<Write<Record>> = input.list(MAX_WRITES, "writes")?;
        if !writes.is_sorted_by(|one, two| one.0 < two.0) {
            return Err(input.invalid("writes", "not in strict order of keys"));
        }
        Ok(Self(writes.into_iter().map(|Write(key, record)| (key, record)).collect()))
    }
}
