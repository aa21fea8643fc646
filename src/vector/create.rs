//! Makes the table of a new store, in the caller's name.

use super::store::{EXTENSION, Options};
use crate::catalog::{Store, StoreKind};
use crate::engines;
use crate::error::{Error, Result};
use crate::names::{self, NewName, Relation};
use crate::spi;
use lake_vectors::{IdType, MAX_DIMENSIONS, Metric, Storage};
use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::Value;

/// What a new store is to be.
pub struct NewStore<'a> {
    pub name: &'a str,
    pub dimensions: i32,
    pub metric: &'a str,
    pub storage: &'a str,
    pub id_type: &'a str,
    pub text_config: Option<&'a str>,
    pub options: Value,
}

/// Makes table, GIN index on the metadata and, where asked for, an HNSW index and a full-text one;
/// registers the store.
pub fn create(new: &NewStore<'_>) -> Result<Store> {
    let metric = metric(new.metric)?;
    let storage = Storage::parse(new.storage).ok_or_else(|| {
        Error::invalid_parameter(format!("storage can't be \"{}\"", new.storage))
            .hint("It is 'vector' (4 bytes a dimension) or 'halfvec' (2 bytes).")
    })?;
    let id_type = match new.id_type {
        "text" => IdType::Text,
        "bigint" => IdType::Bigint,
        "uuid" => IdType::Uuid,
        other => {
            return Err(Error::invalid_parameter(format!("id_type can't be \"{other}\""))
                .hint("It is 'text', 'bigint' or 'uuid'."));
        }
    };
    let dimensions = new.dimensions;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(Error::invalid_parameter(format!(
            "dimensions must be between 1 and {MAX_DIMENSIONS}, not {dimensions}"
        )));
    }
    let index = wants_index(&new.options)?;
    let engine = engines::require(EXTENSION, "vector")?;
    if index && dimensions > storage.max_indexed() {
        return Err(Error::invalid_parameter(format!(
            "an HNSW index on {} takes at most {} dimensions, not {dimensions}",
            storage.as_str(),
            storage.max_indexed()
        ))
        .hint(too_wide_hint(storage, dimensions)));
    }
    let text_config = new.text_config.map(text_config).transpose()?;
    let name = NewName::parse(new.name)?;
    require_free(&name)?;

    let norm = match storage {
        Storage::Vector => engine.object("vector_norm"),
        Storage::Halfvec => engine.object("l2_norm"),
    };
    // A vector of length zero has no cosine and would silently be left out of an index.
    let check = match metric {
        Metric::Cosine => {
            format!(" CHECK ({norm}(embedding) OPERATOR(pg_catalog.>) 0)")
        }
        _ => String::new(),
    };
    let vector = engine.object(storage.as_str());
    spi::execute(
        &format!(
            "CREATE TABLE {name} (\
                 id pg_catalog.{id} PRIMARY KEY, \
                 embedding {vector}({dimensions}) NOT NULL{check}, \
                 metadata pg_catalog.jsonb NOT NULL DEFAULT '{{}}' \
                     CHECK (pg_catalog.jsonb_typeof(metadata) OPERATOR(pg_catalog.=) 'object'), \
                 content pg_catalog.text)",
            id = id_type.type_name(),
        ),
        &[],
    )?;
    spi::execute(
        &format!("CREATE INDEX ON {name} USING gin (metadata pg_catalog.jsonb_path_ops)"),
        &[],
    )?;
    if let Some(config) = &text_config {
        spi::execute(
            &format!(
                "CREATE INDEX ON {name} USING gin (pg_catalog.to_tsvector(\
                     {}::pg_catalog.regconfig, COALESCE(content, ''::pg_catalog.text)))",
                names::literal(config)
            ),
            &[],
        )?;
    }
    if index {
        let opclass = format!("{}_{}_ops", storage.as_str(), metric.opclass());
        spi::execute(
            &format!("CREATE INDEX ON {name} USING hnsw (embedding {})", engine.object(&opclass)),
            &[],
        )?;
    } else if dimensions > storage.max_indexed() {
        notice(
            format!(
                "{name} has {dimensions} dimensions; pgvector indexes at most {} of {}",
                storage.max_indexed(),
                storage.as_str()
            ),
            too_wide_hint(storage, dimensions),
        );
    }
    let relation = created(&name)?;
    let options = Options {
        id: "id".into(),
        embedding: "embedding".into(),
        metadata: Some("metadata".into()),
        content: Some("content".into()),
        metric,
        dimensions: None,
        text_config,
    };
    Store::register(relation, StoreKind::Vector, "pgvector", None, options.to_json())
}

