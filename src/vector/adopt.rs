//! Makes a store of a table that exists already.

use super::create::{metric as parse_metric, notice};
use super::store::{Column, EXTENSION, Options, columns};
use crate::access;
use crate::catalog::{Store, StoreKind};
use crate::engines::{self, Engine};
use crate::error::{Error, Result};
use crate::names::Relation;
use crate::regclass::RegClass;
use crate::spi;
use lake_vectors::{MAX_DIMENSIONS, Metric};
use pgrx::PgSqlErrorCode;

/// Which columns are what. A name that isn't the default must be there; the default stands for
/// "find it": the id by the key, the embedding by its type, the others by the names that libraries
/// give them, or none.
pub struct Adoption<'a> {
    pub table: RegClass,
    pub id: &'a str,
    pub embedding: &'a str,
    pub metadata: Option<&'a str>,
    pub content: Option<&'a str>,
    pub metric: Option<&'a str>,
    pub dimensions: Option<i32>,
}

pub const DEFAULT_ID: &str = "id";
pub const DEFAULT_EMBEDDING: &str = "embedding";
pub const DEFAULT_METADATA: &str = "metadata";
pub const DEFAULT_CONTENT: &str = "content";

/// What libraries call the metadata and the text: LangChain's two layouts and LlamaIndex. (`vecs`
/// and its like use the defaults.)
const OTHER_METADATA: [&str; 3] = ["cmetadata", "langchain_metadata", "metadata_"];
const OTHER_CONTENT: [&str; 2] = ["document", "text"];

pub fn adopt(adoption: &Adoption<'_>) -> Result<Store> {
    let relation = Relation::by_oid(adoption.table.0)?;
    access::require_owner(&relation)?;
    let engine = engines::require(EXTENSION, "vector")?;
    require_table(&relation)?;
    let all = columns(&relation)?;
    let embedding = embedding_column(&relation, &engine, &all, adoption.embedding)?;
    let id = id_column(&relation, &all, adoption.id)?;
    require_unique(&relation, &id)?;
    let metadata = optional(
        &relation,
        &all,
        adoption.metadata,
        &Kind {
            default: DEFAULT_METADATA,
            others: &OTHER_METADATA,
            type_name: "jsonb",
            fits: |column| column.is_jsonb() || column.is_json(),
        },
    )?;
    let content = optional(
        &relation,
        &all,
        adoption.content,
        &Kind {
            default: DEFAULT_CONTENT,
            others: &OTHER_CONTENT,
            type_name: "text",
            fits: Column::is_text,
        },
    )?;
    let indexed = indexed_metric(&relation, &embedding)?;
    let metric = match adoption.metric {
        Some(text) => parse_metric(text)?,
        None => indexed.first().copied().unwrap_or(Metric::Cosine),
    };
    if !indexed.is_empty() && !indexed.contains(&metric) {
        notice(
            format!(
                "the index on {}.{} is for {}, not for {}",
                relation,
                embedding.quoted(),
                indexed.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(", "),
                metric.as_str()
            ),
            "Searches will be exact until there is an index for the store's metric.",
        );
    }
    let dimensions = if embedding.typmod > 0 {
        None
    } else {
        Some(untyped_dimensions(&relation, &engine, &embedding, adoption.dimensions)?)
    };
    let ours: Vec<&str> = [Some(&id), Some(&embedding), metadata.as_ref(), content.as_ref()]
        .into_iter()
        .flatten()
        .map(|column| column.name.as_str())
        .collect();
    say_what_keeps_rows_out(&relation, &all, &ours)?;
    let options = Options {
        id: id.name,
        embedding: embedding.name,
        metadata: metadata.map(|column| column.name),
        content: content.map(|column| column.name),
        metric,
        dimensions,
        text_config: None,
    };
    Store::register(relation, StoreKind::Vector, "pgvector", None, options.to_json())
}

fn require_table(relation: &Relation) -> Result<()> {
    let kind: i8 = spi::scalar(
        "SELECT relkind FROM pg_catalog.pg_class WHERE oid = $1",
        &[relation.oid.into()],
    )?;
    if matches!(u8::try_from(kind), Ok(b'r' | b'p')) {
        return Ok(());
    }
    Err(Error::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, format!("{relation} is not a table"))
        .hint("Tables and partitioned tables can be vector stores."))
}

fn named(relation: &Relation, all: &[Column], name: &str, candidates: &str) -> Result<Column> {
    all.iter().find(|column| column.name == name).cloned().ok_or_else(|| {
        let error = Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{relation} has no column \"{name}\""),
        );
        if candidates.is_empty() { error } else { error.hint(format!("It has {candidates}.")) }
    })
}

fn list(columns: &[&Column]) -> String {
    columns.iter().map(|column| column.quoted()).collect::<Vec<_>>().join(", ")
}

