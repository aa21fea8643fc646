//! What becomes of the nearest rows: as they are, unlike each other, or few of a kind.

use super::known::Known;
use super::search::{Hit, MAX_K, Query};
use crate::error::{Error, Result};
use crate::filter;
use lake_vectors::diverse;
use serde_json::Value;
use std::collections::HashMap;

/// How many nearest rows are looked at for each that is wanted.
const CANDIDATES: i64 = 5;
const LEAST_CANDIDATES: i64 = 50;

pub enum Selection {
    Nearest,
    /// By maximal marginal relevance: 0 as [`Selection::Nearest`], 1 as different as can be.
    Diverse(f64),
    /// At most `size` rows with the same value at this path of the metadata.
    Grouped {
        path: Vec<String>,
        size: usize,
    },
}

impl Selection {
    /// 22023 for what is out of range, and for both at once.
    pub fn new(
        diversity: Option<f64>,
        group_by: Option<&str>,
        group_size: Option<i32>,
    ) -> Result<Self> {
        if let Some(diversity) = diversity
            && !(0.0..=1.0).contains(&diversity)
        {
            return Err(Error::invalid_parameter(format!(
                "diversity must be between 0 and 1, not {diversity}"
            )));
        }
        let size = group_size.ok_or_else(|| Error::null_value("group_size is null"))?;
        if !(1..=MAX_K).contains(&size) {
            return Err(Error::invalid_parameter(format!(
                "group_size must be between 1 and {MAX_K}, not {size}"
            )));
        }
        match (diversity, group_by) {
            (Some(_), Some(_)) => {
                Err(Error::invalid_parameter("diversity and group_by can't be used together")
                    .hint("Group, and take k larger than needed; or choose diverse rows."))
            }
            (None, None) => Ok(Selection::Nearest),
            (Some(diversity), None) => Ok(Selection::Diverse(diversity)),
            (None, Some(field)) => Ok(Selection::Grouped {
                path: filter::path(field)?,
                size: usize::try_from(size).unwrap_or(1),
            }),
        }
    }

    /// The rows of a search.
    pub fn run(&self, query: Query<'_>, known: &Known) -> Result<Vec<Hit>> {
        match self {
            Selection::Nearest => query.run(known),
            Selection::Diverse(diversity) => unlike(query, known, *diversity),
            Selection::Grouped { path, size } => grouped(&query, known, path, *size),
        }
    }
}

fn unlike(mut query: Query<'_>, known: &Known, diversity: f64) -> Result<Vec<Hit>> {
    let with_embedding = std::mem::replace(&mut query.with_embedding, true);
    let k = query.k();
    let hits = query.nearest(known, candidates(k))?;
    let looked_at: Vec<(f64, &[f32])> =
        hits.iter().map(|hit| (hit.score, hit.embedding.as_deref().unwrap_or(&[]))).collect();
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    let picked = diverse(known.vector.metric(), &looked_at, k, diversity, || {
        pgrx::check_for_interrupts!();
    });
    Ok(picked
        .into_iter()
        .map(|index| {
            let mut hit = hits[index].clone();
            if !with_embedding {
                hit.embedding = None;
            }
            hit
        })
        .collect())
}

/// A prefix of the ranking serves where it holds enough groups; else all rows are ranked within their
/// group, exactly.
fn grouped(query: &Query<'_>, known: &Known, path: &[String], size: usize) -> Result<Vec<Hit>> {
    let k = query.k();
    let wanted = candidates(k);
    let mut hits = query.nearest(known, wanted)?;
    let all = i64::try_from(hits.len()).is_ok_and(|found| found < wanted);
    let mut groups: HashMap<String, usize> = HashMap::new();
    hits.retain(|hit| {
        let value = hit.metadata.as_ref().and_then(crate::jsonb::JsonbCopy::parse);
        let value = value.as_ref().and_then(|value| {
            path.iter().try_fold(value, |value, name| value.as_object()?.get(name))
        });
        let place = groups.entry(value.unwrap_or(&Value::Null).to_string()).or_default();
        *place += 1;
        *place <= size
    });
    if !all && i64::try_from(hits.len()).is_ok_and(|found| found < k) {
        return query.grouped(path, size);
    }
    hits.truncate(usize::try_from(k).unwrap_or(usize::MAX));
    Ok(hits)
}

fn candidates(k: i64) -> i64 {
    (k * CANDIDATES).max(LEAST_CANDIDATES)
}
