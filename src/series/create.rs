//! Making metric stores, and adopting tables that are cut by time already.

use crate::access;
use crate::catalog::{Store, StoreKind, job};
use crate::error::{Error, Result};
use crate::names::{self, MAX_IDENT, NewName, Relation};
use crate::regclass::RegClass;
use crate::series::backend::Backend;
use crate::series::{adopt, hypertable, interval, native, options};
use crate::spi;
use lake_chunks::MINUTE;
use pgrx::datum::Interval;
use pgrx::{PgSqlErrorCode, pg_sys};
use serde_json::{Map, Value, json};

/// Makes the two tables of a metric store, in the name of the current user.
pub fn create(
    name: &str,
    chunk_interval: Interval,
    engine: &str,
    given: Option<&Value>,
) -> Result<Store> {
    let backend = choose(engine)?;
    let mut options = options::checked(given)?;
    let width = options::width_of(&chunk_interval)?;
    let interval = options::interval_text(chunk_interval)?;
    let name = NewName::parse(name)?;
    let series = series_name(&name)?;
    let partition = match backend {
        Backend::Native => " PARTITION BY RANGE (ts)",
        Backend::Hypertable => "",
    };
    spi::execute(
        &format!(
            "CREATE TABLE {name} ( \
                 ts pg_catalog.timestamptz NOT NULL, \
                 series_id pg_catalog.int8 NOT NULL, \
                 value pg_catalog.float8 NOT NULL, \
                 PRIMARY KEY (series_id, ts)){partition}"
        ),
        &[],
    )?;
    // No foreign key to it: dropping a chunk would lock the table of series against everybody.
    spi::execute(
        &format!(
            "CREATE TABLE {series} ( \
                 series_id pg_catalog.int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
                 metric pg_catalog.text NOT NULL, \
                 tags pg_catalog.jsonb NOT NULL DEFAULT '{{}}' \
                      CHECK (pg_catalog.jsonb_typeof(tags) = 'object'), \
                 UNIQUE (metric, tags))"
        ),
        &[],
    )?;
    spi::execute(
        &format!("CREATE INDEX ON {series} USING gin (tags pg_catalog.jsonb_path_ops)"),
        &[],
    )?;
    let table = Relation::by_oid(oid_of(&name.to_string())?)?;
    let companion = oid_of(&series)?;

    options.insert("time_column".into(), json!("ts"));
    options.insert("chunk_interval".into(), json!(interval));
    if backend == Backend::Hypertable {
        hypertable::create(&hypertable::require()?, &table, "ts", chunk_interval)?;
    }
    let store = Store::register(
        table,
        StoreKind::Series,
        backend.name(),
        Some(companion),
        Value::Object(options),
    )?;
    if backend == Backend::Native {
        keep_making_chunks(&store, width)?;
    }
    interval::follow(&store)?;
    Ok(store)
}

/// Makes the chunks for now and soon, and the job that goes on with it.
fn keep_making_chunks(store: &Store, width: lake_chunks::range::Width) -> Result<()> {
    let now = spi::scalar::<pgrx::datum::TimestampWithTimeZone>(
        "SELECT pg_catalog.clock_timestamp()",
        &[],
    )?;
    let now = crate::series::time::from_pg(now);
    while native::make_ahead(store, now)?.is_some() {
        pgrx::check_for_interrupts!();
    }
    // Often enough that one missed run does no harm, within what schedules allow.
    let minutes = (width.micros() / MINUTE / 4).clamp(1, 60);
    job::ensure(store, "make_chunks", &format!("{minutes} minutes"), &json!({}))?;
    Ok(())
}

/// `name_series`. Where that is too long the name is cut, and then a free one is taken, since another
/// may be cut to the same.
fn series_name(name: &NewName) -> Result<String> {
    let full = format!("{}_series", name.name);
    if full.len() <= MAX_IDENT {
        return Ok(names::qualified(&name.schema, &full));
    }
    for attempt in 1..=100 {
        let label = if attempt == 1 { "series".to_owned() } else { format!("series_{attempt}") };
        let cut = lake_chunks::range::chunk_name(&name.name, &label, MAX_IDENT);
        if !native::is_taken(&name.schema, &cut)? {
            return Ok(names::qualified(&name.schema, &cut));
        }
    }
    Err(Error::duplicate_object(format!("no free name for the series of {name}")))
}

fn oid_of(qualified: &str) -> Result<pg_sys::Oid> {
    spi::scalar("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", &[qualified.into()])
}

fn choose(engine: &str) -> Result<Backend> {
    match engine {
        "auto" if hypertable::find()?.is_some() => Ok(Backend::Hypertable),
        "auto" | "native" => Ok(Backend::Native),
        "timescaledb" => {
            hypertable::require()?;
            Ok(Backend::Hypertable)
        }
        other => Err(Error::invalid_parameter(format!("engine can't be \"{other}\""))
            .hint("It is 'auto' (TimescaleDB where it is installed), 'timescaledb' or 'native'.")),
    }
}

