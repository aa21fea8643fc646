//! Writes rows that have passed the checks, a chunk of them at a time, as arrays bound to one kept
//! statement: `INSERT … ON CONFLICT DO UPDATE … WHERE` something is different, so that a row that is
//! the same already costs no new version and no index entry, and concurrent writers of one id neither
//! fail nor lose each other's row. Rows come in the order of their ids, so that two batches that meet
//! wait for each other instead of deadlocking.

use super::pack;
use super::store::{Column, VectorStore};
use crate::attempt::attempt;
use crate::batch::{Counts, Outcome, length};
use crate::catalog::reject::OnError;
use crate::error::{Error, Result};
use crate::spi;
use lake_vectors::{Embedding, IdType, Mode, Row};
use pgrx::PgMemoryContexts;
use pgrx::datum::DatumWithOid;

/// A row that passed, with its id as Postgres shows it.
pub type Good<'a> = (String, &'a Row<'a>);

/// Chunks that a batch is cut into at least, so that one row that the table refuses makes no more
/// than about this part of the batch be written again.
const CHUNKS_PER_BATCH: usize = 80;

/// Bounds of a chunk: rows, and bytes of vectors.
const CHUNK_ROWS: std::ops::RangeInclusive<usize> = 64..=1_024;
const CHUNK_BYTES: usize = 2 << 20;

/// Writes one row.
pub fn one(vector: &VectorStore, good: Good<'_>) -> Result<Outcome> {
    let counts = write(vector, std::slice::from_ref(&good))?;
    Ok(match (counts.inserted, counts.updated) {
        (1, _) => Outcome::Inserted,
        (_, 1) => Outcome::Updated,
        _ => Outcome::Unchanged,
    })
}

/// A row that the table refused, and why.
pub type Refused<'a> = (&'a Row<'a>, Error);

/// Writes rows whose ids differ. What the table refuses (by a constraint, a trigger, a domain) is
/// raised; under `reject` it is returned, and the others are written.
pub fn all<'a>(
    vector: &VectorStore,
    good: &mut [Good<'a>],
    on_error: OnError,
) -> Result<(Counts, Vec<Refused<'a>>)> {
    good.sort_by(|a, b| a.0.cmp(&b.0));
    let rows = (good.len() / CHUNKS_PER_BATCH)
        .clamp(*CHUNK_ROWS.start(), *CHUNK_ROWS.end())
        .min(CHUNK_BYTES / (4 * vector.rules.dimensions))
        .max(1);
    let (mut counts, mut refused) = (Counts::default(), vec![]);
    for same_mode in good.chunk_by(|a, b| a.1.mode == b.1.mode) {
        let rows = if together(vector, same_mode[0].1.mode) { rows } else { 1 };
        for chunk in same_mode.chunks(rows) {
            match on_error {
                OnError::Raise => counts += write(vector, chunk)?,
                OnError::Reject => halve(vector, chunk, &mut counts, &mut refused),
            }
        }
    }
    Ok((counts, refused))
}

/// Writes what can be written of a chunk, by halves where it fails as a whole.
fn halve<'a>(
    vector: &VectorStore,
    rows: &[Good<'a>],
    counts: &mut Counts,
    refused: &mut Vec<Refused<'a>>,
) {
    match (attempt(|| write(vector, rows)), rows) {
        (Ok(written), _) => *counts += written,
        (Err(error), [(_, row)]) => refused.push((row, error)),
        (Err(_), _) => {
            let (first, second) = rows.split_at(rows.len() / 2);
            halve(vector, first, counts, refused);
            halve(vector, second, counts, refused);
        }
    }
}

/// Whether rows may share a statement. An insert can't meet one row twice, so ids that differ as
/// texts must differ in the column; an update takes its locks in no order that could be relied on.
fn together(vector: &VectorStore, mode: Mode) -> bool {
    let cut = vector.rules.id_type == IdType::Varchar && vector.id.typmod > 0;
    mode != Mode::UpdateOnly && vector.id.deterministic && !cut
}

