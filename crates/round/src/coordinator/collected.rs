//! One thing from each bank of a roster.

use std::collections::BTreeMap;

use super::ReportError;

/// What has come so far, by place.
pub(super) struct Collected<T>(BTreeMap<usize, T>);

impl<T> Default for Collected<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: PartialEq> Collected<T> {
    /// Keeps the first. The same again changes nothing, another is refused.
    pub(super) fn put(&mut self, place: usize, value: T) -> Result<(), ReportError> {
        match self.0.get(&place) {
            None => {
                self.0.insert(place, value);
                Ok(())
            }
            Some(kept) if *kept == value => Ok(()),
            Some(_) => Err(ReportError::Repeated),
        }
    }

    /// Whether nothing has come from `place`.
    pub(super) fn lacks(&self, place: usize) -> bool {
        !self.0.contains_key(&place)
    }

    /// All of them, by place.
    pub(super) fn into_vec(self) -> Vec<T> {
        self.0.into_values().collect()
    }

    /// Each with its place.
    pub(super) fn into_places(self) -> impl Iterator<Item = (usize, T)> {
        self.0.into_iter()
    }
}