fn embedding_column(
    relation: &Relation,
    engine: &Engine,
    all: &[Column],
    name: &str,
) -> Result<Column> {
    let candidates: Vec<&Column> = all.iter().filter(|c| c.storage(engine).is_some()).collect();
    if !all.iter().any(|column| column.name == name) && name == DEFAULT_EMBEDDING {
        match candidates.as_slice() {
            [only] => return Ok((*only).clone()),
            [] => {
                return Err(Error::new(
                    PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                    format!("{relation} has no column of type vector or halfvec"),
                ));
            }
            _ => {}
        }
    }
    let hint = match candidates.as_slice() {
        [] => String::new(),
        some => format!("as columns of type vector or halfvec: {}", list(some)),
    };
    let column = named(relation, all, name, &hint)?;
    if column.storage(engine).is_none() {
        let error = Error::new(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            format!(
                "column \"{name}\" of {relation} is of type {}, not vector or halfvec",
                column.type_name
            ),
        );
        return Err(if hint.is_empty() { error } else { error.hint(format!("It has {hint}.")) });
    }
    Ok(column)
}

fn id_column(relation: &Relation, all: &[Column], name: &str) -> Result<Column> {
    let column = match all.iter().find(|column| column.name == name) {
        Some(column) => column.clone(),
        None if name == DEFAULT_ID => named(relation, all, &only_key(relation)?, "")?,
        None => named(relation, all, name, "")?,
    };
    if column.id_type().is_none() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            format!("column \"{}\" of {relation} is of type {}", column.name, column.type_name),
        )
        .hint("Ids can be text, varchar, bigint, integer, smallint or uuid."));
    }
    Ok(column)
}

/// 42P10 unless `ON CONFLICT (id)` will find an index.
fn require_unique(relation: &Relation, id: &Column) -> Result<()> {
    let unique: bool = spi::scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index i \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indimmediate AND i.indisvalid \
           AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = $2)",
        &[relation.oid.into(), id.number.into()],
    )?;
    if unique {
        return Ok(());
    }
    Err(Error::new(
        PgSqlErrorCode::ERRCODE_INVALID_COLUMN_REFERENCE,
        format!("ids in {relation}.{} are not known to be unique", id.quoted()),
    )
    .detail("An upsert needs a primary key or unique index on just this column.")
    .hint(format!("ALTER TABLE {relation} ADD PRIMARY KEY ({});", id.quoted())))
}

/// A column that a store may do without.
struct Kind {
    default: &'static str,
    others: &'static [&'static str],
    type_name: &'static str,
    fits: fn(&Column) -> bool,
}

fn optional(
    relation: &Relation,
    all: &[Column],
    name: Option<&str>,
    kind: &Kind,
) -> Result<Option<Column>> {
    let Kind { default, others, type_name, fits } = kind;
    let Some(name) = name else { return Ok(None) };
    let Some(column) = all.iter().find(|column| column.name == name) else {
        if name == *default {
            return Ok(others
                .iter()
                .find_map(|other| all.iter().find(|c| c.name == *other && fits(c)))
                .cloned());
        }
        let candidates: Vec<&Column> = all.iter().filter(|column| fits(column)).collect();
        let hint = match candidates.as_slice() {
            [] => format!("no column of type {type_name}; pass null for none"),
            some => format!("as columns of type {type_name}: {}; pass null for none", list(some)),
        };
        return named(relation, all, name, &hint).map(Some);
    };
    if !fits(column) {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            format!(
                "column \"{name}\" of {relation} is of type {}, not {type_name}",
                column.type_name
            ),
        )
        .hint(format!(
            "ALTER TABLE {relation} ALTER COLUMN {c} TYPE {type_name} USING {c}::{type_name}; or pass {default}_column => null.",
            c = column.quoted()
        )));
    }
    Ok(Some(column.clone()))
}

/// The column of the primary key, else of the only unique index, where that is one column.
fn only_key(relation: &Relation) -> Result<String> {
    let keys = spi::rows(
        "SELECT i.indisprimary, i.indnkeyatts::pg_catalog.int4, \
                (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' \
                            ORDER BY pg_catalog.array_position(i.indkey::pg_catalog.int2[], a.attnum)) \
                 FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid \
                   AND a.attnum = ANY (i.indkey::pg_catalog.int2[])), \
                (SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0]) \
         FROM pg_catalog.pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid \
           AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
         ORDER BY i.indisprimary DESC, i.indexrelid",
        &[relation.oid.into()],
        |row| {
            Ok((
                spi::need::<bool>(row, 1)?,
                spi::need::<i32>(row, 2)?,
                spi::need::<String>(row, 3)?,
                spi::need::<String>(row, 4)?,
            ))
        },
    )?;
    let singles: Vec<_> = keys.iter().filter(|(_, columns, ..)| *columns == 1).collect();
    if let [(_, _, _, only)] | [(true, _, _, only), ..] = singles.as_slice() {
        return Ok(only.clone());
    }
    let error = Error::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("{relation} has neither a column \"id\" nor a primary key of one column"),
    );
    Err(match (keys.as_slice(), singles.as_slice()) {
        ([], _) => error.hint(format!(
            "ALTER TABLE {relation} ADD COLUMN id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY;"
        )),
        ([(_, _, columns, _), ..], []) => error
            .detail(format!("Its key is ({columns}); an id is one column."))
            .hint(format!(
                "ALTER TABLE {relation} ADD COLUMN id bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE;"
            )),
        (_, several) => error
            .detail(format!(
                "Unique are {}.",
                several.iter().map(|(_, _, columns, _)| columns.as_str()).collect::<Vec<_>>().join(", ")
            ))
            .hint("Name the column of its ids: id_column => '…'."),
    })
}

