//! The nearest rows to a vector.

use super::batch::Reals;
use super::filter_use;
use super::index::Quantization;
use super::known::Known;
use super::pack;
use super::path::{Path, Walk};
use super::plan::{self, Choice, Mode};
use super::store::VectorStore;
use super::upsert::check_query;
use crate::error::{Error, Result};
use crate::filter;
use crate::jsonb::{JsonbCopy, JsonbText};
use crate::spi;
use lake_vectors::{Embedding, half_bits};
use pgrx::datum::DatumWithOid;

/// Most rows that one search may ask for.
pub const MAX_K: i32 = 10_000;

/// The first parameter of a condition; before it are the query, `k` and the candidates.
const FIRST_PARAM: usize = 4;

/// The bits of infinity as a half-precision float.
const HALF_INFINITY: u16 = 0x7c00;

/// What a search is to find, checked; asked for one vector or for many.
pub struct Query<'a> {
    pub vector: &'a VectorStore,
    pub values: Vec<f32>,
    k: i64,
    condition: String,
    params: Vec<lake_filter::Param>,
    filtered: bool,
    pub max_distance: Option<f64>,
    pub mode: Mode,
    pub ef_search: Option<i32>,
    pub with_embedding: bool,
}

/// A row found.
#[derive(Clone)]
pub struct Hit {
    pub id: String,
    pub distance: f64,
    pub score: f64,
    pub metadata: Option<JsonbCopy>,
    pub content: Option<String>,
    pub embedding: Option<Vec<f32>>,
}

/// The query of a call, checked. 22004 for nulls, and as for a row's embedding.
pub fn query_values(vector: &VectorStore, query: Option<&Reals>) -> Result<Vec<f32>> {
    let query = query.ok_or_else(|| Error::null_value("query is null"))?;
    let values = match query.single()? {
        Embedding::Values(values) => values.into_owned(),
        _ => return Err(Error::null_value("query holds a null element")),
    };
    check_query(vector, &values, "query")?;
    Ok(values)
}

/// `k` as given: 22004 for null, 22023 out of range.
pub fn check_k(k: Option<i32>) -> Result<i32> {
    let k = k.ok_or_else(|| Error::null_value("k is null"))?;
    if (1..=MAX_K).contains(&k) {
        return Ok(k);
    }
    Err(Error::invalid_parameter(format!("k must be between 1 and {MAX_K}, not {k}")))
}

impl<'a> Query<'a> {
    /// A search without a filter.
    pub fn plain(vector: &'a VectorStore, values: Vec<f32>, k: i32) -> Self {
        Self {
            vector,
            values,
            k: i64::from(k),
            condition: vector.searchable_sql(),
            params: vec![],
            filtered: false,
            max_distance: None,
            mode: Mode::Auto,
            ef_search: None,
            with_embedding: false,
        }
    }

    /// The search with a filter; 22023 for a bad one.
    pub fn filtered(mut self, filter: Option<&JsonbText>) -> Result<Self> {
        let compiled = compile(self.vector, filter, FIRST_PARAM)?;
        if compiled.sql != "true" {
            let mut conditions = self.vector.searchable();
            conditions.push(compiled.sql);
            self.condition = conditions.join(" AND ");
            self.params = compiled.params;
            self.filtered = true;
        }
        Ok(self)
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

    /// `$1` the vector, `$2` k, `$3` the candidates, then the filter's.
    fn args(&self, k: i64, candidates: i64) -> Vec<DatumWithOid<'static>> {
        let mut args = vec![pack::vector(self.vector, &self.values), k.into(), candidates.into()];
        args.extend(filter::bind(&self.params));
        args
    }

    fn hidden(&self) -> bool {
        self.filtered || self.vector.row_security_active()
    }

    /// Exact or approximate, to find `k` rows.
    fn choose_for(&self, known: &Known, k: i64) -> Result<Choice> {
        let halves = known.index.as_ref().is_some_and(|i| i.quantization == Quantization::Halfvec);
        if halves && self.values.iter().any(|value| half_bits(*value) & 0x7fff == HALF_INFINITY) {
            return Ok(Choice::exact("the query exceeds the half-precision floats of the index"));
        }
        plan::choose(
            known,
            &plan::Wish {
                k,
                mode: self.mode,
                ef_search: self.ef_search,
                condition: &self.condition,
                args: &self.args(k, k),
                hidden: self.hidden(),
            },
        )
    }

    /// Exact or approximate.
    pub fn choose(&self, known: &Known) -> Result<Choice> {
        self.choose_for(known, self.k)
    }

    pub fn k(&self) -> i64 {
        self.k
    }

