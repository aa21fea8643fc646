//! Is a new index any good? Rows of the store are looked for by it and by a scan, before it replaces
//! anything.

use super::definition::Definition;
use super::only_index::OnlyIndex;
use crate::error::{Error, Result};
use crate::spi::{self, LocalSettings};
use crate::vector::pack;
use crate::vector::recall::share;
use crate::vector::sample;
use crate::vector::store::VectorStore;
use pgrx::pg_sys;

/// Rows that are looked for.
const SAMPLES: usize = 10;
/// Neighbours of each.
const NEAREST: i64 = 10;
/// How many candidates the index may name for them: a quantized one is made for choosing candidates.
const CANDIDATES: i64 = 100;
/// An index that finds less is broken or useless (signs of embeddings that are all positive).
const LEAST_RECALL: f64 = 0.5;

/// The share of the nearest rows that are among the candidates, or others as near: copies are no misses; `None` for an empty table. 55000 for
/// an index that a search can't use or that finds too little.
pub fn check(
    vector: &VectorStore,
    definition: &Definition,
    index: pg_sys::Oid,
    name: &str,
) -> Result<Option<f64>> {
    let queries = sample::rows(vector, SAMPLES)?;
    if queries.is_empty() {
        return Ok(None);
    }
    let bad = |message: String| {
        Error::not_in_prerequisite_state(format!(
            "new index {name} on {}: {message}",
            vector.relation()
        ))
    };
    let from = format!("FROM {} AS t WHERE {}", vector.relation(), vector.searchable_sql());
    let distance = format!(
        "({} {} {})",
        VectorStore::col(&vector.embedding),
        vector.distance_operator(),
        vector.vector_param(1)
    );
    let exact = format!(
        "SELECT {distance} OPERATOR(pg_catalog.+) 0::pg_catalog.float8 {from} ORDER BY 1 LIMIT {NEAREST}"
    );
    let by_index = format!(
        "SELECT {distance} {from} ORDER BY {} LIMIT {CANDIDATES}",
        definition.order(vector, 1)
    );
    let mut planned = false;
    let mut shares = 0.0;
    for query in &queries {
        let args = [pack::reals(&query.embedding)];
        let read = |row: &pgrx::spi::SpiHeapTupleData<'_>| spi::need::<f64>(row, 1);
        let truth = spi::rows(&exact, &args, read)?;
        let _only = OnlyIndex::new(index);
        let _settings = settings(definition);
        if !planned {
            let plan = spi::one::<pgrx::Json>(&format!("EXPLAIN (FORMAT JSON) {by_index}"), &args)?;
            if !plan.is_some_and(|plan| plan.0.to_string().contains("Index Scan")) {
                return Err(bad("no search can use it".into()));
            }
            planned = true;
        }
        let candidates = spi::rows(&by_index, &args, read)?;
        shares += share(&truth, &candidates);
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let recall = shares / queries.len() as f64;
    if recall < LEAST_RECALL {
        return Err(bad(format!(
            "of the {NEAREST} nearest rows only {:.0} % are among its {CANDIDATES} candidates",
            recall * 100.0
        ))
        .hint("Another quantization keeps more: lake.vector_build_index(…, quantization => …)."));
    }
    Ok(Some(recall))
}

fn settings(definition: &Definition) -> LocalSettings {
    use lake_vectors::index::Method;
    let settings = LocalSettings::new();
    for off in ["enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"] {
        settings.set(off, "off");
    }
    match definition.method {
        Method::Hnsw => settings.set("hnsw.ef_search", "200"),
        Method::Ivfflat => {
            let lists = definition.options.first().map_or(100, |(_, lists)| *lists);
            settings.set("ivfflat.probes", &lists.isqrt().max(1).to_string());
        }
        Method::Diskann | Method::Vchordrq => {}
    }
    settings
}
