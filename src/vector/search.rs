//! The nearest rows to a vector.

use super::batch::Reals;
use super::plan::{self, Choice, Mode, Path};
use super::store::VectorStore;
use super::upsert::{check_query, real_array};
use crate::error::{Error, Result};
use crate::filter;
use crate::jsonb::JsonbText;
use crate::spi::{self, LocalSettings};
use lake_vectors::Embedding;
use pgrx::datum::DatumWithOid;

/// Most rows that one search may ask for.
pub const MAX_K: i32 = 10_000;

/// A search, checked.
pub struct Query<'a> {
    vector: &'a VectorStore,
    values: Vec<f32>,
    k: i32,
    condition: String,
    params: Vec<lake_filter::Param>,
    filtered: bool,
    pub max_distance: Option<f64>,
    pub mode: Mode,
    pub ef_search: Option<i32>,
    pub with_embedding: bool,
}

/// A row found.
pub struct Hit {
    pub id: String,
    pub distance: f64,
    pub score: f64,
    pub metadata: Option<JsonbText>,
    pub content: Option<String>,
    pub embedding: Option<Vec<f32>>,
}

impl<'a> Query<'a> {
    /// Checks what is asked. 22004 for nulls, 22023 for what is out of range, and for the vector as
    /// for a row's.
    pub fn new(
        vector: &'a VectorStore,
        query: Option<&Reals>,
        k: Option<i32>,
        filter: Option<&JsonbText>,
    ) -> Result<Self> {
        let query = query.ok_or_else(|| Error::null_value("query is null"))?;
        let values = match query.single()? {
            Embedding::Values(values) => values.into_owned(),
            _ => return Err(Error::null_value("query holds a null element")),
        };
        check_query(vector, &values)?;
        let k = k.ok_or_else(|| Error::null_value("k is null"))?;
        if !(1..=MAX_K).contains(&k) {
            return Err(Error::invalid_parameter(format!(
                "k must be between 1 and {MAX_K}, not {k}"
            )));
        }
        let compiled = compile(vector, filter, 3)?;
        let filtered = compiled.sql != "true";
        let mut conditions = vector.searchable();
        if filtered {
            conditions.push(compiled.sql);
        }
        let condition =
            if conditions.is_empty() { "true".into() } else { conditions.join(" AND ") };
        Ok(Self {
            vector,
            values,
            k,
            condition,
            params: compiled.params,
            filtered,
            max_distance: None,
            mode: Mode::Auto,
            ef_search: None,
            with_embedding: false,
        })
    }

    /// `ef_search` as given; 22023 out of pgvector's range.
    pub fn set_ef_search(&mut self, ef_search: Option<i32>) -> Result<()> {
        if let Some(ef) = ef_search
            && !(1..=plan::MAX_EF_SEARCH).contains(&ef)
        {
            return Err(Error::invalid_parameter(format!(
                "ef_search must be between 1 and {}, not {ef}",
                plan::MAX_EF_SEARCH
            )));
        }
        self.ef_search = ef_search;
        Ok(())
    }