    /// The nearest `k` rows of which at most `size` have the same value at a path of the metadata:
    /// every row that matches is ranked.
    pub fn grouped(&self, path: &[String], size: usize) -> Result<Vec<Hit>> {
        let mut args = self.args(self.k, i64::try_from(size).unwrap_or(i64::MAX));
        args.push(path.to_vec().into());
        args.push(self.max_distance.unwrap_or(f64::INFINITY).into());
        let last = args.len();
        let vector = self.vector;
        let column = VectorStore::col(&vector.embedding);
        let sql = format!(
            "SELECT s.id::pg_catalog.text, s.distance, s.metadata, s.content, {embedding}::pg_catalog.float4[] \
             FROM (SELECT r.*, pg_catalog.row_number() OVER (PARTITION BY \
                          COALESCE(r.metadata OPERATOR(pg_catalog.#>) ${path}, 'null'::pg_catalog.jsonb) \
                          ORDER BY r.distance, r.id) AS place \
                   FROM (SELECT {id} AS id, {column} {operator} $1 AS distance, {metadata} AS metadata, \
                                {content} AS content, {column} AS embedding \
                         FROM {relation} AS t WHERE {condition}) r) s \
             WHERE s.place OPERATOR(pg_catalog.<=) $3 AND s.distance OPERATOR(pg_catalog.<=) ${last} \
             ORDER BY s.distance, s.id LIMIT $2",
            embedding = if self.with_embedding { "s.embedding" } else { "NULL" },
            path = last - 1,
            id = VectorStore::col(&vector.id),
            operator = vector.distance_operator(),
            metadata = vector.metadata_sql(),
            content = vector.content_sql(),
            relation = vector.relation(),
            condition = self.condition,
        );
        self.read(&sql, &args)
    }

    /// The statement of a path.
    fn sql(&self, path: &Path) -> String {
        path.sql(self.vector, &self.condition, self.with_embedding)
    }

    /// The statement that a path begins with.
    pub fn first_sql(&self, known: &Known, path: &Path) -> String {
        match path {
            Path::Approximate(walk) if walk.in_order() && !known.ties.get() => {
                walk.sql_in_order(self.vector, &self.condition, self.with_embedding)
            }
            _ => self.sql(path),
        }
    }

    /// Asks.
    pub fn run(&self, known: &Known) -> Result<Vec<Hit>> {
        self.nearest(known, self.k)
    }

    /// The nearest `k` rows within the largest distance.
    pub fn nearest(&self, known: &Known, k: i64) -> Result<Vec<Hit>> {
        let choice = self.choose_for(known, k)?;
        let mut hits = self.complete(known, &choice.path, k)?;
        self.cut(&mut hits);
        Ok(hits)
    }

    /// As [`Query::run`], by a path that was chosen before.
    pub fn run_by(&self, known: &Known, path: &Path) -> Result<Vec<Hit>> {
        let mut hits = self.complete(known, path, self.k)?;
        self.cut(&mut hits);
        Ok(hits)
    }

    /// Drops what is too far away. It is no condition of the statement: an index would be walked to
    /// its end in search of rows that satisfy it.
    fn cut(&self, hits: &mut Vec<Hit>) {
        if let Some(most) = self.max_distance {
            hits.retain(|hit| hit.distance <= most);
        }
    }

    /// Asks by a path. Where the index gives up before `k` rows, as those it found first are dead,
    /// it is walked on, and where that is not enough, the exact path finds the rest.
    fn complete(&self, known: &Known, path: &Path, k: i64) -> Result<Vec<Hit>> {
        let short = |hits: &[Hit]| i64::try_from(hits.len()).is_ok_and(|found| found < k);
        let Path::Approximate(walk) = path else { return self.rows(path, k) };
        let mut hits = match self.in_order(known, walk, path, k)? {
            Some(hits) => hits,
            None => self.rows(path, k)?,
        };
        if short(&hits) && !walk.iterative && plan::can_go_on(&walk.index) {
            let on = Walk { iterative: true, ..walk.clone() };
            hits = self.rows(&Path::Approximate(on), k)?;
        }
        if short(&hits) {
            hits = self.rows(&Path::Exact { few: !plan::compares(&self.condition) }, k)?;
        }
        Ok(hits)
    }

    /// Asks an index that returns rows in their order for one more than `k`. `None` where rows are at
    /// the same distance, so that their ids decide, which is left to a statement that sorts, for all
    /// searches to come: where some embeddings are the same, others are likely to be.
    fn in_order(
        &self,
        known: &Known,
        walk: &Walk,
        path: &Path,
        k: i64,
    ) -> Result<Option<Vec<Hit>>> {
        if !walk.in_order() || known.ties.get() {
            return Ok(None);
        }
        let sql = walk.sql_in_order(self.vector, &self.condition, self.with_embedding);
        let args = self.args(k, k + 1);
        let mut hits = {
            let _settings = path.settings();
            self.read(&sql, &args)?
        };
        // The index compares with its own rounding.
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        if hits.windows(2).any(|pair| pair[0].distance.total_cmp(&pair[1].distance).is_eq()) {
            known.ties.set(true);
            return Ok(None);
        }
        hits.truncate(usize::try_from(k).unwrap_or(usize::MAX));
        Ok(Some(hits))
    }

    /// Asks by a path, and no more.
    pub fn ask(&self, path: &Path) -> Result<Vec<Hit>> {
        self.rows(path, self.k)
    }

    fn rows(&self, path: &Path, k: i64) -> Result<Vec<Hit>> {
        let args = self.args(k, path.candidates(k, self.hidden()));
        let _settings = path.settings();
        self.read(&self.sql(path), &args)
    }

    fn read(&self, sql: &str, args: &[DatumWithOid<'_>]) -> Result<Vec<Hit>> {
        let metric = self.vector.metric();
        spi::cached_rows(sql, args, |row| {
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
        return Ok(lake_filter::Compiled::everything());
    };
    let compiled = filter::compile(&filter.parse("filter")?, &vector.metadata_sql(), first_param)?;
    if vector.metadata.is_none() && compiled.sql != "true" {
        return Err(Error::new(
            pgrx::PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{} has no metadata column to filter by", vector.relation()),
        ));
    }
    filter_use::note(vector.store.oid(), &compiled.fields);
    Ok(compiled)
}