/// Executes the statement for rows of one mode, in memory that is freed afterwards.
fn write(vector: &VectorStore, rows: &[Good<'_>]) -> Result<Counts> {
    pgrx::check_for_interrupts!();
    let Some((_, first)) = rows.first() else { return Ok(Counts::default()) };
    let sql = statement(vector, first.mode, rows.len() == 1);
    let mut memory = PgMemoryContexts::new("lake vector upsert");
    // SAFETY: what is allocated inside are the values bound to a statement that has ended when the
    // closure returns; counts are plain values. The context is deleted with `memory`.
    let (inserted, all) = unsafe {
        memory.switch_to(|_| {
            let written = spi::cached_rows(&sql, &args(vector, rows)?, |row| {
                Ok((spi::need::<i64>(row, 1)?, spi::need::<i64>(row, 2)?))
            })?;
            Ok::<_, Error>(written.first().copied().unwrap_or_default())
        })?
    };
    Ok(Counts {
        inserted,
        updated: all - inserted,
        unchanged: length(rows) - all,
        ..Counts::default()
    })
}

/// `$1` ids, `$2` embeddings, then metadata and content where the store has them.
fn args(vector: &VectorStore, rows: &[Good<'_>]) -> Result<Vec<DatumWithOid<'static>>> {
    let values: Vec<&[f32]> = rows
        .iter()
        .map(|(_, row)| match &row.embedding {
            Embedding::Values(values) => Ok(&**values),
            _ => Err(Error::internal("a row without a vector passed the checks")),
        })
        .collect::<Result<_>>()?;
    let column = &vector.embedding;
    let texts = |get: &dyn Fn(&Row<'_>) -> Option<String>| -> Vec<Option<String>> {
        rows.iter().map(|(_, row)| get(row)).collect()
    };
    let ids: Vec<String> = rows.iter().map(|(id, _)| id.clone()).collect();
    let mut args = vec![
        ids.into(),
        pack::vectors(vector.rules.storage, &values, column.array_type, column.type_oid)?,
    ];
    if vector.metadata.is_some() {
        args.push(texts(&|row| Some(row.metadata.as_deref().unwrap_or("{}").to_owned())).into());
    }
    if vector.content.is_some() {
        args.push(texts(&|row| row.content.as_deref().map(str::to_owned)).into());
    }
    Ok(args)
}

/// The statement of a mode, which returns how many rows are new and how many were written; for one
/// row without a join or a scan, so that an update finds it by its index.
fn statement(vector: &VectorStore, mode: Mode, single: bool) -> String {
    let relation = vector.relation();
    let id = vector.id.quoted();
    let mut columns = vec![(&vector.id, "text", "id"), (&vector.embedding, "", "embedding")];
    let mut optional = |column: &'static str, which| {
        if let Some(found) = which {
            columns.push((found, "text", column));
        }
    };
    optional("metadata", vector.metadata.as_ref());
    optional("content", vector.content.as_ref());

    let parameters: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (_, kind, _))| {
            let array = if kind.is_empty() {
                vector.engine.object(vector.rules.storage.as_str())
            } else {
                format!("pg_catalog.{kind}")
            };
            format!("${}::{array}[]", index + 1)
        })
        .collect();
    let source = if single {
        let values: Vec<String> = parameters
            .iter()
            .zip(&columns)
            .map(|(parameter, (_, _, name))| format!("({parameter})[1] AS {name}"))
            .collect();
        format!("(SELECT {}) AS u", values.join(", "))
    } else {
        let values: Vec<String> =
            parameters.iter().map(|parameter| format!("pg_catalog.unnest({parameter})")).collect();
        let names: Vec<&str> = columns.iter().map(|(_, _, name)| *name).collect();
        format!("ROWS FROM ({}) AS u({})", values.join(", "), names.join(", "))
    };
    let values: Vec<String> = columns
        .iter()
        .map(|(column, kind, name)| match (*kind, *name) {
            ("", _) | (_, "content") => format!("u.{name}"),
            ("text", "id") => {
                format!("u.id::pg_catalog.{}", vector.rules.id_type.type_name())
            }
            _ => format!("u.{name}::pg_catalog.{}", column.type_name),
        })
        .collect();
    let names: Vec<String> = columns.iter().map(|(column, ..)| column.quoted()).collect();

    // Null-safe equality of each column but the id with what is to be written.
    let same = |new: &dyn Fn(usize) -> String| {
        let mut all = vec![format!("t.{} {} {}", names[1], vector.engine.operator("="), new(1))];
        for (index, (column, ..)) in columns.iter().enumerate().skip(2) {
            let (old, new) = (comparable(column, &format!("t.{}", names[index])), new(index));
            let new = comparable(column, &new);
            all.push(format!(
                "({old} OPERATOR(pg_catalog.=) {new} OR ({old} IS NULL AND {new} IS NULL))"
            ));
        }
        all.join(" AND ")
    };
    let into = format!(
        "INSERT INTO {relation} AS t ({}) SELECT {} FROM {source} ON CONFLICT ({id})",
        names.join(", "),
        values.join(", ")
    );
    let written = match mode {
        Mode::InsertOnly => format!("{into} DO NOTHING RETURNING true AS new"),
        Mode::Upsert => {
            // A row that took the place of another one carries the lock on that one. Partitioned
            // tables don't show it; there the question is whether the id was there when the
            // statement began.
            let new = if vector.partitioned {
                format!(
                    "NOT EXISTS (SELECT FROM {relation} AS old \
                     WHERE old.{id} OPERATOR(pg_catalog.=) t.{id})"
                )
            } else {
                "t.xmax OPERATOR(pg_catalog.=) 0".into()
            };
            let set: Vec<String> =
                names[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
            format!(
                "{into} DO UPDATE SET {} WHERE ({}) IS NOT TRUE RETURNING {new} AS new",
                set.join(", "),
                same(&|index| format!("excluded.{}", names[index]))
            )
        }
        Mode::UpdateOnly => {
            let set: Vec<String> = names[1..]
                .iter()
                .zip(&values[1..])
                .map(|(column, value)| format!("{column} = {value}"))
                .collect();
            format!(
                "UPDATE {relation} AS t SET {} FROM {source} \
                 WHERE t.{id} OPERATOR(pg_catalog.=) {} AND ({}) IS NOT TRUE RETURNING false AS new",
                set.join(", "),
                values[0],
                same(&|index| values[index].clone())
            )
        }
    };
    format!(
        "WITH written AS ({written}) \
         SELECT pg_catalog.count(*) FILTER (WHERE w.new), pg_catalog.count(*) FROM written AS w"
    )
}

/// A value of a column as something that has an equality, which `json` hasn't.
fn comparable(column: &Column, value: &str) -> String {
    if column.is_json() { format!("({value})::pg_catalog.jsonb") } else { value.to_owned() }
}
