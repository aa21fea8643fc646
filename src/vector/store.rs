//! What a vector store is made of: its columns and their types, read from the table itself at each
//! call; the catalogue keeps only the names of the columns and the metric.

use crate::catalog::{Store, StoreKind};
use crate::engines::{self, Engine};
use crate::error::{Error, Result};
use crate::names::{self, Relation};
use crate::regclass::RegClass;
use crate::spi;
use lake_vectors::{IdType, Metric, Rules, Storage};
use pgrx::pg_sys;
use serde_json::{Value, json};

/// The extension below.
pub const EXTENSION: &str = "vector";

/// A column as the table has it.
#[derive(Debug, Clone)]
pub struct Column {
    pub number: i16,
    pub name: String,
    pub type_name: String,
    pub type_schema: String,
    pub typmod: i32,
    pub not_null: bool,
    pub type_oid: pg_sys::Oid,
    /// The type of arrays of this type.
    pub array_type: pg_sys::Oid,
    /// Whether texts that compare as equal are the same texts.
    pub deterministic: bool,
}

/// All columns of a relation, in order.
pub fn columns(relation: &Relation) -> Result<Vec<Column>> {
    spi::cached_rows(
        "SELECT a.attnum, a.attname::pg_catalog.text, t.typname::pg_catalog.text, \
                n.nspname::pg_catalog.text, a.atttypmod, a.attnotnull, t.oid, t.typarray, \
                COALESCE(c.collisdeterministic, true) \
         FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation \
         WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[relation.oid.into()],
        |row| {
            Ok(Column {
                number: spi::need(row, 1)?,
                name: spi::need(row, 2)?,
                type_name: spi::need(row, 3)?,
                type_schema: spi::need(row, 4)?,
                typmod: spi::need(row, 5)?,
                not_null: spi::need(row, 6)?,
                type_oid: spi::need(row, 7)?,
                array_type: spi::need(row, 8)?,
                deterministic: spi::need(row, 9)?,
            })
        },
    )
}

impl Column {
    fn built_in(&self, type_name: &str) -> bool {
        self.type_schema == "pg_catalog" && self.type_name == type_name
    }

    pub fn id_type(&self) -> Option<IdType> {
        if self.type_schema == "pg_catalog" { IdType::by_type_name(&self.type_name) } else { None }
    }

    pub fn storage(&self, engine: &Engine) -> Option<Storage> {
        if self.type_schema == engine.schema { Storage::parse(&self.type_name) } else { None }
    }

    pub fn is_jsonb(&self) -> bool {
        self.built_in("jsonb")
    }

    pub fn is_json(&self) -> bool {
        self.built_in("json")
    }

    pub fn is_text(&self) -> bool {
        self.built_in("text") || self.built_in("varchar")
    }

    /// The name, quoted where needed.
    pub fn quoted(&self) -> String {
        names::ident(&self.name)
    }
}

/// Which column is what, and the metric: the options that the catalogue holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub id: String,
    pub embedding: String,
    pub metadata: Option<String>,
    pub content: Option<String>,
    pub metric: Metric,
    /// Only where the column itself doesn't say (`vector` without a length).
    pub dimensions: Option<i32>,
    /// Text search configuration of `content`.
    pub text_config: Option<String>,
}

impl Options {
    pub fn to_json(&self) -> Value {
        json!({
            "id_column": self.id,
            "embedding_column": self.embedding,
            "metadata_column": self.metadata,
            "content_column": self.content,
            "metric": self.metric.as_str(),
            "dimensions": self.dimensions,
            "text_config": self.text_config,
        })
    }

    fn from_store(store: &Store) -> Result<Self> {
        let text = |key: &str| store.option_str(key).map(str::to_owned);
        let need = |key: &str| {
            text(key).ok_or_else(|| {
                Error::internal(format!("the catalogue entry of {} lacks {key}", store.relation))
            })
        };
        Ok(Self {
            id: need("id_column")?,
            embedding: need("embedding_column")?,
            metadata: text("metadata_column"),
            content: text("content_column"),
            metric: Metric::parse(&need("metric")?)
                .ok_or_else(|| Error::internal("the catalogue holds an unknown metric"))?,
            dimensions: store
                .options
                .get("dimensions")
                .and_then(Value::as_i64)
                .and_then(|n| i32::try_from(n).ok()),
            text_config: text("text_config"),
        })
    }
}

/// A vector store, ready to build statements on.
#[derive(Debug, Clone)]
pub struct VectorStore {
    pub store: Store,
    pub engine: Engine,
    pub id: Column,
    pub embedding: Column,
    pub metadata: Option<Column>,
    pub content: Option<Column>,
    pub rules: Rules,
    /// The column's type has no length, so rows of other dimensions may stand in the table.
    pub untyped: bool,
    pub partitioned: bool,
}

impl VectorStore {
    /// Looks a store up. 22004 for null, 42809 for a table that isn't one, 55000 where pgvector is
    /// gone, 42703 where a column of the store is.
    pub fn load(table: Option<RegClass>) -> Result<Self> {
        Ok(super::known::known(table)?.vector.clone())
    }

    /// As [`VectorStore::load`], from the catalogue itself.
    pub fn read(table: RegClass) -> Result<Self> {
        let store = Store::find(table, StoreKind::Vector)?;
        let engine = engines::require(EXTENSION, "vector")?;
        let options = Options::from_store(&store)?;
        Self::assemble(store, engine, &options)
    }

