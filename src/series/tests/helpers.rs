//! What the tests share.

use crate::catalog::Store;
use crate::error::Result;
use crate::regclass::RegClass;
use crate::series::options;
use crate::spi;
use crate::testing::has;
use crate::workers::actions::{Progress, Step};
use crate::workers::runner;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use serde_json::{Value, json};

/// The engines there are.
pub fn engines() -> &'static [&'static str] {
    if !has("timescaledb") {
        return &["native"];
    }
    run("CREATE EXTENSION IF NOT EXISTS timescaledb");
    &["native", "timescaledb"]
}

/// Runs statements, one after the other.
pub fn run(sql: &str) {
    Spi::run(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// The first column of the first row as text.
pub fn text(sql: &str) -> Option<String> {
    Spi::get_one::<String>(&format!("SELECT ({sql})::text"))
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The rows of a query as one text, `(a,b)` by `(c,d)`.
pub fn all(sql: &str) -> String {
    text(&format!("SELECT coalesce(string_agg(q::text, ' '), '') FROM ({sql}) q"))
        .unwrap_or_default()
}

/// SQLSTATE and message of a statement that must fail.
pub fn failure(sql: &str) -> (String, String) {
    if text("SELECT to_regprocedure('pg_temp.failure(text)')").is_none() {
        run("CREATE FUNCTION pg_temp.failure(sql text) RETURNS text[] LANGUAGE plpgsql AS $$
             BEGIN EXECUTE sql; RETURN NULL;
             EXCEPTION WHEN OTHERS THEN RETURN ARRAY[SQLSTATE, SQLERRM]; END $$");
    }
    let found: Result<Option<Vec<String>>> = spi::one("SELECT pg_temp.failure($1)", &[sql.into()]);
    match found.ok().flatten().map(<[String; 2]>::try_from) {
        Some(Ok([state, message])) => (state, message),
        _ => panic!("did not fail: {sql}"),
    }
}

/// Runs `test` with the names of an engine and of a new store of it.
pub fn on_both(options: &str, test: impl Fn(&str, &str)) {
    for &engine in engines() {
        let store = format!("s_{engine}");
        run(&format!("SELECT lake.series_create('{store}', '1 day', '{engine}', '{options}')"));
        assert_eq!(
            text(&format!("SELECT engine FROM lake.stores WHERE store = '{store}'::regclass"))
                .as_deref(),
            Some(engine)
        );
        test(engine, &store);
    }
}

/// As [`on_both`], with a store that is always called `s`.
pub fn on_each(test: impl Fn(&str)) {
    for &engine in engines() {
        run(&format!("SELECT lake.series_create('s', engine => '{engine}')"));
        test(engine);
        run("SELECT lake.drop_store('s')");
    }
}

/// Does a job's steps until there is nothing more to do, all in this transaction, and returns what was
/// done.
pub fn steps(
    store: &Store,
    step: fn(&Store, &Value, TimestampWithTimeZone) -> Result<Step>,
    now: TimestampWithTimeZone,
) -> Vec<Progress> {
    let mut done = Vec::new();
    loop {
        // As the worker does, which takes a fresh look for each step.
        let store = &options::find(RegClass(store.oid())).unwrap();
        assert!(done.len() < 1_000, "no end of steps");
        match step(store, &json!({}), now).unwrap() {
            Step::Idle => return done,
            Step::Done(progress) => done.push(progress),
            Step::Statement(statement) => {
                runner::in_transaction(store, &statement).unwrap();
                done.extend(statement.progress);
                if statement.last {
                    return done;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The store on a table.
pub fn find(table: &str) -> Store {
    let oid = spi::scalar("SELECT $1::regclass::oid", &[table.into()]).unwrap();
    options::find(RegClass(oid)).unwrap()
}

pub fn now_plus(interval: &str) -> TimestampWithTimeZone {
    spi::scalar("SELECT clock_timestamp() + $1::interval", &[interval.into()]).unwrap()
}

/// A small generator (Knuth, MMIX), so that a failure comes again.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
