//! Names of SQL objects. This is the only file that quotes identifiers; everything that builds SQL
//! takes a [`Relation`] or calls [`ident`].

use crate::error::{Error, Result};
use pgrx::{PgSqlErrorCode, pg_sys};
use std::ffi::CStr;
use std::fmt;

/// Longest identifier in bytes (`NAMEDATALEN - 1`).
pub const MAX_IDENT: usize = 63;

/// An identifier, quoted where Postgres needs it.
pub fn ident(name: &str) -> String {
    pgrx::spi::quote_identifier(name)
}

/// A string literal. For places where no parameter can go (DDL, `EXPLAIN` texts).
pub fn literal(value: &str) -> String {
    pgrx::spi::quote_literal(value)
}

/// A relation that exists, as named when it was looked up. Displays as quoted, qualified SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub oid: pg_sys::Oid,
    pub schema: String,
    pub name: String,
}

impl Relation {
    /// Looks up the present name. 42P01 where no relation has this OID.
    pub fn by_oid(oid: pg_sys::Oid) -> Result<Self> {
        // SAFETY: both functions take any OID and return null where there is none, or a palloc'd string.
        let (name, schema) = unsafe {
            let name = owned(pg_sys::get_rel_name(oid));
            let schema = owned(pg_sys::get_namespace_name(pg_sys::get_rel_namespace(oid)));
            (name, schema)
        };
        match (name, schema) {
            (Some(name), Some(schema)) => Ok(Self { oid, schema, name }),
            _ => Err(Error::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
                format!("relation with OID {} does not exist", oid.to_u32()),
            )
            .hint("It was dropped. SELECT store FROM lake.stores shows what there is.")),
        }
    }

    /// A sibling in the same schema, quoted and qualified.
    pub fn sibling(&self, name: &str) -> String {
        qualified(&self.schema, name)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&qualified(&self.schema, &self.name))
    }
}

/// `schema.name`, each part quoted where needed.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// The name of something that is to be created, as a user types it: `docs`, `app.docs`,
/// `"My Schema"."My Table"`. Without a schema it goes where `CREATE TABLE` would put it.
#[derive(Debug, Clone)]
pub struct NewName {
    pub schema: String,
    pub name: String,
}

impl NewName {
    /// Parses by Postgres' own rules for qualified names; 42602 for what isn't one, 3F000 for a
    /// schema that isn't there, 42622 for a name over 63 bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = split_qualified(text)?;
        if let Some(long) = parts.iter().find(|p| p.len() > MAX_IDENT) {
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_NAME_TOO_LONG,
                format!(
                    "the name \"{long}\" has {} bytes; at most {MAX_IDENT} are possible",
                    long.len()
                ),
            ));
        }
        match <[String; 2]>::try_from(parts) {
            Ok([schema, name]) => {
                let oid = crate::spi::one::<pg_sys::Oid>(
                    "SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1",
                    &[schema.as_str().into()],
                )?;
                if oid.is_none() {
                    return Err(Error::new(
                        PgSqlErrorCode::ERRCODE_INVALID_SCHEMA_NAME,
                        format!("schema \"{schema}\" does not exist"),
                    )
                    .hint(format!("CREATE SCHEMA {};", ident(&schema))));
                }
                Ok(Self { schema, name })
            }
            Err(mut parts) => {
                let name = parts.pop().unwrap_or_default();
                let schema = crate::spi::one::<String>(
                    "SELECT pg_catalog.current_schema()::pg_catalog.text",
                    &[],
                )?
                .ok_or_else(|| {
                    Error::new(
                        PgSqlErrorCode::ERRCODE_INVALID_SCHEMA_NAME,
                        "no schema has been selected to create in",
                    )
                    .hint("Name the schema too ('app.docs'), or set search_path.")
                })?;
                Ok(Self { schema, name })
            }
        }
    }
}

impl fmt::Display for NewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&qualified(&self.schema, &self.name))
    }
}

/// Splits `a`, `a.b`, `"A"."b.c"` into one or two parts, folding unquoted letters to lower case.
fn split_qualified(text: &str) -> Result<Vec<String>> {
    let parts =
        crate::spi::one::<Vec<String>>("SELECT pg_catalog.parse_ident($1, true)", &[text.into()])?
            .unwrap_or_default();
    if parts.is_empty() || parts.len() > 2 {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_NAME,
            format!("\"{text}\" is not a table name"),
        )
        .hint("Write it as name or schema.name; quote parts that hold capitals or dots: '\"My Table\"'."));
    }
    Ok(parts)
}

/// # Safety
/// `ptr` is null or a palloc'd, NUL-terminated string.
unsafe fn owned(ptr: *mut std::ffi::c_char) -> Option<String> {
    if ptr.is_null() {
        return None;
    }
    // SAFETY: see above.
    Some(unsafe { CStr::from_ptr(ptr) }.to_string_lossy().into_owned())
}
