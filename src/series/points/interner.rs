//! The series of a batch, each once, by what was sent for it.

use super::check::checked_series;
use super::{Fault, Series, Source};
use crate::catalog::Store;
use crate::series::ids;
use pgrx::pg_sys;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::Hash;

/// `K` is what was sent for a series: most points find theirs by it, and nothing is made.
pub struct Interner<'a, K> {
    table: pg_sys::Oid,
    found: HashMap<K, Result<u32, Fault>, foldhash::fast::RandomState>,
    /// The one before: neighbours are often of the same series.
    last: Option<(K, u32)>,
    series: Vec<Series<'a>>,
}

/// A series that the batch hasn't had yet.
pub struct Description<'a> {
    pub metric: String,
    pub source: Source<'a>,
    /// What the session knows it by: equal keys are equal series.
    pub key: Box<[u8]>,
}

impl<'a, K: Hash + Eq + Clone> Interner<'a, K> {
    pub fn new(store: &Store) -> Self {
        let table = store.companion.unwrap_or(pg_sys::InvalidOid);
        Self { table, found: HashMap::default(), last: None, series: vec![] }
    }

    /// The position of a series in the batch. `describe` is called once for each.
    pub fn intern(
        &mut self,
        sent: K,
        describe: impl FnOnce() -> Description<'a>,
    ) -> Result<u32, Fault> {
        if let Some((last, position)) = &self.last
            && *last == sent
        {
            return Ok(*position);
        }
        let position = match self.found.get(&sent) {
            Some(known) => known.clone(),
            None => {
                let made = self.make(describe());
                self.found.insert(sent.clone(), made.clone());
                made
            }
        }?;
        self.last = Some((sent, position));
        Ok(position)
    }

    /// What the session has seen before was checked then.
    fn make(&mut self, series: Description<'a>) -> Result<u32, Fault> {
        let Description { metric, source, key } = series;
        let seen = ids::find(self.table, &key);
        let tags = match seen {
            Some(_) => OnceCell::new(),
            None => OnceCell::from(checked_series(&metric, source.read())?),
        };
        self.series.push(Series { metric, source, tags, key, seen });
        Ok(self.series.len() as u32 - 1)
    }

    pub fn into_series(self) -> Vec<Series<'a>> {
        self.series
    }
}

/// The key of a series in the session: how it was sent, its metric, and its tags as bytes. No metric
/// that is taken has a NUL in it, so the parts can't run into each other.
pub fn key(form: u8, metric: &str, tags: &[u8]) -> Box<[u8]> {
    let mut key = Vec::with_capacity(metric.len() + tags.len() + 2);
    key.push(form);
    key.extend_from_slice(metric.as_bytes());
    key.push(0);
    key.extend_from_slice(tags);
    key.into_boxed_slice()
}
