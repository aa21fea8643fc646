//! Stores: ordinary tables that one of the families looks after.

use crate::access;
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::regclass::RegClass;
use crate::spi;
use pgrx::{JsonB, pg_sys};
use serde_json::Value;
use std::fmt;

/// The families. A table may belong to several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    Vector,
    Series,
    Geo,
}

impl StoreKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            StoreKind::Vector => "vector",
            StoreKind::Series => "series",
            StoreKind::Geo => "geo",
        }
    }

    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "vector" => Ok(StoreKind::Vector),
            "series" => Ok(StoreKind::Series),
            "geo" => Ok(StoreKind::Geo),
            other => Err(Error::internal(format!("unknown kind of store \"{other}\""))),
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A store as registered. `options` is the family's own; each family has a typed view of it.
#[derive(Debug, Clone)]
pub struct Store {
    pub relation: Relation,
    pub kind: StoreKind,
    /// `pgvector`, `postgis`, `timescaledb`, `native`.
    pub engine: String,
    /// A table that goes with the store and is dropped with it (a metric store's series).
    pub companion: Option<pg_sys::Oid>,
    pub options: Value,
}

impl Store {
    /// The store of this kind on this table. 42P01 for a table that is gone, 42809 for one that
    /// isn't a store of the kind.
    pub fn find(table: RegClass, kind: StoreKind) -> Result<Self> {
        let relation = Relation::by_oid(table.0)?;
        let found = spi::cached_rows(
            "SELECT engine, companion::pg_catalog.oid, options FROM _lake.store \
             WHERE relid = $1::pg_catalog.regclass AND kind = $2",
            &[relation.oid.into(), kind.as_str().into()],
            |row| {
                Ok((
                    spi::need::<String>(row, 1)?,
                    spi::get::<pg_sys::Oid>(row, 2)?,
                    spi::need::<JsonB>(row, 3)?.0,
                ))
            },
        )?;
        match found.into_iter().next() {
            Some((engine, companion, options)) => {
                Ok(Self { relation, kind, engine, companion, options })
            }
            None => Err(Error::new(
                pgrx::PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("{relation} is not a {kind} store"),
            )
            .hint(format!(
                "SELECT store FROM lake.stores WHERE kind = '{kind}' shows those there are; \
                 lake.{kind}_adopt makes one of an existing table."
            ))),
        }
    }

    /// Registers a table of which the current user is owner. 42710 where it is registered already.
    pub fn register(
        relation: Relation,
        kind: StoreKind,
        engine: &str,
        companion: Option<pg_sys::Oid>,
        options: Value,
    ) -> Result<Self> {
        access::require_owner(&relation)?;
        let written = access::as_extension_owner(|| {
            spi::execute(
                "INSERT INTO _lake.store (relid, kind, engine, companion, options) \
                 VALUES ($1::pg_catalog.regclass, $2, $3, $4::pg_catalog.regclass, $5) ON CONFLICT DO NOTHING",
                &[
                    relation.oid.into(),
                    kind.as_str().into(),
                    engine.into(),
                    companion.into(),
                    JsonB(options.clone()).into(),
                ],
            )
        })??;
        crate::vector::changed(relation.oid);
        if written == 0 {
            return Err(Error::duplicate_object(format!("{relation} is a {kind} store already"))
                .hint(format!("lake.drop_store('{relation}', keep_table => true) forgets it.")));
        }
        Ok(Self { relation, kind, engine: engine.to_owned(), companion, options })
    }

    /// Replaces the options. The current user must be owner.
    pub fn set_options(&mut self, options: Value) -> Result<()> {
        access::require_owner(&self.relation)?;
        access::as_extension_owner(|| {
            spi::execute(
                "UPDATE _lake.store SET options = $3 \
                 WHERE relid = $1::pg_catalog.regclass AND kind = $2",
                &[
                    self.relation.oid.into(),
                    self.kind.as_str().into(),
                    JsonB(options.clone()).into(),
                ],
            )
        })??;
        self.options = options;
        crate::vector::changed(self.oid());
        Ok(())
    }

    /// Sets one option, whatever others say meanwhile. The current user must be owner.
    pub fn set_option(&self, key: &str, value: Value) -> Result<()> {
        access::require_owner(&self.relation)?;
        access::as_extension_owner(|| {
            spi::execute(
                "UPDATE _lake.store SET options = options || pg_catalog.jsonb_build_object($3::pg_catalog.text, $4::pg_catalog.jsonb) \
                 WHERE relid = $1::pg_catalog.regclass AND kind = $2",
                &[
                    self.relation.oid.into(),
                    self.kind.as_str().into(),
                    key.into(),
                    JsonB(value).into(),
                ],
            )
        })??;
        crate::vector::changed(self.oid());
        Ok(())
    }

    /// An option as text.
    pub fn option_str(&self, key: &str) -> Option<&str> {
        self.options.get(key).and_then(Value::as_str)
    }

    pub fn oid(&self) -> pg_sys::Oid {
        self.relation.oid
    }
}
