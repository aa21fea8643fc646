//! Rows of the store as queries, each answered exactly and by the index.
//!
//! A row is not counted among its own neighbours: every index finds it. What counts as found is a row no
//! farther than the last of the true neighbours, so that ties and copies are no misses.

use crate::error::{Error, Result};
use crate::jsonb::JsonbText;
use crate::vector::batch::Reals;
use crate::vector::filter_use;
use crate::vector::known::{self, Known};
use crate::vector::path::Path;
use crate::vector::plan::Mode;
use crate::vector::sample::{self, Sampled};
use crate::vector::search::{Hit, Query, query_values};
use crate::vector::store::{self, VectorStore};
use std::rc::Rc;
use std::time::Instant;

/// Most rows that are looked for.
pub const MAX_SAMPLES: i32 = 10_000;
/// Most neighbours.
pub const MAX_K: i32 = 1_000;

/// A query with its exact answer.
pub struct Truth {
    id: String,
    query: Reals,
    /// Of the nearest other rows, in order.
    distances: Vec<f64>,
    pub exact_ms: f64,
}

/// What came of all queries.
#[derive(Debug, Clone)]
pub struct Measured {
    pub index: String,
    /// What the index was asked with: candidates, or lists of IVFFlat.
    pub ef_search: Option<i32>,
    pub probes: Option<i32>,
    pub samples: usize,
    pub mean: f64,
    /// Nineteen of twenty queries find at least this share.
    pub p5: f64,
    pub worst: f64,
    pub exact_ms: f64,
    pub approximate_ms: f64,
}

/// How widely an index is searched.
#[derive(Debug, Clone, Copy)]
pub enum Width {
    /// As a search does.
    Usual,
    /// With so many candidates.
    EfSearch(i32),
    /// In so many lists of an IVFFlat index.
    Probes(i32),
}

/// What is measured.
pub struct Task<'a> {
    pub vector: &'a VectorStore,
    pub k: i32,
    pub filter: Option<&'a JsonbText>,
    known: Rc<Known>,
}

impl<'a> Task<'a> {
    /// 22023 for numbers out of range; 55000 where no search uses an index.
    pub fn new(
        vector: &'a VectorStore,
        k: i32,
        samples: i32,
        filter: Option<&'a JsonbText>,
    ) -> Result<(Self, usize)> {
        for (name, value, most) in [("k", k, MAX_K), ("samples", samples, MAX_SAMPLES)] {
            if !(1..=most).contains(&value) {
                return Err(Error::invalid_parameter(format!(
                    "{name} must be between 1 and {most}, not {value}"
                )));
            }
        }
        let known = known::known(Some(store::regclass(&vector.store)))?;
        if known.index.is_none() {
            return Err(Error::not_in_prerequisite_state(format!(
                "{} has no index that a search could use, so every answer is exact",
                vector.relation()
            ))
            .hint("lake.vector_build_index makes one."));
        }
        Ok((Self { vector, k, filter, known }, usize::try_from(samples).unwrap_or(1)))
    }

    fn query(&self, query: &Reals, mode: Mode, ef_search: Option<i32>) -> Result<Query<'a>> {
        let _quiet = filter_use::Quiet::new();
        // One more than wanted: the row itself.
        let values = query_values(self.vector, Some(query))?;
        let mut query = Query::plain(self.vector, values, self.k + 1).filtered(self.filter)?;
        query.mode = mode;
        query.set_ef_search(ef_search)?;
        Ok(query)
    }

    /// Draws queries and answers them exactly. 55000 where there are none.
    pub fn truths(&self, samples: usize) -> Result<Vec<Truth>> {
        let mut truths = Vec::with_capacity(samples);
        for row in sample::rows(self.vector, samples)? {
            pgrx::check_for_interrupts!();
            let Some(truth) = self.truth(row)? else { continue };
            truths.push(truth);
        }
        if truths.is_empty() {
            return Err(Error::not_in_prerequisite_state(format!(
                "{} has too few rows to measure",
                self.vector.relation()
            ))
            .detail("Each query needs a row, and another one that it could find."));
        }
        Ok(truths)
    }

    fn truth(&self, row: Sampled) -> Result<Option<Truth>> {
        let bytes: Vec<u8> = row.embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
        let reals = Reals::from_bytes("embedding", &bytes)?;
        let start = Instant::now();
        let hits = self.query(&reals, Mode::Exact, None)?.run(&self.known)?;
        let distances = self.distances(&row.id, hits);
        let exact_ms = start.elapsed().as_secs_f64() * 1_000.0;
        Ok((!distances.is_empty()).then_some(Truth {
            id: row.id,
            query: reals,
            distances,
            exact_ms,
        }))
    }

    /// Distances of the nearest rows other than `id`.
    fn distances(&self, id: &str, hits: Vec<Hit>) -> Vec<f64> {
        let others = hits.into_iter().filter(|hit| hit.id != id);
        others.map(|hit| hit.distance).take(usize::try_from(self.k).unwrap_or(1)).collect()
    }

    /// Answers the queries by the index.
    pub fn measure(&self, truths: &[Truth], width: Width) -> Result<Measured> {
        let mut shares = Vec::with_capacity(truths.len());
        let mut times = Vec::with_capacity(truths.len());
        let mut walked = None;
        for truth in truths {
            pgrx::check_for_interrupts!();
            let ef_search = match width {
                Width::EfSearch(ef) => Some(ef),
                Width::Usual | Width::Probes(_) => None,
            };
            let start = Instant::now();
            let query = self.query(&truth.query, Mode::Approximate, ef_search)?;
            let mut path = query.choose(&self.known)?.path;
            if let (Path::Approximate(walk), Width::Probes(probes)) = (&mut path, width) {
                walk.index.probes = Some(probes);
            }
            let found = self.distances(&truth.id, query.run_by(&self.known, &path)?);
            times.push(start.elapsed().as_secs_f64() * 1_000.0);
            shares.push(share(&truth.distances, &found));
            walked = Some(path);
        }
        let Some(Path::Approximate(walk)) = walked else {
            return Err(Error::not_in_prerequisite_state("a search uses no index here"));
        };
        shares.sort_by(f64::total_cmp);
        let count = shares.len();
        let lists = walk.index.method == "ivfflat";
        Ok(Measured {
            ef_search: (!lists).then_some(walk.width),
            probes: lists.then(|| walk.index.probes()),
            index: walk.index.name,
            samples: count,
            mean: mean(&shares),
            p5: shares[count / 20],
            worst: shares[0],
            exact_ms: median(truths.iter().map(|truth| truth.exact_ms).collect()),
            approximate_ms: median(times),
        })
    }
}

/// The share of the true neighbours that were found.
pub fn share(truth: &[f64], found: &[f64]) -> f64 {
    let last = truth.last().copied().unwrap_or(f64::INFINITY);
    // The two paths may add up in another order.
    let limit = last + last.abs().max(1e-6) * 1e-6;
    let hits = found.iter().filter(|distance| **distance <= limit).count().min(truth.len());
    count(hits) / count(truth.len().max(1))
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn count(n: usize) -> f64 {
    n as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len().max(1))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
