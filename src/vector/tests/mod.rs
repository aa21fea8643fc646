//! Tests of vector stores inside the server.

mod browse;
mod builds;
mod filters;
mod finding;
mod health;
mod layouts;
mod loads;
mod metadata;
mod recall;
mod searches;
mod stores;
mod upserts;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};

/// Runs statements whose result doesn't matter.
pub fn run(sql: &str) {
    Spi::run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A single value.
#[track_caller]
pub fn value<T: FromDatum + IntoDatum>(sql: &str) -> T {
    Spi::get_one::<T>(sql).unwrap().unwrap_or_else(|| panic!("null from {sql}"))
}

/// A single value of a statement with parameters.
#[track_caller]
pub fn value_with<T: FromDatum + IntoDatum>(sql: &str, args: &[DatumWithOid<'_>]) -> T {
    Spi::get_one_with_args::<T>(sql, args).unwrap().unwrap_or_else(|| panic!("null from {sql}"))
}

/// SQLSTATE and message of a statement that must fail; what it did is undone.
#[track_caller]
pub fn fault(sql: &str) -> (String, String) {
    run("CREATE FUNCTION pg_temp.fault(statement text, OUT code text, OUT message text) LANGUAGE plpgsql AS $$
         BEGIN
             BEGIN
                 EXECUTE statement;
                 RAISE EXCEPTION 'it did not fail' USING ERRCODE = 'P0004';
             EXCEPTION WHEN OTHERS THEN
                 GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
             END;
         END $$");
    let out = Spi::get_two_with_args::<String, String>(
        "SELECT code, message FROM pg_temp.fault($1)",
        &[sql.into()],
    )
    .unwrap();
    run("DROP FUNCTION pg_temp.fault");
    (out.0.unwrap(), out.1.unwrap())
}

/// xorshift64*: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    /// In [-1, 1).
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}