/// 22023 for what isn't a metric.
pub fn metric(text: &str) -> Result<Metric> {
    Metric::parse(text).ok_or_else(|| {
        Error::invalid_parameter(format!("metric can't be \"{text}\""))
            .hint("It is 'cosine', 'l2', 'inner_product' or 'l1'.")
    })
}

fn too_wide_hint(storage: Storage, dimensions: i32) -> String {
    if storage == Storage::Vector && dimensions <= Storage::Halfvec.max_indexed() {
        "Searches will be exact. With storage => 'halfvec' up to 4000 dimensions can be indexed."
            .into()
    } else {
        "Searches will be exact.".into()
    }
}

/// The only option there is so far: `index`, `auto` (in the background, once there are rows enough),
/// `none` or `hnsw`.
fn wants_index(options: &Value) -> Result<bool> {
    let Value::Object(options) = options else {
        return Err(Error::invalid_parameter("options must be an object"));
    };
    if let Some(unknown) = options.keys().find(|key| *key != "index") {
        return Err(Error::invalid_parameter(format!("unknown option \"{unknown}\""))
            .hint("Options of a vector store: index."));
    }
    match options.get("index").map(Value::as_str) {
        None | Some(Some("auto" | "none")) => Ok(false),
        Some(Some("hnsw")) => Ok(true),
        Some(_) => {
            Err(Error::invalid_parameter("option \"index\" must be \"auto\", \"none\" or \"hnsw\"")
                .hint("Large loads are faster without an index, which \"auto\" makes afterwards."))
        }
    }
}

/// The configuration's qualified name.
fn text_config(name: &str) -> Result<String> {
    spi::rows(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.cfgname) \
         FROM pg_catalog.pg_ts_config c JOIN pg_catalog.pg_namespace n ON n.oid = c.cfgnamespace \
         WHERE c.oid = $1::pg_catalog.text::pg_catalog.regconfig",
        &[name.into()],
        |row| spi::need::<String>(row, 1),
    )?
    .pop()
    .ok_or_else(|| {
        Error::undefined_object(format!("text search configuration \"{name}\" does not exist"))
    })
}

fn find(name: &NewName) -> Result<Option<pg_sys::Oid>> {
    spi::one(
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1::pg_catalog.text AND c.relname = $2::pg_catalog.text",
        &[name.schema.as_str().into(), name.name.as_str().into()],
    )
}

fn require_free(name: &NewName) -> Result<()> {
    if find(name)?.is_some() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_DUPLICATE_TABLE,
            format!("relation {name} already exists"),
        )
        .hint("lake.vector_adopt makes a store of a table that exists."));
    }
    Ok(())
}

fn created(name: &NewName) -> Result<Relation> {
    let oid = find(name)?
        .ok_or_else(|| Error::internal(format!("{name} is not there after CREATE TABLE")))?;
    Relation::by_oid(oid)
}

/// A NOTICE with a hint.
pub fn notice(message: impl Into<String>, hint: impl Into<String>) {
    pgrx::pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        message.into(),
        pgrx::function_name!(),
    )
    .set_hint(hint.into())
    .report(pgrx::PgLogLevel::NOTICE);
}