    /// `$1` the vector, `$2` k, then the filter's.
    fn args(&self) -> Vec<DatumWithOid<'static>> {
        let mut args = vec![real_array(&self.values), i64::from(self.k).into()];
        args.extend(filter::bind(&self.params));
        args
    }

    /// Exact or approximate.
    pub fn choose(&self) -> Result<Choice> {
        plan::choose(
            self.vector,
            &plan::Wish {
                k: i64::from(self.k),
                mode: self.mode,
                ef_search: self.ef_search,
                condition: &self.condition,
                args: &self.args(),
                filtered: self.filtered,
            },
        )
    }

    /// The statement of a path.
    ///
    /// Exact adds zero to the distance, which no index is ordered by, so that the filter's index or
    /// a scan serves it. Approximate orders by the bare distance; as a relaxed scan returns rows
    /// nearly in order, the outer query sorts again (by a sum, as newer planners would otherwise
    /// trust the inner order). Values are shown only in the outer query, for `k` rows.
    pub fn sql(&self, path: &Path) -> String {
        let vector = self.vector;
        let distance = format!(
            "({} {} {})",
            VectorStore::col(&vector.embedding),
            vector.distance_operator(),
            vector.vector_param(1)
        );
        let (distance, inner_order) = match path {
            Path::Exact => {
                (format!("{distance} OPERATOR(pg_catalog.+) 0::pg_catalog.float8"), "2, 1")
            }
            Path::Approximate { .. } => (distance, "2"),
        };
        let embedding = if self.with_embedding {
            format!("{}::pg_catalog.float4[]", VectorStore::col(&vector.embedding))
        } else {
            "NULL::pg_catalog.float4[]".into()
        };
        format!(
            "SELECT s.id::pg_catalog.text, s.distance, s.metadata, s.content, s.embedding \
             FROM (SELECT {id} AS id, {distance} AS distance, {metadata} AS metadata, \
                          {content} AS content, {embedding} AS embedding \
                   FROM {relation} AS t WHERE {condition} ORDER BY {inner_order} LIMIT $2) s \
             ORDER BY s.distance OPERATOR(pg_catalog.+) 0::pg_catalog.float8, s.id",
            id = VectorStore::col(&vector.id),
            metadata = vector.metadata_sql(),
            content = vector.content_sql(),
            relation = vector.relation(),
            condition = self.condition,
        )
    }

    /// Asks. Where the index gives up before `k` rows, the exact path finds the rest.
    pub fn run(&self) -> Result<Vec<Hit>> {
        let choice = self.choose()?;
        let mut hits = self.ask(&choice.path)?;
        let short = i64::try_from(hits.len()).is_ok_and(|found| found < i64::from(self.k));
        if short && matches!(choice.path, Path::Approximate { .. }) {
            hits = self.ask(&Path::Exact)?;
        }
        if let Some(most) = self.max_distance {
            hits.retain(|hit| hit.distance <= most);
        }
        Ok(hits)
    }

    fn ask(&self, path: &Path) -> Result<Vec<Hit>> {
        let _settings = settings(path);
        let metric = self.vector.metric();
        spi::rows(&self.sql(path), &self.args(), |row| {
            let distance: f64 = spi::need(row, 2)?;
            Ok(Hit {
                id: spi::need(row, 1)?,
                distance,
                score: metric.score(distance),
                metadata: spi::get(row, 3)?,
                content: spi::get(row, 4)?,
                embedding: spi::get(row, 5)?,
            })
        })
    }
}

/// The filter over the store's metadata. 42703 for a filter on a store that has none.
pub fn compile(
    vector: &VectorStore,
    filter: Option<&JsonbText>,
    first_param: usize,
) -> Result<lake_filter::Compiled> {
    let Some(filter) = filter else {
        return Ok(lake_filter::Compiled { sql: "true".into(), params: vec![] });
    };
    let compiled = filter::compile(&filter.parse("filter")?, &vector.metadata_sql(), first_param)?;
    if vector.metadata.is_none() && compiled.sql != "true" {
        return Err(Error::new(
            pgrx::PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{} has no metadata column to filter by", vector.relation()),
        ));
    }
    Ok(compiled)
}

/// The settings of a path, for one statement.
fn settings(path: &Path) -> LocalSettings {
    let settings = LocalSettings::new();
    if let Path::Approximate { index, ef_search, iterative } = path {
        // The planner doesn't price the rows that a filter throws away; the choice is made here.
        for off in ["enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"] {
            settings.set(off, "off");
        }
        if index.method == "hnsw" {
            settings.set("hnsw.ef_search", &ef_search.to_string());
        } else {
            settings.set("ivfflat.probes", &probes(index.lists).to_string());
        }
        if *iterative {
            settings.set(&format!("{}.iterative_scan", index.method), "relaxed_order");
        }
    }
    settings
}

/// √lists, pgvector's own advice for IVFFlat.
fn probes(lists: Option<i32>) -> i32 {
    const DEFAULT_LISTS: i32 = 100;
    let lists = lists.unwrap_or(DEFAULT_LISTS).max(1);
    lists.isqrt().max(1)
}
