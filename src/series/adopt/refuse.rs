//! What can't be carried over from a plain table to one cut into chunks: said before anything is done.

use crate::error::{Error, Result};
use crate::names::{self, Relation};
use crate::spi;
use pgrx::PgSqlErrorCode;

/// A query for what stands in the way (`$1` is the table, `$2` the time column), what to say of it, and
/// what to do.
struct Obstacle {
    sql: &'static str,
    hint: &'static str,
}

const OBSTACLES: [Obstacle; 9] = [
    Obstacle {
        sql: "SELECT pg_catalog.format('%s %I of {} does not include %I, as every key of a table in chunks must', \
                  CASE x.indisprimary WHEN true THEN 'primary key' ELSE 'unique index' END, i.relname, $2::text) \
              FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
              WHERE x.indrelid = $1 AND (x.indisunique OR x.indisexclusion) AND NOT EXISTS ( \
                  SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2::text::name \
                     AND a.attnum = ANY (x.indkey::pg_catalog.int2[]))",
        hint: "Make a key that does (PRIMARY KEY (…, \"{}\")) and drop this one.",
    },
    Obstacle {
        sql: "SELECT pg_catalog.format('foreign key %I of table %s refers to {}', conname, conrelid::pg_catalog.regclass) \
              FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1 AND conrelid <> $1",
        hint: "Drop it first. Dropping old chunks could not keep what it promises.",
    },
    Obstacle {
        sql: "SELECT pg_catalog.format('foreign key %I of {} refers to the table itself', conname) \
              FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1 AND conrelid = $1",
        hint: "Drop it first. Dropping old chunks could not keep what it promises.",
    },
    Obstacle {
        sql: "SELECT pg_catalog.format('%s %s reads {}, and would go on reading the table that it was', \
                  CASE v.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'rule of' END, \
                  v.oid::pg_catalog.regclass) \
              FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid \
              JOIN pg_catalog.pg_class v ON v.oid = r.ev_class \
              WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1",
        hint: "Drop it, adopt the table, and make it again (pg_get_viewdef shows how).",
    },
    Obstacle {
        sql: "SELECT '{} is part of an inheritance or partition tree' \
              FROM pg_catalog.pg_inherits WHERE inhrelid = $1 OR inhparent = $1",
        hint: "Adopt the table at the top, or take this one out (ALTER TABLE … NO INHERIT, DETACH PARTITION).",
    },
    Obstacle {
        sql: "SELECT CASE relpersistence WHEN 't' THEN '{} is a temporary table' ELSE '{} is unlogged' END \
              FROM pg_catalog.pg_class WHERE oid = $1 AND relpersistence <> 'p'",
        hint: "ALTER TABLE … SET LOGGED makes it one that lasts.",
    },
    Obstacle {
        sql: "SELECT '{} forces row level security on its owner, who could not move every row' \
              FROM pg_catalog.pg_class WHERE oid = $1 AND relforcerowsecurity",
        hint: "ALTER TABLE … NO FORCE ROW LEVEL SECURITY, adopt it, and force it again.",
    },
    Obstacle {
        sql: "SELECT pg_catalog.format('{} belongs to publication %I by name', p.pubname) \
              FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid \
              WHERE r.prrelid = $1",
        hint: "ALTER PUBLICATION … DROP TABLE, adopt it, and add it again.",
    },
    Obstacle {
        sql: "SELECT pg_catalog.format('{} is a %s store', kind) FROM _lake.store \
              WHERE relid = $1::pg_catalog.oid::pg_catalog.regclass",
        hint: "lake.drop_store(…, keep_table => true) forgets that; adopt it as a series store first, then again as the other.",
    },
];

/// 0A000 for the first obstacle there is.
pub fn what_cannot_be_carried(table: &Relation, column: &str) -> Result<()> {
    for obstacle in &OBSTACLES {
        let found = spi::one::<String>(obstacle.sql, &[table.oid.into(), column.into()])?;
        if let Some(text) = found {
            return Err(Error::unsupported(text.replace("{}", &table.to_string()))
                .hint(obstacle.hint.replace("\"{}\"", &names::ident(column))));
        }
    }
    Ok(())
}

/// 23502 for rows without a time, 22008 for infinite ones: no chunk could hold them. The table is
/// locked against writers.
pub fn unfit_times(table: &Relation, column: &str) -> Result<()> {
    let column = names::ident(column);
    let (nulls, infinite) = spi::rows(
        &format!(
            "SELECT pg_catalog.count(*) FILTER (WHERE {column} IS NULL), \
                    pg_catalog.count(*) FILTER (WHERE NOT pg_catalog.isfinite({column})) FROM {table} \
             WHERE {column} IS NULL OR NOT pg_catalog.isfinite({column})"
        ),
        &[],
        |row| Ok((spi::need::<i64>(row, 1)?, spi::need::<i64>(row, 2)?)),
    )?
    .into_iter()
    .next()
    .unwrap_or_default();
    let (code, what) = match (nulls, infinite) {
        (0, 0) => return Ok(()),
        (0, n) => (
            PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW,
            format!("{n} rows of {table} have an infinite {column}"),
        ),
        (n, _) => (
            PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION,
            format!("{n} rows of {table} have no {column}"),
        ),
    };
    Err(Error::new(code, what).detail("No chunk could hold them.").hint(format!(
        "SELECT * FROM {table} WHERE {column} IS NULL OR NOT isfinite({column}); shows them."
    )))
}