    /// Puts the parts together from the table's columns.
    pub fn assemble(store: Store, engine: Engine, options: &Options) -> Result<Self> {
        let columns = columns(&store.relation)?;
        let find = |name: &str| {
            columns.iter().find(|column| column.name == name).cloned().ok_or_else(|| {
                let table = &store.relation;
                Error::new(
                    pgrx::PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                    format!("{table} has no column \"{name}\", which the store needs"),
                )
                .hint(format!(
                    "If it was renamed: SELECT lake.drop_store({}, keep_table => true), then lake.vector_adopt with the new name.",
                    names::literal(&table.to_string())
                ))
            })
        };
        let id = find(&options.id)?;
        let embedding = find(&options.embedding)?;
        let metadata = options.metadata.as_deref().map(find).transpose()?;
        let content = options.content.as_deref().map(find).transpose()?;
        let wrong_type = |column: &Column| {
            Error::new(
                pgrx::PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                format!(
                    "column \"{}\" of {} can't serve as it is of type {}",
                    column.name, store.relation, column.type_name
                ),
            )
        };
        let storage = embedding.storage(&engine).ok_or_else(|| wrong_type(&embedding))?;
        let id_type = id.id_type().ok_or_else(|| wrong_type(&id))?;
        let untyped = embedding.typmod <= 0;
        let dimensions = if untyped { options.dimensions } else { Some(embedding.typmod) }
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| wrong_type(&embedding))?;
        // SAFETY: takes any OID; returns zero where there is no relation.
        let kind = unsafe { pg_sys::get_rel_relkind(store.oid()) };
        Ok(Self {
            partitioned: u8::try_from(kind) == Ok(pg_sys::RELKIND_PARTITIONED_TABLE),
            rules: Rules { id_type, storage, metric: options.metric, dimensions },
            store,
            engine,
            id,
            embedding,
            metadata,
            content,
            untyped,
        })
    }

    pub fn relation(&self) -> &Relation {
        &self.store.relation
    }

    pub fn metric(&self) -> Metric {
        self.rules.metric
    }

    /// The type of the embedding, with its length.
    pub fn vector_type(&self) -> String {
        format!("{}({})", self.engine.object(self.rules.storage.as_str()), self.rules.dimensions)
    }

    /// The metric's operator, qualified.
    pub fn distance_operator(&self) -> String {
        self.engine.operator(self.metric().operator())
    }

    /// Parameter `n`, a `real[]`, as the embedding's type.
    pub fn vector_param(&self, n: usize) -> String {
        format!("(${n}::pg_catalog.float4[])::{}", self.vector_type())
    }

    /// A column of the table under the alias `t`.
    pub fn col(column: &Column) -> String {
        format!("t.{}", column.quoted())
    }

    /// The metadata as SQL; null of the right type where there is no such column.
    pub fn metadata_sql(&self) -> String {
        self.metadata.as_ref().map_or("NULL::pg_catalog.jsonb".into(), |column| {
            if column.is_json() {
                format!("({}::pg_catalog.jsonb)", Self::col(column))
            } else {
                Self::col(column)
            }
        })
    }

    /// The value at a path of `names` names into the metadata, which are the parameters from `$1` on.
    pub fn metadata_at(&self, names: usize) -> String {
        (1..=names).fold(self.metadata_sql(), |value, n| {
            format!("({value} OPERATOR(pg_catalog.->) ${n}::pg_catalog.text)")
        })
    }

    /// What [`Self::searchable`] asks, as one condition.
    pub fn searchable_sql(&self) -> String {
        let conditions = self.searchable();
        if conditions.is_empty() { "true".into() } else { conditions.join(" AND ") }
    }

    /// The content as SQL; null of the right type where there is no such column.
    pub fn content_sql(&self) -> String {
        self.content.as_ref().map_or("NULL::pg_catalog.text".into(), |column| {
            format!("{}::pg_catalog.text", Self::col(column))
        })
    }

    /// Conditions that hold for every row a search may return: an embedding of the right length.
    pub fn searchable(&self) -> Vec<String> {
        let mut conditions = vec![];
        let embedding = Self::col(&self.embedding);
        if !self.embedding.not_null {
            conditions.push(format!("{embedding} IS NOT NULL"));
        }
        conditions.extend(self.right_length(&embedding));
        conditions
    }

    /// Whether an embedding has the length of the store's, where the column's type doesn't say so. It is also
    /// the condition of an index there.
    pub fn right_length(&self, embedding: &str) -> Option<String> {
        self.untyped.then(|| {
            format!(
                "{}({embedding}) OPERATOR(pg_catalog.=) {}",
                self.engine.object("vector_dims"),
                self.rules.dimensions
            )
        })
    }
}

impl VectorStore {
    /// Whether policies hide rows of the table from the current user.
    pub fn row_security_active(&self) -> bool {
        // SAFETY: takes the OID of a relation; told not to raise.
        let state = unsafe { pg_sys::check_enable_rls(self.store.oid(), pg_sys::InvalidOid, true) };
        state == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    }

    /// 42501 unless the current user may write rows at all: for calls that record rejects without
    /// having written anything.
    pub fn require_insert(&self) -> Result<()> {
        let may = spi::cached_one::<bool>(
            "SELECT pg_catalog.has_any_column_privilege($1::pg_catalog.oid, 'INSERT, UPDATE')",
            &[self.store.oid().into()],
        )?;
        if may == Some(true) {
            return Ok(());
        }
        Err(Error::insufficient_privilege(format!(
            "permission denied for table {}",
            self.relation()
        )))
    }
}

/// The OID under which a relation was registered.
pub fn regclass(store: &Store) -> RegClass {
    let oid: pg_sys::Oid = store.oid();
    RegClass(oid)
}