/// Takes a table that is cut by time already: a hypertable, or one partitioned by range on a single
/// column of a date or timestamp type. A plain table is cut on the way.
pub fn adopt(
    table: RegClass,
    time_column: &str,
    segment_by: Option<Vec<String>>,
    order_by: Option<Vec<String>>,
    given: Option<&Value>,
) -> Result<Store> {
    let relation = Relation::by_oid(table.0)?;
    access::require_owner(&relation)?;
    let kind = column_type(&relation, time_column)?;
    if !matches!(kind.as_str(), "timestamptz" | "timestamp" | "date") {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            format!("column \"{time_column}\" of {relation} is of type {kind}"),
        )
        .hint("The time column of a series store is a timestamptz, timestamp or date."));
    }
    let mut options = Map::new();
    options.insert("time_column".into(), json!(time_column));
    for (key, columns) in [("segment_by", segment_by), ("order_by", order_by)] {
        for column in columns.iter().flatten() {
            column_type(&relation, column)?;
        }
        if let Some(columns) = columns {
            options.insert(key.into(), json!(columns));
        }
    }
    let cut_by = |found: &str| {
        if found == time_column {
            return Ok(());
        }
        Err(Error::invalid_parameter(format!(
            "{relation} is cut into chunks by \"{found}\", not by \"{time_column}\""
        ))
        .hint(format!("Call it with time_column => '{found}'.")))
    };
    let cut = hypertable::time_dimension(&relation)?;
    let plain = cut.is_none() && adopt::is_plain(&relation)?;
    let backend = if let Some((column, _)) = cut {
        cut_by(&column)?;
        Backend::Hypertable
    } else {
        // A plain table is cut only where somebody says how.
        if !plain || given.is_none_or(|given| given.get("chunk_interval").is_none()) {
            cut_by(&range_column(&relation, time_column)?)?;
        }
        Backend::Native
    };
    let width = adopted_width(backend, given, &mut options)?;
    if width.is_some() && kind != "timestamptz" {
        return Err(Error::unsupported(format!(
            "chunks of {relation} can't be made ahead: \"{time_column}\" is of type {kind}, not timestamptz"
        ))
        .hint("Adopt it without chunk_interval and go on making its partitions as you do now."));
    }
    let relation = match width {
        Some(width) if plain => adopt::move_into_chunks(&relation, time_column, width)?,
        _ => relation,
    };
    let store =
        Store::register(relation, StoreKind::Series, backend.name(), None, Value::Object(options))?;
    if let Some(width) = width {
        keep_making_chunks(&store, width)?;
    }
    Ok(store)
}

/// The options `chunk_interval` and `chunks_ahead`, by which partitions of an adopted table are made
/// ahead; without the first that stays with whoever does it now.
fn adopted_width(
    backend: Backend,
    given: Option<&Value>,
    options: &mut Map<String, Value>,
) -> Result<Option<lake_chunks::range::Width>> {
    let mut rest = match given {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(given)) => given.clone(),
        Some(other) => {
            return Err(Error::invalid_parameter(format!(
                "options must be a JSON object, not {other}"
            )));
        }
    };
    let interval = rest.remove("chunk_interval");
    if let Some(other) = rest.keys().find(|key| *key != "chunks_ahead" && *key != interval::TARGET)
    {
        return Err(Error::invalid_parameter(format!("unknown option \"{other}\"")).hint(
            "The options of an adopted table are: chunk_interval, chunks_ahead (partitions made ahead), chunk_target_bytes.",
        ));
    }
    options::overlay(options, Some(&Value::Object(rest)))?;
    let Some(interval) = interval else { return Ok(None) };
    let Value::String(text) = interval else {
        return Err(Error::invalid_parameter(format!(
            "option \"chunk_interval\" can't be {interval}"
        ))
        .hint("It is an interval such as \"1 day\"."));
    };
    if backend == Backend::Hypertable {
        return Err(Error::unsupported("TimescaleDB makes the chunks of a hypertable itself")
            .hint("Leave chunk_interval out; set_chunk_time_interval changes the width."));
    }
    let width = options::width_of(&options::interval_of("chunk_interval", &text)?)?;
    options.insert("chunk_interval".into(), json!(text));
    Ok(Some(width))
}

/// 42703 where there is no such column.
pub fn column_type(table: &Relation, column: &str) -> Result<String> {
    spi::one::<String>(
        "SELECT t.typname::text FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         WHERE a.attrelid = $1 AND a.attname = $2::pg_catalog.name AND a.attnum > 0 AND NOT a.attisdropped",
        &[table.oid.into(), column.into()],
    )?
    .ok_or_else(|| {
        Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("column \"{column}\" of {table} does not exist"),
        )
    })
}

/// The column that a table is partitioned by; `wanted` is for the hint.
fn range_column(table: &Relation, wanted: &str) -> Result<String> {
    let key = spi::rows(
        "SELECT p.partstrat::text, p.partnatts::int4, a.attname::text \
         FROM pg_catalog.pg_partitioned_table p \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] AND a.attnum > 0 \
         WHERE p.partrelid = $1",
        &[table.oid.into()],
        |row| {
            Ok((
                spi::need::<String>(row, 1)?,
                spi::need::<i32>(row, 2)?,
                spi::get::<String>(row, 3)?,
            ))
        },
    )?;
    match key.into_iter().next() {
        Some((strategy, 1, Some(column))) if strategy == "r" => Ok(column),
        Some(_) => Err(Error::unsupported(format!(
            "{table} is not partitioned by range on a single column"
        ))
        .hint(format!("Series stores need one range key: PARTITION BY RANGE ({}).", names::ident(wanted)))),
        None => Err(Error::unsupported(format!("{table} is not cut into chunks"))
            .detail("It is neither a hypertable nor partitioned by range.")
            .hint(format!(
                "options => '{{\"chunk_interval\": \"1 day\"}}' cuts it, which writers wait for. With TimescaleDB: \
                 SELECT create_hypertable({}, by_range({}), migrate_data => true); which readers wait for too.",
                names::literal(&table.to_string()),
                names::literal(wanted),
            ))),
    }
}
