//! What the rows of a store look like: where their middle is and how far from it they lie, how long they are,
//! which model they say they are from. New rows that lie elsewhere, or a mixture, are worth a finding.

use crate::access;
use crate::error::Result;
use crate::spi;
use crate::vector::pack;
use crate::vector::sample;
use crate::vector::store::VectorStore;
use lake_vectors::Metric;
use pgrx::pg_sys;

/// Rows drawn.
const SAMPLES: usize = 500;
/// Fewest new rows that say anything.
const ENOUGH: usize = 50;
/// Keys of metadata that name the model of an embedding.
const MODEL_KEYS: [&str; 3] = ["model", "embedding_model", "model_name"];

/// The middle of a sample, and the mean and standard deviation of the distances to it.
struct Portrait {
    middle: Vec<f32>,
    mean: f64,
    deviation: f64,
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn count(n: usize) -> f64 {
    n as f64
}

impl Portrait {
    fn of(vectors: &[Vec<f32>], metric: Metric) -> Self {
        let mut sum = vec![0.0_f64; vectors.first().map_or(0, Vec::len)];
        for vector in vectors {
            for (total, value) in sum.iter_mut().zip(vector) {
                *total += f64::from(*value);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "that is how it is kept")]
        let middle: Vec<f32> =
            sum.iter().map(|total| (total / count(vectors.len().max(1))) as f32).collect();
        let (mean, deviation) = spread(vectors, &middle, metric);
        Self { middle, mean, deviation }
    }
}

/// Mean and standard deviation of the distances to `middle`.
fn spread(vectors: &[Vec<f32>], middle: &[f32], metric: Metric) -> (f64, f64) {
    let distances: Vec<f64> =
        vectors.iter().map(|vector| distance(vector, middle, metric)).collect();
    let n = count(distances.len().max(1));
    let mean = distances.iter().sum::<f64>() / n;
    let variance = distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// By direction for cosine and inner product, else Euclidean.
fn distance(a: &[f32], b: &[f32], metric: Metric) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    match metric {
        Metric::Cosine | Metric::InnerProduct => {
            let dot: f64 = pairs().map(|(a, b)| a * b).sum();
            let norms = length(a) * length(b);
            if norms > 0.0 { 1.0 - dot / norms } else { 1.0 }
        }
        Metric::L2 | Metric::L1 => pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
    }
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// Keeps the portrait of the store with the record of an index that was just built.
pub fn keep(vector: &VectorStore, index: &str) -> Result<()> {
    let vectors: Vec<Vec<f32>> =
        sample::rows(vector, SAMPLES)?.into_iter().map(|row| row.embedding).collect();
    if vectors.len() < ENOUGH {
        return Ok(());
    }
    let portrait = Portrait::of(&vectors, vector.metric());
    access::as_extension_owner(|| {
        spi::execute(
            "UPDATE _lake.vector_index SET middle = $3, spread = $4, deviation = $5, drift = NULL \
             WHERE relid = $1::pg_catalog.regclass AND index = $2",
            &[
                vector.store.oid().into(),
                index.into(),
                pack::reals(&portrait.middle),
                portrait.mean.into(),
                portrait.deviation.into(),
            ],
        )
    })??;
    Ok(())
}

/// Notes how far rows in pages that the table got since an index was built lie from the middle of that time:
/// how many standard deviations of the rows of then farther on average.
pub fn note_drift(vector: &VectorStore) -> Result<()> {
    let relid = vector.store.oid();
    let kept = access::as_extension_owner(|| {
        spi::rows(
            "SELECT index, middle, spread, deviation, pages FROM _lake.vector_index \
             WHERE relid = $1::pg_catalog.regclass AND middle IS NOT NULL AND deviation > 0",
            &[relid.into()],
            |row| {
                Ok((
                    spi::need::<String>(row, 1)?,
                    Portrait {
                        middle: spi::need(row, 2)?,
                        mean: spi::need(row, 3)?,
                        deviation: spi::need(row, 4)?,
                    },
                    spi::need::<i64>(row, 5)?,
                ))
            },
        )
    })??;
    for (index, portrait, pages) in kept {
        let new = newer_than(vector, pages)?;
        if new.len() < ENOUGH {
            continue;
        }
        let (mean, _) = spread(&new, &portrait.middle, vector.metric());
        let drift = (mean - portrait.mean) / portrait.deviation;
        access::as_extension_owner(|| {
            spi::execute(
                "UPDATE _lake.vector_index SET drift = $3 \
                 WHERE relid = $1::pg_catalog.regclass AND index = $2",
                &[relid.into(), index.as_str().into(), drift.into()],
            )
        })??;
    }
    Ok(())
}

/// Rows in pages from this one on, at random.
fn newer_than(vector: &VectorStore, pages: i64) -> Result<Vec<Vec<f32>>> {
    let mut conditions = vector.searchable();
    conditions.push(
        "t.ctid OPERATOR(pg_catalog.>=) pg_catalog.format('(%s,1)', $1::pg_catalog.int8)::pg_catalog.tid".into(),
    );
    spi::rows(
        &format!(
            "SELECT {}::pg_catalog.float4[] FROM {} AS t WHERE {} \
             ORDER BY pg_catalog.random() LIMIT {SAMPLES}",
            VectorStore::col(&vector.embedding),
            vector.relation(),
            conditions.join(" AND "),
        ),
        &[pages.into()],
        |row| spi::need(row, 1),
    )
}

/// Notes what speaks for embeddings of several models in one store, or that nothing does any more.
pub fn note_mixture(vector: &VectorStore) -> Result<()> {
    let rows = sample::rows(vector, SAMPLES)?;
    if rows.len() < ENOUGH {
        return Ok(());
    }
    let unit = rows.iter().filter(|row| (length(&row.embedding) - 1.0).abs() < 0.01).count();
    let share = count(unit) / count(rows.len());
    let lengths = (0.05..0.95).contains(&share).then(|| {
        format!(
            "{:.0} % of its embeddings have length 1 and the others don't: several models, or only some normalized",
            share * 100.0
        )
    });
    note(vector.store.oid(), "lengths", lengths.as_deref())?;
    note(vector.store.oid(), "models", models(vector)?.as_deref())
}

fn models(vector: &VectorStore) -> Result<Option<String>> {
    if vector.metadata.is_none() {
        return Ok(None);
    }
    for key in MODEL_KEYS {
        let named = spi::rows(
            &format!(
                "SELECT DISTINCT s.metadata OPERATOR(pg_catalog.->>) $1 FROM ( \
                     SELECT {} AS metadata FROM {} AS t LIMIT 20000) s \
                 WHERE s.metadata OPERATOR(pg_catalog.->>) $1 IS NOT NULL ORDER BY 1 LIMIT 5",
                vector.metadata_sql(),
                vector.relation()
            ),
            &[key.into()],
            |row| spi::need::<String>(row, 1),
        )?;
        if named.len() > 1 {
            return Ok(Some(format!(
                "its rows name several models in metadata \"{key}\" ({}): distances between them mean nothing",
                named.join(", ")
            )));
        }
    }
    Ok(None)
}

fn note(relid: pg_sys::Oid, code: &str, finding: Option<&str>) -> Result<()> {
    access::as_extension_owner(|| {
        spi::execute(
            "DELETE FROM _lake.vector_finding WHERE relid = $1::pg_catalog.regclass AND code = $2",
            &[relid.into(), code.into()],
        )?;
        if let Some(finding) = finding {
            spi::execute(
                "INSERT INTO _lake.vector_finding (relid, code, finding) \
                 VALUES ($1::pg_catalog.regclass, $2, $3)",
                &[relid.into(), code.into(), finding.into()],
            )?;
        }
        Ok(())
    })?
}
