//! Rows like some rows and unlike others.

use super::known::Known;
use super::rows;
use super::search::{Hit, MAX_K, Query};
use super::store::VectorStore;
use super::upsert::check_query;
use crate::error::{Error, Result};
use crate::jsonb::JsonbText;
use lake_vectors::Metric;
use std::collections::HashSet;

/// Most ids that a recommendation may be based on.
const MAX_EXAMPLES: usize = 1_000;

/// Searches for the mean of the positive examples, moved away from that of the negative ones by the
/// distance between the two. The examples themselves are left out.
pub fn recommend(
    known: &Known,
    positive: &[Option<String>],
    negative: &[Option<String>],
    k: i32,
    filter: Option<&JsonbText>,
) -> Result<Vec<Hit>> {
    if positive.is_empty() {
        return Err(Error::invalid_parameter("positive has no ids")
            .hint("A recommendation starts from at least one row."));
    }
    if positive.len() + negative.len() > MAX_EXAMPLES {
        return Err(Error::invalid_parameter(format!(
            "{} examples are more than {MAX_EXAMPLES}",
            positive.len() + negative.len()
        )));
    }
    let vector = &known.vector;
    let mut examples = HashSet::new();
    let mut target = mean(vector, positive, &mut examples)?;
    if !negative.is_empty() {
        for (value, away) in target.iter_mut().zip(mean(vector, negative, &mut examples)?) {
            *value += *value - away;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are single precision")]
    let values: Vec<f32> = target.iter().map(|value| *value as f32).collect();
    check_query(vector, &values, "query").map_err(|error| {
        error.hint("The examples cancel each other out; leave some of them out.")
    })?;
    let query = Query::plain(vector, values, k).filtered(filter)?;
    let most = i64::try_from(examples.len()).unwrap_or(i64::from(MAX_K)) + i64::from(k);
    let mut hits = query.nearest(known, most)?;
    hits.retain(|hit| !examples.contains(&hit.id));
    hits.truncate(usize::try_from(k).unwrap_or(0));
    Ok(hits)
}

/// The mean of the rows' embeddings; where only directions count, of these. 22023 for ids that aren't
/// there or have no embedding.
fn mean(
    vector: &VectorStore,
    ids: &[Option<String>],
    examples: &mut HashSet<String>,
) -> Result<Vec<f64>> {
    let rows = rows::Selection::new(vector, Some(ids), None)?.get(true, None)?;
    let mut sum = vec![0.0; vector.rules.dimensions];
    let mut count = 0.0;
    let mut found = HashSet::new();
    for row in rows {
        pgrx::check_for_interrupts!();
        found.insert(row.id.clone());
        let Some(values) = row.embedding else { continue };
        let length = match vector.metric() {
            Metric::Cosine => values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt(),
            _ => 1.0,
        };
        if length > 0.0 && values.len() == sum.len() {
            count += 1.0;
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += f64::from(value) / length;
            }
        }
    }
    for id in ids.iter().flatten() {
        let canonical = vector.rules.id_type.canonical(id).unwrap_or_else(|| id.clone());
        if !found.contains(&canonical) {
            return Err(Error::invalid_parameter(format!(
                "there is no row with the id \"{id}\" in {}",
                vector.relation()
            ))
            .hint(
                "The ids are those of rows that you can see: SELECT id FROM lake.vector_get(…).",
            ));
        }
    }
    if count == 0.0 {
        return Err(Error::invalid_parameter("none of the examples has an embedding"));
    }
    examples.extend(found);
    Ok(sum.into_iter().map(|value| value / count).collect())
}
