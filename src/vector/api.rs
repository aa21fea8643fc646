//! The SQL functions of vector stores: arguments in, capability, result out.

use super::adopt::{self, Adoption};
use super::batch::{self, Reals};
use super::create::{self, NewStore};
use super::rows::Selection;
use super::store::{VectorStore, regclass};
use super::upsert;
use crate::batch::Counts;
use crate::catalog::reject::OnError;
use crate::error::{Error, Result, SqlResult};
use crate::jsonb::JsonbText;
use crate::regclass::RegClass;
use lake_vectors::{Mode, Row};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::borrow::Cow;

pub fn need<T>(value: Option<T>, name: &str) -> Result<T> {
    value.ok_or_else(|| Error::null_value(format!("{name} is null")))
}

fn parse_mode(mode: Option<&str>) -> Result<Mode> {
    let mode = need(mode, "mode")?;
    Mode::parse(mode).ok_or_else(|| {
        Error::invalid_parameter(format!("mode can't be \"{mode}\""))
            .hint("It is 'upsert', 'insert_only' or 'update_only'.")
    })
}

#[pg_extern(schema = "lake", volatile)]
pub fn vector_create(
    name: Option<&str>,
    dimensions: Option<i32>,
    metric: default!(Option<&str>, "'cosine'"),
    storage: default!(Option<&str>, "'vector'"),
    id_type: default!(Option<&str>, "'text'"),
    text_config: default!(Option<&str>, "NULL"),
    options: default!(Option<JsonbText>, "'{}'"),
) -> SqlResult<RegClass> {
    let no_index = options.as_ref().is_some_and(|options| {
        options.parse("options").is_ok_and(|options| options["index"] == "none")
    });
    let store = create::create(&NewStore {
        name: need(name, "name")?,
        dimensions: need(dimensions, "dimensions")?,
        metric: need(metric, "metric")?,
        storage: need(storage, "storage")?,
        id_type: need(id_type, "id_type")?,
        text_config,
        options: options.map_or_else(
            || Ok(serde_json::Value::Object(serde_json::Map::new())),
            |options| options.parse("options"),
        )?,
    })?;
    if !no_index {
        super::build::policy::start(&store, true)?;
    }
    Ok(regclass(&store))
}

#[pg_extern(schema = "lake", volatile)]
pub fn vector_adopt(
    tbl: Option<RegClass>,
    id_column: default!(Option<&str>, "'id'"),
    embedding_column: default!(Option<&str>, "'embedding'"),
    metadata_column: default!(Option<&str>, "'metadata'"),
    content_column: default!(Option<&str>, "'content'"),
    metric: default!(Option<&str>, "NULL"),
    dimensions: default!(Option<i32>, "NULL"),
) -> SqlResult<RegClass> {
    let store = adopt::adopt(&Adoption {
        table: need(tbl, "tbl")?,
        id: id_column.unwrap_or(adopt::DEFAULT_ID),
        embedding: embedding_column.unwrap_or(adopt::DEFAULT_EMBEDDING),
        metadata: metadata_column,
        content: content_column,
        metric,
        dimensions,
    })?;
    Ok(regclass(&store))
}

#[pg_extern(schema = "lake", volatile)]
pub fn vector_upsert(
    store: Option<RegClass>,
    id: Option<&str>,
    embedding: Option<Array<'_, f32>>,
    metadata: default!(Option<JsonbText>, "NULL"),
    content: default!(Option<&str>, "NULL"),
    mode: default!(Option<&str>, "'upsert'"),
) -> SqlResult<&'static str> {
    let vector = VectorStore::load(store)?;
    let mode = parse_mode(mode)?;
    let embedding = embedding.map(Reals::from_array);
    let row = Row {
        ordinal: 1,
        id: id.map(Cow::Borrowed),
        embedding: match &embedding {
            Some(reals) => reals.single()?,
            None => lake_vectors::Embedding::Null,
        },
        metadata: metadata.as_ref().map(|text| Cow::Borrowed(text.0.as_str())),
        content: content.map(Cow::Borrowed),
        mode,
        malformed: None,
        source: None,
    };
    Ok(upsert::one(&vector, &row)?.as_str())
}

fn counts_row(
    counts: Counts,
) -> TableIterator<
    'static,
    (name!(inserted, i64), name!(updated, i64), name!(unchanged, i64), name!(rejected, i64)),
> {
    TableIterator::once(counts.columns())
}

/// What the array forms share, once their vectors are numbers.
struct Arrays {
    ids: Option<Vec<Option<String>>>,
    metadatas: Option<Vec<Option<JsonbText>>>,
    contents: Option<Vec<Option<String>>>,
}

fn upsert_arrays(
    vector: &VectorStore,
    arrays: Arrays,
    embeddings: &Reals,
    on_error: Option<&str>,
    mode: Option<&str>,
) -> Result<Counts> {
    let on_error = OnError::parse(need(on_error, "on_error")?)?;
    let ids = need(arrays.ids, "ids")?;
    let rows = batch::from_columns(
        &batch::Columns {
            ids: &ids,
            metadatas: arrays.metadatas.as_deref(),
            contents: arrays.contents.as_deref(),
        },
        embeddings,
        vector.rules.dimensions,
        parse_mode(mode)?,
    )?;
    upsert::many(vector, &rows, on_error)
}