/// Says what would make inserts fail, and what a search would mix.
fn say_what_keeps_rows_out(relation: &Relation, all: &[Column], ours: &[&str]) -> Result<()> {
    let found = spi::rows(
        "SELECT a.attname::pg_catalog.text, a.attidentity = 'a' OR a.attgenerated <> '', \
                a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' \
         FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[relation.oid.into()],
        |row| {
            Ok((
                spi::need::<String>(row, 1)?,
                spi::need::<bool>(row, 2)?,
                spi::need::<bool>(row, 3)?,
            ))
        },
    )?;
    for (name, always, needed) in found {
        let Some(column) = all.iter().find(|column| column.name == name) else { continue };
        let column = column.quoted();
        if always && ours.contains(&name.as_str()) {
            notice(
                format!(
                    "{relation}.{column} is always generated: rows can be searched, not upserted"
                ),
                format!(
                    "ALTER TABLE {relation} ALTER COLUMN {column} SET GENERATED BY DEFAULT; where it is an identity."
                ),
            );
        } else if needed && !ours.contains(&name.as_str()) {
            notice(
                format!(
                    "{relation}.{column} must have a value, which upserts don't bring: new rows will be refused"
                ),
                format!(
                    "ALTER TABLE {relation} ALTER COLUMN {column} SET DEFAULT …; or only update rows that are there."
                ),
            );
        }
    }
    if ours.contains(&"cmetadata") && all.iter().any(|column| column.name == "collection_id") {
        notice(
            format!("a search in {relation} finds the rows of all its collections"),
            "Filter by a key of the metadata that tells them apart; rows written by lake.vector_upsert belong to no collection.",
        );
    }
    Ok(())
}

/// The metrics for which the column has an index, HNSW first.
fn indexed_metric(relation: &Relation, embedding: &Column) -> Result<Vec<Metric>> {
    let operators = spi::rows(
        "SELECT op.oprname::pg_catalog.text FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_am am ON am.oid = c.relam \
         JOIN pg_catalog.pg_opclass oc ON oc.oid = i.indclass[0] \
         JOIN pg_catalog.pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amoppurpose = 'o' \
         JOIN pg_catalog.pg_operator op ON op.oid = ao.amopopr \
         WHERE i.indrelid = $1 AND i.indkey[0] = $2 AND am.amname IN ('hnsw', 'ivfflat') \
         ORDER BY am.amname, c.oid",
        &[relation.oid.into(), embedding.number.into()],
        |row| spi::need::<String>(row, 1),
    )?;
    Ok(operators
        .iter()
        .filter_map(|name| Metric::ALL.into_iter().find(|metric| metric.operator() == name))
        .collect())
}

/// The dimensions of a column that doesn't say: as told, else as its rows have.
fn untyped_dimensions(
    relation: &Relation,
    engine: &Engine,
    embedding: &Column,
    told: Option<i32>,
) -> Result<i32> {
    let column = embedding.quoted();
    let hint = format!(
        "ALTER TABLE {relation} ALTER COLUMN {column} TYPE {}(N); or pass dimensions => N.",
        engine.object(&embedding.type_name)
    );
    if let Some(told) = told {
        if (1..=MAX_DIMENSIONS).contains(&told) {
            return Ok(told);
        }
        return Err(Error::invalid_parameter(format!(
            "dimensions must be between 1 and {MAX_DIMENSIONS}, not {told}"
        )));
    }
    let found = spi::rows(
        &format!(
            "SELECT DISTINCT {}({column}) FROM {relation} WHERE {column} IS NOT NULL LIMIT 2",
            engine.object("vector_dims")
        ),
        &[],
        |row| spi::need::<i32>(row, 1),
    )?;
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Error::not_in_prerequisite_state(format!(
            "the dimensions of {relation}.{column} are not known: its type has no length and it has no rows"
        ))
        .hint(hint)),
        _ => Err(Error::not_in_prerequisite_state(format!(
            "{relation}.{column} holds vectors of several dimensions"
        ))
        .detail(format!("Among them {} and {}.", found[0], found[1]))
        .hint(format!("{hint} Rows of other dimensions are then never found."))),
    }
}