#[pg_extern(schema = "lake", name = "vector_upsert_many", volatile)]
pub fn vector_upsert_many_reals(
    store: Option<RegClass>,
    ids: Option<Vec<Option<String>>>,
    embeddings: Option<Array<'_, f32>>,
    metadatas: default!(Option<Vec<Option<JsonbText>>>, "NULL"),
    contents: default!(Option<Vec<Option<String>>>, "NULL"),
    on_error: default!(Option<&str>, "'raise'"),
    mode: default!(Option<&str>, "'upsert'"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(updated, i64), name!(unchanged, i64), name!(rejected, i64)),
    >,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    let embeddings = Reals::from_array(need(embeddings, "embeddings")?);
    let arrays = Arrays { ids, metadatas, contents };
    Ok(counts_row(upsert_arrays(&vector, arrays, &embeddings, on_error, mode)?))
}

#[pg_extern(schema = "lake", name = "vector_upsert_many", volatile)]
pub fn vector_upsert_many_bytes(
    store: Option<RegClass>,
    ids: Option<Vec<Option<String>>>,
    embeddings: Option<&[u8]>,
    metadatas: default!(Option<Vec<Option<JsonbText>>>, "NULL"),
    contents: default!(Option<Vec<Option<String>>>, "NULL"),
    on_error: default!(Option<&str>, "'raise'"),
    mode: default!(Option<&str>, "'upsert'"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(updated, i64), name!(unchanged, i64), name!(rejected, i64)),
    >,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    let embeddings = Reals::from_bytes("embeddings", need(embeddings, "embeddings")?)?;
    let arrays = Arrays { ids, metadatas, contents };
    Ok(counts_row(upsert_arrays(&vector, arrays, &embeddings, on_error, mode)?))
}

/// What the two JSON forms share.
fn upsert_items(
    store: Option<RegClass>,
    items: &str,
    on_error: Option<&str>,
    mode: Option<&str>,
) -> Result<Counts> {
    let vector = VectorStore::load(store)?;
    let items = batch::split_items(items)?;
    let on_error = OnError::parse(need(on_error, "on_error")?)?;
    let rows = batch::from_items(items.iter().map(|item| item.get()), parse_mode(mode)?)?;
    upsert::many(&vector, &rows, on_error)
}

#[pg_extern(schema = "lake", name = "vector_upsert_many", volatile)]
pub fn vector_upsert_many_items(
    store: Option<RegClass>,
    items: Option<JsonbText>,
    on_error: default!(Option<&str>, "'raise'"),
    mode: default!(Option<&str>, "'upsert'"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(updated, i64), name!(unchanged, i64), name!(rejected, i64)),
    >,
    ErrorReport,
> {
    let items = need(items, "items")?;
    Ok(counts_row(upsert_items(store, &items.0, on_error, mode)?))
}

#[pg_extern(schema = "lake", name = "vector_upsert_many", volatile)]
pub fn vector_upsert_many_text(
    store: Option<RegClass>,
    items: Option<&str>,
    on_error: default!(Option<&str>, "'raise'"),
    mode: default!(Option<&str>, "'upsert'"),
) -> std::result::Result<
    TableIterator<
        'static,
        (name!(inserted, i64), name!(updated, i64), name!(unchanged, i64), name!(rejected, i64)),
    >,
    ErrorReport,
> {
    let items = need(items, "items")?;
    Ok(counts_row(upsert_items(store, items, on_error, mode)?))
}

/// 22004 where neither ids nor filter say which rows are meant.
fn some_selection(ids: bool, filter: bool) -> Result<()> {
    if ids || filter {
        return Ok(());
    }
    Err(Error::null_value("neither ids nor filter says which rows are meant")
        .hint("All rows: filter => '{}'."))
}

#[pg_extern(schema = "lake", stable)]
#[expect(clippy::type_complexity, reason = "the SQL signature")]
pub fn vector_get(
    store: Option<RegClass>,
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
    with_embedding: default!(Option<bool>, "true"),
    max_rows: default!(Option<i64>, "NULL"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(embedding, Option<Vec<f32>>),
            name!(metadata, Option<JsonbText>),
            name!(content, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let vector = VectorStore::load(store)?;
    some_selection(ids.is_some(), filter.is_some())?;
    if let Some(rows) = max_rows
        && rows < 0
    {
        return Err(Error::invalid_parameter(format!("max_rows can't be {rows}")).into());
    }
    let selection = Selection::new(&vector, ids.as_deref(), filter.as_ref())?;
    let rows = selection.get(with_embedding.unwrap_or(true), max_rows)?;
    Ok(TableIterator::new(
        rows.into_iter().map(|row| (row.id, row.embedding, row.metadata, row.content)),
    ))
}

#[pg_extern(schema = "lake", volatile)]
pub fn vector_delete(
    store: Option<RegClass>,
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
    filter: default!(Option<JsonbText>, "NULL"),
) -> SqlResult<i64> {
    let vector = VectorStore::load(store)?;
    some_selection(ids.is_some(), filter.is_some())?;
    Ok(Selection::new(&vector, ids.as_deref(), filter.as_ref())?.delete()?)
}

#[pg_extern(schema = "lake", stable)]
pub fn vector_count(
    store: Option<RegClass>,
    filter: default!(Option<JsonbText>, "NULL"),
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
) -> SqlResult<i64> {
    let vector = VectorStore::load(store)?;
    Ok(Selection::new(&vector, ids.as_deref(), filter.as_ref())?.count()?)
}
